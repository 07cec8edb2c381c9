"""The identity CA of the server that keeps an archive, proven by its GUID."""

import asyncio
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from device_agent import files
from device_agent.access import Access
from service_kit.identity.guid import guid_of


def ensure_ca(access: Access, path: Path) -> Path:
    """A file with the identity CA of the archive's server; asked of that server if need be.

    Raises:
        OffsiteError: it can't be reached, or another server answers there.
    """
    if _guid_in(path) != access.server_guid:
        files.write(path, asyncio.run(_read(access)))
    return path


def _guid_in(path: Path) -> str | None:
    """The GUID of the CA that a file holds, or None."""
    try:
        key = x509.load_pem_x509_certificate(files.read(path) or b"").public_key()
    except ValueError:
        return None
    return guid_of(key) if isinstance(key, ec.EllipticCurvePublicKey) else None


async def _read(access: Access) -> bytes:
    from service_kit.client.dial import read_peer

    chain = await read_peer(access.address, access.server_guid)
    return chain.ca.public_bytes(Encoding.PEM)
