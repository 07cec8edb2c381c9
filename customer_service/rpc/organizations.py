"""The customer's OrganizationService."""

from collections.abc import Callable

from offsite.customer.v1 import organization_service_pb2 as pb
from offsite.customer.v1.organization_service_pb2_grpc import OrganizationServiceServicer

from customer_service.domain.organization import Organization
from customer_service.operations import organizations
from customer_service.rpc import conversions
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.server.context import Context
from service_kit.validation import Checks, resource_id


class OrganizationServicer(OrganizationServiceServicer):
    """Converts, runs one operation, converts back."""

    def __init__(self, database: Database, wake: Callable[[], None]) -> None:
        self.database = database
        self.wake = wake  # the outbox: seats may have been released

    async def CreateOrganization(
        self, request: pb.CreateOrganizationRequest, context: Context
    ) -> pb.CreateOrganizationResponse:
        wanted = request.organization
        parent_id = wanted.parent_id or await self.database.read(organizations.root_id)
        organization = Organization(wanted.id, wanted.name, parent_id, now())
        view = await self.database.run(organizations.create, organization, now())
        return pb.CreateOrganizationResponse(organization=conversions.organization(view))

    async def GetOrganization(
        self, request: pb.GetOrganizationRequest, context: Context
    ) -> pb.GetOrganizationResponse:
        view = await self.database.read(organizations.get, _id(request))
        return pb.GetOrganizationResponse(organization=conversions.organization(view))

    async def ListOrganizations(
        self, request: pb.ListOrganizationsRequest, context: Context
    ) -> pb.ListOrganizationsResponse:
        page = PageRequest(size=request.page_size, token=request.page_token)
        checks = Checks()
        name = checks.text("name", request.name, most=200)
        checks.done()
        found = await self.database.read(
            organizations.list_page, page, name, request.show_deactivated
        )
        return pb.ListOrganizationsResponse(
            organizations=[conversions.organization(each) for each in found.items],
            next_page_token=found.next_page_token,
        )

    async def UpdateOrganization(
        self, request: pb.UpdateOrganizationRequest, context: Context
    ) -> pb.UpdateOrganizationResponse:
        view = await self.database.run(
            organizations.update,
            _id(request),
            request.name if request.HasField("name") else None,
            resource_id("parent_id", request.parent_id) if request.HasField("parent_id") else None,
            request.etag,
            now(),
        )
        return pb.UpdateOrganizationResponse(organization=conversions.organization(view))

    async def DeactivateOrganization(
        self, request: pb.DeactivateOrganizationRequest, context: Context
    ) -> pb.DeactivateOrganizationResponse:
        run = self.database.preview if request.validate_only else self.database.run
        view, impact = await run(organizations.deactivate, _id(request), now())
        self.wake()
        return pb.DeactivateOrganizationResponse(
            organization=conversions.organization(view), impact=conversions.impact(impact)
        )

    async def ReactivateOrganization(
        self, request: pb.ReactivateOrganizationRequest, context: Context
    ) -> pb.ReactivateOrganizationResponse:
        view = await self.database.run(organizations.reactivate, _id(request), now())
        return pb.ReactivateOrganizationResponse(organization=conversions.organization(view))


def _id(
    request: pb.GetOrganizationRequest
    | pb.UpdateOrganizationRequest
    | pb.DeactivateOrganizationRequest
    | pb.ReactivateOrganizationRequest,
) -> str:
    return resource_id("organization_id", request.organization_id)
