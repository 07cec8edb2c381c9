"""The provider's AttachmentService."""

from offsite.provider.v1 import attachment_service_pb2 as pb
from offsite.provider.v1.attachment_service_pb2_grpc import AttachmentServiceServicer

from provider_service.domain.attachment import Peer
from provider_service.domain.organization import Organization
from provider_service.operations import attachments, endings
from provider_service.rpc.organization_messages import (
    attachment_value,
    quota_message,
    state_value,
)
from service_kit.clock import now
from service_kit.conversions import to_timestamp
from service_kit.errors import settled
from service_kit.identity.registration_key import normalize
from service_kit.server.caller import current_peer
from service_kit.server.context import Context
from service_kit.server.first_start import Ground
from service_kit.version import VERSION


class AttachmentServicer(AttachmentServiceServicer):
    """The handshake, for customers' servers."""

    def __init__(self, ground: Ground) -> None:
        self.database = ground.database
        self.identity = ground.identity
        self.advertised = ground.advertised

    async def ValidateRegistrationKey(
        self, request: pb.ValidateRegistrationKeyRequest, context: Context
    ) -> pb.ValidateRegistrationKeyResponse:
        key = normalize("registration_key", request.registration_key)
        admitted = settled(
            await self.database.run(attachments.validate, self.identity, current_peer(), key, now())
        )
        return pb.ValidateRegistrationKeyResponse(
            entitlement=self._entitlement(admitted.organization),
            registration_key_expire_time=to_timestamp(admitted.key.expire_time),
        )

    async def Attach(self, request: pb.AttachRequest, context: Context) -> pb.AttachResponse:
        key = normalize("registration_key", request.registration_key)
        peer = Peer(tuple(request.addresses), request.version)
        attached = settled(
            await self.database.run(
                attachments.attach, self.identity, current_peer(), key, peer, now()
            )
        )
        return pb.AttachResponse(
            entitlement=self._entitlement(attached.organization),
            epoch=attached.epoch,
            position=attached.organization.position,
        )

    async def Detach(self, request: pb.DetachRequest, context: Context) -> pb.DetachResponse:
        outcome = await self.database.run(endings.detach_customer, current_peer(), now())
        return pb.DetachResponse(seats_released=settled(outcome))

    async def GetEntitlement(
        self, request: pb.GetEntitlementRequest, context: Context
    ) -> pb.GetEntitlementResponse:
        peer = Peer(tuple(request.addresses), request.version)
        organization = settled(
            await self.database.run(
                attachments.contact, current_peer(), peer, request.position, now()
            )
        )
        return pb.GetEntitlementResponse(
            entitlement=self._entitlement(organization),
            position=organization.position,
            epoch=organization.epoch,
        )

    def _entitlement(self, organization: Organization) -> pb.Entitlement:
        settings = organization.settings
        return pb.Entitlement(
            organization_id=organization.id,
            organization_name=settings.name,
            state=state_value(organization),
            suspend_reason=organization.suspend_reason,
            attachment_state=attachment_value(organization),
            maximum_seats=settings.maximum_seats or 0,
            seats_in_use=organization.seats_in_use,
            disk_quota=quota_message(settings.disk_quota),
            web_restore_user_limit_bytes=settings.web_restore_user_limit_bytes,
            web_restore_admin_limit_bytes=settings.web_restore_admin_limit_bytes,
            grpc_addresses=self.advertised.grpc,
            https_addresses=self.advertised.https,
            version=VERSION,
        )
