"""The provider's ledger of seats."""

import hashlib
import random
import uuid

import pytest

from archive_gateway.credentials import archive_url, storage_credential
from archive_gateway.domain.names import ArchiveId
from provider_service.domain import seat as rules
from provider_service.domain.attachment import Session
from provider_service.domain.seat import Kind, SeatState
from provider_service.operations import organizations, reconciliation, seats
from provider_service.operations.seats import Served
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.errors import (
    Conflict,
    InvalidArgument,
    LimitReached,
    NotFound,
    OffsiteError,
    PermissionDenied,
    Stale,
)
from service_kit.ledger import audit
from service_kit.ledger import license as master_license
from service_kit.reasons import Reason
from tests.support.provider import NOW, PROVIDER, Customer, devices, edit


@pytest.fixture
def customer(provider_database: Database) -> Customer:
    return Customer.attached(provider_database, seats=2)


def state_of(customer: Customer, device: str) -> SeatState:
    page, _ = customer.database.read_sync(seats.list_of_customer, customer.guid, PageRequest(1000))
    return {seat.device_guid: seat.state for seat in page.items}[device]


def test_a_seat_is_taken_and_given_back(customer: Customer) -> None:
    device = devices(1)[0]
    assert customer.acquire(device, 1).seat.state is SeatState.HELD
    assert customer.release(device, 2).seat.state is SeatState.RELEASED
    assert customer.organization.seats_in_use == 0


def test_a_repeat_gets_the_present_state_and_changes_nothing(customer: Customer) -> None:
    device = devices(1)[0]
    first = customer.acquire(device, 1)
    assert customer.acquire(device, 1) == first
    assert customer.organization.position == 1


def test_an_older_generation_is_stale(customer: Customer) -> None:
    device = devices(1)[0]
    customer.acquire(device, 2)
    with pytest.raises(Stale) as caught:
        customer.release(device, 1)
    assert caught.value.metadata["generation"] == "2"
    assert state_of(customer, device) is SeatState.HELD


def test_an_equal_generation_of_the_other_kind_is_a_conflict(customer: Customer) -> None:
    device = devices(1)[0]
    customer.acquire(device, 1)
    with pytest.raises(Conflict) as caught:
        customer.release(device, 1)
    assert caught.value.reason is Reason.GENERATION_CONFLICT


def test_a_generation_steps_a_thousand_at_most_where_a_row_exists(customer: Customer) -> None:
    device = devices(1)[0]
    customer.acquire(device, 5000)
    with pytest.raises(Conflict) as caught:
        customer.release(device, 6001)
    assert caught.value.reason is Reason.GENERATION_STEP_TOO_LARGE
    customer.release(device, 6000)


def test_a_newer_acquire_renews_without_asking_the_limit(customer: Customer) -> None:
    first, second = devices(2)
    customer.acquire(first)
    customer.acquire(second)
    edit(customer.database, customer.organization_id, maximum_seats=0)
    assert customer.acquire(first, 2).seat.generation == 2
    assert customer.organization.seats_in_use == 2


def test_a_refusal_is_a_tombstone_that_repeats_itself(customer: Customer) -> None:
    *held, refused = devices(3)
    for device in held:
        customer.acquire(device)
    for _ in range(2):
        with pytest.raises(LimitReached) as caught:
            customer.acquire(refused)
        assert caught.value.reason is Reason.SEAT_LIMIT_REACHED
        assert caught.value.metadata["state"] == "REFUSED"
    customer.release(held[0], 2)
    with pytest.raises(LimitReached):
        customer.acquire(refused)
    assert customer.acquire(refused, 2).seat.state is SeatState.HELD


def test_a_release_never_seen_stops_a_late_acquire(customer: Customer) -> None:
    device = devices(1)[0]
    customer.release(device, 2)
    with pytest.raises(Stale):
        customer.acquire(device, 1)


def test_the_license_limits_all_organizations_together(customer: Customer) -> None:
    other = Customer.attached(customer.database)
    customer.database.run_sync(master_license.set_seats, 1, NOW)
    customer.acquire(devices(1)[0])
    with pytest.raises(LimitReached) as caught:
        other.acquire(devices(1)[0])
    assert caught.value.reason is Reason.LICENSE_LIMIT_REACHED


def test_suspended_keeps_what_is_held_and_refuses_what_is_new(customer: Customer) -> None:
    held, new = devices(2)
    customer.acquire(held)
    id = customer.organization_id
    customer.database.run_sync(organizations.suspend, id, "unpaid", NOW)
    customer.acquire(held, 2)
    with pytest.raises(Conflict) as caught:
        customer.acquire(new)
    assert caught.value.reason is Reason.ORGANIZATION_SUSPENDED
    customer.database.run_sync(organizations.resume, id, NOW)
    customer.acquire(new, 2)


def test_a_revoked_seat_is_refused_until_it_is_restored(customer: Customer) -> None:
    device = devices(1)[0]
    customer.acquire(device, 1)
    database, id = customer.database, customer.organization_id
    for _ in range(2):
        assert database.run_sync(seats.revoke, id, device, "stolen", NOW).revoked
    for generation in (1, 2, 2):
        with pytest.raises(PermissionDenied) as caught:
            customer.acquire(device, generation)
        assert caught.value.metadata["state"] == "REVOKED"
    customer.release(device, 3)
    with pytest.raises(PermissionDenied):
        customer.acquire(device, 4)
    for _ in range(2):
        assert not database.run_sync(seats.restore, id, device, NOW).live
    with pytest.raises(PermissionDenied):
        customer.acquire(device, 4)
    assert customer.acquire(device, 5).seat.state is SeatState.HELD


def test_a_device_that_never_asked_can_not_be_revoked(customer: Customer) -> None:
    with pytest.raises(NotFound):
        customer.database.run_sync(seats.revoke, customer.organization_id, devices(1)[0], "", NOW)


def test_rows_are_bounded(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "RESERVED_ROWS", -17)
    known, also_known, *_ = named = devices(4)
    customer.send(*(customer.request(Kind.RELEASE, each, 1) for each in named[:3]))
    with pytest.raises(LimitReached) as caught:
        customer.release(named[3], 1)
    assert caught.value.reason is Reason.SEAT_ROWS_EXHAUSTED
    customer.release(known, 2)
    customer.release(also_known, 2)


def test_a_batch_is_as_if_its_requests_had_come_one_by_one(provider_database: Database) -> None:
    chance = random.Random(7)
    batched, single = (Customer.attached(provider_database, seats=4) for _ in range(2))
    named = devices(8)
    steps = [
        (chance.choice(list(Kind)), chance.choice(named), chance.randint(1, 6)) for _ in range(200)
    ]
    together = batched.send(*(batched.request(*step) for step in steps))
    one_by_one = [single.send(single.request(*step))[0] for step in steps]
    assert [told(outcome) for outcome in together] == [told(outcome) for outcome in one_by_one]
    assert batched.organization.seats_in_use == single.organization.seats_in_use
    assert batched.organization.position == single.organization.position
    assert batched.organization.seat_rows == single.organization.seat_rows


def told(outcome: Served | OffsiteError) -> object:
    if isinstance(outcome, OffsiteError):
        return outcome.reason, outcome.metadata
    seat = outcome.seat
    return seat.device_guid, seat.generation, seat.state, outcome.position


def test_one_batch_serves_several_organizations(provider_database: Database) -> None:
    customers = [Customer.attached(provider_database, seats=1) for _ in range(3)]
    device = devices(1)[0]
    requests = [each.request(Kind.ACQUIRE, device, 1) for each in customers]
    outcomes = customers[0].send(*requests)
    assert [isinstance(outcome, Served) for outcome in outcomes] == [True] * 3
    assert provider_database.read_sync(master_license.get).seats_in_use == 3


def test_the_audits_deltas_sum_to_the_count(customer: Customer) -> None:
    chance = random.Random(3)
    named = devices(4)
    for generation in range(1, 20):
        kind = chance.choice(list(Kind))
        customer.send(customer.request(kind, chance.choice(named), generation))
    filter = audit.AuditFilter(organization_id=customer.organization_id)
    page = customer.database.read_sync(audit.list_events, filter, PageRequest(1000))
    assert sum(event.seat_delta for event in page.items) == customer.organization.seats_in_use
    assert {event.actor for event in page.items if event.kind.startswith("seat.")} == {
        f"peer:{customer.guid}"
    }


def test_all_fields_out_of_bounds_are_named() -> None:
    with pytest.raises(InvalidArgument) as caught:
        rules.SeatRequest("guid", Session(1, 0), Kind.ACQUIRE, "x", "", 0)
    assert [each.field for each in caught.value.violations] == [
        "device_guid",
        "generation",
        "device_name",
    ]


def test_the_digest_is_of_the_live_set_alone(customer: Customer) -> None:
    held, released, excluded = devices(3)
    edit(customer.database, customer.organization_id, maximum_seats=3)
    for device in (held, released, excluded):
        customer.acquire(device)
    customer.release(released, 2)
    digest = hashlib.sha256(f"{held}:1\n".encode()).digest()
    session = Session(customer.epoch, 0)
    for left_out, matches in (({excluded}, True), (set(), False)):
        compared = customer.database.read_sync(
            reconciliation.compare, customer.guid, session, digest, left_out
        )
        assert compared.matches is matches


def test_the_operators_list_filters_by_state_and_name(customer: Customer) -> None:
    held, released, refused = devices(3)
    customer.acquire(held)
    customer.release(released, 1)
    edit(customer.database, customer.organization_id, maximum_seats=0)
    customer.send(customer.request(Kind.ACQUIRE, refused, 1))
    wanted = {
        None: {held, refused},
        SeatState.HELD: {held},
        SeatState.RELEASED: {released},
        SeatState.REFUSED: {refused},
        SeatState.REVOKED: set(),
    }
    for state, expected in wanted.items():
        page = customer.database.read_sync(
            seats.list_page, customer.organization_id, state, "", PageRequest()
        )
        assert {seat.device_guid for seat in page.items} == expected
    for name, count in (("LAPTOP", 2), ("other", 0)):
        page = customer.database.read_sync(
            seats.list_page, customer.organization_id, None, name, PageRequest()
        )
        assert len(page.items) == count


def test_a_credential_is_the_same_for_a_repeat_and_another_for_the_next_generation() -> None:
    organization, device = str(uuid.uuid4()), str(uuid.uuid4())
    one, again, next_one = (
        storage_credential(PROVIDER, ArchiveId(organization, device), generation)
        for generation in (1, 1, 2)
    )
    assert one == again != next_one
    url = archive_url(["backup.test:7402"], ArchiveId(organization, device))
    assert url == f"rest:https://backup.test:7402/archives/{organization}/{device}/"
