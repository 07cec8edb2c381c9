"""Grants: someone may read one device's archive for a while."""

import uuid
from datetime import timedelta

import pytest

from archive_gateway.credentials import grant_credential, grant_id_of, storage_credential
from archive_gateway.domain.names import ArchiveId
from archive_gateway.operations import grants
from archive_gateway.store import grants as store
from archive_gateway.store.grants import Grant
from service_kit.database.paging import PageRequest
from service_kit.errors import InvalidArgument, NotFound
from service_kit.identity.identity import Identity
from service_kit.ledger import audit
from service_kit.ledger.actor import actor
from service_kit.ledger.audit import AuditFilter
from tests.support.archive_ledger import DAY, SECOND, ArchiveLedger


def give(ledger: ArchiveLedger, life: timedelta = DAY) -> Grant:
    return ledger.run(grants.create, ledger.company, ledger.archive, life, ledger.later())


def in_force(ledger: ArchiveLedger, grant: Grant) -> bool:
    return ledger.read(store.find, grant.id, ledger.time) is not None


def listed(ledger: ArchiveLedger) -> list[str]:
    page = PageRequest(2, "")
    found: list[str] = []
    while True:
        answer = ledger.read(grants.list_page, ledger.company, ledger.account_id, page, ledger.time)
        found += [each.id for each in answer.items]
        if not answer.next_page_token:
            return found
        page = PageRequest(2, answer.next_page_token)


def test_a_grant_ends_by_itself(archive_ledger: ArchiveLedger) -> None:
    grant = give(archive_ledger)
    archive_ledger.later(DAY - SECOND)
    assert in_force(archive_ledger, grant)
    assert listed(archive_ledger) == [grant.id]
    archive_ledger.later()
    assert not in_force(archive_ledger, grant)
    assert listed(archive_ledger) == []


def test_a_grant_can_be_revoked_once(archive_ledger: ArchiveLedger) -> None:
    grant, other = give(archive_ledger), give(archive_ledger)
    archive_ledger.run(grants.revoke, grant.id, archive_ledger.later())
    assert not in_force(archive_ledger, grant)
    assert in_force(archive_ledger, other)
    with pytest.raises(NotFound):
        archive_ledger.run(grants.revoke, grant.id, archive_ledger.later())
    with pytest.raises(NotFound):
        archive_ledger.run(grants.revoke, str(uuid.uuid4()), archive_ledger.later())


def test_it_needs_no_seat_but_a_device_that_is_known(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.generations[archive_ledger.device_guid] = None
    assert in_force(archive_ledger, give(archive_ledger))
    for account, device in (
        (archive_ledger.account_id, str(uuid.uuid4())),
        (str(uuid.uuid4()), str(uuid.uuid4())),
    ):
        with pytest.raises(NotFound):
            archive_ledger.run(
                *(grants.create, archive_ledger.company, ArchiveId(account, device)),
                *(DAY, archive_ledger.time),
            )


def test_lists_have_pages(archive_ledger: ArchiveLedger) -> None:
    given = [give(archive_ledger).id for _ in range(5)]
    assert listed(archive_ledger) == sorted(given)


def test_it_is_in_the_audit_trail_with_who_gave_it(archive_ledger: ArchiveLedger) -> None:
    actor.set("operator:eve")
    grant = give(archive_ledger)
    archive_ledger.run(grants.revoke, grant.id, archive_ledger.later())
    page = archive_ledger.read(audit.list_events, AuditFilter(), PageRequest())
    assert [each.kind for each in page.items] == ["archive.granted", "archive.grant_revoked"]
    assert {each.actor for each in page.items} == {grant.creator} == {"operator:eve"}
    assert all(grant.id in each.detail for each in page.items)


def test_a_lifetime_is_a_day_unless_told_and_thirty_at_most() -> None:
    assert grants.lifetime("seconds", 0) == DAY
    assert grants.lifetime("seconds", 60) == timedelta(minutes=1)
    assert grants.lifetime("seconds", 30 * 86400) == 30 * DAY
    for wrong in (-1, 30 * 86400 + 1):
        with pytest.raises(InvalidArgument):
            grants.lifetime("seconds", wrong)


def test_credentials_are_of_one_archive_seat_or_grant_and_the_same_each_time() -> None:
    identity, other = Identity.create(), Identity.create()
    mine, theirs = (ArchiveId(str(uuid.uuid4()), str(uuid.uuid4())) for _ in range(2))
    swapped = ArchiveId(mine.device_guid, mine.account_id)
    one, two = str(uuid.uuid4()), str(uuid.uuid4())
    found = [
        *(storage_credential(each, mine, 1) for each in (identity, other)),
        *(storage_credential(identity, each, 1) for each in (theirs, swapped)),
        storage_credential(identity, mine, 2),
        *(grant_credential(identity, mine, each) for each in (one, two)),
        *(grant_credential(each, mine, one) for each in (other,)),
        grant_credential(identity, theirs, one),
    ]
    assert len(set(found)) == len(found)
    assert storage_credential(identity, mine, 1) == found[0]
    assert [grant_id_of(each) for each in found[5:7]] == [one, two]
    assert grant_id_of(found[0]) is None
