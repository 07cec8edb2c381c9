"""This server's seats against the provider's: comparison, repair, takeover, adoption, resync."""

import hashlib
from dataclasses import replace

import pytest

from customer_service.domain.provider import Contact, ProviderSeat, ProviderState, Session
from customer_service.domain.seat import Kind, Seat, SeatState
from customer_service.domain.storage import Entitlement, StorageState
from customer_service.operations import (
    adopt,
    contacts,
    destinations,
    devices,
    ledgers,
    outbox,
    reconcile,
    sessions,
    takeover,
    users,
)
from customer_service.store import seats as seat_rows
from service_kit.clock import now
from service_kit.database.paging import PageRequest
from service_kit.errors import Conflict, LimitReached
from service_kit.reasons import Reason
from tests.support.customer import Customer, new_id

HELD, NONE, REVOKED = SeatState.HELD, SeatState.NONE, SeatState.REVOKED


def there(device_id: str, generation: int = 1, *, live: bool = True, **more: bool) -> ProviderSeat:
    kind = Kind.ACQUIRE if live or more.get("revoked") else Kind.RELEASE
    return ProviderSeat(
        device_id, "laptop", generation, live, revoked=more.get("revoked", False), kind=kind
    )


def repair(customer: Customer, storage_id: str, *theirs: ProviderSeat) -> int:
    rows = sorted(theirs, key=lambda each: each.device_guid)
    return customer.run(reconcile.repair, customer.storage(storage_id), rows, now())


def take_over(customer: Customer, storage_id: str, *theirs: ProviderSeat) -> None:
    conflict = Conflict(Reason.ATTACHMENT_CONFLICT, "Two.", "")
    customer.save(customer.storage(storage_id).now(StorageState.CONFLICT, conflict))
    sent = customer.run(takeover.prepare, storage_id)
    session = Session(sent.epoch + 1, 9)
    customer.run(takeover.finish, sent, session, theirs, now())


def unclaimed(customer: Customer, storage_id: str) -> list[ProviderSeat]:
    return list(customer.read(adopt.list_unclaimed, storage_id, PageRequest()).items)


def test_the_digest_is_of_the_seats_held_by_device(customer: Customer) -> None:
    offsite = customer.attach()
    held = sorted(customer.device() for _ in range(3))
    for device in held:
        customer.hold(device, offsite)
    waiting = customer.device()
    customer.use(waiting, offsite)
    customer.use(customer.device(), customer.local)
    found = customer.read(ledgers.snapshot, offsite)
    assert found is not None
    text = "".join(f"{device}:1\n" for device in held)
    assert found.digest == hashlib.sha256(text.encode()).digest()
    assert found.excluded == (waiting,)


def test_too_many_changes_under_way_are_compared_one_by_one(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "MOST_EXCLUDED", 1)
    offsite = customer.attach()
    for _ in range(2):
        customer.use(customer.device(), offsite)
    assert customer.read(ledgers.snapshot, offsite) is None


def test_equal_ledgers_are_noted_and_let_changes_go(customer: Customer) -> None:
    offsite = customer.attach()
    customer.use(customer.device(), offsite)
    customer.save(customer.storage(offsite).in_session(2, 0, now()))
    asked = customer.storage(offsite)
    customer.run(reconcile.found_equal, asked, now())
    storage = customer.storage(offsite)
    assert storage.compared
    assert storage.reconcile_time is not None
    assert len(customer.run(outbox.claim_due, now(), 9)) == 1


def test_a_comparison_in_an_older_session_says_nothing_of_the_present_one(
    customer: Customer,
) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.hold(device, offsite)
    asked = customer.storage(offsite)
    customer.save(asked.in_session(asked.epoch + 1, 0, now()))
    customer.run(reconcile.found_equal, asked, now())
    customer.run(reconcile.repair, asked, [], now())
    assert not customer.storage(offsite).compared
    assert customer.state(device, offsite) is HELD


def test_each_difference_is_found_whatever_side_it_is_on(customer: Customer) -> None:
    offsite = customer.attach()
    same, only_here, newer, waiting = sorted(customer.device() for _ in range(4))
    for device in (same, only_here, newer):
        customer.hold(device, offsite)
    customer.use(waiting, offsite)
    first, last = "0" * 8 + new_id()[8:], "f" * 8 + new_id()[8:]
    theirs = [there(first), there(same), there(newer, 2), there(waiting, 1), there(last)]
    found = customer.read(
        lambda tx: list(ledgers.compare(tx, offsite, sorted(theirs, key=lambda s: s.device_guid)))
    )
    assert [each.device_guid for each in found] == sorted([first, only_here, newer, last])


def test_what_is_missing_there_is_asked_for_again_under_its_generation(customer: Customer) -> None:
    offsite = customer.attach()
    lost, released = customer.device(), customer.device()
    customer.hold(lost, offsite)
    customer.hold(released, offsite)
    customer.run(devices.stop_using, released, offsite, now())
    customer.answer(customer.seat(released, offsite), NONE)
    assert repair(customer, offsite, there(released, 2)) == 2
    again = customer.seat(lost, offsite)
    assert (again.state, again.generation) == (SeatState.ACQUIRING, 1)
    again = customer.seat(released, offsite)
    assert (again.state, again.generation) == (SeatState.RELEASING, 2)
    assert customer.seats_in_use() == 1
    assert customer.storage(offsite).compared


def test_a_newer_change_there_is_a_conflict_and_changes_nothing(customer: Customer) -> None:
    offsite = customer.attach()
    device, other = customer.device(), customer.device()
    customer.hold(device, offsite)
    customer.hold(other, offsite)
    repair(customer, offsite, there(device, 2))
    storage = customer.storage(offsite)
    assert (storage.state, storage.reason_code) == (StorageState.CONFLICT, Reason.STALE_GENERATION)
    assert customer.state(other, offsite) is HELD


def test_a_seat_that_nobody_here_knows_is_listed_and_not_released(customer: Customer) -> None:
    offsite = customer.attach()
    stranger = new_id()
    assert repair(customer, offsite, there(stranger, 4), there(new_id(), 2, live=False)) == 0
    assert [each.device_guid for each in unclaimed(customer, offsite)] == [stranger]
    assert repair(customer, offsite) == 0
    assert unclaimed(customer, offsite) == []


def test_only_a_row_that_is_as_it_was_compared_is_sent_again(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    compared = customer.hold(device, offsite)
    customer.run(devices.stop_using, device, offsite, now())
    customer.run(lambda tx: reconcile.ask_again(tx, [compared], now()))
    seat = customer.seat(device, offsite)
    assert (seat.state, seat.generation) == (SeatState.RELEASING, 2)


def test_a_takeover_adopts_what_is_newer_and_counts_local_seats_anew(customer: Customer) -> None:
    offsite = customer.attach()
    released, revoked, taken, older, local = (customer.device() for _ in range(5))
    for device in (released, revoked, older, local):
        customer.hold(device, offsite)
    customer.use(local, customer.local)
    customer.hold(taken, offsite)
    customer.run(devices.stop_using, taken, offsite, now())
    customer.answer(customer.seat(taken, offsite), NONE)
    assert customer.seats_in_use() == 4
    take_over(
        customer,
        offsite,
        there(released, 2, live=False),
        there(revoked, 1, live=False, revoked=True),
        there(taken, 5),
        there(local, 2, live=False),
    )
    assert {customer.state(each, offsite) for each in (released, local)} == {NONE}
    assert customer.state(revoked, offsite) is REVOKED
    assert (customer.state(taken, offsite), customer.seat(taken, offsite).generation) == (HELD, 5)
    assert customer.state(older, offsite) is HELD  # asked about by the next comparison
    assert customer.seats_in_use() == 4  # revoked, taken, older, and local by its local storage
    storage = customer.storage(offsite)
    assert (storage.state, storage.epoch, storage.position) == (StorageState.ATTACHED, 2, 9)
    assert not storage.compared


def test_a_takeover_keeps_a_change_that_waits_on_top_of_what_it_adopts(customer: Customer) -> None:
    offsite = customer.attach()
    leaving, coming, mine = (customer.device() for _ in range(3))
    customer.hold(leaving, offsite)
    customer.run(devices.stop_using, leaving, offsite, now())
    customer.use(coming, offsite)
    customer.use(mine, offsite)
    take_over(customer, offsite, there(leaving, 7), there(coming, 3, live=False), there(mine, 1))
    seat = customer.seat(leaving, offsite)
    assert (seat.state, seat.generation) == (SeatState.RELEASING, 8)
    seat = customer.seat(coming, offsite)
    assert (seat.state, seat.generation) == (SeatState.ACQUIRING, 4)
    assert customer.seat(mine, offsite).generation == 1  # its own request, not answered yet
    assert customer.seats_in_use() == 2


def test_only_a_conflict_can_be_taken_over(customer: Customer) -> None:
    offsite = customer.attach()
    for storage_id in (offsite, customer.local):
        with pytest.raises(Conflict):
            customer.run(takeover.prepare, storage_id)


def test_adopting_makes_devices_under_a_user_with_both_seats(customer: Customer) -> None:
    offsite = customer.attach()
    strangers = sorted(new_id() for _ in range(3))
    repair(customer, offsite, *(there(each, 4) for each in strangers))
    user = customer.user()
    customer.run(destinations.set_for_user, user, [customer.local], now(), confirmed=True)
    assert customer.run(adopt.adopt, offsite, user, strangers[:1], now()) == 1
    assert customer.run(adopt.adopt, offsite, user, [], now()) == 2
    assert unclaimed(customer, offsite) == []
    for each in strangers:
        view = customer.read(devices.get, each)
        assert view.device.name == f"laptop ({each[:8]})"
        seat = customer.seat(each, offsite)
        assert (seat.state, seat.generation, seat.acknowledged) == (HELD, 4, 4)
    assert customer.seats_in_use() == 3
    assert customer.offered(user) == [customer.local, offsite]
    assert customer.run(adopt.adopt, offsite, user, [], now()) == 0


def test_adopting_more_than_the_license_changes_nothing(customer: Customer) -> None:
    offsite = customer.attach()
    repair(customer, offsite, there(new_id()), there(new_id()))
    user = customer.user()
    customer.allow(1)
    with pytest.raises(LimitReached):
        customer.run(adopt.adopt, offsite, user, [], now())
    assert customer.seats_in_use() == 0
    assert len(unclaimed(customer, offsite)) == 2


def test_nobody_adopts_under_a_blocked_user(customer: Customer) -> None:
    offsite = customer.attach()
    repair(customer, offsite, there(new_id()))
    user = customer.user()
    customer.run(users.block, user, now())
    with pytest.raises(Conflict):
        customer.run(adopt.adopt, offsite, user, [], now())


def test_a_resync_tells_what_was_answered_last(customer: Customer) -> None:
    offsite = customer.attach()
    held, renewing, leaving, never = (customer.device() for _ in range(4))
    for device in (held, renewing, leaving):
        customer.hold(device, offsite)
    customer.run(devices.deauthorize, renewing, now())
    customer.run(devices.stop_using, leaving, offsite, now())
    customer.use(never, offsite)
    rows = {each.device_guid: each for each in customer.read(contacts._resync_rows, offsite)}
    assert {each: (row.generation, row.state) for each, row in rows.items()} == {
        held: (1, HELD),
        renewing: (1, HELD),
        leaving: (1, NONE),
    }


def test_the_nonce_of_a_session_is_kept_until_it_is_answered(customer: Customer) -> None:
    offsite = customer.attach()
    sent = customer.run(sessions.prepare, offsite)
    assert customer.run(sessions.prepare, offsite).session_nonce == sent.session_nonce
    stranger = replace(sent, session_nonce=new_id())
    customer.run(sessions.opened, stranger, Session(9, 9), now())
    assert customer.storage(offsite).epoch == 1
    opened = customer.run(sessions.opened, sent, Session(2, 5), now())
    assert (opened.epoch, opened.position, opened.session_nonce) == (2, 5, "")
    assert not opened.compared


def test_a_restored_ledger_draws_a_nonce_of_its_own(customer: Customer) -> None:
    offsite = customer.attach()
    customer.run(sessions.prepare, offsite)
    assert customer.run(sessions.forget_sessions, now()) == 1
    assert customer.storage(offsite).session_nonce == ""


@pytest.mark.parametrize(
    ("before", "theirs", "after"),
    [
        (StorageState.ATTACHED, ProviderState.SUSPENDED, StorageState.SUSPENDED),
        (StorageState.SUSPENDED, ProviderState.ATTACHED, StorageState.ATTACHED),
        (StorageState.ATTACHED, ProviderState.CONFLICT, StorageState.CONFLICT),
        (StorageState.ATTACHED, ProviderState.REWOUND, StorageState.REWOUND),
        (StorageState.REWOUND, ProviderState.ATTACHED, StorageState.ATTACHED),
        (StorageState.CONFLICT, ProviderState.ATTACHED, StorageState.CONFLICT),
    ],
)
def test_a_contact_tells_how_the_provider_sees_it(
    customer: Customer, before: StorageState, theirs: ProviderState, after: StorageState
) -> None:
    offsite = customer.attach()
    asked = customer.storage(offsite).now(before)
    customer.save(asked)
    granted = Entitlement(maximum_seats=7, suspend_reason="unpaid")
    heard = Contact(granted, theirs, asked.epoch, 3)
    found = customer.run(contacts.follow, asked, heard, now())
    assert (found.state, found.position) == (after, 3)
    assert found.entitlement.maximum_seats == 7
    assert found.last_contact_time is not None


def test_a_contact_with_another_provider_says_nothing(customer: Customer) -> None:
    offsite = customer.attach()
    asked = customer.storage(offsite)
    moved = replace(asked, provider_guid=customer.storage(customer.attach("Other")).provider_guid)
    heard = Contact(Entitlement(), ProviderState.REWOUND, 1, 99)
    assert customer.run(contacts.follow, moved, heard, now()) == asked


def test_many_rows_are_written_in_one_statement(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    seat = Seat(offsite, device, 1, HELD, now())
    customer.run(seat_rows.put, seat)
    customer.run(seat_rows.put, replace(seat, generation=2))
    assert customer.seat(device, offsite).generation == 2
