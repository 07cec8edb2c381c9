"""Accounts and devices' archives: their bytes, and the row that every change takes first."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, bindparam, func, select, update

from archive_gateway.domain.names import ArchiveId
from archive_gateway.store.tables import accounts, archives
from service_kit.database.engine import Transaction
from service_kit.database.statements import upsert

EMPTY = {"stored_bytes": 0, "reserved_bytes": 0, "kept_bytes": 0}


@dataclass(frozen=True)
class Account:
    """An account's bytes, and what it was allowed and warned of."""

    account_id: str
    stored_bytes: int = 0
    reserved_bytes: int = 0
    kept_bytes: int = 0
    prune_allowance_expire_time: datetime | None = None
    warned_quota_percent: int = 0
    warned_seats_percent: int = 0

    @property
    def used_bytes(self) -> int:
        """What counts against its quota."""
        return self.stored_bytes + self.reserved_bytes


@dataclass(frozen=True)
class Delta:
    """How an archive's bytes change."""

    stored_bytes: int = 0
    reserved_bytes: int = 0
    kept_bytes: int = 0
    uploaded_bytes: int = 0


# What each upload asks is built once: to build a statement takes longer than to run it.
_account, _archive = accounts.c, archives.c
_of_account = _account.account_id == bindparam("account")
_of_archive = _archive.id == bindparam("archive")
_LOCK = select(accounts).where(_of_account).with_for_update()
_FIND = select(_archive.id).where(
    _archive.account_id == bindparam("account"), _archive.device_guid == bindparam("device")
)
_ADD_TO_ACCOUNT = (
    update(accounts)
    .where(_of_account)
    .values(
        stored_bytes=_account.stored_bytes + bindparam("stored"),
        reserved_bytes=_account.reserved_bytes + bindparam("reserved"),
        kept_bytes=_account.kept_bytes + bindparam("kept"),
    )
)
_ADD_TO_ARCHIVE = (
    update(archives)
    .where(_of_archive)
    .values(
        stored_bytes=_archive.stored_bytes + bindparam("stored"),
        reserved_bytes=_archive.reserved_bytes + bindparam("reserved"),
        kept_bytes=_archive.kept_bytes + bindparam("kept"),
        uploaded_bytes=_archive.uploaded_bytes + bindparam("uploaded"),
    )
)
_RESERVE = (
    update(accounts)
    .where(_of_account)
    .values(reserved_bytes=_account.reserved_bytes + bindparam("size"))
)
_RESERVE_BELOW = _RESERVE.where(
    _account.stored_bytes + _account.reserved_bytes + bindparam("size") <= bindparam("most")
)
_ADD_RESERVED = (
    update(archives)
    .where(_of_archive)
    .values(reserved_bytes=_archive.reserved_bytes + bindparam("size"))
)


def get_account(tx: Transaction, account_id: str) -> Account:
    """An account; an empty one where it has never had an archive."""
    row = tx.execute(select(accounts).where(accounts.c.account_id == account_id)).first()
    return Account(account_id) if row is None else Account(*row)


def lock_account(tx: Transaction, account_id: str) -> Account:
    """The same, made where it is not there, its row held until the end.

    Whoever changes bytes takes this row before any other of the archives' tables.
    """
    key = {"account": account_id}
    row = tx.execute(_LOCK, key).first()
    if row is None:
        values = {
            "account_id": account_id,
            **EMPTY,
            "warned_quota_percent": 0,
            "warned_seats_percent": 0,
        }
        tx.execute(upsert(tx, accounts).values(values).on_conflict_do_nothing())
        row = tx.execute(_LOCK, key).one()
    return Account(*row)


def find(tx: Transaction, archive: ArchiveId) -> int | None:
    """The number of an archive's row, None where nothing was ever written to it."""
    values = {"account": archive.account_id, "device": archive.device_guid}
    found: int | None = tx.execute(_FIND, values).scalar()
    return found


def ensure(tx: Transaction, archive: ArchiveId) -> int:
    """The same, made where it is not there."""
    found = find(tx, archive)
    if found is not None:
        return found
    values = {
        "account_id": archive.account_id,
        "device_guid": archive.device_guid,
        **EMPTY,
        "uploaded_bytes": 0,
        "downloaded_bytes": 0,
    }
    tx.execute(upsert(tx, archives).values(values).on_conflict_do_nothing())
    row = find(tx, archive)
    if row is None:
        raise LookupError("the archive's row was just made")
    return row


def add(tx: Transaction, account_id: str, archive_id: int, delta: Delta) -> None:
    """Count a change of bytes, of the archive and of its account."""
    values = {
        "account": account_id,
        "archive": archive_id,
        "stored": delta.stored_bytes,
        "reserved": delta.reserved_bytes,
        "kept": delta.kept_bytes,
        "uploaded": delta.uploaded_bytes,
    }
    tx.execute(_ADD_TO_ACCOUNT, values)
    tx.execute(_ADD_TO_ARCHIVE, values)


def reserve(tx: Transaction, account_id: str, size: int, most_bytes: int | None) -> bool:
    """Promise bytes of an account, if they fit below a number: one guarded statement."""
    values = {"account": account_id, "size": size}
    if most_bytes is None:
        return tx.execute(_RESERVE, values).rowcount == 1
    return tx.execute(_RESERVE_BELOW, values | {"most": most_bytes}).rowcount == 1


def add_reserved(tx: Transaction, archive_id: int, size: int) -> None:
    """Count bytes that its account has promised already."""
    tx.execute(_ADD_RESERVED, {"archive": archive_id, "size": size})


def used_by(tx: Transaction, account_id: str, devices: Select[tuple[str]]) -> int:
    """Bytes stored and reserved by some devices of an account."""
    total = func.sum(archives.c.stored_bytes + archives.c.reserved_bytes)
    statement = select(func.coalesce(total, 0)).where(
        archives.c.account_id == account_id, archives.c.device_guid.in_(devices)
    )
    return int(tx.execute(statement).scalar_one())


def note_backup(tx: Transaction, archive_id: int, time: datetime) -> None:
    """Note that a snapshot was saved at a time, unless a later one is known."""
    last = archives.c.last_backup_time
    older = (archives.c.id == archive_id) & (last.is_(None) | (last < time))
    tx.execute(update(archives).where(older).values(last_backup_time=time))


def note_purge(tx: Transaction, archive_id: int, time: datetime) -> None:
    """Note that what was deleted up to a time is gone for good."""
    last = archives.c.purge_time
    older = (archives.c.id == archive_id) & (last.is_(None) | (last < time))
    tx.execute(update(archives).where(older).values(purge_time=time))


def purge_time(tx: Transaction, archive_id: int) -> datetime | None:
    """Up to when what was deleted is gone for good; None: nothing is."""
    found: datetime | None = tx.execute(
        select(archives.c.purge_time).where(archives.c.id == archive_id)
    ).scalar()
    return found


def add_downloaded(tx: Transaction, archive: ArchiveId, size: int) -> None:
    """Count bytes that were read."""
    tx.execute(
        update(archives)
        .where(
            archives.c.account_id == archive.account_id,
            archives.c.device_guid == archive.device_guid,
        )
        .values(downloaded_bytes=archives.c.downloaded_bytes + size)
    )


def of_account(
    tx: Transaction, account_id: str, device_guid: str = ""
) -> list[tuple[int, ArchiveId]]:
    """An account's archives, or only one device's."""
    statement = select(archives.c.id, archives.c.device_guid).where(
        archives.c.account_id == account_id
    )
    if device_guid:
        statement = statement.where(archives.c.device_guid == device_guid)
    rows = tx.execute(statement.order_by(archives.c.device_guid))
    return [(id, ArchiveId(account_id, device)) for id, device in rows]


def accounts_with_kept(tx: Transaction) -> list[str]:
    """Accounts that keep something deleted."""
    statement = select(accounts.c.account_id).where(accounts.c.kept_bytes > 0)
    return list(tx.execute(statement.order_by(accounts.c.account_id)).scalars())


def allow_prune(tx: Transaction, account_id: str, until: datetime) -> None:
    """Set until when an account may write above its quota for a prune."""
    _set(tx, account_id, prune_allowance_expire_time=until)


def set_warned(tx: Transaction, account_id: str, quota_percent: int, seats_percent: int) -> None:
    """Note the thresholds that were warned of."""
    _set(tx, account_id, warned_quota_percent=quota_percent, warned_seats_percent=seats_percent)


def _set(tx: Transaction, account_id: str, **values: object) -> None:
    tx.execute(update(accounts).where(accounts.c.account_id == account_id).values(**values))
