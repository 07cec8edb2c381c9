"""Which blobs a repository held at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from archive_gateway.domain.names import CONFIG
from archive_gateway.domain.rules import UNCOUNTED
from archive_gateway.store.tables import DELETED, LIVE, PURGING, QUARANTINED, blobs, history
from service_kit.database.engine import Transaction

# Locks are never kept and escrow is never deleted: neither is part of what is remembered.
_OUTSIDE = [str(each) for each in UNCOUNTED]
_THERE, _GONE = [LIVE, DELETED], [PURGING, QUARANTINED]


@dataclass(frozen=True)
class Past:
    """A repository at a time: what of it is still there, and how many blobs are gone for good.

    `held` has one blob of a name at most. Where clocks differed two may seem to have been there
    at once, and the later is taken. One that is gone is stood in for by another of its name, as
    both have the same content.
    """

    here: ColumnElement[bool]
    held: ColumnElement[bool]
    lost: int


def past(tx: Transaction, archive_id: int, time: datetime) -> Past:
    """An archive's repository at a time; `here` selects its blobs of all times."""
    here = and_(blobs.c.archive_id == archive_id, blobs.c.type.not_in(_OUTSIDE))
    then = _live_at(blobs, time)
    stand_ins = _stand_ins(tx, here, time)
    surplus = _surplus(tx, and_(here, blobs.c.state.in_(_THERE), then))
    held = or_(then, blobs.c.nonce.in_([each for each in stand_ins.values() if each]))
    gone = select(blobs.c.type, blobs.c.name).where(here, blobs.c.state.in_(_GONE), then)
    lost = tx.execute(select(func.count()).select_from(gone.distinct().subquery())).scalar_one()
    return Past(here, and_(held, blobs.c.nonce.not_in(surplus)), int(lost) - len(stand_ins))


def _live_at(table: Any, time: datetime) -> ColumnElement[bool]:
    """Whether a blob was part of its repository at a time."""
    before = and_(
        history.c.nonce == table.c.nonce,
        history.c.live_time <= time,
        history.c.delete_time > time,
    )
    return or_(
        and_(
            table.c.live_time <= time,
            or_(table.c.delete_time.is_(None), table.c.delete_time > time),
        ),
        select(history.c.nonce).where(before).exists(),
    )


def _stand_ins(
    tx: Transaction, here: ColumnElement[bool], time: datetime
) -> Mapping[tuple[str, str], str]:
    """By type and name of those that are gone: who stands in; nobody has to where one was held."""
    gone = blobs.alias("gone")
    same = and_(
        gone.c.archive_id == blobs.c.archive_id,
        gone.c.type == blobs.c.type,
        gone.c.name == blobs.c.name,
    )
    statement = (
        select(blobs.c.type, blobs.c.name, blobs.c.nonce, _live_at(blobs, time).label("held"))
        .join_from(gone, blobs, same)
        .where(gone.c.state.in_(_GONE), _live_at(gone, time))
        .where(here, blobs.c.state.in_(_THERE), blobs.c.type != CONFIG)
        .order_by(_live_at(blobs, time), blobs.c.state == LIVE, blobs.c.nonce)
    )
    rows = tx.execute(statement)
    return {(each.type, each.name): "" if each.held else each.nonce for each in rows}


def _surplus(tx: Transaction, held: ColumnElement[bool]) -> list[str]:
    """All but the latest of those that seem to have been held under the same name."""
    latest = func.max(blobs.c.nonce)
    names = select(blobs.c.type, blobs.c.name, latest).where(held)
    twice = names.group_by(blobs.c.type, blobs.c.name).having(func.count() > 1)
    found: list[str] = []
    for type, name, nonce in tx.execute(twice).all():
        same = and_(blobs.c.type == type, blobs.c.name == name, blobs.c.nonce != nonce)
        found += tx.execute(select(blobs.c.nonce).where(held, same)).scalars()
    return found
