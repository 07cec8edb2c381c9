"""The provider's OrganizationService."""

from offsite.common.v1.impact_pb2 import Impact
from offsite.provider.v1 import organization_service_pb2 as pb
from offsite.provider.v1.organization_service_pb2_grpc import OrganizationServiceServicer

from provider_service.domain.registration_key import lifetime
from provider_service.domain.saving import Shown
from provider_service.operations import endings, organizations, registration_keys, sessions
from provider_service.rpc.organization_messages import to_draft, to_edit, to_message
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.identity.identity import Identity
from service_kit.server.context import Context
from service_kit.validation import filter_text, resource_id


class OrganizationServicer(OrganizationServiceServicer):
    """Hosted organizations, for the operator."""

    def __init__(self, database: Database, identity: Identity) -> None:
        self.database = database
        self.identity = identity

    async def CreateOrganization(
        self, request: pb.CreateOrganizationRequest, context: Context
    ) -> pb.CreateOrganizationResponse:
        saved = await self.database.run(
            organizations.create, self.identity, to_draft(request), now()
        )
        return pb.CreateOrganizationResponse(
            organization=_message(saved.shown),
            registration_key=saved.registration_key,
            warnings=saved.warnings,
        )

    async def GetOrganization(
        self, request: pb.GetOrganizationRequest, context: Context
    ) -> pb.GetOrganizationResponse:
        shown = await self.database.read(organizations.get, _id(request.organization_id))
        return pb.GetOrganizationResponse(organization=_message(shown))

    async def ListOrganizations(
        self, request: pb.ListOrganizationsRequest, context: Context
    ) -> pb.ListOrganizationsResponse:
        page = await self.database.read(
            organizations.list_page,
            PageRequest(request.page_size, request.page_token),
            name=filter_text("name", request.name, 200),
            problems=request.problems,
            deactivated=request.show_deactivated,
            now=now(),
        )
        return pb.ListOrganizationsResponse(
            organizations=[_message(shown) for shown in page.items],
            next_page_token=page.next_page_token,
        )

    async def UpdateOrganization(
        self, request: pb.UpdateOrganizationRequest, context: Context
    ) -> pb.UpdateOrganizationResponse:
        saved = await self.database.run(
            organizations.update, self.identity, to_edit(request), now()
        )
        return pb.UpdateOrganizationResponse(
            organization=_message(saved.shown),
            registration_key=saved.registration_key,
            warnings=saved.warnings,
        )

    async def SuspendOrganization(
        self, request: pb.SuspendOrganizationRequest, context: Context
    ) -> pb.SuspendOrganizationResponse:
        shown = await self.database.run(
            organizations.suspend, _id(request.organization_id), request.reason, now()
        )
        return pb.SuspendOrganizationResponse(organization=_message(shown))

    async def ResumeOrganization(
        self, request: pb.ResumeOrganizationRequest, context: Context
    ) -> pb.ResumeOrganizationResponse:
        shown = await self.database.run(organizations.resume, _id(request.organization_id), now())
        return pb.ResumeOrganizationResponse(organization=_message(shown))

    async def DeactivateOrganization(
        self, request: pb.DeactivateOrganizationRequest, context: Context
    ) -> pb.DeactivateOrganizationResponse:
        run = self.database.preview if request.validate_only else self.database.run
        ended = await run(endings.deactivate, _id(request.organization_id), now())
        return pb.DeactivateOrganizationResponse(
            organization=_message(ended.shown),
            impact=Impact(organizations=1, devices=ended.seats, seats=ended.seats),
        )

    async def ReactivateOrganization(
        self, request: pb.ReactivateOrganizationRequest, context: Context
    ) -> pb.ReactivateOrganizationResponse:
        saved = await self.database.run(
            endings.reactivate,
            self.identity,
            _id(request.organization_id),
            lifetime(request.registration_key_lifetime_seconds),
            now(),
        )
        return pb.ReactivateOrganizationResponse(
            organization=_message(saved.shown), registration_key=saved.registration_key
        )

    async def RotateRegistrationKey(
        self, request: pb.RotateRegistrationKeyRequest, context: Context
    ) -> pb.RotateRegistrationKeyResponse:
        saved = await self.database.run(
            registration_keys.rotate,
            self.identity,
            _id(request.organization_id),
            lifetime(request.registration_key_lifetime_seconds),
            now(),
        )
        return pb.RotateRegistrationKeyResponse(
            organization=_message(saved.shown), registration_key=saved.registration_key
        )

    async def ChangeCustomerGuid(
        self, request: pb.ChangeCustomerGuidRequest, context: Context
    ) -> pb.ChangeCustomerGuidResponse:
        run = self.database.preview if request.validate_only else self.database.run
        ended = await run(
            registration_keys.change_customer_guid,
            self.identity,
            _id(request.organization_id),
            request.customer_guid,
            lifetime(request.registration_key_lifetime_seconds),
            now(),
        )
        return pb.ChangeCustomerGuidResponse(
            organization=_message(ended.shown),
            registration_key="" if request.validate_only else ended.registration_key,
            impact=Impact(organizations=1, devices=ended.seats),
        )

    async def DetachOrganization(
        self, request: pb.DetachOrganizationRequest, context: Context
    ) -> pb.DetachOrganizationResponse:
        run = self.database.preview if request.validate_only else self.database.run
        ended = await run(endings.detach, _id(request.organization_id), now())
        return pb.DetachOrganizationResponse(
            organization=_message(ended.shown),
            impact=Impact(organizations=1, devices=ended.seats, seats=ended.seats),
        )

    async def ConfirmRewound(
        self, request: pb.ConfirmRewoundRequest, context: Context
    ) -> pb.ConfirmRewoundResponse:
        shown = await self.database.run(
            sessions.confirm_rewound, _id(request.organization_id), now()
        )
        return pb.ConfirmRewoundResponse(organization=_message(shown))


def _id(organization_id: str) -> str:
    return resource_id("organization_id", organization_id)


def _message(shown: Shown) -> pb.Organization:
    return to_message(shown, now())
