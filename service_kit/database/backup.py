"""Backup and restore of a server: its ledger and its identity together, as neither is of use alone.

A backup is taken beside the running server, from one snapshot of the ledger. Its format is the
same for both engines, so a ledger can also move from SQLite to PostgreSQL by it.
"""

import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from service_kit.database import backup_file, dump
from service_kit.database.backup_file import IDENTITY, Manifest
from service_kit.database.engine import Database, Transaction
from service_kit.database.migrate import revision, upgrade
from service_kit.errors import AlreadyExists, Conflict
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason
from service_kit.version import VERSION


def backup(database: Database, *, kind: str, identity: Path, file: Path, now: datetime) -> Manifest:
    """Write a server's ledger and identity to a new file (0600).

    `kind` is `provider` or `customer`. The file holds the server's key: whoever has it is the
    server.

    Raises:
        AlreadyExists: there is a file of this name.
        Conflict: the identity can't be read, or the ledger was never migrated.
    """
    if file.exists():  # said before the work; `pack` makes sure
        raise AlreadyExists(
            Reason.ALREADY_EXISTS, f"{file} exists.", "Choose another name for the backup."
        )
    own = Identity.load(identity)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".backup-") as temporary:
        folder = Path(temporary)
        (folder / IDENTITY).write_bytes(own.pem())
        schema, tables = database.read_sync(_dump, folder)
        manifest = Manifest(
            kind=kind,
            guid=own.guid,
            revision=schema,
            create_time=now.isoformat(),
            version=VERSION,
            tables=tables,
            digests=backup_file.digests(folder),
        )
        backup_file.pack(folder, manifest, file)
    return manifest


def restore(
    database: Database,
    *,
    kind: str,
    migrations: str,
    identity: Path,
    file: Path,
    after_restore: Callable[[Transaction], None],
    force: bool = False,
) -> Manifest:
    """Make a server of a backup, in one transaction: all of it, or nothing is changed.

    `after_restore` marks, in the same transaction, that this ledger went back in time. An older
    schema is migrated. With `force` an existing ledger and identity are replaced.

    Raises:
        Conflict: BACKUP_UNREADABLE; SCHEMA_NEWER, a newer program made it; WRONG_STATE, there is a
            ledger or another identity already, and no `force`.
    """
    with tempfile.TemporaryDirectory(dir=identity.parent, prefix=".restore-") as temporary:
        folder = Path(temporary)
        manifest = backup_file.unpack(file, folder)
        pem = _checked_identity(folder, manifest, kind, file)
        target = _Target(migrations, identity, pem, force)
        database.use_wal()
        try:
            database.run_sync(target.fill, folder, manifest, after_restore)
        except (ValueError, KeyError, DBAPIError) as error:
            raise backup_file.unreadable(file, type(error).__name__) from error
    return manifest


@dataclass(frozen=True)
class _Target:
    """Where a restore goes."""

    migrations: str
    identity: Path
    pem: bytes
    force: bool

    def fill(
        self,
        tx: Transaction,
        folder: Path,
        manifest: Manifest,
        after_restore: Callable[[Transaction], None],
    ) -> None:
        self._clear(tx)
        upgrade(tx, self.migrations, manifest.revision)
        tables = dump.tables(tx)
        if {table.name for table in tables} != set(manifest.tables):
            raise ValueError("other tables")
        dump.read(tx, tables, folder)
        upgrade(tx, self.migrations, "head")
        after_restore(tx)
        # Last, right before the commit: until here a failure changes nothing.
        self._write_identity()

    def _clear(self, tx: Transaction) -> None:
        other_identity = self.identity.exists() and self.identity.read_bytes() != self.pem
        if not self.force and (other_identity or not dump.is_empty(tx)):
            raise Conflict(
                Reason.WRONG_STATE,
                "There is a server's ledger or identity here already.",
                "Restore into an empty place, or add --force to replace what is here.",
            )
        dump.drop_everything(tx)

    def _write_identity(self) -> None:
        self._keep_other_identity()
        temporary = self.identity.with_name(f".{self.identity.name}.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as output:
            output.write(self.pem)
            output.flush()
            os.fsync(descriptor)
        temporary.replace(self.identity)
        backup_file.sync_folder(self.identity.parent)

    def _keep_other_identity(self) -> None:
        """A key is never thrown away: were the commit to fail, it would be the old ledger's."""
        if self.identity.exists() and self.identity.read_bytes() != self.pem:
            kept = f"{self.identity.name}.replaced-{secrets.token_hex(4)}"
            os.link(self.identity, self.identity.with_name(kept))


def _dump(tx: Transaction, folder: Path) -> tuple[str, dict[str, int]]:
    schema = revision(tx)
    if schema is None:
        raise Conflict(Reason.WRONG_STATE, "There is no ledger here yet.", "Start the server once.")
    counts = {
        table.name: dump.write(tx, table, folder / f"{table.name}.jsonl")
        for table in dump.tables(tx)
    }
    return schema, counts


def _checked_identity(folder: Path, manifest: Manifest, kind: str, file: Path) -> bytes:
    if manifest.kind != kind:
        raise backup_file.unreadable(file, f"it is a {manifest.kind}'s")
    pem = (folder / IDENTITY).read_bytes()
    if Identity.from_pem(pem).guid != manifest.guid:
        raise backup_file.unreadable(file, "its identity is another server's")
    return pem
