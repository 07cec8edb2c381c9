"""The registration keys' records. The keys themselves are nowhere."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, select, update

from provider_service.domain.registration_key import KeyState, RegistrationKey
from provider_service.store.tables import registration_keys as table
from service_kit.database.engine import Transaction


def create(tx: Transaction, key: RegistrationKey) -> None:
    """Add a key; the organization's earlier one must have been ended."""
    tx.execute(insert(table).values(vars(key)))


def save(tx: Transaction, key: RegistrationKey) -> None:
    """Write a key's new state."""
    statement = update(table).where(table.c.id == key.id)
    tx.execute(statement.values(state=key.state, epoch=key.epoch))


def end(tx: Transaction, organization_id: str) -> None:
    """End the organization's key, if one is in force."""
    in_force = table.c.state != KeyState.ENDED
    statement = update(table).where(table.c.organization_id == organization_id, in_force)
    tx.execute(statement.values(state=KeyState.ENDED))


def end_all(tx: Transaction) -> None:
    """End every key."""
    tx.execute(update(table).values(state=KeyState.ENDED))


def find_by_hash(tx: Transaction, key_hash: str) -> RegistrationKey | None:
    """The key with this hash, ended ones included, or None."""
    row = tx.execute(select(table).where(table.c.key_hash == key_hash)).one_or_none()
    return _from_row(row) if row else None


def in_force(tx: Transaction, organization_ids: Sequence[str]) -> dict[str, RegistrationKey]:
    """The organizations' keys that were not ended, by organization id; expired ones included."""
    statement = select(table).where(
        table.c.organization_id.in_(organization_ids), table.c.state != KeyState.ENDED
    )
    return {key.organization_id: key for key in map(_from_row, tx.execute(statement))}


def _from_row(row: Row[Any]) -> RegistrationKey:
    values = row._asdict()
    return RegistrationKey(**{**values, "state": KeyState(values["state"])})
