"""The commands that both servers have: identity, license, audit, token, env, health."""

import shlex
from collections.abc import Callable
from functools import partial
from typing import Annotated

from cyclopts import App, Parameter
from offsite.common.v1 import audit_service_pb2 as audit_pb
from offsite.common.v1 import license_service_pb2 as license_pb
from offsite.common.v1 import server_service_pb2 as server_pb
from offsite.common.v1 import token_service_pb2 as token_pb
from offsite.common.v1.audit_service_pb2_grpc import AuditServiceStub
from offsite.common.v1.license_service_pb2_grpc import LicenseServiceStub
from offsite.common.v1.server_service_pb2_grpc import ServerServiceStub
from offsite.common.v1.token_service_pb2_grpc import TokenServiceStub

from service_kit.cli import output
from service_kit.cli.connection import call, open_call, stub
from service_kit.cli.durations import parse_duration
from service_kit.cli.names import pages
from service_kit.cli.options import invocation
from service_kit.clock import now
from service_kit.conversions import to_timestamp
from service_kit.errors import FieldViolation, InvalidArgument

Flag = Annotated[bool, Parameter(negative=())]

license_app = App(name="license", help="The server's own master license.")
audit_app = App(name="audit", help="Who did what, when, and how it changed the seats.")
_resolvers: list[Callable[[str], str]] = []

token_app = App(name="token", help="The tokens by which people's tools call this server.")


def register(app: App, resolve_organization: Callable[[str], str]) -> None:
    """Add the common commands to a command line; `resolve_organization` makes ids of names."""
    _resolvers.append(resolve_organization)
    for each in (license_app, audit_app, token_app):
        app.command(each)
    app.command(identity)
    app.command(env)


def get_identity() -> server_pb.GetServerIdentityResponse:
    """Who the server is."""
    request = server_pb.GetServerIdentityRequest()
    response: server_pb.GetServerIdentityResponse = open_call(
        stub(ServerServiceStub).GetServerIdentity, request
    )
    return response


def identity(
    *, ca_certificate: Annotated[Flag, Parameter(name="--ca-certificate")] = False
) -> None:
    """Show who this server is: what the other side needs to know of it.

    Parameters
    ----------
    ca_certificate
        Print the identity CA certificate, PEM; `identity --ca` does the same.
    """
    found = get_identity()
    if ca_certificate:
        output.line(found.identity_ca_pem.strip())
        return
    output.show(
        found,
        lambda: output.facts(
            [
                ("GUID", found.guid),
                ("gRPC", ", ".join(found.grpc_addresses)),
                ("HTTPS", ", ".join(found.https_addresses)),
                ("version", found.version),
            ]
        ),
        quiet=found.guid,
    )


@license_app.command(name="show")
def license_show() -> None:
    """Show the license, and who uses it."""
    service = stub(LicenseServiceStub)
    found = call(service.GetLicense, license_pb.GetLicenseRequest())

    def people() -> None:
        request = license_pb.ListLicenseUseRequest()
        use = pages(service.ListLicenseUse, request, "organizations")
        output.line(f"{found.license.seats_in_use} of {found.license.seats} seats in use")
        rows = [(each.organization_name, each.seats_in_use) for each in use.organizations]
        output.table(("organization", "seats in use"), rows)

    output.show(found, people, quiet=str(found.license.seats))


@license_app.command(name="set")
def license_set(*, seats: int) -> None:
    """Set the number of seats; held seats stay, also above a lower number."""
    request = license_pb.UpdateLicenseRequest(seats=seats)
    done = call(stub(LicenseServiceStub).UpdateLicense, request).license
    output.line(f"{done.seats_in_use} of {done.seats} seats in use")


@audit_app.command(name="list")
def audit_list(
    *,
    org: str = "",
    kind: str = "",
    since: str = "",
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
    filter_ = audit_pb.AuditFilter(organization_id=_organization_id(org), kind=kind)
    if since:
        filter_.start_time.CopyFrom(to_timestamp(now() - parse_duration("--since", since)))
    service = stub(AuditServiceStub)
    if follow:
        _follow(service, filter_)
        return
    request = audit_pb.ListAuditEventsRequest(filter=filter_)
    found = pages(service.ListAuditEvents, request, "events")
    columns = ("time", "kind", "actor", "subject", "seats", "detail")
    output.show(found, lambda: output.table(columns, map(_audit_row, found.events)))


def _follow(service: AuditServiceStub, filter_: audit_pb.AuditFilter) -> None:
    request = audit_pb.FollowAuditEventsRequest(filter=filter_)
    for answer in call(service.FollowAuditEvents, request, timeout=None):
        event = answer.event
        output.show(answer, partial(_audit_line, event))


def _audit_line(event: audit_pb.AuditEvent) -> None:
    output.line("  ".join(_audit_row(event)))


def _audit_row(event: audit_pb.AuditEvent) -> tuple[str, ...]:
    seats = f"{event.seat_delta:+d}" if event.seat_delta else ""
    times = f" ({event.count} times)" if event.count > 1 else ""
    stamp = f"{event.time.ToDatetime():%Y-%m-%d %H:%M:%S}"
    return (stamp, event.kind, event.actor, event.subject, seats, event.detail + times)


def _organization_id(name: str) -> str:
    """The id of an organization of whichever server this is."""
    return _resolvers[-1](name) if name else ""


@token_app.command(name="create")
def token_create(name: str, /, *, role: str = "operator", expires: str = "") -> None:
    """Make a token; its secret is shown this once.

    Parameters
    ----------
    name
        A unique name; the audit trail shows it.
    role
        operator, or read-only.
    expires
        How long it lives, like 90d; for ever if left out.
    """
    request = token_pb.CreateTokenRequest(name=name, role=_role(role))
    if expires:
        request.expire_time.CopyFrom(to_timestamp(now() + parse_duration("--expires", expires)))
    made = call(stub(TokenServiceStub).CreateToken, request)
    output.show(made, lambda: output.line(made.secret), quiet=made.secret)


def _role(text: str) -> token_pb.TokenRole.ValueType:
    roles = {"operator": token_pb.TOKEN_ROLE_OPERATOR, "read-only": token_pb.TOKEN_ROLE_READ_ONLY}
    if text not in roles:
        raise InvalidArgument([FieldViolation("--role", "must be operator or read-only")])
    return roles[text]


@token_app.command(name="list")
def token_list() -> None:
    """List the tokens, never their secrets."""
    found = pages(stub(TokenServiceStub).ListTokens, token_pb.ListTokensRequest(), "tokens")
    rows = [
        (
            each.name,
            output.word(token_pb.TokenRole, each.role),
            output.moment(each, "create_time"),
            output.moment(each, "expire_time") or "never",
            output.moment(each, "revoke_time"),
        )
        for each in found.tokens
    ]
    columns = ("name", "role", "created", "expires", "revoked")
    output.show(found, lambda: output.table(columns, rows))


@token_app.command(name="revoke")
def token_revoke(name: str, /) -> None:
    """End a token within a second."""
    call(stub(TokenServiceStub).RevokeToken, token_pb.RevokeTokenRequest(name=name))
    output.line(f"Token {name} is revoked.")


def env() -> None:
    """Print shell exports for grpcurl; the token stays in its file."""
    run = invocation()
    found = get_identity()
    token, ca = (shlex.quote(str(each.absolute())) for each in (run.token_file, run.ca))
    output.line(f"export OFFSITE_TOKEN=$(cat {token})")
    output.line(f"export OFFSITE_CA={ca}")
    output.line(f"export OFFSITE_ENDPOINT={shlex.quote(run.endpoint)}")
    output.line(f"export OFFSITE_AUTHORITY={found.guid}.offsite.internal")
    output.line(
        "# grpcurl -cacert $OFFSITE_CA -authority $OFFSITE_AUTHORITY -expand-headers "
        "-H 'authorization: Bearer ${OFFSITE_TOKEN}' $OFFSITE_ENDPOINT list"
    )
