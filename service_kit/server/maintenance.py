"""Upkeep of a server's data from the outside: migrate, back up, restore."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service_kit.clock import now
from service_kit.database import backup, migrate
from service_kit.database.backup_file import Manifest
from service_kit.database.engine import Database, Transaction
from service_kit.server.first_start import renew_operator_token
from service_kit.settings import ServerSettings


@dataclass(frozen=True)
class Maintenance:
    """What one kind of server needs for it.

    `after_restore` notes in the restored ledger that it may be older than what was told of it.
    """

    kind: str
    migrations: str
    after_restore: Callable[[Transaction, datetime], object]

    def migrate(self, settings: ServerSettings) -> None:
        """Bring the ledger to this program's schema.

        Raises:
            Conflict: SCHEMA_NEWER or DATA_IN_USE.
        """
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = Database(settings.database)
        try:
            migrate.migrate(database, self.migrations)
        finally:
            database.dispose()

    def backup(self, settings: ServerSettings, file: Path) -> Manifest:
        """Write ledger and identity to one file, also while a server runs.

        Raises:
            Conflict: the file exists, or there is nothing to back up.
        """
        database = Database(settings.database, read_only=True)
        try:
            return backup.backup(
                database, kind=self.kind, identity=settings.identity, file=file, now=now()
            )
        finally:
            database.dispose()

    def restore(self, settings: ServerSettings, file: Path, force: bool) -> Manifest:
        """Bring ledger and identity back, with a new secret in `operator.token`.

        Raises:
            Conflict: there is data already and not `force`, a server runs, or it is no backup.
        """
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = Database(settings.database)

        def after_restore(tx: Transaction) -> None:
            self.after_restore(tx, now())
            renew_operator_token(tx, settings.operator_token_file)

        try:
            return backup.restore(
                database,
                kind=self.kind,
                migrations=self.migrations,
                identity=settings.identity,
                file=file,
                after_restore=after_restore,
                force=force,
            )
        finally:
            database.dispose()
