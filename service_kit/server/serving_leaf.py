"""The TLS leaf that both listeners serve, renewed while they run."""

import asyncio
import ssl
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import grpc
import structlog

from service_kit.clock import now
from service_kit.identity.identity import Identity
from service_kit.identity.leaf import Leaf, issue_leaf

log = structlog.get_logger()

# A clock can be set, or a machine sleep: look again at least this often.
_LOOK_AGAIN = timedelta(hours=1)


class ServingLeaf:
    """The present leaf of a server, for gRPC and for HTTPS."""

    def __init__(self, identity: Identity, hosts: Sequence[str]) -> None:
        self.identity = identity
        self.hosts = tuple(hosts)
        self.leaf: Leaf = issue_leaf(identity, self.hosts, now())
        self._https: ssl.SSLContext | None = None

    def renew(self) -> None:
        """Issue a new leaf; new connections of both listeners get it at once."""
        self.leaf = issue_leaf(self.identity, self.hosts, now())
        if self._https is not None:
            _load(self._https, self.leaf)
        log.info("certificate.renewed", not_after=self.leaf.not_after.isoformat())

    async def renew_in_time(self) -> None:
        """Renew whenever two thirds of the leaf's life are over, until cancelled."""
        while True:
            await asyncio.sleep(_pause(self.leaf.renew_at, now()).total_seconds())
            if now() >= self.leaf.renew_at:
                await asyncio.to_thread(self.renew)

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Credentials that ask for the present leaf at each handshake."""
        return grpc.dynamic_ssl_server_credentials(self._configuration(), self._configuration)

    def https_context(self) -> ssl.SSLContext:
        """A TLS context that is kept at the present leaf."""
        if self._https is None:
            self._https = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._https.minimum_version = ssl.TLSVersion.TLSv1_2
            _load(self._https, self.leaf)
        return self._https

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        pair = (self.leaf.key_pem, self.leaf.cert_chain_pem)
        return grpc.ssl_server_certificate_configuration([pair])


def _pause(renew_at: datetime, moment: datetime) -> timedelta:
    return min(max(renew_at - moment, timedelta(0)), _LOOK_AGAIN)


def _load(context: ssl.SSLContext, leaf: Leaf) -> None:
    """Load a leaf into a context: the ssl module takes files alone, so they live a moment."""
    with tempfile.TemporaryDirectory() as folder:  # made 0700
        chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
        chain.write_bytes(leaf.cert_chain_pem)
        key.write_bytes(leaf.key_pem)
        context.load_cert_chain(chain, key)
