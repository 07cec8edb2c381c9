"""The provider's SeatService."""

from offsite.provider.v1 import seat_service_pb2 as pb
from offsite.provider.v1.seat_service_pb2_grpc import SeatServiceServicer

from archive_gateway.credentials import archive_url, storage_credential
from archive_gateway.domain.names import ArchiveId
from provider_service.domain.attachment import Session
from provider_service.domain.seat import SeatRequest
from provider_service.operations import reconciliation, resync, seats, sessions
from provider_service.operations.seats import Served
from provider_service.rpc.seat_messages import (
    to_acquire,
    to_excluded,
    to_message,
    to_opening,
    to_part,
    to_release,
    to_state,
)
from service_kit.clock import now
from service_kit.database.batching import Batcher
from service_kit.database.paging import PageRequest
from service_kit.errors import settled
from service_kit.server.caller import current_peer
from service_kit.server.context import Context
from service_kit.server.first_start import Ground
from service_kit.validation import filter_text, resource_id


class SeatServicer(SeatServiceServicer):
    """The ledger of seats: for customers' servers, and for the operator."""

    def __init__(self, ground: Ground, batcher: Batcher[SeatRequest, Served]) -> None:
        self.database = ground.database
        self.identity = ground.identity
        self.advertised = ground.advertised
        self.batcher = batcher

    async def OpenSession(
        self, request: pb.OpenSessionRequest, context: Context
    ) -> pb.OpenSessionResponse:
        opening = to_opening(request)
        organization = settled(
            await self.database.run(sessions.open_session, current_peer(), opening, now())
        )
        return pb.OpenSessionResponse(epoch=organization.epoch, position=organization.position)

    async def AcquireSeat(
        self, request: pb.AcquireSeatRequest, context: Context
    ) -> pb.AcquireSeatResponse:
        served = await self.batcher.submit(to_acquire(request, current_peer()))
        archive = ArchiveId(served.organization_id, served.seat.device_guid)
        return pb.AcquireSeatResponse(
            seat=to_message(served.seat),
            position=served.position,
            storage_credential=storage_credential(self.identity, archive, served.seat.generation),
            archive_url=archive_url(self.advertised.https, archive),
        )

    async def ReleaseSeat(
        self, request: pb.ReleaseSeatRequest, context: Context
    ) -> pb.ReleaseSeatResponse:
        served = await self.batcher.submit(to_release(request, current_peer()))
        return pb.ReleaseSeatResponse(seat=to_message(served.seat), position=served.position)

    async def ListSeats(
        self, request: pb.ListSeatsRequest, context: Context
    ) -> pb.ListSeatsResponse:
        Session(request.epoch, request.position)  # within bounds; any session may list
        page, position = await self.database.read(
            seats.list_of_customer,
            current_peer(),
            PageRequest(request.page_size, request.page_token),
        )
        return pb.ListSeatsResponse(
            seats=[to_message(seat) for seat in page.items],
            next_page_token=page.next_page_token,
            position=position,
        )

    async def ReconcileSeats(
        self, request: pb.ReconcileSeatsRequest, context: Context
    ) -> pb.ReconcileSeatsResponse:
        session = Session(request.epoch, request.position)
        excluded = to_excluded(request)
        guid = current_peer()
        settled(await self.database.run(sessions.enter, guid, session, now()))
        compared = await self.database.read(
            reconciliation.compare, guid, session, request.digest, excluded
        )
        return pb.ReconcileSeatsResponse(
            matches=compared.matches,
            seat_count=compared.seat_count,
            position=compared.position,
        )

    async def ResyncSeats(
        self, request: pb.ResyncSeatsRequest, context: Context
    ) -> pb.ResyncSeatsResponse:
        time = now()
        part = to_part(request, time)
        settled(await self.database.run(resync.take_part, current_peer(), part, time))
        return pb.ResyncSeatsResponse()

    async def ListOrganizationSeats(
        self, request: pb.ListOrganizationSeatsRequest, context: Context
    ) -> pb.ListOrganizationSeatsResponse:
        page = await self.database.read(
            seats.list_page,
            resource_id("organization_id", request.organization_id),
            to_state(request.state),
            filter_text("device_name", request.device_name, 200),
            PageRequest(request.page_size, request.page_token),
        )
        return pb.ListOrganizationSeatsResponse(
            seats=[to_message(seat) for seat in page.items],
            next_page_token=page.next_page_token,
        )

    async def RevokeSeat(
        self, request: pb.RevokeSeatRequest, context: Context
    ) -> pb.RevokeSeatResponse:
        seat = await self.database.run(
            seats.revoke,
            resource_id("organization_id", request.organization_id),
            resource_id("device_guid", request.device_guid),
            request.reason,
            now(),
        )
        return pb.RevokeSeatResponse(seat=to_message(seat))

    async def RestoreSeat(
        self, request: pb.RestoreSeatRequest, context: Context
    ) -> pb.RestoreSeatResponse:
        seat = await self.database.run(
            seats.restore,
            resource_id("organization_id", request.organization_id),
            resource_id("device_guid", request.device_guid),
            now(),
        )
        return pb.RestoreSeatResponse(seat=to_message(seat))
