"""Sessions, and what happens when a ledger or a deployment goes back in time."""

import uuid
from dataclasses import replace

import pytest

from provider_service.domain.attachment import Session, SessionKind
from provider_service.domain.organization import Attachment
from provider_service.domain.seat import Kind, Seat
from provider_service.operations import restoring, resync, seats, sessions
from provider_service.operations.resync import Part
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.errors import Conflict, OffsiteError, Stale, settled
from service_kit.ledger import audit
from service_kit.ledger import license as master_license
from service_kit.reasons import Reason
from tests.support.provider import NOW, Customer, devices


def test_a_session_takes_the_next_epoch(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    assert customer.open().epoch == 3


def test_a_lost_answer_is_repeated_for_the_same_nonce(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    nonce, before = str(uuid.uuid4()), customer.epoch
    first = customer.open(epoch=before, nonce=nonce).epoch
    assert customer.open(epoch=before, nonce=nonce).epoch == first


def test_a_nonce_ends_with_the_first_use_of_its_session(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    nonce, before = str(uuid.uuid4()), customer.epoch
    customer.open(epoch=before, nonce=nonce)
    customer.acquire(devices(1)[0])
    with pytest.raises(Stale) as caught:
        customer.open(epoch=before, nonce=nonce)
    assert caught.value.reason is Reason.STALE_EPOCH


def test_a_late_duplicate_of_an_older_session_is_no_conflict(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    nonce, before = str(uuid.uuid4()), customer.epoch
    customer.open(nonce=nonce)
    customer.open()
    with pytest.raises(Stale):
        customer.open(epoch=before, nonce=nonce)
    assert customer.organization.attachment is Attachment.ATTACHED


def test_a_copy_is_found_at_its_first_session(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    copied = customer.epoch
    customer.open()
    with pytest.raises(Conflict) as caught:
        customer.open(epoch=copied)
    assert caught.value.reason is Reason.ATTACHMENT_CONFLICT
    assert customer.organization.attachment is Attachment.CONFLICT
    outcome = customer.send(customer.request(Kind.ACQUIRE, devices(1)[0], 1))[0]
    assert isinstance(outcome, Conflict)


def test_a_takeover_supersedes_every_older_epoch(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    copied = customer.epoch
    customer.open()
    with pytest.raises(Conflict):
        customer.open(epoch=copied)
    customer.open(kind=SessionKind.TAKE_OVER)
    assert customer.organization.attachment is Attachment.ATTACHED
    with pytest.raises(Stale) as caught:
        customer.open(epoch=copied)
    assert caught.value.reason is Reason.EPOCH_SUPERSEDED
    assert customer.organization.attachment is Attachment.ATTACHED


def test_an_older_epoch_changes_nothing(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    old = customer.epoch
    customer.open()
    outcome = customer.send(customer.request(Kind.ACQUIRE, devices(1)[0], 1, epoch=old))[0]
    assert isinstance(outcome, Stale)
    assert outcome.reason is Reason.STALE_EPOCH
    assert outcome.metadata["epoch"] == str(customer.epoch)
    assert customer.organization.seat_rows == 0


def rewind(customer: Customer) -> None:
    """Let the customer show a position that this ledger has never told."""
    customer.position = customer.organization.position + 5
    outcome = customer.send(customer.request(Kind.ACQUIRE, devices(1)[0], 1))[0]
    assert isinstance(outcome, OffsiteError)
    assert outcome.reason is Reason.ATTACHMENT_REWOUND
    assert outcome.metadata["confirmed"] == "false"


def test_an_epoch_from_the_future_proves_that_the_ledger_went_back(
    provider_database: Database,
) -> None:
    customer = Customer.attached(provider_database)
    with pytest.raises(Conflict) as caught:
        customer.open(epoch=customer.epoch + 1)
    assert caught.value.reason is Reason.ATTACHMENT_REWOUND
    assert customer.organization.attachment is Attachment.REWOUND


def test_an_answered_generation_that_is_not_known_proves_that_the_ledger_went_back(
    provider_database: Database,
) -> None:
    customer = Customer.attached(provider_database)
    request = customer.request(Kind.ACQUIRE, devices(1)[0], 3)
    outcome = customer.send(replace(request, acknowledged=2))[0]
    assert isinstance(outcome, Conflict)
    assert outcome.reason is Reason.ATTACHMENT_REWOUND
    assert customer.organization.seats_in_use == 0


def test_a_takeover_of_a_rewound_ledger_is_followed_by_a_resync(
    provider_database: Database,
) -> None:
    customer = Customer.attached(provider_database)
    old = customer.epoch
    customer.open()
    rewind(customer)
    with pytest.raises(Conflict) as caught:
        customer.open(epoch=old - 1 or 1, kind=SessionKind.START)
    assert caught.value.reason in (Reason.ATTACHMENT_CONFLICT, Reason.ATTACHMENT_REWOUND)
    epoch = customer.epoch
    assert customer.open(epoch=old, kind=SessionKind.TAKE_OVER).epoch == epoch + 1
    assert customer.organization.attachment is Attachment.REWOUND


def test_a_resync_that_lacks_a_part_begins_again(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    rewind(customer)
    provider_database.run_sync(sessions.confirm_rewound, customer.organization_id, NOW)
    settled(send_part(customer, row(devices(1)[0], 1, held=True)))
    provider_database.run_sync(restoring.mark_restored, NOW)
    refusal = send_part(customer, number=2)
    assert isinstance(refusal, Conflict)
    assert refusal.reason is Reason.ATTACHMENT_REWOUND
    with pytest.raises(Conflict):
        customer.open(kind=SessionKind.RESYNC, resync_parts=1)


def send_part(customer: Customer, *rows: Seat, number: int = 1) -> object:
    revoked = frozenset(row.device_guid for row in rows if row.reason == Reason.SEAT_REVOKED)
    part = Part(Session(customer.epoch, customer.position), rows, revoked, number)
    return customer.database.run_sync(resync.take_part, customer.guid, part, NOW)


def row(device: str, generation: int, *, held: bool, reason: str = "") -> Seat:
    kind = Kind.ACQUIRE if held or reason else Kind.RELEASE
    return Seat(device, "laptop", generation, kind, held, False, reason, NOW, NOW)


def test_a_position_from_the_future_proves_that_the_ledger_went_back(
    provider_database: Database,
) -> None:
    customer = Customer.attached(provider_database)
    rewind(customer)
    assert customer.organization.attachment is Attachment.REWOUND
    assert not customer.organization.rewound_confirmed


def test_a_rewound_ledger_waits_for_its_operator(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    rewind(customer)
    refusal = send_part(customer)
    assert isinstance(refusal, Conflict)
    assert refusal.reason is Reason.ATTACHMENT_REWOUND
    with pytest.raises(Conflict):
        customer.open()


def test_only_a_rewound_attachment_can_be_confirmed(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    with pytest.raises(Conflict):
        provider_database.run_sync(sessions.confirm_rewound, customer.organization_id, NOW)


def test_a_resync_grants_what_was_held_and_goes_beyond_both_sides(
    provider_database: Database,
) -> None:
    customer = Customer.attached(provider_database, seats=1)
    known, newer, gone = devices(3)
    customer.acquire(gone)
    rewind(customer)
    for _ in range(2):
        provider_database.run_sync(sessions.confirm_rewound, customer.organization_id, NOW)
    seen = customer.position
    rows = [row(known, 4000, held=True), row(newer, 1, held=True), row(gone, 2, held=False)]
    settled(send_part(customer, *rows[:1]))
    settled(send_part(customer, *rows, number=2))
    before, nonce = customer.epoch, str(uuid.uuid4())

    def end() -> None:
        kind = SessionKind.RESYNC
        customer.open(epoch=before, nonce=nonce, kind=kind, resync_parts=2)

    end()
    after = customer.organization
    assert (after.attachment, after.seats_in_use) == (Attachment.ATTACHED, 2)
    assert after.position == max(seen, after.position)
    assert after.epoch == after.floor == customer.epoch == before + 1
    assert provider_database.read_sync(master_license.get).seats_in_use == 2
    end()
    assert customer.organization == after


def test_a_lost_revocation_is_listed_for_the_operator(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    device = devices(1)[0]
    customer.acquire(device)
    rewind(customer)
    provider_database.run_sync(sessions.confirm_rewound, customer.organization_id, NOW)
    send_part(customer, row(device, 1, held=False, reason="SEAT_REVOKED"))
    events = provider_database.read_sync(
        audit.list_events, audit.AuditFilter(kind="seat.revocation_lost"), PageRequest()
    )
    assert [event.subject for event in events.items] == [device]
    assert customer.organization.seats_in_use == 1


def test_a_customer_may_list_its_seats_in_any_state(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    device = devices(1)[0]
    customer.acquire(device)
    rewind(customer)
    page, _ = provider_database.read_sync(seats.list_of_customer, customer.guid, PageRequest())
    assert [seat.device_guid for seat in page.items] == [device]
