"""The ledger of one company's archives, and its operations one after the other, without files."""

import hashlib
import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import select

from archive_gateway.domain.names import CONFIG, ArchiveId, BlobType, Location, new_nonce
from archive_gateway.domain.rules import UNCOUNTED, Upload
from archive_gateway.domain.usage import ArchiveUsage
from archive_gateway.operations import deletes, purging, recovery, undelete, uploads
from archive_gateway.operations.undelete import Undeleted
from archive_gateway.store import archives as store
from archive_gateway.store import blobs as blob_store
from archive_gateway.store import usage
from archive_gateway.store.archives import Delta
from archive_gateway.store.blobs import Blob
from archive_gateway.store.reservations import Reservation
from archive_gateway.store.tables import archives, blobs
from service_kit.database.engine import Database, Transaction
from service_kit.errors import OffsiteError
from tests.support.archives import Company

T = TypeVar("T")

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
DATA, KEYS, LOCKS, SNAPSHOTS, INDEX = (
    *(BlobType.DATA, BlobType.KEYS, BlobType.LOCKS),
    *(BlobType.SNAPSHOTS, BlobType.INDEX),
)
_numbers = itertools.count()


def new_name() -> str:
    """A blob's name that was never given before."""
    return hashlib.sha256(str(next(_numbers)).encode()).hexdigest()


@dataclass
class ArchiveLedger:
    """One device's view of its company's ledger; a second passes before each operation."""

    database: Database
    company: Company = field(default_factory=Company)
    device_guid: str = ""
    generation: int | None = 1
    time: datetime = START

    def __post_init__(self) -> None:
        self.device_guid = self.device_guid or self.company.device()

    @property
    def account_id(self) -> str:
        return self.company.account_id

    @property
    def archive(self) -> ArchiveId:
        return ArchiveId(self.account_id, self.device_guid)

    def later(self, by: timedelta = SECOND) -> datetime:
        """Let time pass."""
        self.time += by
        return self.time

    def run(self, operation: Callable[..., T], *arguments: Any, **options: Any) -> T:
        return self.database.run_sync(operation, *arguments, **options)

    def read(self, operation: Callable[..., T], *arguments: Any) -> T:
        return self.database.read_sync(operation, *arguments)

    # --- uploads

    def announced(self, type: BlobType, name: str = "", size: int = 100) -> Upload:
        name = name or (CONFIG if type is BlobType.CONFIG else new_name())
        return Upload(self.archive, type, name, size)

    def begin(self, upload: Upload) -> Reservation | Blob:
        """Reserve."""
        return self.run(uploads.reserve, self.company, upload, self.generation, self.later())

    def promised(self, upload: Upload) -> Reservation:
        """The promise of a blob that isn't there yet."""
        reservation = self.begin(upload)
        assert isinstance(reservation, Reservation)
        return reservation

    def finish(self, upload: Upload, reservation: Reservation) -> bool:
        """Commit what a reservation was made for."""
        return self.run(
            *(uploads.commit, self.company, upload, reservation),
            *(self.generation, self.later()),
        )

    def give_up(self, reservation: Reservation, *, written: bool = True) -> None:
        """Discard what a reservation was made for."""
        self.run(uploads.discard, reservation, self.later(), written=written)

    def upload(self, type: BlobType, name: str = "", size: int = 100) -> str:
        """Take a blob as the gateway does; answers its name."""
        upload = self.announced(type, name, size)
        outcome = self.begin(upload)
        if isinstance(outcome, Blob):
            self.run(
                *(uploads.confirm, self.company, upload, outcome),
                *(self.generation, self.later()),
            )
            return upload.name
        try:
            self.finish(upload, outcome)
        except OffsiteError:
            self.give_up(outcome)
            raise
        return upload.name

    def upload_many(self, type: BlobType, count: int, size: int = 100) -> list[str]:
        """Have many blobs in one go, whatever the quota says."""
        names = [new_name() for _ in range(count)]
        self.run(self._add_many, type, names, size, self.later())
        return names

    def _add_many(
        self, tx: Transaction, type: BlobType, names: list[str], size: int, time: datetime
    ) -> None:
        store.lock_account(tx, self.account_id)
        id = store.ensure(tx, self.archive)
        for name in names:
            blob_store.add(
                tx, Blob(id, Location(self.archive, type, name, new_nonce()), size), time
            )
        if type not in UNCOUNTED:
            store.add(tx, self.account_id, id, Delta(stored_bytes=size * len(names)))

    # --- deletes and what follows them

    def delete(self, type: BlobType, name: str = CONFIG, arrived: datetime | None = None) -> bool:
        """Delete a blob by a request that came just now, or earlier."""
        self.later()
        return self.run(
            *(deletes.delete, self.company, self.archive, type, name, self.generation),
            *(arrived or self.time, self.time),
        )

    def undelete(self, to: datetime, *, whole_account: bool = False) -> Undeleted:
        device = "" if whole_account else self.device_guid
        return self.run(undelete.undelete, self.company, self.account_id, device, to, self.later())

    def purge_due(self) -> int:
        """Mark all that is due, and forget it as if its files were removed; answers how many."""
        marked = 0
        for mark in (purging.mark_due, purging.mark_lapsed):
            while some := self.run(mark, self.company, self.time):
                marked += some
        self.sweep()
        return marked

    def sweep(self) -> list[Blob]:
        """Forget what is marked; answers it."""
        marked = self.read(purging.waiting)
        self.run(purging.forget, marked)
        return marked

    # --- what there is

    def live(self, *types: BlobType) -> dict[str, str]:
        """The names of the device's blobs, with the nonce of each."""
        return dict(self.read(_of_state, self.archive, "live", types or tuple(BlobType)))

    def nonces(self, state: str) -> set[str]:
        """The nonces of the device's blobs in a state."""
        return {nonce for _, nonce in self.read(_of_state, self.archive, state, tuple(BlobType))}

    def nonces_of(self, name: str, state: str) -> list[str]:
        """The nonces of the device's blobs of a name."""
        found = self.read(_of_state, self.archive, state, tuple(BlobType))
        return [nonce for each, nonce in found if each == name]

    def location(self, type: BlobType, name: str = CONFIG) -> Location:
        """Where a live blob rests."""
        return Location(self.archive, type, name, self.live(type)[name])

    def usage(self) -> ArchiveUsage:
        return self.read(usage.of_archive, self.archive)

    def bytes(self) -> tuple[int, int, int]:
        """Bytes stored, reserved and kept by the device."""
        found = self.usage()
        return found.stored_bytes, found.reserved_bytes, found.kept_bytes

    def check(self) -> None:
        """What must hold at any time: counts are sums."""
        assert self.read(recovery.drifted) == []

    def fill(self, size: int) -> None:
        """Store bytes, in blobs as large as clients make them."""
        self.upload_many(DATA, size >> 27, 1 << 27)
        if size % (1 << 27):
            self.upload(DATA, size=size % (1 << 27))

    def try_upload(self, type: BlobType, name: str = "", size: int = 100) -> bool:
        """Whether a blob was taken."""
        with suppress(OffsiteError):
            self.upload(type, name, size)
            return True
        return False


def _of_state(tx: Any, archive: ArchiveId, state: str, types: Any) -> list[tuple[str, str]]:
    statement = (
        select(blobs.c.name, blobs.c.nonce)
        .join_from(blobs, archives)
        .where(
            archives.c.account_id == archive.account_id,
            archives.c.device_guid == archive.device_guid,
            blobs.c.state == state,
            blobs.c.type.in_([str(each) for each in types]),
        )
    )
    return [(row.name, row.nonce) for row in tx.execute(statement)]
