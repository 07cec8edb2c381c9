"""The attach handshake at the provider: who is let in, who is told what, and how it ends."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from provider_service.domain.attachment import Peer
from provider_service.domain.organization import Attachment
from provider_service.domain.registration_key import DEFAULT_LIFETIME
from provider_service.domain.seat import Kind
from provider_service.operations import (
    attachments,
    endings,
    organizations,
    registration_keys,
    restoring,
)
from provider_service.operations.attachments import Attached
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.errors import OffsiteError, PermissionDenied, settled
from service_kit.identity.registration_key import generate
from service_kit.ledger import audit
from service_kit.reasons import Reason
from tests.support.provider import (
    NOW,
    PEER,
    PROVIDER,
    Customer,
    attach,
    create,
    devices,
    edit,
    hosted,
    new_guid,
)


def reason_of(outcome: object) -> Reason:
    assert isinstance(outcome, OffsiteError)
    return outcome.reason


def test_the_right_server_with_the_right_key_is_attached(provider_database: Database) -> None:
    guid = new_guid()
    saved = create(provider_database, hosted(guid))
    answer = settled(attach(provider_database, guid, saved.registration_key))
    assert answer.organization.attachment is Attachment.ATTACHED
    assert answer.organization.peer_addresses == PEER.addresses
    assert answer.epoch == 1


def test_a_repeat_gets_the_same_answer_and_never_an_epoch_raised_since(
    provider_database: Database,
) -> None:
    customer = Customer.attached(provider_database)
    assert customer.epoch == 2
    again = settled(attach(provider_database, customer.guid, customer.key))
    assert again.epoch == 1
    assert customer.organization.epoch == 2


def test_parallel_attaches_with_one_key_give_one_attachment(provider_database: Database) -> None:
    guid = new_guid()
    saved = create(provider_database, hosted(guid))
    with ThreadPoolExecutor(16) as threads:
        answers = list(
            threads.map(
                lambda _: attach(provider_database, guid, saved.registration_key), range(100)
            )
        )
    assert {settled(answer).epoch for answer in answers} == {1}
    events = provider_database.read_sync(
        audit.list_events, audit.AuditFilter(kind="organization.attached"), PageRequest()
    )
    assert len(events.items) == 1


def test_to_a_stranger_there_is_one_text_for_unknown_wrong_and_expired(
    provider_database: Database,
) -> None:
    saved = create(provider_database, hosted(new_guid()))
    stranger = new_guid()
    late = NOW + timedelta(days=31)
    refusals = [
        attach(provider_database, stranger, generate()),
        attach(provider_database, stranger, saved.registration_key),
        attach(provider_database, stranger, saved.registration_key, late),
    ]
    assert all(isinstance(refusal, PermissionDenied) for refusal in refusals)
    assert (
        len({(str(each), each.advice) for each in refusals if isinstance(each, OffsiteError)}) == 1
    )


def test_a_refusal_is_counted_and_shown_at_the_organization_whose_key_it_was(
    provider_database: Database,
) -> None:
    saved = create(provider_database, hosted(new_guid()))
    thief = new_guid()
    for _ in range(3):
        attach(provider_database, thief, saved.registration_key)
    organization = provider_database.read_sync(
        organizations.get, saved.shown.organization.id
    ).organization
    assert (organization.last_refused_guid, organization.last_refused_time) == (thief, NOW)
    events = provider_database.read_sync(
        audit.list_events, audit.AuditFilter(kind="registration_key.refused"), PageRequest()
    )
    assert [(event.subject, event.count) for event in events.items] == [(thief, 3)]


def test_its_own_customer_is_told_exactly(provider_database: Database) -> None:
    guid = new_guid()
    saved = create(provider_database, hosted(guid))
    id, key = saved.shown.organization.id, saved.registration_key
    late = attach(provider_database, guid, key, NOW + timedelta(days=31))
    assert reason_of(late) is Reason.REGISTRATION_KEY_EXPIRED
    provider_database.run_sync(organizations.suspend, id, "unpaid", NOW)
    assert reason_of(attach(provider_database, guid, key)) is Reason.ORGANIZATION_SUSPENDED
    provider_database.run_sync(organizations.resume, id, NOW)
    provider_database.run_sync(registration_keys.rotate, PROVIDER, id, DEFAULT_LIFETIME, NOW)
    assert reason_of(attach(provider_database, guid, key)) is Reason.REGISTRATION_KEY_ROTATED


def test_validating_a_key_changes_nothing(provider_database: Database) -> None:
    guid = new_guid()
    saved = create(provider_database, hosted(guid))
    key = saved.registration_key.replace("-", "")
    admitted = settled(provider_database.run_sync(attachments.validate, PROVIDER, guid, key, NOW))
    assert admitted.organization == saved.shown.organization
    assert (
        provider_database.read_sync(organizations.get, saved.shown.organization.id) == saved.shown
    )


def test_detach_releases_the_seats_and_a_repeat_succeeds(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    for device in devices(2):
        customer.acquire(device)
    released = [
        provider_database.run_sync(endings.detach_customer, customer.guid, NOW) for _ in range(2)
    ]
    assert released == [2, 0]
    assert customer.organization.seats_in_use == 0


def test_a_delayed_duplicate_attach_after_detach_is_refused(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    provider_database.run_sync(endings.detach, customer.organization_id, NOW)
    refusal = attach(provider_database, customer.guid, customer.key)
    assert reason_of(refusal) is Reason.ATTACHMENT_ENDED
    assert customer.organization.attachment is Attachment.DETACHED


def test_a_former_customer_is_told_that_it_has_ended_until_it_attaches_anew(
    provider_database: Database,
) -> None:
    customer = Customer.attached(provider_database)
    device = devices(1)[0]
    customer.acquire(device)
    provider_database.run_sync(endings.detach, customer.organization_id, NOW)
    outcome = customer.send(customer.request(Kind.ACQUIRE, device, 2))[0]
    assert reason_of(outcome) is Reason.ATTACHMENT_ENDED
    rotated = provider_database.run_sync(
        registration_keys.rotate, PROVIDER, customer.organization_id, DEFAULT_LIFETIME, NOW
    )
    answer = settled(attach(provider_database, customer.guid, rotated.registration_key))
    assert answer.epoch == customer.epoch + 1


def test_a_server_that_never_attached_is_told_so(provider_database: Database) -> None:
    outcome = provider_database.run_sync(endings.detach_customer, new_guid(), NOW)
    assert reason_of(outcome) is Reason.NOT_ATTACHED


def test_a_detach_that_comes_before_its_attach_ends_the_key(provider_database: Database) -> None:
    guid = new_guid()
    saved = create(provider_database, hosted(guid))
    outcome = provider_database.run_sync(endings.detach_customer, guid, NOW)
    assert reason_of(outcome) is Reason.NOT_ATTACHED
    late = attach(provider_database, guid, saved.registration_key)
    assert reason_of(late) is Reason.REGISTRATION_KEY_ROTATED


def test_a_deactivated_organization_gets_no_key_and_no_attachment(
    provider_database: Database,
) -> None:
    saved = create(provider_database, replace(hosted(new_guid()), hosted=False))
    id = saved.shown.organization.id
    provider_database.run_sync(endings.deactivate, id, NOW)
    assert edit(provider_database, id, hosted=True).registration_key == ""


def test_another_server_of_the_organization_gets_another_key(provider_database: Database) -> None:
    saved = create(provider_database, hosted(new_guid()))
    other = new_guid()
    edited = edit(provider_database, saved.shown.organization.id, customer_guid=other)
    assert isinstance(attach(provider_database, other, saved.registration_key), OffsiteError)
    settled(attach(provider_database, other, edited.registration_key))


def test_change_guid_cuts_the_old_server_off_and_keeps_the_seats(
    provider_database: Database,
) -> None:
    customer = Customer.attached(provider_database)
    device = devices(1)[0]
    customer.acquire(device)
    guid = new_guid()
    changed = provider_database.run_sync(
        registration_keys.change_customer_guid,
        PROVIDER,
        customer.organization_id,
        guid,
        DEFAULT_LIFETIME,
        NOW,
    )
    outcome = customer.send(customer.request(Kind.ACQUIRE, device, 2))[0]
    assert reason_of(outcome) is Reason.ATTACHMENT_ENDED
    assert (changed.seats, customer.organization.seats_in_use) == (1, 1)
    assert isinstance(attach(provider_database, customer.guid, customer.key), OffsiteError)
    answer = settled(attach(provider_database, guid, changed.registration_key))
    assert answer.epoch > customer.epoch


def contact(
    customer: Customer, *, position: int = 0, seconds: int = 0, peer: Peer = PEER
) -> object:
    return customer.database.run_sync(
        attachments.contact, customer.guid, peer, position, NOW + timedelta(seconds=seconds)
    )


def test_a_contact_is_noted_at_most_once_a_minute(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    contact(customer, seconds=59)
    assert customer.organization.last_contact_time == NOW
    contact(customer, seconds=60)
    assert customer.organization.last_contact_time == NOW + timedelta(seconds=60)
    contact(customer, seconds=61, peer=Peer(("moved:7501",), "0.2.0"))
    assert customer.organization.peer_addresses == ("moved:7501",)


def test_a_position_from_the_future_marks_the_attachment_and_voids_the_key(
    provider_database: Database,
) -> None:
    customer = Customer.attached(provider_database)
    contact(customer, position=5)
    assert customer.organization.attachment is Attachment.REWOUND
    assert isinstance(attach(provider_database, customer.guid, customer.key), OffsiteError)


def test_a_restored_ledger_is_rewound_and_its_keys_are_void(provider_database: Database) -> None:
    attached = Customer.attached(provider_database)
    guid = new_guid()
    unused = create(provider_database, hosted(guid))
    provider_database.run_sync(restoring.mark_restored, NOW)
    assert attached.organization.attachment is Attachment.REWOUND
    assert attached.organization.rewound_confirmed
    assert not isinstance(attach(provider_database, guid, unused.registration_key), Attached)
