"""The computers that are backed up."""

import pytest
from sqlalchemy import event

from customer_service.domain.device import Device
from customer_service.domain.seat import SeatState
from customer_service.operations import devices, users
from customer_service.operations.organizations import Impact
from customer_service.operations.seats import Released
from service_kit.clock import now
from service_kit.database.engine import Transaction
from service_kit.database.paging import PageRequest
from service_kit.errors import AlreadyExists, Conflict, InvalidArgument, LimitReached, NotFound
from service_kit.reasons import Reason
from tests.support.customer import Customer, new_id

FULL = LimitReached(Reason.SEAT_LIMIT_REACHED, "All 5 seats are in use.", "Buy more.")


def ids(customer: Customer, page: PageRequest = PageRequest(), **filters: object) -> list[str]:  # noqa: B008
    wanted = {
        "name": "",
        "user_id": "",
        "refused": False,
        "waiting": False,
        "show_deactivated": False,
        **filters,
    }
    found = customer.read(devices.list_page, page, **wanted)  # type: ignore[arg-type]
    return [each.device.id for each in found.items]


def test_what_is_entered_is_kept_in_one_form() -> None:
    upper = new_id().upper()
    device = Device(upper, " laptop ", upper, now())
    assert (device.id, device.name, device.user_id) == (upper.lower(), "laptop", upper.lower())
    assert device.renamed(" tower ").name == "tower"
    for bad in ("", " ", "x" * 201, "a\x07"):
        with pytest.raises(InvalidArgument):
            Device(new_id(), bad, new_id(), now())


def test_a_repeated_registration_answers_the_same(customer: Customer) -> None:
    user = customer.user()
    wanted = Device(new_id(), "laptop", user, now())
    first = customer.run(devices.register, wanted, now())
    again = Device(wanted.id.upper(), " laptop ", user, now())
    assert customer.run(devices.register, again, now()) == first
    with pytest.raises(AlreadyExists):
        customer.run(devices.register, Device(wanted.id, "tower", user, now()), now())


def test_a_name_is_unique_among_a_users_active_devices(customer: Customer) -> None:
    user = customer.user()
    first = customer.device(user, "Laptop")
    customer.device(customer.user(), "laptop")
    with pytest.raises(AlreadyExists):
        customer.device(user, "LAPTOP")
    tower = customer.device(user, "tower")
    with pytest.raises(AlreadyExists):
        customer.run(devices.rename, tower, "laptop", now())
    customer.run(devices.deactivate, first, now())
    customer.device(user, "laptop")
    with pytest.raises(AlreadyExists):
        customer.run(devices.reactivate, first, now())


def test_only_an_active_user_gets_a_device(customer: Customer) -> None:
    user = customer.user()
    customer.run(users.block, user, now())
    with pytest.raises(Conflict) as refused:
        customer.device(user)
    assert refused.value.reason is Reason.USER_NOT_ACTIVE
    with pytest.raises(NotFound):
        customer.device(new_id())


def test_deactivating_releases_both_seats_and_counts_them(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.use(device, customer.local)
    customer.hold(device, offsite)
    preview = customer.database.preview_sync(devices.deactivate, device, now())[1]
    view, impact = customer.run(devices.deactivate, device, now())
    assert impact == preview == Impact(released=Released(1, 1, 1))
    assert view.device.deactivated
    assert not view.holds_seat
    assert customer.run(devices.deactivate, device, now())[1] == Impact()
    assert not customer.run(devices.reactivate, device, now()).holds_seat
    assert customer.seats_in_use() == 0


def test_deactivating_a_device_without_a_seat_counts_the_device(customer: Customer) -> None:
    impact = customer.run(devices.deactivate, customer.device(), now())[1]
    assert impact == Impact(released=Released(1, 0, 0))


def test_a_signed_out_device_uses_nothing_until_it_is_replaced(customer: Customer) -> None:
    device = customer.device()
    customer.run(devices.deauthorize, device, now())
    with pytest.raises(Conflict, match="signed out"):
        customer.use(device, customer.local)
    view, _ = customer.run(devices.replace, device, "new laptop", now())
    assert (view.device.name, view.device.deauthorized) == ("new laptop", False)
    assert customer.use(device, customer.local).state is SeatState.HELD


def test_a_deactivated_device_can_not_be_replaced(customer: Customer) -> None:
    device = customer.device()
    customer.run(devices.deactivate, device, now())
    with pytest.raises(Conflict):
        customer.run(devices.replace, device, None, now())


def test_a_list_filters_by_name_user_and_how_seats_stand(customer: Customer) -> None:
    offsite = customer.attach()
    user = customer.user()
    refused, waiting, held = (customer.device(user, name) for name in ("r", "w", "h"))
    other = customer.device(name="other")
    customer.refuse(customer.use(refused, offsite), FULL)
    customer.use(waiting, offsite)
    customer.hold(held, offsite)
    assert ids(customer, refused=True) == [refused]
    assert ids(customer, waiting=True) == [waiting]
    assert ids(customer, name="OTHER") == [other]
    assert ids(customer, user_id=user) == sorted([refused, waiting, held])
    customer.run(devices.deactivate, other, now())
    assert other not in ids(customer)
    assert other in ids(customer, show_deactivated=True)
    assert ids(customer, PageRequest(2)) == sorted([refused, waiting, held])[:2]


def test_a_page_of_devices_takes_a_fixed_number_of_queries(customer: Customer) -> None:
    offsite = customer.attach()
    for _ in range(8):
        customer.hold(customer.device(), offsite)
    assert _queries(customer, 2) == _queries(customer, 8)


def _queries(customer: Customer, size: int) -> int:
    seen: list[object] = []

    def count(tx: Transaction) -> None:
        event.listen(tx, "before_cursor_execute", lambda *each: seen.append(each[2]))
        devices.list_page(
            tx,
            PageRequest(size),
            name="",
            user_id="",
            refused=False,
            waiting=False,
            show_deactivated=False,
        )

    customer.read(count)
    return len(seen)
