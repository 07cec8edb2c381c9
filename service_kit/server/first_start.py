"""What a server stands on, made at its first start and opened at every later one."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from service_kit.clock import now
from service_kit.database.engine import Database, Transaction
from service_kit.database.migrate import migrate
from service_kit.errors import AlreadyExists
from service_kit.identity.identity import Identity
from service_kit.ledger import access_tokens
from service_kit.metrics import Metrics
from service_kit.server.audit_feed import AuditFeed
from service_kit.server.listening import Advertised
from service_kit.settings import ServerSettings

log = structlog.get_logger()

OPERATOR = "operator"


@dataclass(frozen=True)
class Ground:
    """Identity, ledger, metrics and addresses of one server."""

    settings: ServerSettings
    identity: Identity
    database: Database
    metrics: Metrics = field(default_factory=Metrics)
    advertised: Advertised = field(default_factory=Advertised)
    audit_feed: AuditFeed = field(default_factory=AuditFeed)

    @property
    def guid(self) -> str:
        """The server's GUID."""
        return self.identity.guid


def first_start(settings: ServerSettings, migrations: str) -> Ground:
    """Open a server's data, making what is not there yet; asks nothing.

    Makes the data folder, identity, `ca.pem`, the database at its newest schema, and the token
    `operator`, whose secret is written to `operator.token` once. Replicas may start at once.

    Raises:
        Conflict: DATA_IN_USE, SCHEMA_NEWER or IDENTITY_UNREADABLE.
        Unavailable: the database can't be reached.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    identity = Identity.load_or_create(settings.identity)
    _write(settings.ca_file, identity.ca_pem, 0o644)
    database = Database(settings.database)
    try:
        migrate(database, migrations)
        _make_operator_token(database, settings.operator_token_file)
    except BaseException:
        database.dispose()
        raise
    return Ground(settings, identity, database)


def _make_operator_token(database: Database, file: Path) -> None:
    """Make the first token; one that exists, revoked or not, is never made again.

    The file is written before the transaction commits: a crash between the two leaves a file that
    the next start replaces, never a token whose secret nobody has.
    """

    def make(tx: Transaction) -> None:
        role = access_tokens.TokenRole.OPERATOR
        _, secret = access_tokens.create(tx, OPERATOR, role, None, now())
        _write(file, f"{secret}\n".encode(), 0o600)

    try:
        database.run_sync(make)
    except AlreadyExists:
        return
    log.info("operator_token.created", file=str(file))


def renew_operator_token(tx: Transaction, file: Path) -> None:
    """Give the operator's token a new secret: the old one's file was not in the backup."""
    _, secret = access_tokens.renew(tx, OPERATOR, now())
    _write(file, f"{secret}\n".encode(), 0o600)


def _write(file: Path, content: bytes, mode: int) -> None:
    """Replace a file as a whole: a reader sees the old content or the new."""
    scratch = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    scratch.replace(file)
