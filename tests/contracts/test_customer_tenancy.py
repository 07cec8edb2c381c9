"""What the customer's server tells its own archives' gateway of devices, quotas and seats."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Policy, Standing, Tenant
from archive_gateway.domain.warnings import Use, warnings
from archive_gateway.operations import usage, warn
from archive_gateway.store import archives
from customer_service.operations import devices, organizations, storages, users
from customer_service.operations.tenancy import CustomerTenancy
from customer_service.store import tables
from service_kit.clock import now
from service_kit.database.engine import Transaction
from service_kit.database.paging import PageRequest
from service_kit.errors import NotFound
from tests.support.customer import Customer, new_id
from tests.support.stored import store

TENANCY = CustomerTenancy()


def standing_of(customer: Customer, device: str) -> Standing:
    found = customer.read(TENANCY.standing, ArchiveId(customer.root, device))
    assert found is not None
    return found


def rule(customer: Customer, organization_id: str, **changes: object) -> None:
    customer.run(organizations.update, organization_id, changes, "", now())


def stored(customer: Customer, device: str, size: int) -> None:
    store(customer.database, customer.root, device, stored=size)


def counted(customer: Customer, device: str) -> dict[str, int]:
    """What every quota of a device has counted so far, by its holder."""
    found: dict[str, int] = {}
    for limit in standing_of(customer, device).limits:
        if limit.devices is None:
            found[limit.holder] = customer.read(archives.get_account, customer.root).stored_bytes
        else:
            found[limit.holder] = customer.read(archives.used_by, customer.root, limit.devices)
    return found


def test_a_device_stands_as_its_seat_at_the_local_storage(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.hold(device, offsite)
    assert standing_of(customer, device).generation is None
    customer.use(device, customer.local)
    expected = Standing(Policy("Acme", None), 1)
    assert standing_of(customer, device) == expected
    customer.run(devices.deauthorize, device, now())
    assert standing_of(customer, device).generation == 2
    customer.run(devices.stop_using, device, customer.local, now())
    assert standing_of(customer, device).generation is None


def test_unknown_devices_and_accounts_do_not_stand(customer: Customer) -> None:
    device = customer.device()
    assert customer.read(TENANCY.standing, ArchiveId(customer.root, new_id())) is None
    assert customer.read(TENANCY.standing, ArchiveId(new_id(), device)) is None
    with pytest.raises(NotFound):
        customer.read(TENANCY.policy, customer.organization("Sales"))


def test_the_roots_rules_are_those_of_every_archive(customer: Customer) -> None:
    device = customer.device(customer.user(customer.organization("Sales")))
    assert standing_of(customer, device).policy == Policy("Acme", None)
    rule(
        customer,
        customer.root,
        disk_quota_bytes=1000,
        delete_delay=timedelta(0),
        retention=timedelta(days=1),
        append_only=True,
    )
    policy = Policy("Acme", 1000, timedelta(0), timedelta(days=1), append_only=True)
    assert standing_of(customer, device).policy == policy
    assert customer.read(TENANCY.policy, customer.root) == policy
    assert customer.read(TENANCY.read_only, customer.root) == ""


def test_an_upload_must_fit_into_every_quota_above_it(customer: Customer) -> None:
    sales = customer.organization("Sales")
    north = customer.organization("North", sales)
    other = customer.organization("Other")
    ann, bo, cy = customer.user(north, "ann@acme.test"), customer.user(sales), customer.user(other)
    mine, same, near, far = (customer.device(each) for each in (ann, ann, bo, cy))
    for device, size in ((mine, 1), (same, 10), (near, 100), (far, 1000)):
        stored(customer, device, size)
    assert counted(customer, mine) == {}
    rule(customer, sales, disk_quota_bytes=500)
    rule(customer, other, disk_quota_bytes=500)
    assert counted(customer, mine) == {"Organization Sales": 111}
    customer.run(users.update, ann, {"disk_quota_bytes": 50}, "", now())
    rule(customer, north, disk_quota_bytes=60)
    rule(customer, customer.root, disk_quota_bytes=5000)
    assert counted(customer, mine) == {
        "User ann@acme.test": 11,
        "Organization North": 11,
        "Organization Sales": 111,
        "Organization Acme": 1111,
    }
    assert [each.quota_bytes for each in standing_of(customer, mine).limits] == [50, 60, 500, 5000]
    assert counted(customer, far) == {"Organization Other": 1000, "Organization Acme": 1111}
    customer.run(users.update, ann, {"organization_id": other}, "", now())
    assert counted(customer, near) == {"Organization Sales": 100, "Organization Acme": 1111}


def test_nothing_is_written_for_what_is_deactivated(customer: Customer) -> None:
    sales = customer.organization("Sales")
    below = customer.organization("Below", sales)
    ann, bo = customer.user(below), customer.user(below)
    of_ann, of_bo, gone = customer.device(ann), customer.device(bo), customer.device(bo)
    customer.run(devices.deactivate, gone, now())
    assert standing_of(customer, gone).read_only == "the device is deactivated"
    customer.run(users.block, ann, now())
    assert standing_of(customer, of_ann).read_only == "the user is blocked"
    assert standing_of(customer, of_bo).read_only == ""
    customer.run(organizations.deactivate, sales, now())
    assert standing_of(customer, of_bo).read_only == "organization Sales is deactivated"


def test_an_archive_lapses_a_retention_after_its_local_seat_ended(customer: Customer) -> None:
    offsite = customer.attach()
    held, left, blocked, never, empty, stray = (customer.device() for _ in range(6))
    rule(customer, customer.root, retention=timedelta(days=10))
    for device in (held, left, blocked, empty):
        customer.use(device, customer.local)
    customer.hold(left, offsite)
    for device in (held, left, blocked, never):
        stored(customer, device, 1)
    customer.run(devices.stop_using, left, customer.local, now())
    customer.run(devices.deactivate, empty, now())
    customer.run(users.block, customer.read(devices.get, blocked).device.user_id, now())
    stored(customer, new_id(), 1)

    def lapsed(days: int) -> set[str]:
        found = customer.read(TENANCY.lapsed, now() + timedelta(days=days), 10)
        assert {each.account_id for each in found} <= {customer.root}
        return {each.device_guid for each in found}

    assert lapsed(9) == set()
    assert lapsed(11) == {left, blocked}
    assert len(customer.read(TENANCY.lapsed, now() + timedelta(days=11), 1)) == 1
    customer.run(users.unblock, customer.read(devices.get, blocked).device.user_id, now())
    customer.use(blocked, customer.local)
    assert lapsed(11) == {left}
    assert stray not in lapsed(11)


def test_a_lost_device_of_an_archive_is_still_known(customer: Customer) -> None:
    device, lost = customer.device(name="laptop"), new_id()
    customer.use(device, customer.local)
    stored(customer, lost, 5)
    assert standing_of(customer, lost).generation is None
    found = customer.read(TENANCY.tenants, customer.root, [device, lost, new_id()])
    assert found == {
        device: Tenant(device, "laptop", holds_seat=True),
        lost: Tenant(lost, "", holds_seat=False),
    }
    pages = customer.read(TENANCY.devices, customer.root, PageRequest(1))
    rest = customer.read(TENANCY.devices, customer.root, PageRequest(1, pages.next_page_token))
    assert [each.device_guid for each in (*pages.items, *rest.items)] == sorted([device, lost])
    customer.run(devices.deactivate, device, now())
    assert customer.read(TENANCY.tenants, customer.root, [device])[device].release_time is not None


def test_the_one_account_is_the_root_and_its_seats_are_the_licenses(customer: Customer) -> None:
    customer.allow(5)
    customer.use(customer.device(), customer.local)
    page = customer.read(TENANCY.accounts, PageRequest())
    assert (page.items, page.next_page_token) == ([customer.root], "")
    assert customer.read(TENANCY.seats, customer.root) == (1, 5)


def test_quota_and_license_are_warned_of(customer: Customer) -> None:
    customer.allow(1)
    rule(customer, customer.root, disk_quota_bytes=100)
    device = customer.device()
    customer.use(device, customer.local)
    stored(customer, device, 85)
    found = customer.run(warn.warn, TENANCY, customer.root, now())
    assert tuple(found) == warnings(Use(85, 100, 1, 1))
    assert customer.run(warn.warn, TENANCY, customer.root, now()) == []


def test_the_local_storage_shows_what_it_holds(customer: Customer) -> None:
    device, offsite = customer.device(), customer.attach()
    rule(customer, customer.root, disk_quota_bytes=100)
    stored(customer, device, 95)
    own = customer.read(storages.get, customer.local).own
    assert own == customer.read(usage.of_organization, TENANCY, customer.root)
    assert own is not None
    assert (own.archive.stored_bytes, [each.percent for each in own.warnings]) == (95, [90])
    assert customer.read(storages.get, offsite).own is None


def test_usage_is_added_up_for_users_and_all_above_them(customer: Customer) -> None:
    sales = customer.organization("Sales")
    north = customer.organization("North", sales)
    ann, bo = customer.user(north), customer.user(sales)
    for user, size in ((ann, 1), (ann, 10), (bo, 100)):
        store(customer.database, customer.root, customer.device(user), stored=size, kept=1)

    def held(organization_id: str) -> tuple[int, int]:
        archive = customer.read(organizations.get, organization_id).archive
        return archive.stored_bytes, archive.kept_bytes

    assert (held(north), held(sales), held(customer.root)) == ((11, 2), (111, 3), (111, 3))
    assert held(customer.organization("Empty")) == (0, 0)
    listed = customer.read(users.list_page, PageRequest(), "", "", False).items
    assert {each.user.id: each.archive.stored_bytes for each in listed} == {ann: 11, bo: 100}
    customer.run(organizations.update, north, {"parent_id": customer.root}, "", now())
    assert (held(sales), held(customer.root)) == ((100, 1), (111, 3))


def test_a_seat_here_that_time_forgot_lapses_by_the_default(customer: Customer) -> None:
    device = customer.device()
    customer.use(device, customer.local)
    stored(customer, device, 1)
    customer.run(devices.stop_using, device, customer.local, now())

    def age(tx: Transaction) -> None:
        tx.execute(update(tables.seats).values(update_time=now() - timedelta(days=91)))

    assert customer.read(TENANCY.lapsed, now(), 10) == []
    customer.run(age)
    assert customer.read(TENANCY.lapsed, now(), 10) == [ArchiveId(customer.root, device)]
