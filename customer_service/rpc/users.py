"""The customer's UserService."""

from collections.abc import Callable
from typing import Any, Protocol

from offsite.customer.v1 import user_service_pb2 as pb
from offsite.customer.v1.user_service_pb2_grpc import UserServiceServicer

from archive_gateway.rpc.quotas import quota_bytes
from customer_service.domain.user import User
from customer_service.operations import destinations, organizations, users
from customer_service.operations.organizations import Impact
from customer_service.rpc import conversions
from service_kit.clock import now
from service_kit.database.engine import Database, Transaction
from service_kit.database.paging import PageRequest
from service_kit.server.context import Context
from service_kit.validation import Checks, resource_id, resource_ids


class _NamesUser(Protocol):
    @property
    def user_id(self) -> str: ...


class UserServicer(UserServiceServicer):
    """Converts, runs one operation, converts back."""

    def __init__(self, database: Database, wake: Callable[[], None]) -> None:
        self.database = database
        self.wake = wake  # the outbox: seats may have been released

    async def CreateUser(
        self, request: pb.CreateUserRequest, context: Context
    ) -> pb.CreateUserResponse:
        wanted = request.user
        organization_id = wanted.organization_id or await self.database.read(organizations.root_id)
        user = User(wanted.id, wanted.email, organization_id, now(), **_quota(wanted, "user."))
        view = await self.database.run(users.create, user, now())
        return pb.CreateUserResponse(user=conversions.user(view))

    async def GetUser(self, request: pb.GetUserRequest, context: Context) -> pb.GetUserResponse:
        view = await self.database.read(users.get, _id(request))
        return pb.GetUserResponse(user=conversions.user(view))

    async def ListUsers(
        self, request: pb.ListUsersRequest, context: Context
    ) -> pb.ListUsersResponse:
        page = PageRequest(size=request.page_size, token=request.page_token)
        checks = Checks()
        email = checks.text("email", request.email, most=254)
        organization_id = request.organization_id
        if organization_id:
            organization_id = checks.uuid("organization_id", organization_id)
        checks.done()
        found = await self.database.read(
            users.list_page, page, email, organization_id, request.show_deactivated
        )
        return pb.ListUsersResponse(
            users=[conversions.user(each) for each in found.items],
            next_page_token=found.next_page_token,
        )

    async def UpdateUser(
        self, request: pb.UpdateUserRequest, context: Context
    ) -> pb.UpdateUserResponse:
        view = await self.database.run(
            users.update,
            _id(request),
            _changes(request),
            request.etag,
            now(),
        )
        return pb.UpdateUserResponse(user=conversions.user(view))

    async def BlockUser(
        self, request: pb.BlockUserRequest, context: Context
    ) -> pb.BlockUserResponse:
        view, impact = await self._end(users.block, request)
        return pb.BlockUserResponse(user=conversions.user(view), impact=conversions.impact(impact))

    async def UnblockUser(
        self, request: pb.UnblockUserRequest, context: Context
    ) -> pb.UnblockUserResponse:
        view = await self.database.run(users.unblock, _id(request), now())
        return pb.UnblockUserResponse(user=conversions.user(view))

    async def DeactivateUser(
        self, request: pb.DeactivateUserRequest, context: Context
    ) -> pb.DeactivateUserResponse:
        view, impact = await self._end(users.deactivate, request)
        return pb.DeactivateUserResponse(
            user=conversions.user(view), impact=conversions.impact(impact)
        )

    async def ReactivateUser(
        self, request: pb.ReactivateUserRequest, context: Context
    ) -> pb.ReactivateUserResponse:
        view = await self.database.run(users.reactivate, _id(request), now())
        return pb.ReactivateUserResponse(user=conversions.user(view))

    async def SetUserDestinations(
        self, request: pb.SetUserDestinationsRequest, context: Context
    ) -> pb.SetUserDestinationsResponse:
        run = self.database.preview if request.validate_only else self.database.run
        released = await run(
            destinations.set_for_user,
            _id(request),
            None if request.inherit else resource_ids("storage_ids", request.storage_ids),
            now(),
            confirmed=request.confirm_releases or request.validate_only,
        )
        self.wake()
        view = await self.database.read(users.get, _id(request))
        return pb.SetUserDestinationsResponse(
            user=conversions.user(view),
            impact=conversions.impact(Impact(users=1, released=released)),
        )

    async def _end(
        self,
        operation: Callable[[Transaction, str, Any], tuple[users.UserView, Impact]],
        request: pb.BlockUserRequest | pb.DeactivateUserRequest,
    ) -> tuple[users.UserView, Impact]:
        run = self.database.preview if request.validate_only else self.database.run
        ended = await run(operation, _id(request), now())
        self.wake()
        return ended


def _changes(request: pb.UpdateUserRequest) -> dict[str, Any]:
    """What an update changes, by the names of the domain."""
    changes: dict[str, Any] = _quota(request, "")
    if request.HasField("email"):
        changes["email"] = request.email
    if request.HasField("organization_id"):
        changes["organization_id"] = resource_id("organization_id", request.organization_id)
    return changes


def _quota(message: pb.User | pb.UpdateUserRequest, prefix: str) -> dict[str, Any]:
    if not message.HasField("disk_quota"):
        return {}
    return {"disk_quota_bytes": quota_bytes(f"{prefix}disk_quota", message.disk_quota)}


def _id(request: _NamesUser) -> str:
    return resource_id("user_id", request.user_id)
