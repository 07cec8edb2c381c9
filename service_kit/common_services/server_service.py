"""ServerService: who this server is."""

from offsite.common.v1.server_service_pb2 import (
    GetServerIdentityRequest,
    GetServerIdentityResponse,
    ServerKind,
)
from offsite.common.v1.server_service_pb2_grpc import ServerServiceServicer

from service_kit.server.context import Context
from service_kit.server.first_start import Ground
from service_kit.version import VERSION


class ServerServicer(ServerServiceServicer):
    """Tells identity and addresses."""

    def __init__(self, ground: Ground, kind: ServerKind.ValueType) -> None:
        self.ground = ground
        self.kind = kind

    async def GetServerIdentity(
        self, request: GetServerIdentityRequest, context: Context
    ) -> GetServerIdentityResponse:
        return GetServerIdentityResponse(
            guid=self.ground.guid,
            identity_ca_pem=self.ground.identity.ca_pem.decode("ascii"),
            version=VERSION,
            grpc_addresses=self.ground.advertised.grpc,
            https_addresses=self.ground.advertised.https,
            kind=self.kind,
        )
