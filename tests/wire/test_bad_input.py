"""No input brings a server out of countenance: every field of every method, made bad in turn."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from offsite.common.v1.token_service_pb2 import TOKEN_ROLE_READ_ONLY, CreateTokenRequest
from offsite.common.v1.token_service_pb2_grpc import TokenServiceStub
from offsite.customer.v1 import organization_service_pb2 as tree_pb
from offsite.provider.v1 import attachment_service_pb2 as attachment_pb
from offsite.provider.v1 import organization_service_pb2 as organization_pb
from offsite.provider.v1.attachment_service_pb2_grpc import AttachmentServiceStub
from offsite.provider.v1.seat_service_pb2 import SEAT_STATE_HELD, ResyncSeat
from sqlalchemy import MetaData

from customer_service.rpc.access import CUSTOMER_ACCESS
from provider_service.rpc.access import PROVIDER_ACCESS
from service_kit.client.status import error_of
from service_kit.clock import now
from service_kit.database.engine import Transaction
from service_kit.errors import InvalidArgument, OffsiteError
from service_kit.identity import peer_token, recovery_key, registration_key
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason
from service_kit.server.access import CHANGE, COMMON_ACCESS, DEVICE, PEER, AccessTable
from service_kit.server.caller import Role
from service_kit.server.process import Server
from tests.support.bad_values import Bad, bad_requests, methods
from tests.support.computer import enrolled_channel, new_request
from tests.support.databases import CUSTOMER, PROVIDER, Ledgers
from tests.support.pair import Pair, pair_of
from tests.support.servers import channel

PROVIDER_METHODS: AccessTable = {**COMMON_ACCESS, **PROVIDER_ACCESS}
CUSTOMER_METHODS: AccessTable = {**COMMON_ACCESS, **CUSTOMER_ACCESS}

# A value that is no good, and yet does no harm: what the methods do with it instead.
HARMLESS = {
    "page_size highest": "1000 is the most that a page holds",
    "ListSeats.epoch highest": "any session may list",
    "ListSeats.position highest": "any session may list",
    "empty": "not set",
    "blank": "stripped, then not set",
}
STREAM_SECONDS = 0.05  # a stream that was refused has ended by then

SAMPLES: dict[str, Any] = {
    "name": "Sample",
    "email": "sample@acme.test",
    "id": lambda: str(uuid.uuid4()),
    "nonce": lambda: str(uuid.uuid4()),
    "device_guid": lambda: str(uuid.uuid4()),
    "device_name": "laptop",
    "generation": 1,
    "reason": "unpaid",
    "text": "Terms.",
    "UpdateLicense.seats": 100,
    "ResyncSeats.seats": lambda: [
        ResyncSeat(
            device_guid=str(uuid.uuid4()),
            device_name="laptop",
            generation=1,
            state=SEAT_STATE_HELD,
        )
    ],
    "role": TOKEN_ROLE_READ_ONLY,
    "accept_terms": True,
    "hosted": True,
    "maximum_seats": 5,
    "bytes": 10**9,
    "CreateOrganization.organization.customer_guid": lambda: Identity.create().guid,
    "customer_guid": lambda: Identity.create().guid,
    "UpdateOrganization.update_mask": FieldMask(
        paths=[
            "name", "hosted", "customer_guid", "contact", "maximum_seats", "disk_quota",
            "web_restore_user_limit_bytes", "web_restore_admin_limit_bytes",
            "delete_delay_seconds", "retention_seconds", "append_only",
        ]
    ),
    "registration_key": registration_key.generate,
    "enrollment_code": registration_key.generate,
    "certificate_signing_request": new_request,
    "recipient": lambda: recovery_key.generate().recipient,
    "digest": b"0" * 32,
    "state": SEAT_STATE_HELD,
    "version": "0.1.0",
    "validate_only": True,
}  # fmt: skip


@dataclass
class Refused:
    """What came of one bad request."""

    method: str
    bad: Bad
    error: OffsiteError | None
    code: grpc.StatusCode

    @property
    def told(self) -> str:
        shown = self.error.message if self.error else "accepted"
        return f"{self.method}: {self.bad.path} {self.bad.what}: {self.code.name} {shown[:150]}"

    @property
    def is_harmless(self) -> bool:
        what, field = self.bad.what.removeprefix("one "), self.bad.path.rpartition(".")[2]
        known = (what, f"{field} {what}", f"{self.method}.{field} {what}")
        return any(each in HARMLESS for each in known)

    @property
    def names_the_field(self) -> bool:
        assert isinstance(self.error, InvalidArgument)
        last = self.bad.path.rpartition(".")[2]
        return any(last in each.field for each in self.error.violations)


@pytest.fixture
async def pair(ledgers: Ledgers, tmp_path: Path) -> AsyncIterator[Pair]:
    databases = ledgers.migrated(PROVIDER), ledgers.migrated(CUSTOMER)
    async with pair_of(tmp_path, databases) as both:
        await both.attach(maximum_seats=1000)
        yield both
    for each in databases:
        ledgers.drop(each)


async def test_a_provider_refuses_every_bad_value_of_its_operator(pair: Pair) -> None:
    samples = {
        **SAMPLES,
        "organization_id": pair.organization_id,
        "UpdateOrganization.organization.id": pair.organization_id,
        "UpdateOrganization.organization.customer_guid": pair.customer.guid,
    }
    wanted = [each for each in methods(PROVIDER_METHODS) if not _is_peers(each)]
    _check([await _call_bad(pair.at_provider, each, samples) for each in wanted])


async def test_a_provider_refuses_every_bad_value_of_a_customers_server(pair: Pair) -> None:
    """Each method is called by a customer of its own: some bad values put the attachment out."""
    answers = []
    for method in filter(_is_peers, methods(PROVIDER_METHODS)):
        async with _attached_peer(pair) as (connection, samples):
            answers.append(await _call_bad(connection, method, {**SAMPLES, **samples}))
    _check(answers)


async def test_a_customer_refuses_every_bad_value(pair: Pair) -> None:
    user = await pair.user("ann@acme.test")
    device = await pair.device("laptop-1", user.id)
    organization = (
        await pair.tree.CreateOrganization(
            tree_pb.CreateOrganizationRequest(
                organization=tree_pb.Organization(id=str(uuid.uuid4()), name="Sales")
            )
        )
    ).organization
    samples = {
        **SAMPLES,
        "organization_id": organization.id,
        "user_id": user.id,
        "device_id": device.id,
        "storage_id": pair.storage_id,
        "storage_ids": [pair.storage_id],
        "hostname": pair.provider.grpc_address,
        "provider_guid": pair.provider.guid,
    }
    async with await enrolled_channel(pair, device) as of_device:
        answers = []
        for each in methods(CUSTOMER_METHODS):
            caller = of_device if _is_devices(each) else pair.at_customer
            answers.append(await _call_bad(caller, each, samples))
    _check(answers)


@pytest.mark.parametrize("request_bytes", [b"\xff\xff\xff", b"\x0a\x02\xff\xfe"])
async def test_bytes_that_are_no_message_are_refused(pair: Pair, request_bytes: bytes) -> None:
    for at, access in [
        (pair.at_provider, PROVIDER_METHODS),
        (pair.at_customer, CUSTOMER_METHODS),
    ]:
        for method in methods(access):
            if not _is_peers(method) and not _is_devices(method) and _has_text(method):
                answer = await _answer(at, method, request_bytes)
                assert isinstance(answer, InvalidArgument), method.full_name


async def test_a_read_only_token_changes_nothing(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        await _read_only_calls(pair)


async def _read_only_calls(pair: Pair) -> None:
    for server, at, access in [
        (pair.provider, pair.at_provider, PROVIDER_METHODS),
        (pair.customer, pair.at_customer, CUSTOMER_METHODS),
    ]:
        request = CreateTokenRequest(name="monitoring", role=TOKEN_ROLE_READ_ONLY)
        secret = (await TokenServiceStub(at).CreateToken(request)).secret
        before = await _everything(server)
        async with channel(server, secret) as monitoring:
            for method in methods(access):
                roles = access[_path(method)]
                answer = await _answer(monitoring, method, b"")
                if Role.READ_ONLY not in roles and Role.OPEN not in roles:
                    assert answer is not None, method.full_name
                    assert answer.reason is Reason.ROLE_NOT_ALLOWED, method.full_name
                else:
                    assert answer is None or answer.reason is not Reason.ROLE_NOT_ALLOWED
        assert await _everything(server) == before


def test_every_method_names_who_may_call_it() -> None:
    for access in (PROVIDER_METHODS, CUSTOMER_METHODS):
        listed = methods(access)
        services = {each.containing_service for each in listed}
        every = {each.full_name for service in services for each in service.methods}
        assert {each.full_name for each in listed} == every
        assert all(access.values())
    packages = {each.full_name.split(".")[1] for each in methods(PROVIDER_METHODS)}
    assert packages == {"common", "provider"}


def test_whatever_changes_something_is_the_operators_or_a_peers_or_a_devices() -> None:
    reading = ("Get", "List", "Follow", "Preview")
    allowed = (CHANGE, PEER, DEVICE)
    for access in (PROVIDER_METHODS, CUSTOMER_METHODS):
        for method in methods(access):
            if not method.name.startswith(reading) and method.name != "EnrollDevice":
                assert access[_path(method)] in allowed, method.full_name


def _check(answers: list[list[Refused]]) -> None:
    """Every outcome is a refusal that says what is wrong, or does no harm."""
    every = [each for some in answers for each in some]
    assert len(every) > 100
    faults = [each.told for each in every if each.code in FAULTS and not _is_unreachable(each)]
    accepted = [each.told for each in every if each.error is None and not each.is_harmless]
    unnamed = [
        each.told
        for each in every
        if isinstance(each.error, InvalidArgument) and not each.names_the_field
    ]
    summary = Counter(each.code.name for each in every)
    wrong = "\n".join(["FAULTS", *faults, "ACCEPTED", *accepted, "NOT NAMED", *unnamed])
    assert not faults + accepted + unnamed, f"{summary}\n{wrong}"


FAULTS = (
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.DATA_LOSS,
)


def _is_unreachable(refused: Refused) -> bool:
    """Whether a host name was tried at which nobody answers."""
    return refused.error is not None and refused.error.reason is Reason.PEER_UNREACHABLE


async def _call_bad(
    at: grpc.aio.Channel, method: MethodDescriptor, samples: Mapping[str, Any]
) -> list[Refused]:
    answers = []
    for bad in bad_requests(method, samples):
        error: OffsiteError | None = None
        code = grpc.StatusCode.OK
        try:
            await _call(at, method, bad.request.SerializeToString())
        except grpc.aio.AioRpcError as failure:
            error, code = error_of(failure), failure.code()
        answers.append(Refused(method.name, bad, error, code))
    return answers


async def _answer(
    at: grpc.aio.Channel, method: MethodDescriptor, request: bytes
) -> OffsiteError | None:
    try:
        await _call(at, method, request)
    except grpc.aio.AioRpcError as failure:
        return error_of(failure)
    return None


async def _call(at: grpc.aio.Channel, method: MethodDescriptor, request: bytes) -> None:
    if method.server_streaming:
        stream: Any = at.unary_stream(_path(method))
        call = stream(request)
        await asyncio.wait([asyncio.ensure_future(call.read())], timeout=STREAM_SECONDS)
        if not call.done():
            call.cancel()
            return
        if await call.code() is not grpc.StatusCode.OK:
            await call.read()
    else:
        unary: Any = at.unary_unary(_path(method))
        await unary(request, timeout=20)


@asynccontextmanager
async def _attached_peer(pair: Pair) -> AsyncIterator[tuple[grpc.aio.Channel, dict[str, Any]]]:
    identity = Identity.create()
    organization = organization_pb.Organization(
        id=str(uuid.uuid4()),
        name=str(uuid.uuid4()),
        hosted=True,
        customer_guid=identity.guid,
        maximum_seats=100,
    )
    organization.disk_quota.unlimited.SetInParent()
    created = await pair.organizations.CreateOrganization(
        organization_pb.CreateOrganizationRequest(organization=organization, accept_terms=True)
    )
    token = peer_token.issue(identity, pair.provider.guid, now())
    async with channel(pair.provider, token) as connection:
        attached = await AttachmentServiceStub(connection).Attach(
            attachment_pb.AttachRequest(registration_key=created.registration_key)
        )
        yield (
            connection,
            {
                "registration_key": created.registration_key,
                "epoch": attached.epoch,
                "position": attached.position,
            },
        )


async def _everything(server: Server) -> dict[str, list[Any]]:
    """All rows of a server's ledger."""

    def read(tx: Transaction) -> dict[str, list[Any]]:
        found = MetaData()
        found.reflect(tx)
        return {
            table.name: [tuple(row) for row in tx.execute(table.select())]
            for table in found.sorted_tables
        }

    return await server.ground.database.read(read)


def _is_peers(method: MethodDescriptor) -> bool:
    return PROVIDER_METHODS.get(_path(method)) == PEER


def _is_devices(method: MethodDescriptor) -> bool:
    return CUSTOMER_METHODS.get(_path(method)) == DEVICE


def _has_text(method: MethodDescriptor) -> bool:
    fields = method.input_type.fields_by_number
    return 1 in fields and fields[1].cpp_type in (9, 10)


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"
