"""LicenseService: how many seats the server may have in use, and who uses them."""

from collections.abc import Callable
from typing import TypeAlias

from offsite.common.v1.license_service_pb2 import (
    GetLicenseRequest,
    GetLicenseResponse,
    License,
    ListLicenseUseRequest,
    ListLicenseUseResponse,
    UpdateLicenseRequest,
    UpdateLicenseResponse,
)
from offsite.common.v1.license_service_pb2 import (
    OrganizationUse as OrganizationUseMessage,
)
from offsite.common.v1.license_service_pb2_grpc import LicenseServiceServicer

from service_kit.clock import now
from service_kit.database.engine import Database, Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.ledger import license as licenses
from service_kit.server.context import Context

SeatsInUse: TypeAlias = Callable[[Transaction], int]
# A page of (organization id, its name, its seats in use), by id.
OrganizationUse: TypeAlias = Callable[[Transaction, PageRequest], Page[tuple[str, str, int]]]


class LicenseServicer(LicenseServiceServicer):
    """The server's own license; a service tells how it counts the use."""

    def __init__(
        self, database: Database, seats_in_use: SeatsInUse, organization_use: OrganizationUse
    ) -> None:
        self.database = database
        self.seats_in_use = seats_in_use
        self.organization_use = organization_use

    async def GetLicense(self, request: GetLicenseRequest, context: Context) -> GetLicenseResponse:
        return GetLicenseResponse(license=await self.database.read(self._license))

    async def UpdateLicense(
        self, request: UpdateLicenseRequest, context: Context
    ) -> UpdateLicenseResponse:
        def update(tx: Transaction) -> License:
            licenses.set_seats(tx, request.seats, now())
            return self._license(tx)

        return UpdateLicenseResponse(license=await self.database.run(update))

    async def ListLicenseUse(
        self, request: ListLicenseUseRequest, context: Context
    ) -> ListLicenseUseResponse:
        page = await self.database.read(
            self.organization_use, PageRequest(request.page_size, request.page_token)
        )
        uses = [
            OrganizationUseMessage(organization_id=id, organization_name=name, seats_in_use=seats)
            for id, name, seats in page.items
        ]
        return ListLicenseUseResponse(organizations=uses, next_page_token=page.next_page_token)

    def _license(self, tx: Transaction) -> License:
        return License(seats=licenses.get(tx).seats, seats_in_use=self.seats_in_use(tx))
