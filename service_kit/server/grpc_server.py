"""The gRPC listener: guarded services, health, reflection, TLS."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc.aio
from google.protobuf import descriptor_pool

# Loaded for reflection: by it grpcurl decodes the details of errors.
from google.rpc import error_details_pb2  # noqa: F401
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from service_kit.server.access import AccessTable
from service_kit.server.guards import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES
from service_kit.server.interceptor import GuardInterceptor
from service_kit.server.listening import cannot_listen, check_free
from service_kit.server.serving_leaf import ServingLeaf
from service_kit.settings import join_address, split_address

_OPTIONS = (
    # Without it a second server would bind the same port and take half of the calls.
    ("grpc.so_reuseport", 0),
    # Twice our own bounds: what is a little too large is refused with our reason, and what is
    # much too large by grpcio before it is read.
    ("grpc.max_receive_message_length", 2 * MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 2 * MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA_BYTES),
    # A caller that vanished must not keep its stream for ever.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)

# For those who watch grpc health to hear NOT_SERVING, before their streams end and the port closes.
_NOTICE_SECONDS = 0.2


@dataclass(frozen=True)
class RpcService:
    """One service: its full name, the generated function that adds it, and what answers."""

    name: str
    add: Callable[[Any, grpc.aio.Server], None]
    servicer: object


class GrpcServer:
    """A guarded gRPC server; `start` binds, `stop` drains."""

    def __init__(self, services: Sequence[RpcService], interceptor: GuardInterceptor) -> None:
        self.interceptor = interceptor
        self.names = [each.name for each in services]
        self._server = grpc.aio.server(interceptors=[interceptor], options=_OPTIONS)
        self._health = health.aio.HealthServicer()
        for service in services:
            service.add(service.servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        shown = [*self.names, health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(shown, self._server)

    async def start(self, address: str, leaf: ServingLeaf) -> str:
        """Listen; returns the address with its real port.

        Raises:
            Conflict: ADDRESS_IN_USE.
        """
        check_free(address)
        try:
            port = self._server.add_secure_port(address, leaf.grpc_credentials())
        except RuntimeError as error:  # taken since the check
            raise cannot_listen(address) from error
        await self._server.start()
        for name in self.names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return join_address(split_address(address)[0], port)

    async def stop(self, grace: timedelta) -> None:
        """Say NOT_SERVING, take no new calls, end streams, and let the rest end within `grace`."""
        await self._health.enter_graceful_shutdown()
        if self.interceptor.has_streams:
            await asyncio.sleep(_NOTICE_SECONDS)
            self.interceptor.end_streams()
        await self._server.stop(grace.total_seconds())


def unlisted_methods(services: Sequence[RpcService], access: AccessTable) -> list[str]:
    """Full names of methods that the table does not give to anybody."""
    pool = descriptor_pool.Default()
    found = (pool.FindServiceByName(each.name) for each in services)
    names = [f"/{each.full_name}/{method.name}" for each in found for method in each.methods]
    return [name for name in names if name not in access]
