"""What a batch of seat requests reads and writes of the organizations."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update

from provider_service.domain.account import Account
from provider_service.domain.organization import Attachment, State
from provider_service.store.tables import organizations as table
from service_kit.database.engine import Transaction

# Built once, for batches are short; the columns stand in the order of Account's fields.
_LOCK = (
    select(
        table.c.id,
        table.c.customer_guid,
        table.c.state,
        table.c.suspend_reason,
        table.c.attachment,
        table.c.rewound_confirmed,
        table.c.epoch,
        table.c.floor,
        table.c.session_used,
        table.c.position,
        func.coalesce(table.c.maximum_seats, 0),
        table.c.seats_in_use,
        table.c.seat_rows,
    )
    .where(table.c.customer_guid.in_(bindparam("guids", expanding=True)))
    # One order for all: two batches that lock the same organizations never wait for each other.
    .order_by(table.c.id)
    .with_for_update()
)
_SAVE = (
    update(table)
    .where(table.c.id == bindparam("account_id"))
    .values(
        attachment=bindparam("new_attachment"),
        rewound_confirmed=bindparam("new_rewound_confirmed"),
        session_used=bindparam("new_session_used"),
        position=bindparam("new_position"),
        seats_in_use=bindparam("new_seats_in_use"),
        seat_rows=bindparam("new_seat_rows"),
        last_contact_time=bindparam("new_last_contact_time"),
    )
)


def lock(tx: Transaction, guids: Collection[str]) -> dict[str, Account]:
    """The organizations of customer servers by their GUIDs, rows held until the end.

    Where a GUID has deactivated organizations too, the one in force is meant.
    """
    found: dict[str, Account] = {}
    for row in tx.execute(_LOCK, {"guids": sorted(guids)}):
        account = _from_row(row)
        if account.customer_guid not in found or account.state is not State.DEACTIVATED:
            found[account.customer_guid] = account
    return found


def save(tx: Transaction, accounts: Sequence[Account], now: datetime) -> None:
    """Write the counts and states of accounts that were locked, heard of now."""
    if accounts:
        tx.execute(_SAVE, [_to_row(account, now) for account in accounts])


def _from_row(row: Sequence[Any]) -> Account:
    account = Account(*row)
    account.state = State(account.state)
    account.attachment = Attachment(account.attachment)
    return account


def _to_row(account: Account, now: datetime) -> dict[str, object]:
    return {
        "account_id": account.organization_id,
        "new_attachment": account.attachment,
        "new_rewound_confirmed": account.rewound_confirmed,
        "new_session_used": account.session_used,
        "new_position": account.position,
        "new_seats_in_use": account.seats_in_use,
        "new_seat_rows": account.seat_rows,
        "new_last_contact_time": now,
    }
