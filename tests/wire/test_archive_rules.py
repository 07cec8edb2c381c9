"""How archives are ruled, shown and granted over the wire, at both servers and between them."""

import base64
import ssl
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from offsite.common.v1.disk_quota_pb2 import DiskQuota
from offsite.customer.v1 import organization_service_pb2 as tree_pb
from offsite.customer.v1 import storage_service_pb2 as storage_pb
from offsite.customer.v1 import user_service_pb2 as user_pb
from offsite.provider.v1 import hosted_archive_service_pb2 as hosted_pb
from offsite.provider.v1 import organization_service_pb2 as organization_pb
from offsite.provider.v1.hosted_archive_service_pb2_grpc import HostedArchiveServiceStub

from service_kit.clock import now
from service_kit.errors import Conflict, InvalidArgument, NotFound, PermissionDenied
from service_kit.identity import peer_token
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason
from service_kit.server.process import Server
from tests.support.fault_proxy import Fault
from tests.support.pair import Pair, pair_behind_proxy, pair_of
from tests.support.refusals import refusal
from tests.support.servers import channel
from tests.support.stored import store
from tests.support.waiting import eventually

DAY = 86400
UNLIMITED = DiskQuota(unlimited=DiskQuota.Unlimited())


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_of(tmp_path) as both:
        await both.attach()
        yield both


async def change(pair: Pair, *paths: str, **fields: Any) -> organization_pb.Organization:
    """Update the hosted organization."""
    organization = organization_pb.Organization(id=pair.organization_id, **fields)
    request = organization_pb.UpdateOrganizationRequest(
        organization=organization, update_mask=FieldMask(paths=paths or list(fields))
    )
    return (await pair.organizations.UpdateOrganization(request)).organization


async def root(pair: Pair) -> tree_pb.Organization:
    listed = await pair.tree.ListOrganizations(tree_pb.ListOrganizationsRequest())
    return next(each for each in listed.organizations if not each.parent_id)


async def change_root(pair: Pair, **fields: Any) -> tree_pb.Organization:
    request = tree_pb.UpdateOrganizationRequest(organization_id=(await root(pair)).id, **fields)
    return (await pair.tree.UpdateOrganization(request)).organization


async def local_id(pair: Pair) -> str:
    listed = await pair.storages.ListStorages(storage_pb.ListStoragesRequest(name="local"))
    return str(listed.storages[0].id)


def store_at(server: Server, account_id: str, device_guid: str, **sizes: Any) -> None:
    store(server.ground.database, account_id, device_guid, **sizes)


# --- at the provider


async def test_rules_of_keeping_have_defaults_and_change_by_the_mask_alone(pair: Pair) -> None:
    first = await pair.organization()
    assert (first.delete_delay_seconds, first.retention_seconds) == (30 * DAY, 90 * DAY)
    assert not first.append_only
    changed = await change(pair, delete_delay_seconds=0, retention_seconds=DAY, append_only=True)
    assert changed.HasField("delete_delay_seconds")
    assert (changed.delete_delay_seconds, changed.retention_seconds) == (0, DAY)
    assert changed.append_only
    cleared = await change(pair, "append_only")
    assert (cleared.append_only, cleared.delete_delay_seconds) == (False, 0)
    after = await change(pair, "delete_delay_seconds", retention_seconds=7 * DAY)
    assert (after.delete_delay_seconds, after.retention_seconds) == (30 * DAY, DAY)
    assert not after.append_only


@pytest.mark.parametrize(
    "fields",
    [
        {"delete_delay_seconds": -1},
        {"delete_delay_seconds": 3650 * DAY + 1},
        {"retention_seconds": DAY - 1},
        {"retention_seconds": 2**63 - 1},
    ],
)
async def test_rules_out_of_bounds_are_named(pair: Pair, fields: dict[str, Any]) -> None:
    error = await refusal(change(pair, **fields))
    assert isinstance(error, InvalidArgument)
    assert [each.field for each in error.violations] == [f"organization.{next(iter(fields))}"]
    request = tree_pb.UpdateOrganizationRequest(organization_id=(await root(pair)).id, **fields)
    error = await refusal(pair.tree.UpdateOrganization(request))
    assert isinstance(error, InvalidArgument)
    assert [each.field for each in error.violations] == [f"organization.{next(iter(fields))}"]


async def test_an_organization_shows_what_it_holds_and_what_is_nearly_used_up(pair: Pair) -> None:
    device = str(uuid.uuid4())
    await change(pair, disk_quota=DiskQuota(bytes=1000), maximum_seats=1)
    store_at(pair.provider, pair.organization_id, device, stored=901, kept=3, backup_time=now())
    shown = await pair.organization()
    assert (shown.archive_usage.stored_bytes, shown.archive_usage.kept_bytes) == (901, 3)
    assert shown.archive_usage.HasField("last_backup_time")
    assert [(each.resource, each.percent) for each in shown.warnings] == [("disk quota", 90)]
    assert list(shown.problems) == []
    store_at(pair.provider, pair.organization_id, device, stored=100)
    await pair.use(await pair.device("laptop"))
    shown = await pair.organization()
    assert [each.percent for each in shown.warnings] == [100, 100]
    assert list(shown.problems) == [organization_pb.PROBLEM_OVER_QUOTA]
    request = organization_pb.ListOrganizationsRequest(problems=True)
    listed = await pair.organizations.ListOrganizations(request)
    assert [each.id for each in listed.organizations] == [pair.organization_id]


# --- between the two


async def test_a_stranger_learns_nothing_of_an_archive(pair: Pair) -> None:
    stranger = Identity.create()
    token = peer_token.issue(stranger, pair.provider.guid, now())
    async with channel(pair.provider, token) as connection:
        archives = HostedArchiveServiceStub(connection)
        for call in (
            archives.GetHostedUsage(hosted_pb.GetHostedUsageRequest()),
            archives.CreateHostedGrant(
                hosted_pb.CreateHostedGrantRequest(device_guid=str(uuid.uuid4()))
            ),
        ):
            assert (await refusal(call)).reason is Reason.NOT_ATTACHED
    operators = HostedArchiveServiceStub(pair.at_provider)
    error = await refusal(operators.GetHostedUsage(hosted_pb.GetHostedUsageRequest()))
    assert isinstance(error, PermissionDenied)


async def test_a_storage_shows_what_its_provider_says_of_it(pair: Pair) -> None:
    await eventually(pair.storage, lambda storage: storage.HasField("archive_usage"))
    device = await pair.device("laptop")
    await change(pair, disk_quota=DiskQuota(bytes=100))
    store_at(pair.provider, pair.organization_id, device.id, stored=80, backup_time=now())
    await pair.go_on()
    shown = await eventually(pair.storage, lambda storage: storage.archive_usage.stored_bytes == 80)
    assert shown.archive_usage.HasField("last_backup_time")
    assert [(each.resource, each.percent) for each in shown.warnings] == [("disk quota", 80)]
    assert shown.disk_quota.bytes == 100


async def test_an_older_provider_that_knows_no_usage_serves_as_before(tmp_path: Path) -> None:
    async with pair_behind_proxy(tmp_path) as (pair, proxy):
        proxy.plan = lambda method: Fault.UNKNOWN if method == "GetHostedUsage" else Fault.NONE
        await pair.attach()
        await eventually(_seen(proxy.seen), lambda seen: "GetHostedUsage" in seen)
        device = await pair.device("laptop")
        assert (await pair.use(device)).destination.state == pair.HELD
        shown = await pair.storage()
        assert shown.state == storage_pb.STORAGE_STATE_ATTACHED
        assert not shown.HasField("archive_usage")
        proxy.plan = lambda method: Fault.NONE
        await pair.go_on()
        await eventually(pair.storage, lambda storage: storage.HasField("archive_usage"))


def _seen(methods: list[str]) -> Any:
    async def seen() -> list[str]:
        return methods

    return seen


async def granted(
    pair: Pair, storage_id: str, device_id: str, seconds: int = 0
) -> storage_pb.CreateStorageGrantResponse:
    request = storage_pb.CreateStorageGrantRequest(
        storage_id=storage_id, device_id=device_id, lifetime_seconds=seconds
    )
    return await pair.storages.CreateStorageGrant(request)


async def status_of(
    server: Server, grant: storage_pb.CreateStorageGrantResponse, credential: str, method: str
) -> int:
    """How the archive of a grant answers a device that asks for its config."""
    both = base64.b64encode(f"{grant.grant.device_guid}:{credential}".encode()).decode()
    context = ssl.create_default_context(cafile=server.ground.settings.ca_file)
    url = grant.archive_url.removeprefix("rest:") + "config"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Basic {both}"}) as session,
        session.request(method, url, data=b"{}", ssl=context) as answer,
    ):
        return answer.status


@pytest.mark.parametrize("where", ["here", "at the provider"])
async def test_a_grant_reads_an_archive_without_a_seat_and_writes_nothing(
    pair: Pair, where: str
) -> None:
    device = await pair.device("laptop")
    await pair.use(device)
    await pair.stop(device)
    await pair.settled()
    here = where == "here"
    server, storage = (
        (pair.customer, await local_id(pair)) if here else (pair.provider, pair.storage_id)
    )
    grant = await granted(pair, storage, device.id)
    assert (grant.server_guid, grant.grant.device_guid) == (server.guid, device.id)
    life = grant.grant.expire_time.ToDatetime() - grant.grant.create_time.ToDatetime()
    assert life == timedelta(hours=24)
    assert await status_of(server, grant, grant.credential, "GET") == 404
    assert await status_of(server, grant, grant.credential, "POST") == 403
    assert await status_of(server, grant, grant.credential + "x", "GET") == 401


async def test_a_grant_is_refused_where_nothing_can_be_granted(pair: Pair) -> None:
    device = await pair.device("laptop")
    error = await refusal(granted(pair, pair.storage_id, device.id))
    assert isinstance(error, NotFound)  # the provider has never heard of it
    error = await refusal(granted(pair, pair.storage_id, str(uuid.uuid4())))
    assert isinstance(error, NotFound)
    for storage in (pair.storage_id, await local_id(pair)):
        error = await refusal(granted(pair, storage, device.id, 30 * DAY + 1))
        assert isinstance(error, InvalidArgument)
        assert [each.field for each in error.violations] == ["lifetime_seconds"]
    await pair.storages.DetachStorage(storage_pb.DetachStorageRequest(storage_id=pair.storage_id))
    error = await refusal(granted(pair, pair.storage_id, device.id))
    assert isinstance(error, Conflict)
    assert error.reason is Reason.STORAGE_NOT_ATTACHED


# --- at the customer's server


async def test_quotas_of_organizations_and_users_are_set_and_taken_away(pair: Pair) -> None:
    sales = tree_pb.Organization(
        id=str(uuid.uuid4()), name="Sales", disk_quota=DiskQuota(bytes=1000)
    )
    created = await pair.tree.CreateOrganization(
        tree_pb.CreateOrganizationRequest(organization=sales)
    )
    assert created.organization.disk_quota.bytes == 1000
    assert not created.organization.HasField("delete_delay_seconds")
    request = tree_pb.UpdateOrganizationRequest(organization_id=sales.id, disk_quota=UNLIMITED)
    updated = await pair.tree.UpdateOrganization(request)
    assert not updated.organization.HasField("disk_quota")
    assert updated.organization.name == "Sales"
    user = user_pb.User(id=str(uuid.uuid4()), email="ann@acme.test", disk_quota=DiskQuota(bytes=10))
    shown = (await pair.users.CreateUser(user_pb.CreateUserRequest(user=user))).user
    assert shown.disk_quota.bytes == 10
    device = await pair.device("laptop", user.id)
    store_at(pair.customer, (await root(pair)).id, device.id, stored=7)
    change_user = user_pb.UpdateUserRequest(user_id=user.id, disk_quota=DiskQuota(bytes=0))
    shown = (await pair.users.UpdateUser(change_user)).user
    assert (shown.disk_quota.bytes, shown.archive_usage.stored_bytes) == (0, 7)
    change_user.disk_quota.CopyFrom(UNLIMITED)
    assert not (await pair.users.UpdateUser(change_user)).user.HasField("disk_quota")
    change_user.disk_quota.Clear()
    change_user.disk_quota.SetInParent()
    error = await refusal(pair.users.UpdateUser(change_user))
    assert isinstance(error, InvalidArgument)
    assert [each.field for each in error.violations] == ["disk_quota"]


async def test_the_root_shows_and_changes_how_long_archives_are_kept(pair: Pair) -> None:
    first = await root(pair)
    assert (first.delete_delay_seconds, first.retention_seconds) == (30 * DAY, 90 * DAY)
    changed = await change_root(
        pair,
        delete_delay_seconds=0,
        retention_seconds=DAY,
        append_only=True,
        disk_quota=DiskQuota(bytes=1000),
    )
    assert (changed.delete_delay_seconds, changed.retention_seconds) == (0, DAY)
    assert (changed.append_only, changed.disk_quota.bytes) == (True, 1000)
    assert (await change_root(pair, name="Acme")).append_only
    device = await pair.device("laptop")
    store_at(pair.customer, first.id, device.id, stored=800)
    local = storage_pb.GetStorageRequest(storage_id=await local_id(pair))
    storage = (await pair.storages.GetStorage(local)).storage
    assert (storage.archive_usage.stored_bytes, storage.disk_quota.bytes) == (800, 1000)
    assert [each.percent for each in storage.warnings] == [80]


async def test_below_the_root_nothing_is_said_of_keeping(pair: Pair) -> None:
    sales = tree_pb.Organization(id=str(uuid.uuid4()), name="Sales", append_only=True)
    request = tree_pb.CreateOrganizationRequest(organization=sales)
    error = await refusal(pair.tree.CreateOrganization(request))
    assert isinstance(error, InvalidArgument)
    assert [each.field for each in error.violations] == ["organization.append_only"]
