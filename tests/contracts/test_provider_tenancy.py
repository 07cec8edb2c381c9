"""What a provider tells the archives' gateway of its organizations, devices and seats."""

import uuid
from datetime import timedelta

import pytest

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Limit, Policy, Standing, Tenant
from provider_service.domain.organization import Settings
from provider_service.domain.quota import DiskQuota
from provider_service.domain.registration_key import DEFAULT_LIFETIME
from provider_service.operations import (
    endings,
    hosted_archives,
    organizations,
    registration_keys,
    restoring,
    seats,
    sessions,
)
from provider_service.operations.tenancy import ProviderTenancy
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.errors import Conflict, NotFound
from tests.support.provider import (
    NOW,
    PROVIDER,
    Customer,
    create,
    devices,
    edit,
    hosted,
    new_guid,
)
from tests.support.stored import store

TENANCY = ProviderTenancy()


def standing_of(customer: Customer, device: str) -> Standing | None:
    archive = ArchiveId(customer.organization_id, device)
    return customer.database.read_sync(TENANCY.standing, archive)


def read_only(customer: Customer, device: str) -> str:
    """Why nothing may be written, by the device's standing, and by its account's, which agree."""
    found = standing_of(customer, device)
    assert found is not None
    of_account = customer.database.read_sync(TENANCY.read_only, customer.organization_id)
    assert of_account == found.read_only
    return found.read_only


def test_a_device_stands_as_its_seat_and_its_organization_do(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    device = devices(1)[0]
    assert standing_of(customer, device) is None
    customer.acquire(device, 7)
    edit(
        provider_database,
        customer.organization_id,
        name="Acme",
        disk_quota=DiskQuota(1000),
        delete_delay=timedelta(0),
        retention=timedelta(days=1),
        append_only=True,
    )
    policy = Policy("Acme", 1000, timedelta(0), timedelta(days=1), append_only=True)
    expected = Standing(policy, 7, "", (Limit("Organization", 1000),))
    assert standing_of(customer, device) == expected
    assert provider_database.read_sync(TENANCY.policy, customer.organization_id) == policy
    customer.release(device, 8)
    released = standing_of(customer, device)
    assert released is not None
    assert released.generation is None


def test_a_quota_without_limit_limits_nothing(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    device = devices(1)[0]
    customer.acquire(device)
    edit(provider_database, customer.organization_id, disk_quota=DiskQuota(None))
    found = standing_of(customer, device)
    assert found is not None
    assert (found.limits, found.policy.quota_bytes) == ((), None)


def test_nothing_is_written_while_suspended_rewound_or_deactivated(
    provider_database: Database,
) -> None:
    customer = Customer.attached(provider_database)
    device, id = devices(1)[0], customer.organization_id
    customer.acquire(device)
    assert read_only(customer, device) == ""
    provider_database.run_sync(organizations.suspend, id, "unpaid", NOW)
    assert read_only(customer, device) == "suspended: unpaid"
    provider_database.run_sync(organizations.resume, id, NOW)
    provider_database.run_sync(sessions.mark_rewound, customer.organization, NOW)
    assert "rewound" in read_only(customer, device)
    provider_database.run_sync(endings.deactivate, id, NOW)
    assert read_only(customer, device) == "deactivated"


def test_seats_that_outlive_hosting_may_only_read(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    device = devices(1)[0]
    customer.acquire(device)
    id, lifetime = customer.organization_id, DEFAULT_LIFETIME
    provider_database.run_sync(
        registration_keys.change_customer_guid, PROVIDER, id, new_guid(), lifetime, NOW
    )
    assert read_only(customer, device) == ""
    edit(provider_database, id, hosted=False)
    assert read_only(customer, device) == "not hosted"


def test_a_device_is_no_other_customers(provider_database: Database) -> None:
    mine, theirs = Customer.attached(provider_database), Customer.attached(provider_database)
    device = devices(1)[0]
    mine.acquire(device)
    assert standing_of(theirs, device) is None
    assert provider_database.read_sync(TENANCY.tenants, theirs.organization_id, [device]) == {}


def test_an_archive_whose_seat_was_lost_is_still_known(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    held, stray = devices(2)
    customer.acquire(held)
    store(provider_database, customer.organization_id, stray, stored=5)
    found = standing_of(customer, stray)
    assert found is not None
    assert found.generation is None
    tenants = provider_database.read_sync(
        TENANCY.tenants, customer.organization_id, [held, stray, str(uuid.uuid4())]
    )
    assert tenants == {
        held: Tenant(held, "laptop", holds_seat=True),
        stray: Tenant(stray, "", holds_seat=False),
    }
    first = provider_database.read_sync(
        TENANCY.devices, customer.organization_id, PageRequest(1, "")
    )
    rest = provider_database.read_sync(
        TENANCY.devices, customer.organization_id, PageRequest(1, first.next_page_token)
    )
    listed = [*first.items, *rest.items]
    assert [each.device_guid for each in listed] == sorted([held, stray])
    assert rest.next_page_token == ""


def test_a_released_device_says_since_when(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    device, id = devices(1)[0], customer.organization_id
    customer.acquire(device)
    provider_database.run_sync(seats.revoke, id, device, "stolen", NOW)
    tenant = provider_database.read_sync(TENANCY.tenants, id, [device])[device]
    assert tenant == Tenant(device, "laptop", holds_seat=False, release_time=NOW)


def lapsed(database: Database, after: timedelta, most: int = 10) -> list[str]:
    found = database.read_sync(TENANCY.lapsed, NOW + after, most)
    return sorted(each.device_guid for each in found)


def test_an_archive_lapses_a_retention_after_its_seat_ended(provider_database: Database) -> None:
    customer = Customer.attached(provider_database, seats=5)
    id = customer.organization_id
    edit(provider_database, id, retention=timedelta(days=10))
    held, gone, kept, empty, stray = devices(5)
    for device in (held, gone, kept, empty):
        customer.acquire(device)
    for device in (held, gone, stray):
        store(provider_database, id, device, stored=1)
    store(provider_database, id, kept, kept=1)
    for device in (gone, kept, empty):
        provider_database.run_sync(seats.revoke, id, device, "left", NOW)
    assert lapsed(provider_database, timedelta(days=10)) == []
    assert lapsed(provider_database, timedelta(days=10, seconds=1)) == sorted([gone, kept])
    assert len(lapsed(provider_database, timedelta(days=11), 1)) == 1


def test_nothing_lapses_while_the_ledger_may_be_older_than_it_was(
    provider_database: Database,
) -> None:
    customer = Customer.attached(provider_database)
    device, id = devices(1)[0], customer.organization_id
    customer.acquire(device)
    store(provider_database, id, device, stored=1)
    provider_database.run_sync(seats.revoke, id, device, "", NOW)
    provider_database.run_sync(sessions.mark_rewound, customer.organization, NOW)
    assert lapsed(provider_database, timedelta(days=3650)) == []
    provider_database.run_sync(endings.deactivate, id, NOW)
    assert lapsed(provider_database, timedelta(days=3650)) == [device]


def test_a_restored_ledger_takes_no_backups_yet(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    device = devices(1)[0]
    customer.acquire(device)
    provider_database.run_sync(restoring.mark_restored, NOW)
    assert "rewound" in read_only(customer, device)


def test_deactivating_starts_the_clock_and_coming_back_ends_it(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    device, id = devices(1)[0], customer.organization_id
    customer.acquire(device)
    store(provider_database, id, device, stored=1)
    provider_database.run_sync(endings.deactivate, id, NOW)
    assert lapsed(provider_database, timedelta(days=91)) == [device]
    assert lapsed(provider_database, timedelta(days=89)) == []


def test_accounts_page_by_id_with_their_seats(provider_database: Database) -> None:
    customer = Customer.attached(provider_database, seats=3)
    prepared = create(provider_database, Settings("Prepared")).shown.organization.id
    customer.acquire(devices(1)[0])
    page = provider_database.read_sync(TENANCY.accounts, PageRequest())
    assert page.items == sorted([customer.organization_id, prepared])
    assert provider_database.read_sync(TENANCY.seats, customer.organization_id) == (1, 3)
    assert provider_database.read_sync(TENANCY.seats, prepared) == (0, None)
    for ask in (TENANCY.policy, TENANCY.read_only, TENANCY.seats):
        with pytest.raises(NotFound):
            provider_database.read_sync(ask, str(uuid.uuid4()))


def test_an_attached_customer_sees_its_own_usage_and_no_others(provider_database: Database) -> None:
    customer, other = Customer.attached(provider_database), Customer.attached(provider_database)
    first, second = devices(2)
    customer.acquire(first)
    edit(provider_database, customer.organization_id, disk_quota=DiskQuota(1000))
    store(provider_database, customer.organization_id, first, stored=600, backup_time=NOW)
    store(provider_database, customer.organization_id, second, stored=300, kept=7)
    store(provider_database, other.organization_id, first, stored=5)
    found = provider_database.read_sync(hosted_archives.usage_of, TENANCY, customer.guid)
    assert (found.archive.stored_bytes, found.archive.kept_bytes) == (900, 7)
    assert found.archive.last_backup_time == NOW
    assert (found.seats_in_use, found.maximum_seats, found.policy.quota_bytes) == (1, 3, 1000)
    assert [(each.resource, each.percent) for each in found.warnings] == [("disk quota", 90)]


def test_a_customer_grants_reading_of_its_own_devices_alone(provider_database: Database) -> None:
    customer, other = Customer.attached(provider_database), Customer.attached(provider_database)
    device, day = devices(1)[0], timedelta(days=1)
    customer.acquire(device)
    customer.release(device, 2)

    def grant(guid: str) -> ArchiveId:
        return provider_database.run_sync(
            hosted_archives.grant, TENANCY, guid, device, day, now()
        ).archive

    assert grant(customer.guid) == ArchiveId(customer.organization_id, device)
    with pytest.raises(NotFound):
        grant(other.guid)
    with pytest.raises(Conflict):
        grant(new_guid())
    provider_database.run_sync(endings.detach, customer.organization_id, NOW)
    with pytest.raises(Conflict):
        grant(customer.guid)


def test_hosted_settings_are_kept_as_they_were_entered(provider_database: Database) -> None:
    settings = hosted(new_guid())
    id = create(provider_database, settings).shown.organization.id
    stored = provider_database.read_sync(organizations.get, id).organization.settings
    assert stored == settings
    assert (stored.delete_delay.days, stored.retention.days, stored.append_only) == (30, 90, False)
