"""The customer's OrganizationService."""

from collections.abc import Callable
from typing import Any

from offsite.customer.v1 import organization_service_pb2 as pb
from offsite.customer.v1.organization_service_pb2_grpc import OrganizationServiceServicer

from archive_gateway.rpc.quotas import quota_bytes
from customer_service.domain.organization import Organization
from customer_service.operations import organizations
from customer_service.rpc import conversions
from service_kit.clock import now
from service_kit.conversions import to_timedelta
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
        organization = Organization(
            wanted.id, wanted.name, parent_id, now(), **_rules(wanted, "organization.")
        )
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
            _changes(request),
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


def _changes(request: pb.UpdateOrganizationRequest) -> dict[str, Any]:
    """What an update changes, by the names of the domain."""
    changes: dict[str, Any] = _rules(request, "")
    if request.HasField("name"):
        changes["name"] = request.name
    if request.HasField("parent_id"):
        changes["parent_id"] = resource_id("parent_id", request.parent_id)
    return changes


def _rules(message: pb.Organization | pb.UpdateOrganizationRequest, prefix: str) -> dict[str, Any]:
    """The quota and rules of keeping that are set, by the names of the domain."""
    rules: dict[str, Any] = {}
    if message.HasField("disk_quota"):
        rules["disk_quota_bytes"] = quota_bytes(f"{prefix}disk_quota", message.disk_quota)
    if message.HasField("delete_delay_seconds"):
        rules["delete_delay"] = to_timedelta(message.delete_delay_seconds)
    if message.HasField("retention_seconds"):
        rules["retention"] = to_timedelta(message.retention_seconds)
    if isinstance(message, pb.Organization) or message.HasField("append_only"):
        rules["append_only"] = message.append_only
    return rules


def _id(
    request: pb.GetOrganizationRequest
    | pb.UpdateOrganizationRequest
    | pb.DeactivateOrganizationRequest
    | pb.ReactivateOrganizationRequest,
) -> str:
    return resource_id("organization_id", request.organization_id)
