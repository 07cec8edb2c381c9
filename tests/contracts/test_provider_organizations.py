"""Hosted organizations: saving, states, registration keys, problems."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from archive_gateway.domain.usage import NOTHING, ArchiveUsage
from provider_service.domain.organization import Attachment, Contact, Problem, Settings, State
from provider_service.domain.organization import problems as problems_of
from provider_service.domain.quota import DiskQuota
from provider_service.domain.registration_key import DEFAULT_LIFETIME, lifetime
from provider_service.domain.saving import Edit
from provider_service.operations import endings, organizations, registration_keys
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, Stale, settled
from service_kit.ledger import audit
from service_kit.ledger import license as master_license
from service_kit.reasons import Reason
from tests.support.provider import (
    LATER,
    NOW,
    PROVIDER,
    Customer,
    attach,
    create,
    devices,
    draft,
    edit,
    hosted,
    new_guid,
)
from tests.support.stored import store


def fields_of(error: InvalidArgument) -> set[str]:
    return {violation.field for violation in error.violations}


def test_hosted_needs_guid_maximum_seats_and_quota() -> None:
    with pytest.raises(InvalidArgument) as caught:
        Settings("Acme", hosted=True)
    assert fields_of(caught.value) == {
        "organization.customer_guid",
        "organization.maximum_seats",
        "organization.disk_quota",
    }


def test_hosted_needs_accepted_terms() -> None:
    with pytest.raises(InvalidArgument) as caught:
        draft(hosted(new_guid()), accept_terms=False)
    assert fields_of(caught.value) == {"accept_terms"}


def test_every_setting_out_of_bounds_is_named() -> None:
    with pytest.raises(InvalidArgument) as caught:
        Settings("", customer_guid="not a guid", maximum_seats=-1, web_restore_user_limit_bytes=-1)
    assert fields_of(caught.value) == {
        "organization.name",
        "organization.customer_guid",
        "organization.maximum_seats",
        "organization.web_restore_user_limit_bytes",
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"delete_delay": timedelta(seconds=-1)}, "delete_delay_seconds"),
        ({"delete_delay": timedelta(days=3650, seconds=1)}, "delete_delay_seconds"),
        ({"retention": timedelta(days=1) - timedelta(seconds=1)}, "retention_seconds"),
        ({"retention": timedelta.max}, "retention_seconds"),
    ],
)
def test_archives_are_kept_for_ten_years_at_most(changes: dict[str, Any], field: str) -> None:
    Settings("Acme", delete_delay=timedelta(0), retention=timedelta(days=1))
    Settings("Acme", delete_delay=timedelta(days=3650), retention=timedelta(days=3650))
    with pytest.raises(InvalidArgument) as caught:
        Settings("Acme", **changes)
    assert fields_of(caught.value) == {f"organization.{field}"}


def test_a_guid_is_accepted_in_any_writing() -> None:
    guid = new_guid()
    assert hosted("{" + guid.upper().replace("-", "") + "}").customer_guid == guid


def test_the_providers_own_guid_is_refused(provider_database: Database) -> None:
    with pytest.raises(InvalidArgument) as caught:
        create(provider_database, hosted(PROVIDER.guid))
    assert fields_of(caught.value) == {"organization.customer_guid"}


def test_a_hosted_organization_gets_a_key_and_a_prepared_one_none(
    provider_database: Database,
) -> None:
    assert create(provider_database, hosted(new_guid())).registration_key
    prepared = create(provider_database, Settings("Prepared"))
    assert (prepared.registration_key, prepared.shown.key) == ("", None)
    saved = edit(
        provider_database,
        prepared.shown.organization.id,
        **{**vars(hosted(new_guid())), "name": "Prepared"},
    )
    assert saved.registration_key
    assert saved.shown.organization.terms is not None


def test_a_repeated_create_answers_the_organization_without_its_key(
    provider_database: Database,
) -> None:
    asked = draft(hosted(new_guid()))
    first = provider_database.run_sync(organizations.create, PROVIDER, asked, NOW)
    again = provider_database.run_sync(organizations.create, PROVIDER, asked, NOW)
    assert again.shown == first.shown
    assert (bool(first.registration_key), again.registration_key) == (True, "")


def test_a_repeated_create_with_other_content_already_exists(provider_database: Database) -> None:
    asked = draft(hosted(new_guid()))
    provider_database.run_sync(organizations.create, PROVIDER, asked, NOW)
    other = replace(asked, settings=replace(asked.settings, maximum_seats=99))
    with pytest.raises(AlreadyExists):
        provider_database.run_sync(organizations.create, PROVIDER, other, NOW)


def test_names_are_unique_in_any_case_among_those_in_force(provider_database: Database) -> None:
    first = create(provider_database, Settings("Straße"))
    with pytest.raises(AlreadyExists):
        create(provider_database, Settings("STRASSE"))
    provider_database.run_sync(endings.deactivate, first.shown.organization.id, NOW)
    create(provider_database, Settings("STRASSE"))


def test_a_customer_guid_is_unique_among_those_in_force(provider_database: Database) -> None:
    guid = new_guid()
    first = create(provider_database, hosted(guid))
    with pytest.raises(AlreadyExists) as caught:
        create(provider_database, hosted(guid))
    assert caught.value.reason is Reason.GUID_IN_USE
    provider_database.run_sync(endings.deactivate, first.shown.organization.id, NOW)
    create(provider_database, hosted(guid))
    with pytest.raises(AlreadyExists):
        provider_database.run_sync(
            endings.reactivate, PROVIDER, first.shown.organization.id, DEFAULT_LIFETIME, NOW
        )


def test_an_old_etag_changes_nothing(provider_database: Database) -> None:
    id = create(provider_database, Settings("Acme")).shown.organization.id
    etag = provider_database.read_sync(organizations.get, id).organization.etag
    edit(provider_database, id, contact=Contact(note="first"))
    late = Edit(id, lambda before: replace(before, name="late"), etag, False, DEFAULT_LIFETIME)
    with pytest.raises(Stale):
        provider_database.run_sync(organizations.update, PROVIDER, late, NOW)


def test_the_ground_of_an_attachment_can_not_be_edited(provider_database: Database) -> None:
    customer = Customer.attached(provider_database)
    for changes in ({"customer_guid": new_guid()}, {"hosted": False}):
        with pytest.raises(Conflict):
            edit(provider_database, customer.organization_id, **changes)


def test_no_longer_hosted_ends_the_key(provider_database: Database) -> None:
    saved = create(provider_database, hosted(new_guid()))
    after = edit(provider_database, saved.shown.organization.id, hosted=False)
    assert after.shown.key is None


def test_seats_above_the_license_and_limits_below_the_use_are_warned_of(
    provider_database: Database,
) -> None:
    assert "license has 25" in create(provider_database, hosted(new_guid(), seats=26)).warnings[0]
    customer = Customer.attached(provider_database)
    for device in devices(2):
        customer.acquire(device)
    lowered = edit(provider_database, customer.organization_id, maximum_seats=1)
    assert "2 of 1 seats are in use" in lowered.warnings[0]
    assert customer.organization.seats_in_use == 2
    store(provider_database, customer.organization_id, devices(1)[0], stored=2000)
    shrunk = edit(provider_database, customer.organization_id, disk_quota=DiskQuota(1999))
    assert "2 kB of 1.99 kB are stored" in shrunk.warnings[1]


def test_what_an_archive_holds_is_shown_with_its_organization(provider_database: Database) -> None:
    customer, other = Customer.attached(provider_database), Customer.attached(provider_database)
    first, second = devices(2)
    for device in (first, second):
        store(provider_database, customer.organization_id, device, stored=50, kept=1)
    store(provider_database, customer.organization_id, first, backup_time=NOW)
    found = provider_database.read_sync(organizations.get, customer.organization_id).usage
    assert found == ArchiveUsage(100, 0, 2, 100, 0, NOW)
    assert provider_database.read_sync(organizations.get, other.organization_id).usage == NOTHING
    page = provider_database.read_sync(
        organizations.list_page,
        PageRequest(),
        name="",
        problems=False,
        deactivated=False,
        now=NOW,
    )
    listed = {each.organization.id: each.usage for each in page.items}
    assert listed == {customer.organization_id: found, other.organization_id: NOTHING}


def test_suspend_and_resume_are_idempotent(provider_database: Database) -> None:
    id = create(provider_database, hosted(new_guid())).shown.organization.id
    for _ in range(2):
        shown = provider_database.run_sync(organizations.suspend, id, "unpaid", NOW)
        assert shown.organization.state is State.SUSPENDED
    for _ in range(2):
        shown = provider_database.run_sync(organizations.resume, id, NOW)
        assert shown.organization.suspend_reason == ""


def test_deactivate_releases_the_seats_and_reactivate_makes_a_new_key(
    provider_database: Database,
) -> None:
    customer = Customer.attached(provider_database)
    customer.acquire(devices(1)[0])
    previewed = provider_database.preview_sync(endings.deactivate, customer.organization_id, NOW)
    assert customer.organization.state is State.ACTIVE
    ended = provider_database.run_sync(endings.deactivate, customer.organization_id, NOW)
    assert previewed.seats == ended.seats == 1
    assert ended.shown.organization.attachment is Attachment.DETACHED
    assert provider_database.read_sync(master_license.get).seats_in_use == 0
    again = provider_database.run_sync(endings.deactivate, customer.organization_id, NOW)
    assert again.seats == 0
    saved = provider_database.run_sync(
        endings.reactivate, PROVIDER, customer.organization_id, DEFAULT_LIFETIME, NOW
    )
    assert saved.registration_key
    assert not provider_database.run_sync(
        endings.reactivate, PROVIDER, customer.organization_id, DEFAULT_LIFETIME, NOW
    ).registration_key


def test_rotation_ends_the_old_key_at_once(provider_database: Database) -> None:
    guid = new_guid()
    saved = create(provider_database, hosted(guid))
    id = saved.shown.organization.id
    rotated = provider_database.run_sync(
        registration_keys.rotate, PROVIDER, id, DEFAULT_LIFETIME, NOW
    )
    refusal = attach(provider_database, guid, saved.registration_key)
    assert isinstance(refusal, Conflict)
    assert refusal.reason is Reason.REGISTRATION_KEY_ROTATED
    settled(attach(provider_database, guid, rotated.registration_key))


def test_a_prepared_or_deactivated_organization_has_no_key_to_rotate(
    provider_database: Database,
) -> None:
    id = create(provider_database, Settings("Prepared")).shown.organization.id
    with pytest.raises(Conflict):
        provider_database.run_sync(registration_keys.rotate, PROVIDER, id, DEFAULT_LIFETIME, NOW)


def test_keys_and_their_hashes_are_not_stored_in_the_clear(provider_database: Database) -> None:
    saved = create(provider_database, hosted(new_guid()))
    record = saved.shown.key
    assert record is not None
    plain = saved.registration_key.replace("-", "")
    assert plain not in record.key_hash.upper()
    assert record.id.upper() not in plain


@pytest.mark.parametrize("seconds", [-1, 365 * 86400 + 1])
def test_a_key_lives_a_year_at_most(seconds: int) -> None:
    with pytest.raises(InvalidArgument):
        lifetime(seconds)


def test_an_unknown_organization_is_not_found(provider_database: Database) -> None:
    with pytest.raises(NotFound):
        provider_database.read_sync(organizations.get, "0b8f4d52-7d3f-4c3b-9a53-0d1f6a1c2e11")


def list_all(database: Database, *, problems: bool, now: object = LATER) -> set[str]:
    page = database.read_sync(
        organizations.list_page,
        PageRequest(),
        name="",
        problems=problems,
        deactivated=False,
        now=now,  # type: ignore[arg-type]
    )
    return {shown.organization.id for shown in page.items}


def test_the_problems_filter_agrees_with_the_problems_shown(provider_database: Database) -> None:
    fine = create(provider_database, Settings("Prepared")).shown.organization.id
    quiet = Customer.attached(provider_database).organization_id
    unused = create(provider_database, hosted(new_guid())).shown.organization.id
    crowded = Customer.attached(provider_database)
    for device in devices(2):
        crowded.acquire(device)
    edit(provider_database, crowded.organization_id, maximum_seats=1)
    full = create(provider_database, Settings("Full", disk_quota=DiskQuota(10)))
    over = create(provider_database, Settings("Over", disk_quota=DiskQuota(10)))
    unlimited = create(provider_database, Settings("Unlimited", disk_quota=DiskQuota(None)))
    for saved, stored in ((full, 10), (over, 11), (unlimited, 10**15)):
        store(provider_database, saved.shown.organization.id, devices(1)[0], stored=stored)
    later = NOW + timedelta(days=40)
    found = list_all(provider_database, problems=True, now=later)
    assert found == {quiet, unused, crowded.organization_id, over.shown.organization.id}
    assert fine in list_all(provider_database, problems=False, now=later)
    expected = {
        fine: [],
        quiet: [Problem.NOT_HEARD_OF],
        unused: [Problem.KEY_EXPIRED],
        crowded.organization_id: [Problem.OVER_SEATS],
        full.shown.organization.id: [],
        over.shown.organization.id: [Problem.OVER_QUOTA],
        unlimited.shown.organization.id: [],
    }
    for id, wanted in expected.items():
        shown = provider_database.read_sync(organizations.get, id)
        expire_time = shown.key.expire_time if shown.key else None
        moment = LATER if id != unused else later
        stored = shown.usage.stored_bytes
        found_here = problems_of(shown.organization, expire_time, stored, moment)
        assert [each for each in found_here if each is not Problem.NOT_HEARD_OF or id == quiet] == (
            wanted
        )


def test_lists_page_by_id_and_find_names_in_any_case(provider_database: Database) -> None:
    made = sorted(
        create(provider_database, Settings(f"Org {i}")).shown.organization.id for i in range(5)
    )
    found: list[str] = []
    token = ""
    while True:
        page = provider_database.read_sync(
            organizations.list_page,
            PageRequest(2, token),
            name="",
            problems=False,
            deactivated=False,
            now=NOW,
        )
        found += [shown.organization.id for shown in page.items]
        token = page.next_page_token
        if not token:
            break
    assert found == made
    one = provider_database.read_sync(
        organizations.list_page,
        PageRequest(),
        name="ORG 3",
        problems=False,
        deactivated=False,
        now=NOW,
    )
    assert [shown.organization.settings.name for shown in one.items] == ["Org 3"]


def test_the_audit_tells_who_did_what_and_never_a_key(provider_database: Database) -> None:
    saved = create(provider_database, hosted(new_guid()))
    page = provider_database.read_sync(audit.list_events, audit.AuditFilter(), PageRequest())
    assert [event.kind for event in page.items] == [
        "organization.created",
        "registration_key.issued",
    ]
    assert all(saved.registration_key not in str(event) for event in page.items)
