"""A device's use of storages: the local seat first, then the provider's."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from customer_service.domain.seat import Kind, SeatState, retry_delay
from customer_service.domain.storage import StorageState
from customer_service.operations import devices, organizations, outbox, outcomes, seats, users
from customer_service.operations.devices import DeviceView
from customer_service.operations.organizations import Impact
from customer_service.operations.outcomes import Sent
from customer_service.operations.seats import Released
from service_kit.clock import now
from service_kit.database.engine import Transaction
from service_kit.errors import Conflict, LimitReached, NotFound, Stale, Unavailable
from service_kit.reasons import Reason
from tests.support.customer import Customer, new_id

FULL = LimitReached(Reason.SEAT_LIMIT_REACHED, "All 5 seats are in use.", "Buy more.")
SILENT = Unavailable(Reason.UNAVAILABLE, "Nobody answers.", "Wait.")


def test_the_local_seat_is_taken_first_and_the_providers_is_asked_for(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    seat = customer.use(device, offsite)
    assert (seat.state, seat.generation, seat.kind) == (SeatState.ACQUIRING, 1, Kind.ACQUIRE)
    assert customer.seats_in_use() == 1
    assert [each.device_id for each in customer.run(outbox.claim_due, now(), 10)] == [device]
    customer.answer(seat)
    assert customer.state(device, offsite) is SeatState.HELD


def test_the_own_server_needs_nobody_to_ask(customer: Customer) -> None:
    device = customer.device()
    assert customer.use(device, customer.local).state is SeatState.HELD
    customer.run(devices.stop_using, device, customer.local, now())
    assert customer.state(device, customer.local) is SeatState.NONE
    assert customer.seats_in_use() == 0


def test_a_device_holds_one_local_seat_however_many_storages_it_uses(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.use(device, customer.local)
    customer.hold(device, offsite)
    assert customer.seats_in_use() == 1
    view, impact = customer.run(devices.stop_using, device, offsite, now())
    assert impact.released == Released(devices=1, seats=0, provider_seats=1)
    assert view.holds_seat
    _, impact = customer.run(devices.stop_using, device, customer.local, now())
    assert impact.released == Released(devices=1, seats=1, provider_seats=0)
    assert customer.seats_in_use() == 0


def test_using_again_changes_nothing(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    first = customer.use(device, offsite)
    assert customer.use(device, offsite) == first
    held = customer.hold(device, offsite)
    assert customer.use(device, offsite) == held


def test_the_own_license_refuses_first(customer: Customer) -> None:
    offsite = customer.attach()
    customer.allow(1)
    customer.use(customer.device(), customer.local)
    device = customer.device()
    with pytest.raises(LimitReached, match="license has 1 seats") as refused:
        customer.use(device, offsite)
    assert refused.value.reason is Reason.LICENSE_LIMIT_REACHED
    assert customer.seats_in_use() == 1


def test_a_lowered_license_keeps_what_is_held(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.use(device, customer.local)
    customer.allow(0)
    customer.use(device, offsite)
    with pytest.raises(LimitReached):
        customer.use(customer.device(), customer.local)
    assert customer.state(device, customer.local) is SeatState.HELD


def test_a_refusal_by_the_provider_keeps_the_local_seat_and_is_asked_again(
    customer: Customer,
) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.refuse(customer.use(device, offsite), FULL)
    refused = customer.seat(device, offsite)
    assert refused.state is SeatState.REFUSED
    assert refused.reason == "Offsite refused: All 5 seats are in use."
    assert customer.seats_in_use() == 1
    assert customer.run(outbox.claim_due, now(), 10) == []
    again = customer.use(device, offsite)
    assert (again.state, again.generation, again.reason) == (SeatState.ACQUIRING, 2, "")


@pytest.mark.parametrize(
    ("reason", "state"),
    [(reason, state) for reason, state in outcomes.REFUSALS.items()],
)
def test_each_refusal_of_a_seat_has_its_state(
    customer: Customer, reason: Reason, state: SeatState
) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.refuse(customer.use(device, offsite), Conflict(reason, "No.", "Ask."))
    assert customer.state(device, offsite) is state


def test_an_unclear_outcome_frees_nothing_and_is_sent_again(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    seat = customer.use(device, offsite)
    customer.refuse(seat, SILENT)
    waits = customer.seat(device, offsite)
    assert (waits.state, waits.generation, waits.attempts) == (SeatState.ACQUIRING, 1, 1)
    assert waits.next_attempt_time is not None
    assert customer.seats_in_use() == 1
    due = customer.run(outbox.claim_due, now() + retry_delay(1, 1), 10)
    assert [each.generation for each in due] == [1]


def test_an_answer_that_a_newer_change_has_overtaken_is_dropped(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    old = customer.use(device, offsite)
    customer.run(devices.stop_using, device, offsite, now())
    customer.answer(old)
    assert customer.state(device, offsite) is SeatState.RELEASING
    customer.refuse(old, Stale(Reason.STALE_GENERATION, "Older.", ""))
    assert customer.storage(offsite).state is StorageState.ATTACHED


def test_answers_of_an_older_session_say_nothing(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    seat = customer.use(device, offsite)
    sent = Sent(customer.storage(offsite), seat)
    newer = customer.storage(offsite).in_session(7, 3, now())
    customer.save(newer)
    ended = Conflict(Reason.ATTACHMENT_ENDED, "Ended.", "", metadata={"position": "99"})
    customer.run(outcomes.failed, sent, ended, now())
    assert customer.storage(offsite) == newer
    assert customer.state(device, offsite) is SeatState.ACQUIRING


def test_a_newer_generation_there_is_a_conflict(customer: Customer) -> None:
    offsite = customer.attach()
    seat = customer.use(customer.device(), offsite)
    customer.refuse(seat, Stale(Reason.STALE_GENERATION, "Older.", "Compare."))
    assert customer.storage(offsite).state is StorageState.CONFLICT


def test_the_end_of_the_attachment_frees_every_seat(customer: Customer) -> None:
    offsite = customer.attach()
    only_there, both = customer.device(), customer.device()
    customer.hold(only_there, offsite)
    customer.use(both, customer.local)
    seat = customer.use(both, offsite)
    customer.refuse(seat, Conflict(Reason.ATTACHMENT_ENDED, "It has ended.", "Attach again."))
    storage = customer.storage(offsite)
    assert (storage.state, storage.reason) == (StorageState.DETACHED, "It has ended.")
    assert customer.state(only_there, offsite) is SeatState.NONE
    assert customer.seats_in_use() == 1


def test_a_release_asks_the_provider_only_for_what_may_be_held_there(customer: Customer) -> None:
    offsite = customer.attach()
    held, refused = customer.device(), customer.device()
    customer.hold(held, offsite)
    customer.refuse(customer.use(refused, offsite), FULL)
    for device in (held, refused):
        customer.run(devices.stop_using, device, offsite, now())
    assert customer.state(held, offsite) is SeatState.RELEASING
    assert customer.state(refused, offsite) is SeatState.NONE
    assert customer.seats_in_use() == 0
    customer.answer(customer.seat(held, offsite), SeatState.NONE)
    assert customer.state(held, offsite) is SeatState.NONE


def test_a_provider_that_is_silent_keeps_no_local_seat(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.hold(device, offsite)
    customer.run(devices.stop_using, device, offsite, now())
    customer.refuse(customer.seat(device, offsite), SILENT)
    assert customer.state(device, offsite) is SeatState.RELEASING
    assert customer.seats_in_use() == 0


def test_use_while_a_release_waits_takes_the_next_generation(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.hold(device, offsite)
    customer.run(devices.stop_using, device, offsite, now())
    seat = customer.use(device, offsite)
    assert (seat.generation, seat.state) == (3, SeatState.ACQUIRING)
    assert not seat.acknowledged_held
    assert customer.seats_in_use() == 1


def replace_computer(tx: Transaction, device_id: str, at: datetime) -> tuple[DeviceView, Impact]:
    return devices.replace(tx, device_id, None, at)


@pytest.mark.parametrize("end", [devices.deauthorize, replace_computer])
def test_deauthorize_and_replace_renew_and_release_nothing(
    customer: Customer, end: Callable[[Transaction, str, datetime], tuple[DeviceView, Impact]]
) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.use(device, customer.local)
    customer.hold(device, offsite)
    _, impact = customer.run(end, device, now())
    assert (impact.released.seats, impact.released.provider_seats) == (0, 0)
    renewed = customer.seat(device, offsite)
    assert (renewed.generation, renewed.state) == (2, SeatState.ACQUIRING)
    assert renewed.acknowledged_held
    assert customer.seat(device, customer.local).generation == 2
    assert customer.state(device, customer.local) is SeatState.HELD
    assert customer.seats_in_use() == 1


def test_only_what_is_offered_can_be_used(customer: Customer) -> None:
    device = customer.device()
    offsite = customer.attach()
    with pytest.raises(Conflict) as refused:
        customer.use(device, offsite)
    assert refused.value.reason is Reason.NOT_OFFERED
    with pytest.raises(NotFound):
        customer.use(device, new_id())
    with pytest.raises(NotFound):
        customer.use(new_id(), offsite)


def test_only_an_attached_storage_can_be_used_and_the_refusal_says_why(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    ended = Conflict(Reason.ATTACHMENT_ENDED, "The provider ended it.", "Attach again.")
    customer.save(customer.storage(offsite).ended(ended))
    with pytest.raises(Conflict, match="The provider ended it") as refused:
        customer.use(device, offsite)
    assert refused.value.reason is Reason.STORAGE_NOT_ATTACHED
    assert refused.value.advice == "Attach again."
    assert customer.seats_in_use() == 0


def test_who_is_not_active_takes_no_seat(customer: Customer) -> None:
    organization = customer.organization("Sales")
    user = customer.user(organization)
    device = customer.device(user)
    for end, begin, subject in (
        (users.block, users.unblock, user),
        (users.deactivate, users.reactivate, user),
        (organizations.deactivate, organizations.reactivate, organization),
        (devices.deactivate, devices.reactivate, device),
    ):
        customer.use(device, customer.local)
        customer.run(end, subject, now())
        assert customer.seats_in_use() == 0
        with pytest.raises(Conflict):
            customer.use(device, customer.local)
        customer.run(begin, subject, now())
        assert customer.seats_in_use() == 0
    customer.use(device, customer.local)
    assert customer.seats_in_use() == 1


def test_a_change_waits_until_both_ledgers_were_compared(customer: Customer) -> None:
    offsite = customer.attach()
    customer.use(customer.device(), offsite)
    customer.save(customer.storage(offsite).in_session(2, 0, now()))
    assert customer.run(outbox.claim_due, now(), 10) == []
    customer.set_compared(offsite)
    assert len(customer.run(outbox.claim_due, now(), 10)) == 1
    assert customer.run(outbox.claim_due, now(), 10) == []  # leased


def test_what_a_device_sees(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.refuse(customer.use(device, offsite), FULL)
    seen = {each.storage.name: each for each in customer.read(devices.get, device).destinations}
    assert set(seen) == {"Local", "Offsite"}
    assert seen["Local"].seat is None
    assert seen["Offsite"].seat is not None
    assert seen["Offsite"].seat.advice == "Buy more."


def test_at_the_edge_of_the_license_nobody_goes_above_it(customer: Customer) -> None:
    devices_ = [customer.device() for _ in range(40)]
    customer.allow(25)

    def use(device: str) -> bool:
        try:
            customer.use(device, customer.local)
        except LimitReached:
            return False
        return True

    with ThreadPoolExecutor(40) as threads:
        assert sum(threads.map(use, devices_)) == 25
    assert customer.seats_in_use() == 25


def test_uses_and_ends_of_all_kinds_at_once_leave_a_true_count(customer: Customer) -> None:
    offsite = customer.attach()
    organization = customer.organization("Sales")
    people = [customer.user(organization) for _ in range(6)]
    machines = [customer.device(people[place % 6]) for place in range(12)]

    def step(number: int) -> None:
        device, person = machines[number % 12], people[number % 6]
        ways: list[Callable[[], object]] = [
            lambda: customer.use(device, customer.local),
            lambda: customer.hold(device, offsite),
            lambda: customer.run(devices.stop_using, device, customer.local, now()),
            lambda: customer.run(devices.stop_using, device, offsite, now()),
            lambda: customer.run(users.block, person, now()),
            lambda: customer.run(users.unblock, person, now()),
            lambda: customer.run(organizations.deactivate, organization, now()),
            lambda: customer.run(organizations.reactivate, organization, now()),
            lambda: customer.run(seats.end_all, offsite, now()),
            lambda: customer.set_defaults([customer.local], apply=True),
            lambda: customer.set_defaults([customer.local, offsite], apply=True),
            lambda: customer.run(devices.deauthorize, device, now()),
        ]
        # Refusals belong to it; a deadlock would be Unavailable.
        with contextlib.suppress(Conflict, LimitReached):
            ways[(number * 7 + number // 12) % len(ways)]()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(step, range(480)))
    customer.seats_in_use()
    customer.run(organizations.deactivate, organization, now())
    assert customer.seats_in_use() == 0
