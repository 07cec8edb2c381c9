"""The people whose computers are backed up."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from customer_service.domain.seat import SeatState
from customer_service.domain.user import User, UserState
from customer_service.operations import destinations, users
from customer_service.operations.organizations import Impact
from customer_service.operations.seats import Released
from service_kit.clock import now
from service_kit.database.paging import PageRequest
from service_kit.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, Stale
from service_kit.reasons import Reason
from tests.support.customer import Customer, new_id


def emails(
    customer: Customer, email: str = "", organization_id: str = "", show_deactivated: bool = False
) -> set[str]:
    found = customer.read(users.list_page, PageRequest(), email, organization_id, show_deactivated)
    return {each.user.email for each in found.items}


def test_an_address_is_kept_without_spaces_around_it() -> None:
    assert User(new_id(), "  Ann@acme.test ", new_id(), now()).email == "Ann@acme.test"
    for bad in ("", "ann", "a b@acme.test", "@"):
        with pytest.raises(InvalidArgument):
            User(new_id(), bad, new_id(), now())


def test_a_repeated_create_answers_the_same(customer: Customer) -> None:
    wanted = User(new_id(), "ann@acme.test", customer.root, now())
    first = customer.run(users.create, wanted, now())
    again = User(wanted.id.upper(), " ann@acme.test", customer.root, now())
    assert customer.run(users.create, again, now()) == first
    with pytest.raises(AlreadyExists):
        customer.run(users.create, User(wanted.id, "bo@acme.test", customer.root, now()), now())
    with pytest.raises(AlreadyExists):
        customer.user(email="ANN@Acme.test")
    with pytest.raises(NotFound):
        customer.user(new_id())


def test_a_move_changes_nothing_of_what_is_offered(customer: Customer) -> None:
    offsite = customer.attach()
    sales = customer.organization("Sales")
    customer.set_defaults([customer.local], sales)
    user = customer.user()
    etag = str(customer.read(users.get, user).user.version)
    view = customer.run(
        users.update, user, {"email": " ann@acme.test ", "organization_id": sales}, etag, now()
    )
    assert (view.user.email, view.user.organization_id) == ("ann@acme.test", sales)
    assert view.storage_ids == [customer.local, offsite]
    with pytest.raises(Stale):
        customer.run(users.update, user, {"organization_id": customer.root}, etag, now())
    with pytest.raises(AlreadyExists):
        customer.run(users.update, customer.user(), {"email": "Ann@ACME.test"}, "", now())


def test_a_user_has_a_quota_of_their_own(customer: Customer) -> None:
    wanted = User(new_id(), "ann@acme.test", customer.root, now(), disk_quota_bytes=5)
    assert customer.run(users.create, wanted, now()).user == wanted
    with pytest.raises(AlreadyExists):
        customer.run(users.create, replace(wanted, disk_quota_bytes=None), now())
    view = customer.run(users.update, wanted.id, {"disk_quota_bytes": 0}, "", now())
    assert (view.user.disk_quota_bytes, view.user.email) == (0, "ann@acme.test")
    view = customer.run(users.update, wanted.id, {"disk_quota_bytes": None}, "", now())
    assert view.user.disk_quota_bytes is None
    with pytest.raises(InvalidArgument) as refused:
        customer.run(users.update, wanted.id, {"disk_quota_bytes": -1}, "", now())
    assert [each.field for each in refused.value.violations] == ["user.disk_quota.bytes"]


def test_a_block_frees_the_seats_of_every_device_and_counts_them(customer: Customer) -> None:
    offsite = customer.attach()
    user = customer.user()
    first, second = customer.device(user), customer.device(user)
    customer.device(user)
    customer.hold(first, offsite)
    customer.use(first, customer.local)
    customer.use(second, customer.local)
    preview = customer.database.preview_sync(users.block, user, now())[1]
    view, impact = customer.run(users.block, user, now())
    assert impact == preview == Impact(users=1, released=Released(2, 2, 1))
    assert (view.user.state, view.devices, view.seats_in_use) == (UserState.BLOCKED, 3, 0)
    assert customer.state(first, offsite) is SeatState.RELEASING
    assert customer.run(users.block, user, now())[1] == Impact()
    assert customer.seats_in_use() == 0


def test_blocked_and_deactivated_are_left_each_in_its_own_way(customer: Customer) -> None:
    user = customer.user()
    customer.run(users.block, user, now())
    with pytest.raises(Conflict):
        customer.run(users.reactivate, user, now())
    assert customer.run(users.unblock, user, now()).user.state is UserState.ACTIVE
    customer.run(users.block, user, now())
    customer.run(users.deactivate, user, now())
    with pytest.raises(Conflict):
        customer.run(users.block, user, now())
    with pytest.raises(Conflict):
        customer.run(users.unblock, user, now())
    assert customer.run(users.reactivate, user, now()).user.state is UserState.ACTIVE


def test_a_list_filters_and_pages(customer: Customer) -> None:
    sales = customer.organization("Sales")
    ann = customer.user(sales, "ann@acme.test")
    customer.user(customer.root, "bo@acme.test")
    assert emails(customer) == {"ann@acme.test", "bo@acme.test"}
    assert emails(customer, "ANN@acme.test") == {"ann@acme.test"}
    assert emails(customer, "", sales) == {"ann@acme.test"}
    customer.run(users.deactivate, ann, now())
    assert emails(customer) == {"bo@acme.test"}
    assert emails(customer, "", "", True) == {"ann@acme.test", "bo@acme.test"}
    page = customer.read(users.list_page, PageRequest(1), "", "", True)
    rest = customer.read(users.list_page, PageRequest(1, page.next_page_token), "", "", True)
    assert page.items[0].user.id < rest.items[0].user.id
    assert not rest.next_page_token
    with pytest.raises(InvalidArgument):
        customer.read(users.list_page, PageRequest(1, page.next_page_token), "", sales, True)


def test_a_person_may_be_offered_something_else_and_go_back(customer: Customer) -> None:
    offsite = customer.attach()
    user = customer.user()
    customer.run(destinations.set_for_user, user, [customer.local], now(), confirmed=False)
    view = customer.read(users.get, user)
    assert (view.storage_ids, view.user.inherits_destinations) == ([customer.local], False)
    assert customer.set_defaults([offsite]).users_gaining == 0
    customer.run(destinations.set_for_user, user, None, now(), confirmed=False)
    view = customer.read(users.get, user)
    assert (view.storage_ids, view.user.inherits_destinations) == ([offsite], True)


def test_withdrawing_what_a_device_uses_needs_confirmation(customer: Customer) -> None:
    offsite = customer.attach()
    user = customer.user()
    device = customer.device(user)
    customer.hold(device, offsite)
    customer.use(device, customer.local)
    with pytest.raises(Conflict) as refused:
        customer.run(destinations.set_for_user, user, [customer.local], now(), confirmed=False)
    assert refused.value.reason is Reason.CONFIRMATION_REQUIRED
    assert customer.offered(user) == [customer.local, offsite]
    released = customer.run(
        destinations.set_for_user, user, [customer.local], now(), confirmed=True
    )
    assert released == Released(devices=1, seats=0, provider_seats=1)
    assert customer.state(device, offsite) is SeatState.RELEASING


@pytest.mark.parametrize("bad", ["unknown", "twice", "too many"])
def test_only_attached_storages_can_be_offered(customer: Customer, bad: str) -> None:
    user = customer.user()
    wanted = {
        "unknown": [new_id()],
        "twice": [customer.local, customer.local],
        "too many": [new_id() for _ in range(101)],
    }[bad]
    with pytest.raises(InvalidArgument) as refused:
        customer.run(destinations.set_for_user, user, wanted, now(), confirmed=True)
    assert {each.field for each in refused.value.violations} == {"storage_ids"}


def test_a_user_made_while_defaults_change_is_offered_the_old_or_the_new(
    customer: Customer,
) -> None:
    offsite = customer.attach()

    def step(number: int) -> None:
        if number % 4:
            customer.user()
        else:
            customer.set_defaults([customer.local, offsite][: 1 + number // 4 % 2])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(step, range(80)))
    customer.set_defaults([customer.local])
    found = customer.read(users.list_page, PageRequest(1000), "", "", False)
    assert {tuple(each.storage_ids) for each in found.items} == {(customer.local,)}
