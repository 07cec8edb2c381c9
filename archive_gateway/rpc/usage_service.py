"""UsageService: how much of what it may use an organization uses."""

from datetime import timedelta

from offsite.common.v1 import usage_service_pb2 as pb
from offsite.common.v1.usage_service_pb2_grpc import UsageServiceServicer

from archive_gateway.operations import usage
from archive_gateway.rpc import messages
from archive_gateway.tenancy import Tenancy
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.server.context import Context
from service_kit.validation import Checks, resource_id

_LONGEST_IDLE = 100 * 365 * 86400  # seconds


class UsageServicer(UsageServiceServicer):
    """Usage of the accounts that a service tells of."""

    def __init__(self, database: Database, tenancy: Tenancy) -> None:
        self.database = database
        self.tenancy = tenancy

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        account_id = resource_id("organization_id", request.organization_id)
        found = await self.database.read(usage.of_organization, self.tenancy, account_id)
        return pb.GetUsageResponse(usage=messages.account_usage(found))

    async def ListUsage(
        self, request: pb.ListUsageRequest, context: Context
    ) -> pb.ListUsageResponse:
        page = PageRequest(request.page_size, request.page_token)
        found = await self.database.read(usage.list_page, self.tenancy, page)
        return pb.ListUsageResponse(
            organizations=[messages.account_usage(each) for each in found.items],
            next_page_token=found.next_page_token,
        )

    async def ListDeviceUsage(
        self, request: pb.ListDeviceUsageRequest, context: Context
    ) -> pb.ListDeviceUsageResponse:
        account_id = resource_id("organization_id", request.organization_id)
        seconds = request.without_backup_seconds
        checks = Checks()
        checks.between("without_backup_seconds", seconds, 0, _LONGEST_IDLE)
        checks.done()
        found = await self.database.read(
            usage.list_devices,
            self.tenancy,
            account_id,
            PageRequest(request.page_size, request.page_token),
            timedelta(seconds=seconds) if seconds else None,
        )
        return pb.ListDeviceUsageResponse(
            devices=[messages.device_usage(each) for each in found.items],
            next_page_token=found.next_page_token,
        )
