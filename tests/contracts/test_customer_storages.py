"""The customer's own server, and providers attached to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from archive_gateway.domain.usage import ArchiveUsage
from archive_gateway.domain.warnings import UsageWarning
from customer_service.domain.provider import ProviderSeat
from customer_service.domain.seat import SeatState
from customer_service.domain.storage import StorageState, StorageUsage, parse_hostname
from customer_service.operations import (
    adopt,
    attach,
    contacts,
    detach,
    outcomes,
    reconcile,
    storages,
)
from customer_service.operations.organizations import Impact
from customer_service.operations.seats import Released
from customer_service.store import storages as rows
from service_kit.clock import now
from service_kit.database.paging import PageRequest
from service_kit.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, Unavailable
from service_kit.reasons import Reason
from tests.support.customer import KEY, Customer, new_id, new_storage, server_guid

REFUSED = Conflict(Reason.REGISTRATION_KEY_REFUSED, "No valid key.", "Compare the key.")
SILENT = Unavailable(Reason.PEER_UNREACHABLE, "Nobody answers.", "Wait.")
LEASE = timedelta(seconds=60)


def names(customer: Customer, name: str = "", show_detached: bool = False) -> set[str]:
    found = customer.read(storages.list_page, PageRequest(), name, show_detached)
    return {each.storage.name for each in found.items}


def begin(customer: Customer, name: str = "Offsite", provider_guid: str = "") -> str:
    storage = new_storage(new_id(), name, provider_guid).attaching(KEY, now())
    customer.run(attach.begin, storage, now())
    return storage.id


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" provider.test ", "provider.test:7401"),
        ("provider.test:1", "provider.test:1"),
        ("[::1]", "[::1]:7401"),
        ("[::1]:9", "[::1]:9"),
    ],
)
def test_what_is_typed_is_kept_in_one_form(typed: str, kept: str) -> None:
    guid = server_guid()
    storage = new_storage(new_id().upper(), " Offsite ", f" {{{guid.upper()}}} ")
    assert (storage.id, storage.name) == (storage.id.lower(), "Offsite")
    assert storage.provider_guid == guid
    assert replace(storage, hostname=typed).hostname == kept == parse_hostname("hostname", typed)


@pytest.mark.parametrize("bad", ["", ":1", "a:0", "a:65536", "a:b", "::1", "a b:1", "http://a"])
def test_a_hostname_is_a_host_and_a_port(bad: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_hostname("hostname", bad)


def test_every_bad_field_is_named_at_once() -> None:
    storage = new_storage(new_id(), "Offsite")
    with pytest.raises(InvalidArgument) as refused:
        replace(storage, name="", hostname="a:b", provider_guid="no")
    fields = {each.field for each in refused.value.violations}
    assert fields == {"name", "hostname", "provider_guid"}


def test_the_first_storage_is_the_own_server_and_is_offered(customer: Customer) -> None:
    customer.run(storages.ensure_local, new_id(), now())
    assert names(customer) == {"Local"}
    assert customer.offered(customer.user()) == [customer.local]


def test_a_name_and_a_provider_are_attached_once(customer: Customer) -> None:
    first = customer.attach("Offsite")
    with pytest.raises(AlreadyExists):
        begin(customer, "OFFSITE")
    with pytest.raises(AlreadyExists):
        begin(customer, "Other", customer.storage(first).provider_guid)
    customer.run(detach.begin, first, now(), force=True)
    begin(customer, "offsite", customer.storage(first).provider_guid)
    assert names(customer) == {"Local", "offsite"}
    assert names(customer, show_detached=True) == {"Local", "offsite", "Offsite"}
    assert names(customer, "OFFsite") == {"offsite"}


def test_the_key_is_forgotten_with_the_answer(customer: Customer) -> None:
    storage_id = begin(customer)
    assert customer.storage(storage_id).sealed_key == KEY
    customer.run(attach.refused, storage_id, b"another key", REFUSED, now())
    assert customer.storage(storage_id).state is StorageState.ATTACHING
    customer.run(attach.refused, storage_id, KEY, REFUSED, now())
    storage = customer.storage(storage_id)
    assert (storage.state, storage.sealed_key) == (StorageState.REFUSED, None)
    assert (storage.reason, storage.advice) == ("No valid key.", "Compare the key.")


def test_an_attach_without_an_answer_goes_on_by_itself(customer: Customer) -> None:
    storage_id = begin(customer)
    sent = customer.storage(storage_id)
    assert [each.id for each in customer.run(rows.claim_due, now(), LEASE)] == [storage_id]
    assert customer.run(rows.claim_due, now(), LEASE) == []
    later = customer.run(outcomes.later, sent, SILENT, now())
    assert (later.state, later.attempts, later.reason) == (
        StorageState.ATTACHING,
        1,
        "Nobody answers.",
    )
    customer.run(attach.refused, storage_id, KEY, REFUSED, now())
    assert customer.run(outcomes.later, sent, SILENT, now()).state is StorageState.REFUSED


def test_what_is_shown_counts_holding_and_waiting_devices(customer: Customer) -> None:
    offsite = customer.attach()
    customer.hold(customer.device(), offsite)
    customer.use(customer.device(), offsite)
    view = customer.read(storages.get, offsite)
    assert (view.devices_holding, view.devices_waiting, view.unclaimed_seats) == (1, 1, 0)


def test_the_label_is_edited_and_unique(customer: Customer) -> None:
    offsite = customer.attach()
    customer.attach("Other")
    view = customer.run(storages.edit, offsite, " Off ", None, now())
    assert view.storage.name == "Off"
    with pytest.raises(AlreadyExists):
        customer.run(storages.edit, offsite, "other", None, now())
    with pytest.raises(NotFound):
        customer.run(storages.edit, new_id(), "x", None, now())


def test_a_detach_is_told_until_the_provider_answers(customer: Customer) -> None:
    offsite = customer.attach()
    device, other = customer.device(), customer.device()
    customer.hold(device, offsite)
    customer.use(other, customer.local)
    customer.use(other, offsite)
    preview = customer.database.preview_sync(detach.begin, offsite, now(), force=False)
    impact = customer.run(detach.begin, offsite, now(), force=False)
    assert impact == preview == Impact(users=2, released=Released(2, 1, 2))
    assert customer.storage(offsite).state is StorageState.DETACHING
    assert customer.state(device, offsite) is SeatState.NONE
    assert customer.seats_in_use() == 1
    assert offsite not in customer.offered(customer.user())
    assert [each.id for each in customer.run(rows.claim_due, now(), LEASE)] == [offsite]
    assert customer.run(detach.finish, offsite, now()).state is StorageState.DETACHED
    assert customer.run(detach.begin, offsite, now(), force=False) == Impact()


def test_a_forced_detach_forgets_at_once(customer: Customer) -> None:
    offsite = customer.attach()
    customer.run(detach.begin, offsite, now(), force=True)
    assert customer.storage(offsite).state is StorageState.DETACHED
    assert customer.run(rows.claim_due, now(), LEASE) == []


def test_a_detach_while_attaching_forgets_the_key(customer: Customer) -> None:
    storage_id = begin(customer)
    customer.run(detach.begin, storage_id, now(), force=False)
    storage = customer.storage(storage_id)
    assert (storage.state, storage.sealed_key) == (StorageState.DETACHING, None)


def test_the_own_server_is_never_detached(customer: Customer) -> None:
    for force in (False, True):
        with pytest.raises(Conflict):
            customer.run(detach.begin, customer.local, now(), force=force)


def test_attached_again_after_a_detach_generations_go_on(customer: Customer) -> None:
    offsite = customer.attach()
    device = customer.device()
    customer.hold(device, offsite)
    customer.run(detach.begin, offsite, now(), force=False)
    customer.run(detach.finish, offsite, now())
    assert not customer.storage(offsite).epoch
    customer.attach(storage_id=offsite)
    assert customer.offered(customer.user()) == [customer.local, offsite]
    customer.set_defaults([customer.local, offsite])
    seat = customer.use(device, offsite)
    assert (seat.generation, seat.acknowledged) == (3, 0)
    assert customer.seats_in_use() == 1


def test_what_the_provider_ended_stays_offered_and_is_attached_again(customer: Customer) -> None:
    offsite = customer.attach()
    user = customer.user()
    ended = Conflict(Reason.ATTACHMENT_ENDED, "Ended.", "Ask for a new key.")
    customer.run(outcomes.attachment_refused, customer.storage(offsite), ended, now())
    assert customer.storage(offsite).advice == "Ask for a new key."
    customer.set_defaults([customer.local], apply=False)
    customer.attach(storage_id=offsite)
    assert customer.offered(user) == [customer.local, offsite]
    assert customer.offered(customer.user()) == [customer.local]  # as the operator left it


def test_a_detach_after_the_providers_end_withdraws_it(customer: Customer) -> None:
    offsite = customer.attach()
    user = customer.user()
    ended = Conflict(Reason.ATTACHMENT_ENDED, "Ended.", "")
    customer.run(outcomes.attachment_refused, customer.storage(offsite), ended, now())
    assert customer.run(detach.begin, offsite, now(), force=False) == Impact(users=1)
    assert customer.storage(offsite).state is StorageState.DETACHED
    assert customer.offered(user) == [customer.local]


@pytest.mark.parametrize("state", [StorageState.ATTACHED, StorageState.SUSPENDED])
def test_what_serves_is_not_attached_again_unless_its_provider_changed(
    customer: Customer, state: StorageState
) -> None:
    offsite = customer.attach()
    customer.save(customer.storage(offsite).now(state))
    with pytest.raises(Conflict):
        customer.run(attach.begin_again, offsite, KEY, now())
    with pytest.raises(Conflict):
        customer.run(attach.begin_again, customer.local, KEY, now(), server_guid())
    guid = server_guid()
    customer.run(attach.begin_again, offsite, KEY, now(), guid, "new.test")
    storage = customer.storage(offsite)
    assert (storage.state, storage.provider_guid) == (StorageState.ATTACHING, guid)
    assert storage.addresses == ("new.test:7401",)


def test_the_end_of_an_attachment_leaves_nothing_to_adopt(customer: Customer) -> None:
    offsite = customer.attach()
    stranger = ProviderSeat(new_id(), "laptop", 1, live=True, revoked=False)
    customer.run(reconcile.repair, customer.storage(offsite), [stranger], now())
    assert customer.read(storages.get, offsite).unclaimed_seats == 1
    customer.run(detach.begin, offsite, now(), force=True)
    assert customer.run(adopt.adopt, offsite, customer.user(), [], now()) == 0


USAGE = StorageUsage(
    ArchiveUsage(900, 5, 7, 1000, 20, datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)),
    (UsageWarning("disk quota", 90, "900 B of 1 kB are stored: 90 per cent are reached."),),
)


def test_what_a_provider_says_of_an_archive_is_kept_as_it_was_said(customer: Customer) -> None:
    offsite = customer.storage(customer.attach())
    assert offsite.usage is None
    for said in (USAGE, StorageUsage(ArchiveUsage()), USAGE):
        customer.run(contacts.keep_usage, offsite, said)
        assert customer.storage(offsite.id).usage == said
    customer.run(detach.begin, offsite.id, now(), force=True)
    assert customer.storage(offsite.id).usage == USAGE


def test_an_answer_of_an_attachment_that_has_ended_is_not_kept(customer: Customer) -> None:
    asked = customer.storage(customer.attach())
    customer.run(contacts.keep_usage, asked, USAGE)
    customer.save(customer.storage(asked.id).ended(None))
    customer.run(contacts.keep_usage, asked, StorageUsage(ArchiveUsage(1)))
    assert customer.storage(asked.id).usage == USAGE
    customer.attach(storage_id=asked.id)
    assert customer.storage(asked.id).epoch > asked.epoch
    customer.run(contacts.keep_usage, asked, USAGE)
    assert customer.storage(asked.id).usage is None
