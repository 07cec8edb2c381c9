"""A server's own license."""

from datetime import UTC, datetime

import pytest

from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.errors import InvalidArgument
from service_kit.ledger import audit, license
from service_kit.ledger.license import License

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_a_new_server_has_25_seats(database: Database) -> None:
    assert database.read_sync(license.get) == License(25, 0)


def test_a_number_below_use_keeps_what_is_held(database: Database) -> None:
    database.run_sync(license.add_in_use, 9)
    database.run_sync(license.add_in_use, -1)
    assert database.run_sync(license.set_seats, 5, NOW) == License(5, 8)
    assert database.run_sync(license.lock) == License(5, 8)


def test_setting_it_is_audited(database: Database) -> None:
    database.run_sync(license.set_seats, 500, NOW)
    page = database.read_sync(audit.list_events, audit.AuditFilter(), PageRequest())
    assert [(event.kind, event.detail) for event in page.items] == [
        ("license.updated", "From 25 to 500 seats.")
    ]


@pytest.mark.parametrize("seats", [-1, 10_000_001])
def test_a_number_out_of_bounds_is_refused(database: Database, seats: int) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        database.run_sync(license.set_seats, seats, NOW)
    assert refusal.value.violations[0].field == "seats"
    assert database.read_sync(license.get) == License(25, 0)
