"""`audit`: who did what, when, and how it changed the seats."""

from collections.abc import Callable
from functools import partial

from cyclopts import App
from offsite.common.v1 import audit_service_pb2 as pb
from offsite.common.v1.audit_service_pb2_grpc import AuditServiceStub

from service_kit.cli import output
from service_kit.cli.connection import call_stream, stub
from service_kit.cli.durations import parse_duration
from service_kit.cli.names import pages
from service_kit.cli.parameters import Flag
from service_kit.clock import now
from service_kit.conversions import to_timestamp

COLUMNS = ("time", "kind", "actor", "subject", "seats", "detail")


def make_app(organization_id: Callable[[str], str]) -> App:
    """The commands; `organization_id` makes an id of a name, or of an id."""
    app = App(name="audit", help="Who did what, when, and how it changed the seats.")

    @app.command
    def list_(
        *,
        org: str | None = None,
        kind: str | None = None,
        since: str | None = None,
        follow: Flag = False,
    ) -> None:
        """List what happened, oldest first.

        Parameters
        ----------
        org
            Only an organization's events.
        kind
            Only a kind, like `organization.suspended`, or all of a noun, like `seat.`.
        since
            Only the last while, like 24h.
        follow
            Then go on with events as they happen, until interrupted.
        """
        wanted = pb.AuditFilter(kind=kind or "")
        if org:
            wanted.organization_id = organization_id(org)
        if since:
            wanted.start_time.CopyFrom(to_timestamp(now() - parse_duration("--since", since)))
        if follow:
            _follow(wanted)
        else:
            _list(wanted)

    return app


def _list(wanted: pb.AuditFilter) -> None:
    found = _recorded(wanted)
    output.show(found, lambda: output.table(COLUMNS, map(_row, found.events)))


def _follow(wanted: pb.AuditFilter) -> None:
    """Lists only when following has begun, so that nothing falls in between."""
    request = pb.FollowAuditEventsRequest(filter=wanted)
    answers = call_stream(stub(AuditServiceStub).FollowAuditEvents, request)
    listed = _recorded(wanted).events
    for event in listed:
        output.show(pb.FollowAuditEventsResponse(event=event), partial(_line, event))
    seen = {event.id for event in listed}
    for answer in answers:
        if answer.event.id not in seen:
            output.show(answer, partial(_line, answer.event))


def _recorded(wanted: pb.AuditFilter) -> pb.ListAuditEventsResponse:
    request = pb.ListAuditEventsRequest(filter=wanted)
    found: pb.ListAuditEventsResponse = pages(
        stub(AuditServiceStub).ListAuditEvents, request, "events"
    )
    return found


def _line(event: pb.AuditEvent) -> None:
    output.line("  ".join(filter(None, _row(event))))


def _row(event: pb.AuditEvent) -> tuple[str, ...]:
    seats = f"{event.seat_delta:+d}" if event.seat_delta else ""
    times = f" ({event.count} times)" if event.count > 1 else ""
    stamp = f"{event.time.ToDatetime():%Y-%m-%d %H:%M:%S}"
    return (stamp, event.kind, event.actor, event.subject, seats, event.detail + times)
