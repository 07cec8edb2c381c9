"""Nobody but the rightful two servers can attach, and no accident of the network attaches twice."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from offsite.customer.v1 import storage_service_pb2 as storage_pb
from offsite.provider.v1 import attachment_service_pb2 as attachment_pb
from offsite.provider.v1 import organization_service_pb2 as organization_pb
from offsite.provider.v1.attachment_service_pb2_grpc import AttachmentServiceStub

import provider_service.app
from service_kit.clock import now
from service_kit.errors import PermissionDenied, Unauthenticated
from service_kit.identity import peer_token, registration_key
from service_kit.identity.guid import guid_of
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason
from tests.support import forged
from tests.support.audit import events
from tests.support.fault_proxy import FAULTS, Fault, tcp_proxy
from tests.support.impostor import impostor
from tests.support.pair import Pair, pair_behind_proxy, pair_of
from tests.support.refusals import refusal
from tests.support.servers import channel, local_settings, running
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from offsite.provider.v1.attachment_service_pb2_grpc import AttachmentServiceAsyncStub

ATTACHED = organization_pb.ATTACHMENT_STATE_ATTACHED
DETACHED = organization_pb.ATTACHMENT_STATE_DETACHED


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """A pair whose provider hosts the customer, not attached yet."""
    async with pair_of(tmp_path) as both:
        await both.host()
        yield both


@asynccontextmanager
async def attacking(pair: Pair, token: str) -> AsyncIterator["AttachmentServiceAsyncStub"]:
    """The provider's handshake, called with any token."""
    async with channel(pair.provider, token) as connection:
        yield AttachmentServiceStub(connection)


async def _attached_storages(pair: Pair) -> list[str]:
    answer = await pair.storages.ListStorages(storage_pb.ListStoragesRequest(show_detached=True))
    return [each.name for each in answer.storages if each.type != storage_pb.STORAGE_TYPE_LOCAL]


# --- who answers


@pytest.mark.parametrize("copies", [False, True], ids=["his own certificate", "the real CA copied"])
async def test_a_man_in_the_middle_gets_no_key(pair: Pair, copies: bool) -> None:
    extra = [pair.provider.ground.identity.ca_pem] if copies else []
    async with impostor(Identity.create(), extra=extra) as man:
        refused = await refusal(
            pair.storages.AttachStorage(pair.attach_request(hostname=man.address))
        )
        assert not man.heard
    assert isinstance(refused, PermissionDenied)
    assert refused.reason is Reason.PEER_IDENTITY_MISMATCH
    assert await _attached_storages(pair) == []


async def test_another_provider_gets_no_key(pair: Pair, tmp_path: Path) -> None:
    settings = local_settings("offsite-provider", tmp_path / "other")
    async with running(provider_service.app.build, settings) as other:
        request = storage_pb.TestStorageRequest(
            hostname=other.grpc_address,
            provider_guid=pair.provider.guid,
            registration_key=pair.key,
        )
        refused = await refusal(pair.storages.TestStorage(request))
    assert refused.reason is Reason.PEER_IDENTITY_MISMATCH
    assert other.guid in refused.message


async def test_an_attached_storage_is_not_moved_to_an_impostor(pair: Pair) -> None:
    await pair.storages.AttachStorage(pair.attach_request())
    async with impostor(Identity.create()) as man:
        request = storage_pb.UpdateStorageRequest(storage_id=pair.storage_id, hostname=man.address)
        refused = await refusal(pair.storages.UpdateStorage(request))
    assert refused.reason is Reason.PEER_IDENTITY_MISMATCH
    assert (await pair.storage()).hostname == pair.provider.grpc_address


# --- who calls


async def test_a_stolen_key_is_useless_to_another_server(pair: Pair) -> None:
    thief = Identity.create()
    request = attachment_pb.AttachRequest(registration_key=pair.key)
    token = peer_token.issue(thief, pair.provider.guid, now())
    async with attacking(pair, token) as provider:
        stolen = await refusal(provider.Attach(request))
        checked = await refusal(
            provider.ValidateRegistrationKey(
                attachment_pb.ValidateRegistrationKeyRequest(registration_key=pair.key)
            )
        )
        request.registration_key = registration_key.generate()
        unknown = await refusal(provider.Attach(request))
    assert stolen.reason is Reason.REGISTRATION_KEY_REFUSED
    assert vars(stolen) == vars(checked) == vars(unknown)  # a thief does not learn that it is a key
    organization = await pair.organization()
    assert organization.attachment_state == DETACHED
    assert organization.last_refused_guid == thief.guid
    told = await events(pair.at_provider, "registration_key.refused")
    assert {(each.subject, each.organization_id) for each in told} == {
        (thief.guid, pair.organization_id),
        (thief.guid, ""),
    }


async def test_after_a_theft_the_rightful_server_still_attaches(pair: Pair) -> None:
    token = peer_token.issue(Identity.create(), pair.provider.guid, now())
    async with attacking(pair, token) as provider:
        await refusal(provider.Attach(attachment_pb.AttachRequest(registration_key=pair.key)))
    attached = await pair.storages.AttachStorage(pair.attach_request())
    assert attached.storage.state == storage_pb.STORAGE_STATE_ATTACHED


async def test_the_right_key_at_a_wrong_guid_is_refused_on_both_sides(pair: Pair) -> None:
    other = Identity.create().guid
    await pair.organizations.ChangeCustomerGuid(
        organization_pb.ChangeCustomerGuidRequest(
            organization_id=pair.organization_id, customer_guid=other
        )
    )
    rotated = await pair.organizations.RotateRegistrationKey(
        organization_pb.RotateRegistrationKeyRequest(organization_id=pair.organization_id)
    )
    pair.key = rotated.registration_key
    refused = await refusal(pair.storages.AttachStorage(pair.attach_request()))
    assert refused.reason is Reason.REGISTRATION_KEY_REFUSED
    assert "the GUID that the provider entered" in refused.advice
    assert (await pair.organization()).last_refused_guid == pair.customer.guid
    assert await _attached_storages(pair) == []


async def test_a_token_replayed_to_another_provider_is_refused(pair: Pair, tmp_path: Path) -> None:
    """The first provider uses the token that the customer showed it."""
    settings = local_settings("offsite-provider", tmp_path / "other")
    async with running(provider_service.app.build, settings) as other:
        shown = peer_token.issue(pair.customer.ground.identity, other.guid, now())
    async with attacking(pair, shown) as provider:
        refused = await refusal(
            provider.Attach(attachment_pb.AttachRequest(registration_key=pair.key))
        )
    assert isinstance(refused, Unauthenticated)
    assert refused.reason is Reason.WRONG_AUDIENCE


def _expired(customer: Identity, provider: str) -> str:
    return peer_token.issue(customer, provider, now() - timedelta(minutes=8))


def _future(customer: Identity, provider: str) -> str:
    return peer_token.issue(customer, provider, now() + timedelta(minutes=3))


def _without_algorithm(customer: Identity, provider: str) -> str:
    header = forged.header(forged.key_of(customer), alg="none")
    return forged.unsigned(header, forged.claims(customer.guid, provider, now()))


def _by_the_public_key(customer: Identity, provider: str) -> str:
    return forged.hmac_signed(customer, forged.claims(customer.guid, provider, now()))


def _on_another_curve(customer: Identity, provider: str) -> str:
    key = forged.key_on("ES384")
    header = forged.header(key, alg="ES384")
    return forged.signed(key, header, forged.claims(guid_of(key.public_key), provider, now()))


def _with_the_thiefs_key(customer: Identity, provider: str) -> str:
    thief = forged.key_of(Identity.create())
    body = forged.claims(customer.guid, provider, now())
    return forged.signed(thief, forged.header(thief), body)


def _with_the_customers_key_shown(customer: Identity, provider: str) -> str:
    thief = forged.key_of(Identity.create())
    header = forged.header(forged.key_of(customer))
    return forged.signed(thief, header, forged.claims(customer.guid, provider, now()))


FORGERIES = {
    _expired: Reason.CREDENTIALS_EXPIRED,
    _future: Reason.CREDENTIALS_INVALID,
    _without_algorithm: Reason.CREDENTIALS_INVALID,
    _by_the_public_key: Reason.CREDENTIALS_INVALID,
    _on_another_curve: Reason.CREDENTIALS_INVALID,
    _with_the_thiefs_key: Reason.CREDENTIALS_INVALID,
    _with_the_customers_key_shown: Reason.CREDENTIALS_INVALID,
}


@pytest.mark.parametrize(("make", "reason"), FORGERIES.items(), ids=lambda each: str(each)[:40])
async def test_a_forged_token_is_refused(
    pair: Pair, make: Callable[[Identity, str], str], reason: Reason
) -> None:
    token = make(pair.customer.ground.identity, pair.provider.guid)
    async with attacking(pair, token) as provider:
        refused = await refusal(
            provider.Attach(attachment_pb.AttachRequest(registration_key=pair.key))
        )
    assert isinstance(refused, Unauthenticated)
    assert refused.reason is reason
    assert (await pair.organization()).attachment_state == DETACHED


async def test_an_operators_token_is_no_servers(pair: Pair) -> None:
    stub = AttachmentServiceStub(pair.at_provider)
    request = attachment_pb.AttachRequest(registration_key=pair.key)
    assert (await refusal(stub.Attach(request))).reason is Reason.ROLE_NOT_ALLOWED


async def test_a_peer_may_not_do_what_an_operator_may(pair: Pair) -> None:
    token = peer_token.issue(pair.customer.ground.identity, pair.provider.guid, now())
    async with channel(pair.provider, token) as connection:
        call: Any = connection.unary_unary(
            "/offsite.provider.v1.OrganizationService/ListOrganizations"
        )
        assert (await refusal(call(b""))).reason is Reason.ROLE_NOT_ALLOWED


# --- the key after its time


async def test_the_key_of_a_detached_organization_is_dead(pair: Pair) -> None:
    await pair.storages.AttachStorage(pair.attach_request())
    await pair.organizations.DetachOrganization(
        organization_pb.DetachOrganizationRequest(organization_id=pair.organization_id)
    )
    token = peer_token.issue(pair.customer.ground.identity, pair.provider.guid, now())
    async with attacking(pair, token) as provider:
        refused = await refusal(
            provider.Attach(attachment_pb.AttachRequest(registration_key=pair.key))
        )
    assert refused.reason is Reason.ATTACHMENT_ENDED
    assert (await pair.organization()).attachment_state == DETACHED


async def test_the_former_customer_is_told_so_for_every_call(pair: Pair) -> None:
    await pair.storages.AttachStorage(pair.attach_request())
    await pair.organizations.DetachOrganization(
        organization_pb.DetachOrganizationRequest(organization_id=pair.organization_id)
    )
    await pair.go_on()
    storage = await pair.until(storage_pb.STORAGE_STATE_DETACHED)
    assert storage.reason


# --- parallel, lost, repeated, late


async def test_a_hundred_parallel_attaches_make_one_attachment(pair: Pair) -> None:
    token = peer_token.issue(pair.customer.ground.identity, pair.provider.guid, now())
    request = attachment_pb.AttachRequest(registration_key=pair.key)
    async with AsyncExitStack() as stack:
        stubs = [await stack.enter_async_context(attacking(pair, token)) for _ in range(10)]
        answers = await asyncio.gather(*(stub.Attach(request) for stub in stubs * 10))
    assert {each.epoch for each in answers} == {1}
    assert len({each.SerializeToString(deterministic=True) for each in answers}) == 1
    assert len(await events(pair.at_provider, "organization.attached")) == 1
    assert (await pair.organization()).attachment_state == ATTACHED


async def test_parallel_attaches_at_the_customer_make_one_storage(pair: Pair) -> None:
    requests = [
        pair.attach_request(),
        *(pair.attach_request(storage_id=str(uuid.uuid4())) for _ in range(9)),
    ]
    calls = (pair.storages.AttachStorage(each) for each in requests * 2)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert len(await _attached_storages(pair)) == 1
    states = {each.storage.state for each in answers if not isinstance(each, BaseException)}
    assert states <= {storage_pb.STORAGE_STATE_ATTACHED, storage_pb.STORAGE_STATE_ATTACHING}
    assert len(await events(pair.at_provider, "organization.attached")) == 1


STEPS = [
    "ValidateRegistrationKey",
    "Attach",
    "ListSeats",
    "ReconcileSeats",
    "GetEntitlement",
    "OpenSession",
]


class _Once:
    """A plan with one fault: at the first call of a method."""

    def __init__(self, method: str, fault: Fault) -> None:
        self.method, self.fault, self.struck = method, fault, False

    def __call__(self, method: str) -> Fault:
        if method != self.method or self.struck:
            return Fault.NONE
        self.struck = True
        return self.fault


async def _attach_until_done(pair: Pair) -> None:
    """What a person does: attach, and again if it was refused for a lost connection."""

    async def attempt() -> str:
        try:
            await pair.storages.AttachStorage(pair.attach_request())
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    assert await eventually(attempt, lambda told: told != "UNAVAILABLE") == "OK"
    await pair.go_on()
    await pair.until(storage_pb.STORAGE_STATE_ATTACHED)


async def _uses(pair: Pair) -> None:
    device = await pair.device("laptop-1")
    await pair.use(device)

    async def holding() -> int:
        await pair.go_on()
        return (await pair.storage()).devices_holding

    await eventually(holding)
    assert await pair.provider_seats() == 1


@pytest.mark.parametrize("step", STEPS)
async def test_an_attach_survives_any_fault_at_any_step(tmp_path: Path, step: str) -> None:
    for fault in FAULTS:
        async with pair_behind_proxy(tmp_path / fault.name) as (pair, proxy):
            await pair.host()
            plan = proxy.plan = _Once(step, fault)
            await _attach_until_done(pair)

            async def struck(plan: _Once = plan, pair: Pair = pair) -> bool:
                await pair.go_on()
                return plan.struck

            await eventually(struck)
            while proxy.held:
                await proxy.deliver()
            await _uses(pair)
            attached = await events(pair.at_provider, "organization.attached")
            assert len(attached) == 1, fault
            assert (await pair.storage()).state == storage_pb.STORAGE_STATE_ATTACHED, fault
            assert (await pair.organization()).attachment_state == ATTACHED, fault


async def test_an_attach_survives_connections_that_break(pair: Pair) -> None:
    async with tcp_proxy(pair.provider.grpc_address) as line:
        pair.hostname = line.address
        line.refusing = True
        refused = await refusal(pair.storages.AttachStorage(pair.attach_request()))
        assert refused.reason is Reason.PEER_UNREACHABLE
        line.refusing = False
        line.delay = 0.01
        attaching = asyncio.ensure_future(pair.storages.AttachStorage(pair.attach_request()))
        for _ in range(5):
            line.cut()
            await asyncio.sleep(0.02)
        line.delay = 0
        await asyncio.gather(attaching, return_exceptions=True)
        await _attach_until_done(pair)
        await _uses(pair)


async def test_a_late_duplicate_of_attach_does_not_attach_again(tmp_path: Path) -> None:
    async with pair_behind_proxy(tmp_path) as (pair, proxy):
        await pair.host()
        proxy.plan = _Once("Attach", Fault.HOLD_COPY)
        await _attach_until_done(pair)
        await _uses(pair)
        await pair.storages.DetachStorage(
            storage_pb.DetachStorageRequest(storage_id=pair.storage_id)
        )
        await pair.until(storage_pb.STORAGE_STATE_DETACHED)
        before = await pair.organization()
        assert len(proxy.held) == 1
        await proxy.deliver()
        after = await pair.organization()
    assert after.attachment_state == DETACHED
    assert (before.seats_in_use, after.seats_in_use) == (0, 0)
