"""AuditService: what happened at this server, listed and followed."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from offsite.common.v1 import audit_service_pb2
from offsite.common.v1.audit_service_pb2 import (
    FollowAuditEventsRequest,
    FollowAuditEventsResponse,
    ListAuditEventsRequest,
    ListAuditEventsResponse,
)
from offsite.common.v1.audit_service_pb2_grpc import AuditServiceServicer

from service_kit.clock import now
from service_kit.conversions import optional_time, to_timestamp
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.ledger import audit
from service_kit.server.audit_feed import AuditFeed
from service_kit.server.context import Context
from service_kit.validation import Checks


class AuditServicer(AuditServiceServicer):
    """Lists events, and sends new ones as they come."""

    def __init__(self, database: Database, feed: AuditFeed) -> None:
        self.database = database
        self.feed = feed

    async def ListAuditEvents(
        self, request: ListAuditEventsRequest, context: Context
    ) -> ListAuditEventsResponse:
        page = await self.database.read(
            audit.list_events,
            _filter(request.filter),
            PageRequest(request.page_size, request.page_token),
        )
        events = [_to_proto(event) for event in page.items]
        return ListAuditEventsResponse(events=events, next_page_token=page.next_page_token)

    async def FollowAuditEvents(
        self, request: FollowAuditEventsRequest, context: Context
    ) -> AsyncIterator[FollowAuditEventsResponse]:
        follower = audit.Follower(
            _filter(request.filter), after_id=await self.database.read(audit.last_id)
        )
        # The caller learns by these that nothing recorded from now on is missed.
        await context.send_initial_metadata(())
        async with aclosing(self.feed.news()) as news:
            async for _ in news:
                while events := await self.database.read(follower.poll, now()):
                    for event in events:
                        yield FollowAuditEventsResponse(event=_to_proto(event))


def _filter(message: audit_service_pb2.AuditFilter) -> audit.AuditFilter:
    checks = Checks("filter.")
    organization_id, kind = message.organization_id, message.kind
    if organization_id:
        organization_id = checks.uuid("organization_id", organization_id)
    kind = checks.text("kind", kind, most=64)
    checks.done()
    return audit.AuditFilter(
        organization_id=organization_id,
        kind=kind,
        start_time=optional_time(message, "start_time", prefix="filter."),
        end_time=optional_time(message, "end_time", prefix="filter."),
    )


def _to_proto(event: audit.AuditEvent) -> audit_service_pb2.AuditEvent:
    return audit_service_pb2.AuditEvent(
        id=event.id,
        time=to_timestamp(event.time),
        kind=event.kind,
        organization_id=event.organization_id,
        subject=event.subject,
        actor=event.actor,
        detail=event.detail,
        seat_delta=event.seat_delta,
        count=event.count,
    )
