"""Makes blobs of files that the ledger lost, and forgets blobs whose files are gone."""

from collections.abc import Sequence
from datetime import datetime

from archive_gateway.domain.names import BlobType, Location, time_of
from archive_gateway.domain.rules import UNCOUNTED
from archive_gateway.store import archives, blobs
from archive_gateway.store.archives import Delta
from archive_gateway.store.blobs import Blob
from archive_gateway.store.tables import DELETED, LIVE
from service_kit.database.engine import Transaction
from service_kit.ledger import audit


def adopt(tx: Transaction, location: Location, size: int, now: datetime) -> None:
    """Make a blob of a file: live where no other of its name is, else deleted and kept."""
    account_id = location.archive.account_id
    archives.lock_account(tx, account_id)
    archive_id = archives.ensure(tx, location.archive)
    if blobs.known(tx, [location.nonce]):
        return
    taken = blobs.find_live(tx, location.archive, location.type, location.name) is not None
    state = DELETED if taken else LIVE
    # Since it came, so that an undelete to a time after that does not take it for newer.
    came = min(time_of(location.nonce), now)
    since = now if taken else came
    blobs.add(tx, Blob(archive_id, location, size), now, state=state, since=since)
    if location.type not in UNCOUNTED:
        delta = Delta(kept_bytes=size) if taken else Delta(stored_bytes=size)
        archives.add(tx, account_id, archive_id, delta)
    if location.type is BlobType.SNAPSHOTS:
        archives.note_backup(tx, archive_id, came)
    _record(tx, "archive.adopted", location, now)


def forget_missing(tx: Transaction, gone: Sequence[Blob], now: datetime) -> None:
    """Forget blobs whose files are gone."""
    for account_id in sorted({each.location.archive.account_id for each in gone}):
        archives.lock_account(tx, account_id)
    for blob in gone:
        state = blobs.state_of(tx, blob.location.nonce)
        if state is None:
            continue
        if blob.location.type not in UNCOUNTED:
            counted = Delta(stored_bytes=-blob.size)
            delta = counted if state == LIVE else Delta(kept_bytes=-blob.size)
            archives.add(tx, blob.location.archive.account_id, blob.archive_id, delta)
        _record(tx, "archive.forgotten", blob.location, now)
    blobs.forget(tx, [each.location.nonce for each in gone])


def _record(tx: Transaction, kind: str, location: Location, now: datetime) -> None:
    audit.record(
        tx,
        kind,
        organization_id=location.archive.account_id,
        subject=location.archive.device_guid,
        detail=f"{location.type} {location.name}",
        now=now,
    )
