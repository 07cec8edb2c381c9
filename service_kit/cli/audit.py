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
            Go on with events as they happen.
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
    request = pb.ListAuditEventsRequest(filter=wanted)
    found = pages(stub(AuditServiceStub).ListAuditEvents, request, "events")
    output.show(found, lambda: output.table(COLUMNS, map(_row, found.events)))


def _follow(wanted: pb.AuditFilter) -> None:
    request = pb.FollowAuditEventsRequest(filter=wanted)
    for answer in call_stream(stub(AuditServiceStub).FollowAuditEvents, request):
        output.show(answer, partial(_line, answer.event))


def _line(event: pb.AuditEvent) -> None:
    output.line("  ".join(filter(None, _row(event))))


def _row(event: pb.AuditEvent) -> tuple[str, ...]:
    seats = f"{event.seat_delta:+d}" if event.seat_delta else ""
    times = f" ({event.count} times)" if event.count > 1 else ""
    stamp = f"{event.time.ToDatetime():%Y-%m-%d %H:%M:%S}"
    return (stamp, event.kind, event.actor, event.subject, seats, event.detail + times)
