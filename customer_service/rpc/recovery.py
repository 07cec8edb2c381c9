"""The customer's RecoveryService."""

from offsite.customer.v1 import recovery_service_pb2 as pb
from offsite.customer.v1.recovery_service_pb2_grpc import RecoveryServiceServicer

from customer_service.operations import recovery_keys
from customer_service.rpc import conversions
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.identity.identity import Identity
from service_kit.server.context import Context


class RecoveryServicer(RecoveryServiceServicer):
    """Converts, runs one operation, converts back."""

    def __init__(self, database: Database, identity: Identity) -> None:
        self.database = database
        self.identity = identity

    async def CreateRecoveryKey(
        self, request: pb.CreateRecoveryKeyRequest, context: Context
    ) -> pb.CreateRecoveryKeyResponse:
        key = await self.database.run(recovery_keys.create, self.identity, request.recipient, now())
        return pb.CreateRecoveryKeyResponse(recovery_key=conversions.recovery_key(key))

    async def GetRecoveryKey(
        self, request: pb.GetRecoveryKeyRequest, context: Context
    ) -> pb.GetRecoveryKeyResponse:
        key = await self.database.read(recovery_keys.in_force)
        found = None if key is None else conversions.recovery_key(key)
        return pb.GetRecoveryKeyResponse(recovery_key=found)
