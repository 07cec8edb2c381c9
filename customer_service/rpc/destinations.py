"""The customer's DestinationService."""

from collections.abc import Callable

from offsite.customer.v1 import destination_service_pb2 as pb
from offsite.customer.v1.destination_service_pb2_grpc import DestinationServiceServicer

from customer_service.operations import destinations
from customer_service.operations.destinations import Defaults
from customer_service.rpc import conversions
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.server.context import Context
from service_kit.validation import resource_id, resource_ids


class DestinationServicer(DestinationServiceServicer):
    """Converts, runs one operation, converts back."""

    def __init__(self, database: Database, wake: Callable[[], None]) -> None:
        self.database = database
        self.wake = wake  # the outbox: seats may have been released

    async def GetDefaultDestinations(
        self, request: pb.GetDefaultDestinationsRequest, context: Context
    ) -> pb.GetDefaultDestinationsResponse:
        level = _level("organization_id", request.organization_id)
        found = await self.database.read(destinations.get_defaults, level)
        return pb.GetDefaultDestinationsResponse(destinations=conversions.defaults(found))

    async def PreviewDefaultDestinations(
        self, request: pb.PreviewDefaultDestinationsRequest, context: Context
    ) -> pb.PreviewDefaultDestinationsResponse:
        changes = await self.database.preview(
            destinations.set_defaults,
            _wanted(request.destinations),
            now(),
            apply=request.apply_to_existing,
            confirmed=True,
        )
        return pb.PreviewDefaultDestinationsResponse(changes=conversions.changes(changes))

    async def SetDefaultDestinations(
        self, request: pb.SetDefaultDestinationsRequest, context: Context
    ) -> pb.SetDefaultDestinationsResponse:
        wanted = _wanted(request.destinations)
        changes = await self.database.run(
            destinations.set_defaults,
            wanted,
            now(),
            apply=request.apply_to_existing,
            confirmed=request.confirm_releases,
        )
        self.wake()
        found = await self.database.read(destinations.get_defaults, wanted.organization_id)
        return pb.SetDefaultDestinationsResponse(
            destinations=conversions.defaults(found), changes=conversions.changes(changes)
        )


def _wanted(message: pb.DefaultDestinations) -> Defaults:
    level = _level("destinations.organization_id", message.organization_id)
    storage_ids = resource_ids("destinations.storage_ids", message.storage_ids)
    return Defaults(level, message.inherit, tuple(storage_ids))


def _level(field: str, organization_id: str) -> str:
    return resource_id(field, organization_id) if organization_id else ""
