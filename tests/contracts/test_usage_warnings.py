"""Warnings of what is nearly or wholly used up."""

from datetime import timedelta

import pytest

from archive_gateway.domain.warnings import Use, percent_passed, warnings
from archive_gateway.operations import warn
from provider_service.domain.quota import DiskQuota
from provider_service.operations.tenancy import ProviderTenancy
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.ledger import audit
from service_kit.ledger.audit import AuditFilter
from tests.support.provider import NOW, Customer, devices, edit
from tests.support.stored import store

TENANCY = ProviderTenancy()
NOTHING_USED = Use(0, None, 0, None)


@pytest.mark.parametrize(
    ("used", "limit", "percent"),
    [
        (0, None, 0),
        (10**18, None, 0),
        (79, 100, 0),
        (80, 100, 80),
        (89, 100, 80),
        (90, 100, 90),
        (99, 100, 90),
        (100, 100, 100),
        (10**6, 100, 100),
        (799, 1000, 0),
        (0, 0, 0),  # nothing allowed and nothing used is nothing to tell of
        (1, 0, 100),
        (-1, 100, 0),
    ],
)
def test_a_threshold_is_passed_when_it_is_reached(
    used: int, limit: int | None, percent: int
) -> None:
    assert percent_passed(used, limit) == percent


def test_a_warning_says_how_much_of_how_much() -> None:
    found = warnings(Use(451_000_000_000, 500_000_000_000, 10, 10))
    assert [(each.resource, each.percent) for each in found] == [("disk quota", 90), ("seats", 100)]
    assert found[0].message == "451 GB of 500 GB are stored: 90 per cent are reached."
    assert found[1].message.startswith("10 of 10 seats are in use: no further device")
    assert warnings(NOTHING_USED) == ()


def looked_at(database: Database) -> list[str]:
    return list(database.read_sync(warn.to_look_at, TENANCY, PageRequest()).items)


def told(database: Database, organization_id: str) -> list[int]:
    """Look once more, as the upkeep does; answers what is new."""
    if organization_id not in looked_at(database):
        return []
    found = database.run_sync(warn.warn, TENANCY, organization_id, NOW)
    assert organization_id not in looked_at(database)
    return [each.percent for each in found]


def test_each_threshold_is_told_of_once(provider_database: Database) -> None:
    customer = Customer.attached(provider_database, seats=5)
    id, device = customer.organization_id, devices(1)[0]
    edit(provider_database, id, disk_quota=DiskQuota(100))
    outcomes = []
    for more in (79, 1, 1, 9, 10, 5):
        store(provider_database, id, device, stored=more)
        outcomes.append(told(provider_database, id))
    assert outcomes == [[], [80], [], [90], [100], []]
    store(provider_database, id, device, stored=-55)
    assert told(provider_database, id) == []
    store(provider_database, id, device, stored=40)
    assert told(provider_database, id) == [90]
    events = provider_database.read_sync(
        audit.list_events, AuditFilter(kind="usage.warning"), PageRequest()
    ).items
    assert [each.subject for each in events] == ["disk quota"] * 4
    assert {each.organization_id for each in events} == {id}
    assert events[0].detail == "80 B of 100 B are stored: 80 per cent are reached."
    assert {each.actor for each in events} == {"server"}


def test_seats_are_warned_of_where_there_is_no_archive_yet(provider_database: Database) -> None:
    customer, other = (Customer.attached(provider_database, seats=5) for _ in range(2))
    for device in devices(4):
        customer.acquire(device)
    assert looked_at(provider_database) == [customer.organization_id]
    assert told(provider_database, customer.organization_id) == [80]
    edit(provider_database, customer.organization_id, maximum_seats=4)
    assert told(provider_database, customer.organization_id) == [100]
    assert looked_at(provider_database) == []
    assert told(provider_database, other.organization_id) == []


def test_more_quota_ends_a_warning_without_a_word(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    id = customer.organization_id
    edit(provider_database, id, disk_quota=DiskQuota(100))
    store(provider_database, id, devices(1)[0], stored=100)
    assert told(provider_database, id) == [100]
    edit(provider_database, id, disk_quota=DiskQuota(None))
    assert told(provider_database, id) == []
    edit(provider_database, id, disk_quota=DiskQuota(100), delete_delay=timedelta(0))
    assert told(provider_database, id) == [100]
