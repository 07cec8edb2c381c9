"""`identity` and `env`: who a server is, and how other tools reach it."""

import shlex
from typing import Annotated

from cyclopts import Parameter
from offsite.common.v1 import server_service_pb2 as pb
from offsite.common.v1.server_service_pb2_grpc import ServerServiceStub

from service_kit.cli import output
from service_kit.cli.connection import LOOPBACK, open_call, stub
from service_kit.cli.options import invocation
from service_kit.cli.parameters import Flag


def get_identity() -> pb.GetServerIdentityResponse:
    """Who the server is."""
    method = stub(ServerServiceStub).GetServerIdentity
    response: pb.GetServerIdentityResponse = open_call(method, pb.GetServerIdentityRequest())
    return response


def warn_of_loopback(identity: pb.GetServerIdentityResponse, who: str) -> None:
    """Warn that no customer, or other computer, can reach the addresses that are handed over."""
    if all(each.rpartition(":")[0] in LOOPBACK for each in identity.grpc_addresses):
        output.warn(
            f"only a loopback address is advertised, which no {who} can reach: "
            "serve with --advertise-grpc HOST:PORT."
        )


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
    facts = [
        ("GUID", found.guid),
        ("gRPC", ", ".join(found.grpc_addresses)),
        ("HTTPS", ", ".join(found.https_addresses)),
        ("version", found.version),
    ]
    output.show(found, lambda: output.facts(facts), quiet=found.guid)


def env() -> None:
    """Print shell exports for grpcurl; the token stays in its file."""
    run = invocation()
    token, ca = (shlex.quote(str(each.absolute())) for each in (run.token_file, run.ca))
    output.line(f"export OFFSITE_TOKEN=$(cat {token})")
    output.line(f"export OFFSITE_CA={ca}")
    output.line(f"export OFFSITE_ENDPOINT={shlex.quote(run.endpoint)}")
    output.line(f"export OFFSITE_AUTHORITY={get_identity().guid}.offsite.internal")
    output.line(
        "# grpcurl -cacert $OFFSITE_CA -authority $OFFSITE_AUTHORITY -expand-headers "
        "-H 'authorization: Bearer ${OFFSITE_TOKEN}' $OFFSITE_ENDPOINT list"
    )
