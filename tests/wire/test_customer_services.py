"""The customer's services on real servers: what an operator and a device see."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from offsite.common.v1.impact_pb2 import Impact
from offsite.customer.v1 import destination_service_pb2 as destination_pb
from offsite.customer.v1 import device_service_pb2 as device_pb
from offsite.customer.v1 import organization_service_pb2 as tree_pb
from offsite.customer.v1 import storage_service_pb2 as storage_pb
from offsite.customer.v1 import user_service_pb2 as user_pb
from offsite.provider.v1 import organization_service_pb2 as organization_pb
from offsite.provider.v1 import seat_service_pb2 as seat_pb
from sqlalchemy import delete

import provider_service.app
from customer_service.background import outbox
from customer_service.store import tables
from service_kit.database.engine import Transaction
from service_kit.errors import (
    Conflict,
    InvalidArgument,
    LimitReached,
    PermissionDenied,
    Unavailable,
)
from service_kit.reasons import Reason
from tests.support.fault_proxy import Fault
from tests.support.pair import Pair, pair_behind_proxy, pair_of
from tests.support.refusals import refusal
from tests.support.servers import channel, local_settings, operator_token, running
from tests.support.waiting import eventually

ATTACHED = storage_pb.STORAGE_STATE_ATTACHED
DETACHED = storage_pb.STORAGE_STATE_DETACHED
DETACHING = storage_pb.STORAGE_STATE_DETACHING
SUSPENDED = storage_pb.STORAGE_STATE_SUSPENDED
OFFERED = device_pb.DESTINATION_STATE_OFFERED


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_of(tmp_path) as both:
        yield both


async def at_next_contact(pair: Pair, state: storage_pb.StorageState.ValueType) -> Any:
    """The storage, after the contact that is due now; AssertionError if that did not tell."""
    await pair.go_on()
    return await pair.until(state)


async def seen(pair: Pair, device: device_pb.Device) -> device_pb.Destination:
    """How a device and the attached storage stand."""
    answer = await pair.devices.GetDevice(device_pb.GetDeviceRequest(device_id=device.id))
    return next(x for x in answer.device.destinations if x.storage_id == pair.storage_id)


async def holding(pair: Pair, name: str = "laptop", user_id: str = "") -> device_pb.Device:
    device = await pair.device(name, user_id)
    assert (await pair.use(device)).destination.state == pair.HELD
    return device


async def local_id(pair: Pair) -> str:
    listed = await pair.storages.ListStorages(storage_pb.ListStoragesRequest(name="local"))
    return str(listed.storages[0].id)


async def detach(pair: Pair, **options: bool) -> storage_pb.DetachStorageResponse:
    request = storage_pb.DetachStorageRequest(storage_id=pair.storage_id, **options)
    return await pair.storages.DetachStorage(request)


async def resume(pair: Pair, key: str) -> storage_pb.Storage:
    request = storage_pb.ResumeAttachRequest(storage_id=pair.storage_id, registration_key=key)
    return (await pair.storages.ResumeAttach(request)).storage


async def new_key(pair: Pair) -> str:
    request = organization_pb.RotateRegistrationKeyRequest(organization_id=pair.organization_id)
    return str((await pair.organizations.RotateRegistrationKey(request)).registration_key)


# --- counting first


async def test_validate_only_counts_what_a_change_does_and_changes_nothing(pair: Pair) -> None:
    await pair.attach()
    request = tree_pb.CreateOrganizationRequest(
        organization=tree_pb.Organization(id=str(uuid.uuid4()), name="Sales")
    )
    sales = (await pair.tree.CreateOrganization(request)).organization
    user = user_pb.User(id=str(uuid.uuid4()), email="ann@acme.test", organization_id=sales.id)
    await pair.users.CreateUser(user_pb.CreateUserRequest(user=user))
    device = await holding(pair, user_id=user.id)
    one = Impact(devices=1, seats=1, provider_seats=1)
    of_user = Impact(users=1, devices=1, seats=1, provider_seats=1)
    of_tree = Impact(organizations=1, users=1, devices=1, seats=1, provider_seats=1)
    dry = {"validate_only": True}
    calls: list[tuple[Any, Any, Impact]] = [
        (
            pair.devices.StopUsingDestination,
            device_pb.StopUsingDestinationRequest(
                device_id=device.id, storage_id=pair.storage_id, **dry
            ),
            one,
        ),
        (
            pair.devices.DeactivateDevice,
            device_pb.DeactivateDeviceRequest(device_id=device.id, **dry),
            one,
        ),
        (
            pair.devices.DeauthorizeDevice,
            device_pb.DeauthorizeDeviceRequest(device_id=device.id, **dry),
            Impact(devices=1),
        ),
        (
            pair.devices.ReplaceDevice,
            device_pb.ReplaceDeviceRequest(device_id=device.id, validate_only=True),
            Impact(devices=1),
        ),
        (pair.users.BlockUser, user_pb.BlockUserRequest(user_id=user.id, **dry), of_user),
        (pair.users.DeactivateUser, user_pb.DeactivateUserRequest(user_id=user.id, **dry), of_user),
        (
            pair.users.SetUserDestinations,
            user_pb.SetUserDestinationsRequest(user_id=user.id, validate_only=True),
            of_user,
        ),
        (
            pair.tree.DeactivateOrganization,
            tree_pb.DeactivateOrganizationRequest(organization_id=sales.id, **dry),
            of_tree,
        ),
        (
            pair.storages.DetachStorage,
            storage_pb.DetachStorageRequest(storage_id=pair.storage_id, **dry),
            of_user,
        ),
    ]
    for method, dry_run, expected in calls:
        assert (await method(dry_run)).impact == expected, method
        destination = await seen(pair, device)
        assert (destination.state, destination.generation) == (pair.HELD, 1)
    assert (await pair.storage()).state == ATTACHED
    assert (await pair.customer_seats(), await pair.provider_seats()) == (1, 1)


async def test_withdrawing_from_devices_in_use_is_confirmed_and_releases(pair: Pair) -> None:
    await pair.attach()
    device = await holding(pair)
    wanted = destination_pb.DefaultDestinations(storage_ids=[await local_id(pair)])
    preview = await pair.destinations.PreviewDefaultDestinations(
        destination_pb.PreviewDefaultDestinationsRequest(
            destinations=wanted, apply_to_existing=True
        )
    )
    expected = destination_pb.DestinationChanges(users_losing=1, devices_released=1)
    assert preview.changes == expected
    request = destination_pb.SetDefaultDestinationsRequest(
        destinations=wanted, apply_to_existing=True
    )
    error = await refusal(pair.destinations.SetDefaultDestinations(request))
    assert error.reason is Reason.CONFIRMATION_REQUIRED
    assert error.metadata["devices_released"] == "1"
    assert (await seen(pair, device)).state == pair.HELD
    request.confirm_releases = True
    assert (await pair.destinations.SetDefaultDestinations(request)).changes == expected
    await pair.settled()
    assert (await pair.provider_seats(), await pair.customer_seats()) == (0, 0)


async def test_a_persons_destinations_are_withdrawn_only_when_confirmed(pair: Pair) -> None:
    await pair.attach()
    device = await holding(pair)
    request = user_pb.SetUserDestinationsRequest(
        user_id=device.user_id, storage_ids=[await local_id(pair)]
    )
    error = await refusal(pair.users.SetUserDestinations(request))
    assert error.reason is Reason.CONFIRMATION_REQUIRED
    request.confirm_releases = True
    answer = await pair.users.SetUserDestinations(request)
    assert answer.impact.provider_seats == 1
    assert not answer.user.inherits_destinations
    await pair.settled()
    assert await pair.provider_seats() == 0


# --- which server refuses


async def test_the_provider_refuses_and_the_answer_says_so(pair: Pair) -> None:
    await pair.attach(maximum_seats=1)
    await holding(pair)
    refused = await pair.use(await pair.device("laptop-2"))
    assert refused.destination.state == pair.REFUSED
    assert refused.destination.reason.startswith("Offsite refused: ")
    assert refused.destination.advice
    assert refused.device.holds_seat  # backups to the own server go on
    assert await pair.customer_seats() == 2


async def test_the_own_server_refuses_and_the_answer_says_so(pair: Pair) -> None:
    await pair.attach()
    device = await pair.device("laptop")
    await pair.customer_may_use(0)
    error = await refusal(pair.use(device))
    assert isinstance(error, LimitReached)
    assert error.message.startswith("This server's license")
    assert await pair.provider_seats() == 0


async def test_a_suspended_provider_keeps_what_is_held_and_refuses_what_is_new(pair: Pair) -> None:
    await pair.attach()
    device = await holding(pair)
    await pair.organizations.SuspendOrganization(
        organization_pb.SuspendOrganizationRequest(
            organization_id=pair.organization_id, reason="unpaid"
        )
    )
    storage = await at_next_contact(pair, SUSPENDED)
    assert "unpaid" in storage.reason
    refused = await pair.use(second := await pair.device("laptop-2"))
    assert refused.destination.state == pair.REFUSED
    assert (await seen(pair, device)).state == pair.HELD
    await pair.organizations.ResumeOrganization(
        organization_pb.ResumeOrganizationRequest(organization_id=pair.organization_id)
    )
    storage = await at_next_contact(pair, ATTACHED)
    assert not storage.reason
    assert (await pair.use(second)).destination.state == pair.HELD


async def test_a_revoked_seat_is_refused_until_it_is_restored(pair: Pair) -> None:
    await pair.attach()
    device = await holding(pair)
    await pair.seats.RevokeSeat(
        seat_pb.RevokeSeatRequest(organization_id=pair.organization_id, device_guid=device.id)
    )
    await pair.go_on(compare=True)
    revoked = await eventually(lambda: seen(pair, device), lambda it: it.state == pair.REVOKED)
    assert revoked.reason.startswith("Offsite refused: ")
    assert (await pair.use(device)).destination.state == pair.REVOKED
    await pair.seats.RestoreSeat(
        seat_pb.RestoreSeatRequest(organization_id=pair.organization_id, device_guid=device.id)
    )
    assert (await pair.use(device)).destination.state == pair.HELD


# --- attachments that end and begin again


async def test_deactivated_at_the_provider_is_seen_and_reactivated_takes_a_new_key(
    pair: Pair,
) -> None:
    await pair.attach()
    device = await holding(pair)
    await pair.organizations.DeactivateOrganization(
        organization_pb.DeactivateOrganizationRequest(organization_id=pair.organization_id)
    )
    storage = await at_next_contact(pair, DETACHED)
    assert storage.reason
    assert (await pair.provider_seats(), await pair.customer_seats()) == (0, 0)
    error = await refusal(pair.use(device))
    assert error.reason is Reason.STORAGE_NOT_ATTACHED
    answer = await pair.organizations.ReactivateOrganization(
        organization_pb.ReactivateOrganizationRequest(organization_id=pair.organization_id)
    )
    assert (await resume(pair, answer.registration_key)).state == ATTACHED
    used = (await pair.use(device)).destination
    assert (used.state, used.generation) == (pair.HELD, 3)


async def test_attached_again_after_a_detach_generations_go_on(pair: Pair) -> None:
    await pair.attach()
    device = await holding(pair)
    answer = await detach(pair)
    assert answer.storage.state == DETACHED
    assert (answer.impact.users, answer.impact.provider_seats) == (1, 1)
    assert (await pair.provider_seats(), await pair.customer_seats()) == (0, 0)
    error = await refusal(pair.use(device))
    assert error.reason is Reason.NOT_OFFERED
    assert (await resume(pair, await new_key(pair))).state == ATTACHED
    new = await holding(pair, "laptop-2")
    both = [await local_id(pair), pair.storage_id]
    await pair.destinations.SetDefaultDestinations(
        destination_pb.SetDefaultDestinationsRequest(
            destinations=destination_pb.DefaultDestinations(storage_ids=both),
            apply_to_existing=True,
        )
    )
    used = (await pair.use(device)).destination
    assert (used.state, used.generation) == (pair.HELD, 3)
    assert (await seen(pair, new)).state == pair.HELD
    assert (await pair.storage()).state == ATTACHED
    assert await pair.provider_seats() == 2


async def test_a_detach_is_told_to_a_provider_that_was_down(tmp_path: Path) -> None:
    async with pair_behind_proxy(tmp_path) as (pair, proxy):
        await pair.attach()
        device = await holding(pair)
        proxy.plan = lambda method: Fault.LOSE_REQUEST
        assert (await detach(pair)).storage.state == DETACHING
        assert await pair.customer_seats() == 0
        assert await pair.provider_seats() == 1
        error = await refusal(resume(pair, pair.key))
        assert error.reason is Reason.WRONG_STATE
        proxy.plan = lambda method: Fault.NONE
        await pair.go_on()
        await pair.until(DETACHED)
        assert await pair.provider_seats() == 0
        assert device.id


async def test_a_forced_detach_does_not_ask(tmp_path: Path) -> None:
    async with pair_behind_proxy(tmp_path) as (pair, proxy):
        await pair.attach()
        await holding(pair)
        proxy.plan = lambda method: Fault.LOSE_REQUEST
        answer = await detach(pair, force=True)
        assert answer.storage.state == DETACHED
        assert answer.impact.provider_seats == 1  # what the provider still holds


async def test_a_detach_without_the_provider_is_not_hindered_by_a_deactivated_organization(
    pair: Pair,
) -> None:
    await pair.attach()
    request = tree_pb.CreateOrganizationRequest(
        organization=tree_pb.Organization(id=str(uuid.uuid4()), name="Sales")
    )
    sales = (await pair.tree.CreateOrganization(request)).organization
    await pair.tree.DeactivateOrganization(
        tree_pb.DeactivateOrganizationRequest(organization_id=sales.id)
    )
    assert (await detach(pair)).storage.state == DETACHED


async def test_seats_are_released_when_the_provider_can_be_reached_again(tmp_path: Path) -> None:
    async with pair_behind_proxy(tmp_path) as (pair, proxy):
        await pair.attach()
        device = await holding(pair)
        proxy.plan = lambda method: Fault.LOSE_REQUEST
        await pair.users.BlockUser(user_pb.BlockUserRequest(user_id=device.user_id))
        assert await pair.customer_seats() == 0
        assert (await seen(pair, device)).state == device_pb.DESTINATION_STATE_RELEASING
        proxy.plan = lambda method: Fault.NONE
        await pair.go_on()
        await pair.settled()
        assert await pair.provider_seats() == 0


async def test_changes_beyond_those_in_flight_are_sent_without_a_pause(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "IN_FLIGHT", 1)
    monkeypatch.setattr(outbox, "LOOK", timedelta(minutes=5))
    await pair.attach()
    user = await pair.user()
    for number in range(5):
        await holding(pair, f"laptop-{number}", user.id)
    await pair.users.BlockUser(user_pb.BlockUserRequest(user_id=user.id))
    await pair.settled()
    assert await pair.provider_seats() == 0


# --- another provider, another address


async def test_a_wrong_key_for_a_new_provider_leaves_the_old_attachment(pair: Pair) -> None:
    await pair.attach()
    device = await holding(pair)
    before = await pair.storage()
    request = storage_pb.ChangeProviderGuidRequest(
        storage_id=pair.storage_id,
        provider_guid=pair.provider.guid,
        registration_key="0000-0000-0000-0000",
    )
    await refusal(pair.storages.ChangeProviderGuid(request))
    assert (await pair.storage()).state == ATTACHED
    assert (await pair.storage()).epoch == before.epoch
    assert (await seen(pair, device)).state == pair.HELD


async def test_a_provider_with_a_new_identity_gets_the_seats(pair: Pair, tmp_path: Path) -> None:
    await pair.attach()
    device = await holding(pair)
    settings = local_settings("offsite-provider", tmp_path / "new")
    async with (
        running(provider_service.app.build, settings) as server,
        channel(server, operator_token(server)) as at_new,
    ):
        new = Pair(server, pair.customer, at_new, pair.at_customer, storage_id=pair.storage_id)
        key = await new.host()
        request = storage_pb.ChangeProviderGuidRequest(
            storage_id=pair.storage_id,
            provider_guid=server.guid,
            registration_key=key,
            hostname=server.grpc_address,
        )
        answer = await pair.storages.ChangeProviderGuid(request)
        assert (answer.storage.state, answer.storage.provider_guid) == (ATTACHED, server.guid)
        await pair.settled()
        assert await new.provider_seats() == 1
        assert (await seen(pair, device)).generation == 1
        await new.stop(device)
        await new.settled()
        assert await new.provider_seats() == 0


async def test_a_new_hostname_must_be_the_same_providers(pair: Pair) -> None:
    await pair.attach()
    change = storage_pb.UpdateStorageRequest(storage_id=pair.storage_id)
    change.hostname = pair.customer.grpc_address
    error = await refusal(pair.storages.UpdateStorage(change))
    assert isinstance(error, PermissionDenied)
    change.hostname = "127.0.0.1:1"
    error = await refusal(pair.storages.UpdateStorage(change))
    assert isinstance(error, Unavailable)
    assert (await pair.storage()).hostname == pair.provider.grpc_address
    change.hostname = pair.provider.grpc_address.replace("127.0.0.1", "localhost")
    change.name = "  Far away "
    answer = await pair.storages.UpdateStorage(change)
    assert (answer.storage.name, answer.storage.hostname) == ("Far away", change.hostname)
    await holding(pair)


async def test_a_provider_that_does_not_answer_holds_up_no_other(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair_behind_proxy(tmp_path / "silent") as (silent, proxy):
        stalled, release = asyncio.Event(), asyncio.Event()
        other = Pair(silent.provider, pair.customer, silent.at_provider, pair.at_customer)
        other.hostname = proxy.address
        await other.host()
        request = other.attach_request(name="Silent")
        await other.storages.AttachStorage(request)
        answering = proxy.answer

        async def stall(method: str, message: bytes, context: Any) -> bytes:
            stalled.set()
            await release.wait()
            return await answering(method, message, context)

        monkeypatch.setattr(proxy, "answer", stall)
        await pair.attach()  # wakes the upkeep of both
        await stalled.wait()
        before = (await pair.storage()).last_contact_time
        await pair.go_on()
        await eventually(
            pair.storage, lambda it: it.last_contact_time.ToNanoseconds() > before.ToNanoseconds()
        )
        await holding(pair)
        release.set()


# --- adopting


async def test_a_lost_device_is_adopted_with_its_seat(pair: Pair) -> None:
    await pair.attach()
    device = await holding(pair)
    user = await pair.user()
    await pair.stop(device)
    await pair.settled()
    await pair.use(device)
    await pair.customer.ground.database.run(_forget, device.id)
    await pair.go_on(compare=True)
    await eventually(pair.storage, lambda storage: storage.unclaimed_seats == 1)
    listed = await pair.storages.ListUnclaimedSeats(
        storage_pb.ListUnclaimedSeatsRequest(storage_id=pair.storage_id)
    )
    assert [(each.device_guid, each.device_name) for each in listed.seats] == [
        (device.id, "laptop")
    ]
    adopted = await pair.storages.AdoptSeats(
        storage_pb.AdoptSeatsRequest(
            storage_id=pair.storage_id, user_id=user.id, device_guids=[device.id.upper()]
        )
    )
    assert adopted.devices_adopted == 1
    destination = await seen(pair, device)
    assert (destination.state, destination.generation) == (pair.HELD, 3)
    assert await pair.provider_seats() == 1


def _forget(tx: Transaction, device_id: str) -> None:
    tx.execute(delete(tables.seats).where(tables.seats.c.device_id == device_id))
    codes = tables.enrollment_codes
    tx.execute(delete(codes).where(codes.c.device_id == device_id))
    tx.execute(delete(tables.devices).where(tables.devices.c.id == device_id))


# --- asking for what makes no sense


async def test_testing_a_storage_changes_nothing(pair: Pair) -> None:
    key = await pair.host(7)
    request = storage_pb.TestStorageRequest(
        hostname=pair.provider.grpc_address, provider_guid=pair.provider.guid, registration_key=key
    )
    answer = await pair.storages.TestStorage(request)
    assert (answer.storage.maximum_seats, answer.storage.provider_organization_name) == (7, "Acme")
    listed = await pair.storages.ListStorages(storage_pb.ListStoragesRequest())
    assert [each.name for each in listed.storages] == ["Local"]
    request.hostname, request.provider_guid = "a b", "no"
    error = await refusal(pair.storages.TestStorage(request))
    assert isinstance(error, InvalidArgument)
    assert {each.field for each in error.violations} == {"hostname", "provider_guid"}


async def test_the_own_server_is_no_provider(pair: Pair) -> None:
    await pair.attach()
    local = await local_id(pair)
    change = storage_pb.UpdateStorageRequest(storage_id=local)
    change.hostname = "a:1"
    calls: list[Any] = [
        pair.storages.TakeOverStorage(storage_pb.TakeOverStorageRequest(storage_id=local)),
        pair.storages.TakeOverStorage(
            storage_pb.TakeOverStorageRequest(storage_id=local, validate_only=True)
        ),
        pair.storages.DetachStorage(storage_pb.DetachStorageRequest(storage_id=local)),
        pair.storages.ResumeAttach(storage_pb.ResumeAttachRequest(storage_id=local)),
        pair.storages.UpdateStorage(change),
    ]
    for call in calls:
        error = await refusal(call)
        assert isinstance(error, Conflict)
        assert error.reason is Reason.WRONG_STATE


async def test_ids_and_names_are_kept_in_one_form(pair: Pair) -> None:
    wanted = user_pb.User(id=str(uuid.uuid4()).upper(), email=" ann@acme.test ")
    user = (await pair.users.CreateUser(user_pb.CreateUserRequest(user=wanted))).user
    assert (user.id, user.email) == (wanted.id.lower(), "ann@acme.test")
    device = await pair.device("  laptop ", wanted.id)
    assert device.name == "laptop"
    request = device_pb.ListDevicesRequest(user_id=wanted.id, name=" LAPTOP ")
    assert [each.id for each in (await pair.devices.ListDevices(request)).devices] == [device.id]
    found = await pair.users.ListUsers(
        user_pb.ListUsersRequest(organization_id=user.organization_id.upper())
    )
    assert [each.id for each in found.users] == [user.id]
    assert not [each for each in device.destinations if each.state != OFFERED]
