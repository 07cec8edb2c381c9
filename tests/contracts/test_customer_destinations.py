"""Which storages are offered: live defaults by level, a copy for each user."""

import time

import pytest
from sqlalchemy import insert

from customer_service.domain.device import Device
from customer_service.domain.seat import Seat, SeatState
from customer_service.operations import destinations, organizations, users
from customer_service.operations.destinations import Changes, Defaults
from customer_service.store import devices, seats, tables
from service_kit.clock import now
from service_kit.database.engine import Transaction
from service_kit.errors import Conflict, InvalidArgument, NotFound
from service_kit.ledger import license
from service_kit.reasons import Reason
from tests.support.customer import Customer, new_id


def preview(customer: Customer, *storage_ids: str, organization_id: str = "") -> Changes:
    wanted = Defaults(organization_id, False, storage_ids)
    return customer.database.preview_sync(
        destinations.set_defaults, wanted, now(), apply=True, confirmed=True
    )


def test_a_new_user_is_offered_the_attached_storage_and_an_old_one_not(customer: Customer) -> None:
    old = customer.user()
    offsite = customer.attach()
    new = customer.user()
    assert customer.offered(old) == [customer.local]
    assert customer.offered(new) == [customer.local, offsite]
    customer.set_defaults([customer.local, offsite], apply=False)
    assert customer.offered(old) == [customer.local]
    both = [customer.local, offsite]
    assert customer.set_defaults(both) == Changes(users_gaining=1)
    assert customer.offered(old) == both


def test_the_counts_are_those_of_the_preview(customer: Customer) -> None:
    for _ in range(3):
        customer.user()
    offsite = customer.attach()
    user = customer.user()
    device = customer.device(user)
    customer.use(device, customer.local)
    customer.hold(device, offsite)
    expected = preview(customer, offsite)
    assert expected == Changes(users_gaining=3, users_losing=4, devices_released=1)
    assert customer.offered(user) == [customer.local, offsite]
    assert customer.set_defaults([offsite]) == expected
    assert customer.set_defaults([offsite]) == Changes()


def test_a_device_that_loses_two_storages_is_counted_once(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    first = customer.device()
    customer.set_defaults([customer.local, offsite])
    for each in (first, device):
        customer.use(each, customer.local)
        customer.hold(each, offsite)
    assert customer.set_defaults([]) == Changes(users_losing=2, devices_released=2)
    assert customer.seats_in_use() == 0


def test_withdrawing_from_devices_in_use_needs_confirmation(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.hold(device, offsite)
    with pytest.raises(Conflict) as refused:
        customer.set_defaults([customer.local], confirmed=False)
    assert refused.value.reason is Reason.CONFIRMATION_REQUIRED
    assert refused.value.metadata == {"users_losing": "1", "devices_released": "1"}
    assert customer.state(device, offsite) is SeatState.HELD
    customer.set_defaults([customer.local], confirmed=False, apply=False)
    assert customer.state(device, offsite) is SeatState.HELD
    customer.set_defaults([customer.local], confirmed=True)
    assert customer.state(device, offsite) is SeatState.RELEASING
    assert customer.seats_in_use() == 0


def test_a_withdrawal_that_no_device_uses_needs_none(customer: Customer) -> None:
    customer.attach()
    customer.user()
    assert customer.set_defaults([customer.local], confirmed=False) == Changes(users_losing=1)


def test_levels_and_users_that_do_not_inherit_are_skipped(customer: Customer) -> None:
    sales = customer.organization("Sales")
    north = customer.organization("North", sales)
    own, below_own, inheriting, own_choice, gone = (
        customer.user(each) for each in (sales, north, customer.root, customer.root, customer.root)
    )
    customer.run(users.deactivate, gone, now())
    customer.run(destinations.set_for_user, own_choice, [customer.local], now(), confirmed=True)
    customer.set_defaults([customer.local], sales)
    offsite = customer.attach()
    changes = customer.set_defaults([customer.local, offsite])
    assert changes == Changes(users_gaining=1)
    assert customer.offered(inheriting) == [customer.local, offsite]
    for each in (own, below_own, own_choice, gone):
        assert customer.offered(each) == [customer.local]


def test_an_organization_inherits_live(customer: Customer) -> None:
    sales = customer.organization("Sales")
    north = customer.organization("North", sales)
    offsite = customer.attach()
    both = (customer.local, offsite)
    assert customer.read(destinations.get_defaults, north) == Defaults(north, True, both)
    customer.set_defaults([offsite], sales)
    assert customer.read(destinations.get_defaults, north) == Defaults(north, True, (offsite,))
    assert customer.read(destinations.get_defaults, sales) == Defaults(sales, False, (offsite,))
    assert customer.offered(customer.user(north)) == [offsite]
    customer.set_defaults([], sales, inherit=True)
    assert customer.read(destinations.get_defaults, north) == Defaults(north, True, both)
    assert customer.offered(customer.user(sales)) == list(both)


def test_the_root_with_its_own_defaults_hides_the_servers(customer: Customer) -> None:
    offsite = customer.attach()
    user = customer.user()
    customer.set_defaults([customer.local], customer.root)
    assert customer.offered(user) == [customer.local]
    assert customer.set_defaults([offsite]) == Changes()
    assert customer.offered(user) == [customer.local]


def test_going_back_to_inherit_applies_what_is_inherited(customer: Customer) -> None:
    sales = customer.organization("Sales")
    customer.set_defaults([customer.local], sales)
    user = customer.user(sales)
    offsite = customer.attach()
    assert customer.set_defaults([], sales, inherit=True) == Changes(users_gaining=1)
    assert customer.offered(user) == [customer.local, offsite]


def test_the_server_can_not_inherit(customer: Customer) -> None:
    with pytest.raises(InvalidArgument) as refused:
        customer.set_defaults([], inherit=True)
    assert refused.value.violations[0].field == "destinations.inherit"


def test_unknown_levels_and_storages_are_refused(customer: Customer) -> None:
    with pytest.raises(NotFound):
        customer.set_defaults([customer.local], new_id())
    with pytest.raises(NotFound):
        customer.read(destinations.get_defaults, new_id())
    with pytest.raises(InvalidArgument) as refused:
        customer.set_defaults([new_id()])
    assert refused.value.violations[0].field == "destinations.storage_ids"


def test_a_storage_whose_provider_ended_it_may_stay_offered(customer: Customer) -> None:
    offsite, other = customer.attach(), customer.attach("Other")
    ended = Conflict(Reason.ATTACHMENT_ENDED, "Ended.", "")
    customer.save(customer.storage(offsite).ended(ended))
    customer.set_defaults([customer.local, offsite], apply=False)
    customer.set_defaults([customer.local, other], apply=False)
    with pytest.raises(InvalidArgument):
        customer.set_defaults([customer.local, offsite], apply=False)


def test_deactivated_organizations_users_keep_their_copy_up_to_date(customer: Customer) -> None:
    sales = customer.organization("Sales")
    user = customer.user(sales)
    customer.run(organizations.deactivate, sales, now())
    offsite = customer.attach()
    assert customer.set_defaults([customer.local, offsite]).users_gaining == 1
    customer.run(organizations.reactivate, sales, now())
    assert customer.offered(user) == [customer.local, offsite]


def test_10_000_users_are_changed_in_a_couple_of_seconds(customer: Customer) -> None:
    number = 10_000
    offsite = customer.attach()
    customer.allow(number)
    customer.run(_add_users_with_a_device, customer.root, customer.local, number)
    began = time.monotonic()
    assert customer.set_defaults([customer.local, offsite]).users_gaining == number
    changes = customer.set_defaults([offsite])
    assert changes == Changes(users_losing=number, devices_released=number)
    # About 2 s where nothing else runs.
    assert time.monotonic() - began < 15
    assert customer.run(lambda tx: license.get(tx).seats_in_use) == 0


def _add_users_with_a_device(
    tx: Transaction, organization_id: str, storage_id: str, number: int
) -> None:
    ids = [new_id() for _ in range(number)]
    people = [
        {
            "id": each,
            "email": f"{each}@acme.test",
            "email_key": f"{each}@acme.test",
            "organization_id": organization_id,
            "state": "active",
            "inherits_destinations": True,
            "create_time": now(),
            "version": 1,
        }
        for each in ids
    ]
    tx.execute(insert(tables.users), people)
    offered = [{"user_id": each, "storage_id": storage_id} for each in ids]
    tx.execute(insert(tables.user_destinations), offered)
    devices.create_all(tx, [Device(each, "laptop", each, now()) for each in ids])
    seats.put(tx, *(Seat(storage_id, each, 1, SeatState.HELD, now()) for each in ids))
    license.add_in_use(tx, number)
