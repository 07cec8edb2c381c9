"""`token`: the bearer tokens of people's tools."""

from cyclopts import App
from offsite.common.v1 import token_service_pb2 as pb
from offsite.common.v1.token_service_pb2_grpc import TokenServiceStub

from service_kit.cli import output
from service_kit.cli.connection import call, stub
from service_kit.cli.durations import parse_duration
from service_kit.cli.names import pages
from service_kit.clock import now
from service_kit.conversions import to_timestamp
from service_kit.errors import FieldViolation, InvalidArgument

ROLES = {"operator": pb.TOKEN_ROLE_OPERATOR, "read-only": pb.TOKEN_ROLE_READ_ONLY}
COLUMNS = ("name", "role", "created", "expires", "revoked")


def make_app() -> App:
    """The commands, in an app of their own to which a program may add."""
    app = App(name="token", help="The tokens by which people's tools call this server.")
    for command in (create, list_, revoke):
        app.command(command)
    return app


def create(name: str, /, *, role: str = "operator", expires: str | None = None) -> None:
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
    if role not in ROLES:
        raise InvalidArgument([FieldViolation("--role", f"must be one of {', '.join(ROLES)}")])
    request = pb.CreateTokenRequest(name=name, role=ROLES[role])
    if expires:
        request.expire_time.CopyFrom(to_timestamp(now() + parse_duration("--expires", expires)))
    made = call(stub(TokenServiceStub).CreateToken, request)
    output.show(made, lambda: output.line(made.secret), quiet=made.secret)


def list_() -> None:
    """List the tokens, never their secrets."""
    found = pages(stub(TokenServiceStub).ListTokens, pb.ListTokensRequest(), "tokens")
    output.show(found, lambda: output.table(COLUMNS, map(_row, found.tokens)))


def revoke(name: str, /) -> None:
    """End a token within a second."""
    done = call(stub(TokenServiceStub).RevokeToken, pb.RevokeTokenRequest(name=name))
    output.show(done, lambda: output.line(f"Token {name} is revoked."), quiet=name)


def _row(token: pb.Token) -> tuple[str, ...]:
    return (
        token.name,
        output.word(pb.TokenRole, token.role),
        output.moment(token, "create_time"),
        output.moment(token, "expire_time") or "never",
        output.moment(token, "revoke_time"),
    )
