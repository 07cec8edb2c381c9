"""Servers that are not the one expected: what a man in the middle can show."""

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from service_kit.clock import now
from service_kit.identity.identity import Identity
from service_kit.identity.leaf import issue_leaf

HOST = "127.0.0.1"


@dataclass
class Impostor:
    """A TLS server with any certificates; it keeps whatever it was sent."""

    address: str = ""
    heard: bytearray = field(default_factory=bytearray)
    names: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)  # that were asked for


@asynccontextmanager
async def impostor(
    identity: Identity,
    *,
    extra: Sequence[bytes] = (),
    without_ca: bool = False,
    at: datetime | None = None,
) -> AsyncIterator[Impostor]:
    """A listening impostor: a leaf of `identity` issued `at`, its CA, then `extra` certificates."""
    leaf = issue_leaf(identity, [], at or now())
    chain = leaf.cert_chain_pem
    if without_ca:
        chain = chain.removesuffix(identity.ca_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["h2"])
    with tempfile.NamedTemporaryFile() as file:
        await asyncio.to_thread(Path(file.name).write_bytes, leaf.key_pem + chain + b"".join(extra))
        context.load_cert_chain(file.name)
    shown = Impostor()
    context.sni_callback = lambda _, name, __: shown.names.put_nowait(name)

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await reader.read(65536):
                shown.heard += part
        writer.close()

    server = await asyncio.start_server(listen, HOST, 0, ssl=context)
    shown.address = f"{HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield shown
    finally:
        server.close()


def long_ago() -> datetime:
    """A time whose certificates are over."""
    return now() - timedelta(days=100)
