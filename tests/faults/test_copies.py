"""Copies of a server, old backups, lost servers, new identities: nothing is undone in silence."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from offsite.customer.v1 import device_service_pb2 as device_pb
from offsite.customer.v1 import storage_service_pb2 as storage_pb
from offsite.provider.v1 import organization_service_pb2 as organization_pb
from offsite.provider.v1 import seat_service_pb2 as seat_pb

import customer_service.app
import provider_service.app
from service_kit.identity.identity import Identity
from tests.support.audit import events
from tests.support.ledgers import Ledgers
from tests.support.pair import Pair
from tests.support.sites import Site, Sites, attached_sites
from tests.support.waiting import eventually

ATTACHED = storage_pb.STORAGE_STATE_ATTACHED
CONFLICT = storage_pb.STORAGE_STATE_CONFLICT
REWOUND = storage_pb.STORAGE_STATE_REWOUND


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[Sites]:
    async with attached_sites(tmp_path) as both:
        yield both


async def _holding(pair: Pair, *names: str) -> list[device_pb.Device]:
    devices = [await pair.device(name) for name in names]
    for device in devices:
        assert (await pair.use(device)).destination.state == pair.HELD
    return devices


async def _equal(sites: Sites, customer: Site | None = None) -> Ledgers:
    """Both ledgers, once they are compared and equal."""
    pair = sites.seen_from(customer or sites.customer)

    async def read() -> Ledgers:
        await pair.go_on()
        return await asyncio.to_thread(sites.ledgers, customer)

    def good(ledgers: Ledgers) -> bool:
        ours = ledgers.customer
        return ours.state == "attached" and ours.compared and ledgers.equal

    ledgers = await eventually(read, good)
    ledgers.check_settled()
    return ledgers


async def _found_out(pair: Pair, state: storage_pb.StorageState.ValueType) -> storage_pb.Storage:
    """Wait until a contact has brought the storage into a state."""

    async def look() -> storage_pb.Storage:
        await pair.go_on()
        return await pair.storage()

    return await eventually(look, lambda storage: storage.state == state)


async def _take_over(pair: Pair) -> storage_pb.TakeOverStorageResponse:
    request = storage_pb.TakeOverStorageRequest(storage_id=pair.storage_id)
    return await pair.storages.TakeOverStorage(request)


# --- two copies of a customer's server


async def test_a_clone_is_found_out_and_an_operator_decides(sites: Sites, tmp_path: Path) -> None:
    original = sites.pair
    await _holding(original, "laptop-1")
    clone = sites.customer.copy_to(tmp_path / "clone")
    await clone.start()
    try:
        twin = sites.seen_from(clone)
        await _equal(sites, clone)  # the first to begin a session has it
        device = await original.device("laptop-2")
        waits = await original.use(device)
        assert waits.destination.state == original.ACQUIRING
        assert await original.customer_seats() == 2  # local backups go on
        await original.until(CONFLICT)
        await _found_out(twin, CONFLICT)
        assert (await original.organization()).attachment_state == (
            organization_pb.ATTACHMENT_STATE_CONFLICT
        )
        await _take_over(original)
        ledgers = await _equal(sites)
        assert device.id in ledgers.provider.live
        storage = await _found_out(twin, CONFLICT)
        assert storage.advice
        waits = await twin.use(await twin.device("laptop-3"))
        assert waits.destination.state == twin.ACQUIRING
    finally:
        await clone.stop()


async def test_neither_copy_undoes_what_the_other_has_done(sites: Sites, tmp_path: Path) -> None:
    original = sites.pair
    (kept,) = await _holding(original, "laptop-1")
    clone = sites.customer.copy_to(tmp_path / "clone")
    await original.stop(kept)
    await original.settled()
    await clone.start()
    try:
        twin = sites.seen_from(clone)
        storage = await _found_out(twin, CONFLICT)  # a newer generation there shows the copy
        assert storage.devices_holding == 1
        assert await original.provider_seats() == 0
    finally:
        await clone.stop()


# --- an old backup of a customer's server


async def test_a_customer_restored_from_an_old_backup_waits_for_a_takeover(
    sites: Sites, tmp_path: Path
) -> None:
    (first,) = await _holding(sites.pair, "laptop-1")
    file = tmp_path / "customer.backup"
    await asyncio.to_thread(customer_service.app.backup, sites.customer.settings, file)
    (second,) = await _holding(sites.pair, "laptop-2")
    await sites.pair.stop(first)
    await sites.pair.settled()
    await sites.customer.stop()
    customer_service.app.restore(sites.customer.settings, file, True)
    await sites.restart(sites.customer)
    await _found_out(sites.pair, CONFLICT)
    shown = await sites.pair.storages.TakeOverStorage(
        storage_pb.TakeOverStorageRequest(storage_id=sites.pair.storage_id, validate_only=True)
    )
    assert {each.device_guid for each in shown.differences} == {first.id, second.id}
    await _take_over(sites.pair)

    async def look() -> Ledgers:
        await sites.pair.go_on()
        return await asyncio.to_thread(sites.ledgers)

    ledgers = await eventually(
        look, lambda each: each.customer.state == "attached" and not each.customer.waiting
    )
    ledgers.check_settled()
    assert first.id not in ledgers.provider.live  # nothing released comes back
    assert ledgers.customer.unclaimed == {second.id}  # nothing taken is lost


async def test_a_lost_customer_server_adopts_its_seats(sites: Sites, tmp_path: Path) -> None:
    lost = await _holding(sites.pair, "laptop-1", "laptop-2")
    await sites.customer.stop()
    settings = replace(
        sites.customer.settings,
        data=tmp_path / "new",
        database=f"sqlite:///{tmp_path}/new/ledger.db",
        identity=tmp_path / "new" / "identity.pem",
        archive=str(tmp_path / "new" / "archive"),
    )
    new = Site(sites.customer.build, settings)
    await new.start()
    try:
        pair = sites.seen_from(new)
        changed = await pair.organizations.ChangeCustomerGuid(
            organization_pb.ChangeCustomerGuidRequest(
                organization_id=pair.organization_id, customer_guid=new.running.guid
            )
        )
        pair.key = changed.registration_key
        storage = (await pair.storages.AttachStorage(pair.attach_request())).storage
        assert storage.unclaimed_seats == 2
        assert await pair.provider_seats() == 2
        user = await pair.user()
        adopted = await pair.storages.AdoptSeats(
            storage_pb.AdoptSeatsRequest(storage_id=pair.storage_id, user_id=user.id)
        )
        assert adopted.devices_adopted == 2
        ledgers = await _equal(Sites(sites.provider, new, pair), new)
        assert set(ledgers.customer.held) == {each.id for each in lost}
        assert await pair.customer_seats() == 2
    finally:
        await new.stop()


# --- an old backup of a provider's server


async def _restored_provider(sites: Sites, tmp_path: Path) -> tuple[device_pb.Device, ...]:
    """A provider's backup with one seat; then one more is taken, and the first given back."""
    (first,) = await _holding(sites.pair, "laptop-1")
    file = tmp_path / "provider.backup"
    await asyncio.to_thread(provider_service.app.backup, sites.provider.settings, file)
    (second,) = await _holding(sites.pair, "laptop-2")
    await sites.pair.stop(first)
    await sites.pair.settled()
    await sites.provider.stop()
    provider_service.app.restore(sites.provider.settings, file, True)
    return first, second


async def test_a_restored_provider_gets_the_customers_set(sites: Sites, tmp_path: Path) -> None:
    first, second = await _restored_provider(sites, tmp_path)
    await sites.restart(sites.provider)
    ledgers = await _equal(sites)
    assert set(ledgers.provider.live) == {second.id}
    assert ledgers.provider.attachment == "attached"
    assert first.id in ledgers.provider.generations


async def test_a_provider_put_back_in_silence_waits_for_its_operator(
    sites: Sites, tmp_path: Path
) -> None:
    (first,) = await _holding(sites.pair, "laptop-1")
    earlier = sites.provider.copy_to(tmp_path / "earlier")
    (second,) = await _holding(sites.pair, "laptop-2")
    await sites.provider.stop()
    sites.provider.go_back_to(earlier)
    await sites.restart(sites.provider)
    await _found_out(sites.pair, REWOUND)
    third = await sites.pair.device("laptop-3")
    waits = await sites.pair.use(third)
    assert waits.destination.state == sites.pair.ACQUIRING
    await sites.pair.organizations.ConfirmRewound(
        organization_pb.ConfirmRewoundRequest(organization_id=sites.pair.organization_id)
    )
    ledgers = await _equal(sites)
    assert set(ledgers.provider.live) == {first.id, second.id, third.id}


async def test_held_seats_come_back_above_the_limits(tmp_path: Path) -> None:
    async with attached_sites(tmp_path, seats=2) as sites:
        (first,) = await _holding(sites.pair, "laptop-1")
        earlier = sites.provider.copy_to(tmp_path / "earlier")
        (second,) = await _holding(sites.pair, "laptop-2")
        await sites.provider.stop()
        sites.provider.go_back_to(earlier)
        await sites.restart(sites.provider)
        await sites.pair.provider_may_use(1)
        await _found_out(sites.pair, REWOUND)
        await sites.pair.organizations.ConfirmRewound(
            organization_pb.ConfirmRewoundRequest(organization_id=sites.pair.organization_id)
        )
        ledgers = await _equal(sites)
        assert set(ledgers.provider.live) == {first.id, second.id}
        ledgers.check_always(over=True)


async def test_a_revocation_that_a_restore_lost_is_listed(sites: Sites, tmp_path: Path) -> None:
    first, second = await _holding(sites.pair, "laptop-1", "laptop-2")
    earlier = sites.provider.copy_to(tmp_path / "earlier")
    await sites.pair.seats.RevokeSeat(
        seat_pb.RevokeSeatRequest(
            organization_id=sites.pair.organization_id, device_guid=second.id, reason="unpaid"
        )
    )
    again = await sites.pair.use(second)
    await sites.pair.stop(second)
    assert again.destination.state in (sites.pair.HELD, sites.pair.REVOKED)
    await sites.pair.settled()
    await sites.pair.use(second)
    await sites.pair.settled()
    await sites.provider.stop()
    sites.provider.go_back_to(earlier)
    await sites.restart(sites.provider)
    await _found_out(sites.pair, REWOUND)
    await sites.pair.organizations.ConfirmRewound(
        organization_pb.ConfirmRewoundRequest(organization_id=sites.pair.organization_id)
    )
    await _found_out(sites.pair, ATTACHED)
    lost = await events(sites.pair.at_provider, "seat.revocation_lost")
    assert [each.subject for each in lost] == [second.id]
    assert first.id in sites.ledgers().provider.live


# --- a new identity on either side


async def test_a_provider_with_a_new_identity_is_attached_again(sites: Sites) -> None:
    held = await _holding(sites.pair, "laptop-1")
    await sites.provider.stop()
    _new_identity(sites.provider)
    await sites.restart(sites.provider)
    waiting = await sites.pair.device("laptop-2")
    assert (await sites.pair.use(waiting)).destination.state == sites.pair.ACQUIRING
    rotated = await sites.pair.organizations.RotateRegistrationKey(
        organization_pb.RotateRegistrationKeyRequest(organization_id=sites.pair.organization_id)
    )
    changed = await sites.pair.storages.ChangeProviderGuid(
        storage_pb.ChangeProviderGuidRequest(
            storage_id=sites.pair.storage_id,
            provider_guid=sites.provider.running.guid,
            registration_key=rotated.registration_key,
        )
    )
    assert changed.storage.state == ATTACHED
    sites.pair.key = rotated.registration_key
    ledgers = await _equal(sites)
    assert set(ledgers.provider.live) == {waiting.id, *(each.id for each in held)}


async def test_a_customer_with_a_new_identity_is_attached_again(sites: Sites) -> None:
    held = await _holding(sites.pair, "laptop-1")
    await sites.customer.stop()
    _new_identity(sites.customer)
    changed = await sites.pair.organizations.ChangeCustomerGuid(
        organization_pb.ChangeCustomerGuidRequest(
            organization_id=sites.pair.organization_id,
            customer_guid=Identity.load(sites.customer.settings.identity).guid,
        )
    )
    await sites.restart(sites.customer)
    await _found_out(sites.pair, storage_pb.STORAGE_STATE_REFUSED)
    await sites.pair.storages.ResumeAttach(
        storage_pb.ResumeAttachRequest(
            storage_id=sites.pair.storage_id, registration_key=changed.registration_key
        )
    )
    sites.pair.key = changed.registration_key
    ledgers = await _equal(sites)
    assert set(ledgers.provider.live) == {each.id for each in held}


def _new_identity(site: Site) -> None:
    """Another identity on the same ledger: the old one's file is lost."""
    site.settings.identity.unlink()
    Identity.load_or_create(site.settings.identity)
