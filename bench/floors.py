"""A server of empty calls: the floor of what this machine and gRPC can do.

`Guarded` goes through the same guards as every call of a real server, `Bare` through none.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.empty_pb2 import DESCRIPTOR as EMPTY

from service_kit import logs
from service_kit.clock import now
from service_kit.identity.leaf import issue_leaf
from service_kit.server.access import COMMON_ACCESS, PEER
from service_kit.server.first_start import first_start
from service_kit.server.process import RpcService, Server
from service_kit.settings import ServerSettings

PACKAGE = "offsite.bench"
GUARDED = f"{PACKAGE}.Guarded"
BARE = f"{PACKAGE}.Bare"


async def empty(request: bytes, context: Any) -> bytes:
    """Answers nothing."""
    return b""


def add(name: str, server: grpc.aio.Server) -> None:
    """Add a service of one empty method."""
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Call": grpc.unary_unary_rpc_method_handler(empty)
    }
    server.add_registered_method_handlers(name, methods)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))


def describe() -> None:
    """Make the services known to this process as a compiled proto would: servers look them up."""
    file = FileDescriptorProto(name="bench.proto", package=PACKAGE, dependency=[EMPTY.name])
    for name in (GUARDED, BARE):
        service = file.service.add(name=name.removeprefix(f"{PACKAGE}."))
        empty_type = ".google.protobuf.Empty"
        service.method.add(name="Call", input_type=empty_type, output_type=empty_type)
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


async def main(folder: Path) -> None:
    """Serve both, and write where to `folder`."""
    describe()
    settings = ServerSettings.make(
        "bench", data=folder, grpc="127.0.0.1:0", https="127.0.0.1:0", log_format="json"
    )
    logs.set_up(settings.log_level, settings.log_format)
    ground = first_start(settings, "provider_service.store.migrations")
    service = RpcService(GUARDED, lambda _, server: add(GUARDED, server), None)
    access = {**COMMON_ACCESS, f"/{GUARDED}/Call": PEER}
    guarded = Server(ground, [service], access)
    await guarded.start()
    bare = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add(BARE, bare)
    leaf = issue_leaf(ground.identity, [], now())
    credentials = grpc.ssl_server_credentials([(leaf.key_pem, leaf.cert_chain_pem)])
    port = bare.add_secure_port("127.0.0.1:0", credentials)
    await bare.start()
    ready = folder / "ready.part"
    ready.write_text(f"{ground.guid}\n{guarded.grpc_address}\n127.0.0.1:{port}\n")
    ready.rename(folder / "ready")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
