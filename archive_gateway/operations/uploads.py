"""Uploads: bytes are promised before a blob is taken, and counted when it is durable."""

from datetime import datetime, timedelta

from archive_gateway.domain import rules
from archive_gateway.domain.names import BlobType, Location, new_nonce
from archive_gateway.domain.rules import Upload
from archive_gateway.domain.standing import Standing
from archive_gateway.store import archives, blobs, reservations
from archive_gateway.store.archives import Account, Delta
from archive_gateway.store.blobs import Blob
from archive_gateway.store.reservations import Reservation
from archive_gateway.store.tables import PURGING, QUARANTINED
from archive_gateway.tenancy import Tenancy
from service_kit.database.engine import Transaction
from service_kit.errors import LimitReached, PermissionDenied, Unauthenticated, Unavailable
from service_kit.ledger import audit
from service_kit.reasons import Reason

# A promise ends so long after the last of its bytes came: an upload that died gives them back.
LIFETIME = timedelta(minutes=10)


def standing_of(
    tx: Transaction, tenancy: Tenancy, upload: Upload, generation: int | None
) -> Standing:
    """How the uploading device stands now, if it may write.

    Raises:
        Unauthenticated: the seat ended or was renewed since.
        PermissionDenied: ARCHIVE_READ_ONLY.
    """
    standing = tenancy.standing(tx, upload.archive)
    if standing is None:
        raise Unauthenticated(Reason.CREDENTIALS_INVALID, "No such archive")
    rules.check_writable(standing, upload.type, generation)
    return standing


def reserve(
    tx: Transaction, tenancy: Tenancy, upload: Upload, generation: int | None, now: datetime
) -> Reservation | Blob:
    """Promise the bytes of an upload; or the blob, where it is there already.

    Raises:
        Unauthenticated: the seat ended or was renewed since.
        PermissionDenied: ARCHIVE_READ_ONLY, or a config where there is one.
        LimitReached: DISK_QUOTA_EXCEEDED, or BLOB_REFUSED.
    """
    rules.check_size(upload)
    standing = standing_of(tx, tenancy, upload, generation)
    existing = blobs.find_live(tx, upload.archive, upload.type, upload.name)
    if existing is not None:
        return _again(existing)
    # Taken first by whoever changes an account's bytes: no two uploads see the same room.
    account = archives.lock_account(tx, upload.archive.account_id)
    archive_id = archives.ensure(tx, upload.archive)
    if upload.counts:
        _fit(tx, account, standing, upload, now)
        archives.add_reserved(tx, archive_id, upload.size)
    else:
        _check_few(tx, archive_id, upload, now)
    location = Location(upload.archive, upload.type, upload.name, new_nonce())
    reservation = Reservation(archive_id, location, upload.size, now + LIFETIME)
    reservations.add(tx, reservation)
    return reservation


def commit(
    tx: Transaction,
    tenancy: Tenancy,
    upload: Upload,
    reservation: Reservation,
    generation: int | None,
    now: datetime,
) -> bool:
    """Make a blob that is durable at its location part of the archive; False: it was already.

    Raises:
        Unauthenticated: the seat ended or was renewed since.
        PermissionDenied: ARCHIVE_READ_ONLY, or a config where there is one by now.
        Unavailable: the upload outlived its promise.
    """
    account_id = upload.archive.account_id
    archives.lock_account(tx, account_id)
    standing_of(tx, tenancy, upload, generation)
    if not reservations.take(tx, reservation.nonce):
        raise outlived()
    blob = Blob(reservation.archive_id, reservation.location, upload.size)
    existing = blobs.find_live(tx, upload.archive, upload.type, upload.name)
    counted = upload.size if upload.counts else 0
    if existing is not None:
        _again(existing)
        archives.add(tx, account_id, blob.archive_id, Delta(reserved_bytes=-counted))
        blobs.add(tx, blob, now, state=PURGING)
        blobs.confirm(tx, existing.location.nonce, now)
        return False
    blobs.add(tx, blob, now)
    delta = Delta(counted, -counted, 0, upload.size)
    archives.add(tx, account_id, blob.archive_id, delta)
    if upload.type is BlobType.SNAPSHOTS:
        archives.note_backup(tx, blob.archive_id, now)
    return True


def confirm(
    tx: Transaction,
    tenancy: Tenancy,
    upload: Upload,
    blob: Blob,
    generation: int | None,
    now: datetime,
) -> None:
    """Promise a blob again that was sent again.

    Raises:
        Unauthenticated: the seat ended or was renewed since.
        PermissionDenied: ARCHIVE_READ_ONLY.
        Unavailable: it was deleted since; it has to be sent once more.
    """
    archives.lock_account(tx, upload.archive.account_id)  # a purge may be under way
    standing_of(tx, tenancy, upload, generation)
    if not blobs.confirm(tx, blob.location.nonce, now):
        raise Unavailable(
            Reason.UNAVAILABLE, "The blob was deleted meanwhile, send it again", "Try again."
        )


def set_aside(tx: Transaction, blob: Blob, why: str, now: datetime) -> bool:
    """Take a blob out of its archive whose file is not what it was; a new upload heals it.

    So is one that was deleted, which an undelete would else bring back. False: it was purged.
    """
    account_id, nonce = blob.location.archive.account_id, blob.location.nonce
    archives.lock_account(tx, account_id)
    was_live = blobs.remove_live(tx, nonce, QUARANTINED, now)
    if not was_live and not blobs.set_aside_deleted(tx, nonce):
        return False
    if was_live and blob.location.type not in rules.UNCOUNTED:
        delta = Delta(stored_bytes=-blob.size, kept_bytes=blob.size)
        archives.add(tx, account_id, blob.archive_id, delta)
    audit.record(
        tx,
        "archive.quarantined",
        organization_id=account_id,
        subject=blob.location.archive.device_guid,
        detail=f"{blob.location.type} {blob.location.name}: {why}.",
        actor="server",
        now=now,
    )
    return True


def extend(tx: Transaction, nonce: str, now: datetime) -> None:
    """Keep a promise, as bytes are still coming.

    Raises:
        Unavailable: it has ended already.
    """
    if not reservations.extend(tx, nonce, now + LIFETIME):
        raise outlived()


def discard(tx: Transaction, reservation: Reservation, now: datetime, *, written: bool) -> None:
    """Give back the bytes of an upload that came to nothing; a file it may have left is removed."""
    account_id = reservation.location.archive.account_id
    archives.lock_account(tx, account_id)
    if reservations.take(tx, reservation.nonce):
        counted = 0 if reservation.location.type in rules.UNCOUNTED else reservation.size
        archives.add(tx, account_id, reservation.archive_id, Delta(reserved_bytes=-counted))
    # One that outlived its promise may have left a file since its place was looked through; one
    # whose commit went unanswered is a blob by now.
    if written and not blobs.known(tx, [reservation.nonce]):
        blob = Blob(reservation.archive_id, reservation.location, reservation.size)
        blobs.add(tx, blob, now, state=PURGING)


def outlived() -> Unavailable:
    """The refusal of an upload that took longer than its promise."""
    return Unavailable(
        Reason.UNAVAILABLE, "The upload took too long and was given up", "Send it again."
    )


def _again(existing: Blob) -> Blob:
    if existing.location.type is BlobType.CONFIG:
        raise PermissionDenied(
            Reason.ALREADY_EXISTS, "config exists", "A repository is made once; open it instead."
        )
    return existing


def _fit(
    tx: Transaction, account: Account, standing: Standing, upload: Upload, now: datetime
) -> None:
    """Take the upload's bytes from the account and see that every quota has room for them."""
    quota = standing.policy.quota_bytes
    ends = account.prune_allowance_expire_time
    most = None if quota is None else rules.most_bytes(upload.type, quota, ends, now)
    if not archives.reserve(tx, account.account_id, upload.size, most):
        raise rules.quota_exceeded("Organization", account.used_bytes, quota or 0)
    for limit in standing.limits:
        used = account.used_bytes
        if limit.devices is not None:  # the upload is not counted by its device yet
            used = archives.used_by(tx, account.account_id, limit.devices)
        if used + upload.size > rules.most_bytes(upload.type, limit.quota_bytes, ends, now):
            raise rules.quota_exceeded(limit.holder, used, limit.quota_bytes)


def _check_few(tx: Transaction, archive_id: int, upload: Upload, now: datetime) -> None:
    promised = reservations.count(tx, archive_id, upload.type)
    if upload.type is BlobType.ESCROW:
        lately = blobs.count_live(tx, archive_id, upload.type, now - rules.ESCROW_PERIOD)
        if lately + promised >= rules.MOST_ESCROW:
            raise LimitReached(
                Reason.BLOB_REFUSED,
                f"Too many escrow records, at most {rules.MOST_ESCROW} an hour are kept",
                "Try again in an hour.",
            )
    elif blobs.count_live(tx, archive_id, upload.type) + promised >= rules.MOST_LOCKS:
        raise LimitReached(
            Reason.BLOB_REFUSED,
            f"Too many locks, at most {rules.MOST_LOCKS} are kept",
            "Remove stale ones: restic unlock --remove-all.",
        )
