"""The services that both servers have, and how a server adds them."""

from offsite.common.v1 import (
    audit_service_pb2_grpc,
    license_service_pb2_grpc,
    server_service_pb2_grpc,
    token_service_pb2_grpc,
)
from offsite.common.v1.server_service_pb2 import ServerKind

from service_kit.common_services.audit_service import AuditServicer
from service_kit.common_services.license_service import LicenseServicer, OrganizationUse, SeatsInUse
from service_kit.common_services.server_service import ServerServicer
from service_kit.common_services.token_service import TokenServicer
from service_kit.database.engine import Transaction
from service_kit.ledger import license as licenses
from service_kit.server.first_start import Ground
from service_kit.server.grpc_server import RpcService


def common_services(
    ground: Ground,
    kind: ServerKind.ValueType,
    *,
    seats_in_use: SeatsInUse,
    organization_use: OrganizationUse,
) -> list[RpcService]:
    """The common services of one server; also registers the gauges of its license."""
    _sample_license(ground, seats_in_use)
    return [
        RpcService(
            "offsite.common.v1.ServerService",
            server_service_pb2_grpc.add_ServerServiceServicer_to_server,
            ServerServicer(ground, kind),
        ),
        RpcService(
            "offsite.common.v1.AuditService",
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
            AuditServicer(ground.database, ground.audit_feed),
        ),
        RpcService(
            "offsite.common.v1.TokenService",
            token_service_pb2_grpc.add_TokenServiceServicer_to_server,
            TokenServicer(ground.database),
        ),
        RpcService(
            "offsite.common.v1.LicenseService",
            license_service_pb2_grpc.add_LicenseServiceServicer_to_server,
            LicenseServicer(ground.database, seats_in_use, organization_use),
        ),
    ]


def _sample_license(ground: Ground, seats_in_use: SeatsInUse) -> None:
    def seats(tx: Transaction) -> int:
        return licenses.get(tx).seats

    sampled, read = ground.metrics.sampled, ground.database.read
    sampled("offsite_license_seats", "Seats of the license.", lambda: read(seats))
    sampled("offsite_seats_in_use", "Seats in use.", lambda: read(seats_in_use))
