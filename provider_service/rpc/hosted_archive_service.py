"""The provider's HostedArchiveService."""

from offsite.provider.v1 import hosted_archive_service_pb2 as pb
from offsite.provider.v1.hosted_archive_service_pb2_grpc import HostedArchiveServiceServicer

from archive_gateway.credentials import archive_url, grant_credential
from archive_gateway.operations import grants
from archive_gateway.rpc import messages
from archive_gateway.tenancy import Tenancy
from provider_service.operations import hosted_archives
from service_kit.clock import now
from service_kit.server.caller import current_peer
from service_kit.server.context import Context
from service_kit.server.first_start import Ground
from service_kit.validation import resource_id


class HostedArchiveServicer(HostedArchiveServiceServicer):
    """The archives of the calling customer's organization."""

    def __init__(self, ground: Ground, tenancy: Tenancy) -> None:
        self.database = ground.database
        self.identity = ground.identity
        self.advertised = ground.advertised
        self.tenancy = tenancy

    async def GetHostedUsage(
        self, request: pb.GetHostedUsageRequest, context: Context
    ) -> pb.GetHostedUsageResponse:
        found = await self.database.read(hosted_archives.usage_of, self.tenancy, current_peer())
        return pb.GetHostedUsageResponse(usage=messages.account_usage(found))

    async def CreateHostedGrant(
        self, request: pb.CreateHostedGrantRequest, context: Context
    ) -> pb.CreateHostedGrantResponse:
        grant = await self.database.run(
            hosted_archives.grant,
            self.tenancy,
            current_peer(),
            resource_id("device_guid", request.device_guid),
            grants.lifetime("lifetime_seconds", request.lifetime_seconds),
            now(),
        )
        return pb.CreateHostedGrantResponse(
            grant=messages.grant(grant),
            credential=grant_credential(self.identity, grant.archive, grant.id),
            archive_url=archive_url(self.advertised.https, grant.archive),
        )
