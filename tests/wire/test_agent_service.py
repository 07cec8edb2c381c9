"""A computer signs in at its customer's server, and reaches its archives by it."""

import asyncio
import re
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from offsite.customer.v1 import agent_service_pb2 as agent_pb
from offsite.customer.v1 import device_service_pb2 as device_pb
from offsite.customer.v1 import recovery_service_pb2 as recovery_pb
from offsite.customer.v1 import storage_service_pb2 as storage_pb
from offsite.customer.v1 import user_service_pb2 as user_pb
from offsite.customer.v1.agent_service_pb2_grpc import AgentServiceStub
from offsite.customer.v1.device_service_pb2_grpc import DeviceServiceStub
from offsite.customer.v1.recovery_service_pb2_grpc import RecoveryServiceStub
from offsite.provider.v1 import organization_service_pb2 as organization_pb
from offsite.provider.v1 import seat_service_pb2 as seat_pb
from offsite.provider.v1.seat_service_pb2_grpc import SeatServiceStub
from sqlalchemy import update

from archive_gateway import credentials
from archive_gateway.domain.names import ArchiveId
from customer_service.operations import organizations
from customer_service.store import tables
from provider_service.rpc import seat_service
from service_kit import logs
from service_kit.client.dial import open_channel
from service_kit.clock import now
from service_kit.database.engine import Transaction
from service_kit.errors import InvalidArgument, PermissionDenied, Unauthenticated, Unavailable
from service_kit.identity import device_certificate, recovery_key, statements
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason
from tests.support import audit
from tests.support.computer import Computer, enrolled, new_code
from tests.support.fault_proxy import Fault
from tests.support.impostor import HOST
from tests.support.pair import Pair, pair_behind_proxy, pair_of
from tests.support.refusals import refusal
from tests.support.servers import channel
from tests.support.waiting import eventually

REVOKED = Reason.CREDENTIALS_REVOKED


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_of(tmp_path) as both:
        yield both


@dataclass
class Laptop:
    """A device, and the computer that is signed in as it."""

    pair: Pair
    device: device_pb.Device
    computer: Computer

    async def ask(self, method: str, request: Any) -> Any:
        async with self.computer.channel() as connection:
            return await getattr(AgentServiceStub(connection), method)(request)

    async def show(self) -> agent_pb.GetEnrolledDeviceResponse:
        answer = await self.ask("GetEnrolledDevice", agent_pb.GetEnrolledDeviceRequest())
        assert isinstance(answer, agent_pb.GetEnrolledDeviceResponse)
        return answer

    async def open(self, storage_id: str = "") -> agent_pb.OpenArchiveResponse:
        request = agent_pb.OpenArchiveRequest(storage_id=storage_id or self.pair.storage_id)
        answer = await self.ask("OpenArchive", request)
        assert isinstance(answer, agent_pb.OpenArchiveResponse)
        return answer

    async def seat(self) -> seat_pb.Seat:
        """The seat as the provider has it."""
        request = seat_pb.ListOrganizationSeatsRequest(organization_id=self.pair.organization_id)
        (seat,) = (await self.pair.seats.ListOrganizationSeats(request)).seats
        return seat


async def laptop(pair: Pair) -> Laptop:
    device = await pair.device("laptop")
    return Laptop(pair, device, await enrolled(pair, device))


async def local_id(pair: Pair) -> str:
    listed = await pair.storages.ListStorages(storage_pb.ListStoragesRequest(name="local"))
    return str(listed.storages[0].id)


async def credential_of(pair: Pair, device_id: str, generation: int) -> str:
    """The one that the customer's own gateway takes."""
    ground = pair.customer.ground
    account = await ground.database.read(organizations.root_id)
    archive = ArchiveId(account, device_id)
    return credentials.storage_credential(ground.identity, archive, generation)


# --- signing in


async def test_a_computer_signs_in_with_the_code_of_its_registration(pair: Pair) -> None:
    device = device_pb.Device(id=str(uuid.uuid4()), name="laptop", user_id=(await pair.user()).id)
    request = device_pb.RegisterDeviceRequest(device=device)
    registered = await pair.devices.RegisterDevice(request)
    computer = Computer(pair.customer)
    answer = await computer.enroll(registered.enrollment_code.code)
    assert (answer.device.id, answer.device.enrolled) == (device.id, True)
    assert not (await pair.devices.RegisterDevice(request)).HasField("enrollment_code")
    assert computer.certificate
    ca = pair.customer.ground.identity.ca_certificate
    assert device_certificate.verify(computer.certificate, ca).guid == device.id
    shown = await Laptop(pair, device, computer).show()
    assert shown.device.name == "laptop"
    assert [each.storage_name for each in shown.device.destinations] == ["Local"]


async def test_a_lost_answer_is_repeated_for_the_same_key_alone(pair: Pair) -> None:
    code = await new_code(pair, await pair.device("laptop"))
    first = Computer(pair.customer)
    await first.enroll(code)
    await first.enroll(code.lower().replace("-", " "))
    refused = await refusal(Computer(pair.customer).enroll(code))
    assert isinstance(refused, PermissionDenied)
    assert refused.reason is Reason.ENROLLMENT_CODE_REFUSED
    unknown = await refusal(Computer(pair.customer).enroll("0000-0000-0000-0000"))
    assert unknown.message == refused.message
    await pair.customer.ground.database.run(_expire)
    late = await refusal(first.enroll(code))
    assert (late.reason, late.message) == (refused.reason, refused.message)
    assert len(await audit.events(pair.at_customer, "device.enrolled")) == 1


def _expire(tx: Transaction) -> None:
    tx.execute(update(tables.enrollment_codes).values(expire_time=now()))


async def test_a_typing_error_is_named_before_anything_is_looked_up(pair: Pair) -> None:
    error = await refusal(Computer(pair.customer).enroll("0000-0000-0000-0001"))
    assert isinstance(error, InvalidArgument)
    assert [each.field for each in error.violations] == ["enrollment_code"]
    assert error.reason is Reason.INVALID_FIELD


async def test_codes_and_credentials_are_in_no_log_and_no_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up("debug", "json")
    async with pair_of(tmp_path) as pair:
        await pair.attach()
        device = await pair.device("laptop")
        code = await new_code(pair, device)
        used = Laptop(pair, device, Computer(pair.customer))
        await used.computer.enroll(code)
        await refusal(Computer(pair.customer).enroll(code))
        here, there = await used.open(await local_id(pair)), await used.open()
        told = [repr(each) for each in await audit.events(pair.at_customer, "")]
    text = capsys.readouterr().err + "".join(told)
    assert "AgentService/OpenArchive" in text
    secrets = [each.access.storage_credential for each in (here, there)]
    for secret in (*secrets, code, code.replace("-", "")):
        assert secret not in text
    assert not re.search(r"eyJ[\w-]{16}", text)


# --- who calls


async def test_only_a_devices_own_token_opens_its_calls(pair: Pair) -> None:
    used = await laptop(pair)
    tokens = {
        used.computer.token(Identity.create().guid): Reason.WRONG_AUDIENCE,
        used.computer.token(late=timedelta(minutes=8)): Reason.CREDENTIALS_EXPIRED,
        used.computer.token()[:-8] + "AAAAAAAA": Reason.CREDENTIALS_INVALID,
        _anothers(pair, used.device.id).token(): Reason.CREDENTIALS_INVALID,
    }
    for token, reason in tokens.items():
        async with channel(pair.customer, token) as connection:
            error = await refusal(_show(connection))
        assert isinstance(error, Unauthenticated)
        assert error.reason is reason
    async with channel(pair.customer) as connection:
        assert (await refusal(_show(connection))).reason is Reason.CREDENTIALS_MISSING
    assert (await refusal(_show(pair.at_customer))).reason is Reason.ROLE_NOT_ALLOWED
    assert (await used.show()).device.id == used.device.id


def _show(connection: grpc.aio.Channel) -> Awaitable[Any]:
    return AgentServiceStub(connection).GetEnrolledDevice(agent_pb.GetEnrolledDeviceRequest())


def _anothers(pair: Pair, device_id: str) -> Computer:
    """A computer that another customer's server has certified as a device of this one."""
    computer = Computer(pair.customer)
    key = computer.key.public_key()
    pem = device_certificate.issue(Identity.create(), device_id, key, now())
    computer.certificate = x509.load_pem_x509_certificate(pem)
    return computer


async def test_a_device_is_no_administrator(pair: Pair) -> None:
    used = await laptop(pair)
    async with used.computer.channel() as connection:
        request = device_pb.GetDeviceRequest(device_id=used.device.id)
        error = await refusal(DeviceServiceStub(connection).GetDevice(request))
    assert error.reason is Reason.ROLE_NOT_ALLOWED


async def test_a_provider_knows_no_devices(pair: Pair) -> None:
    used = await laptop(pair)
    async with channel(pair.provider, used.computer.token(pair.provider.guid)) as connection:
        error = await refusal(SeatServiceStub(connection).ListSeats(seat_pb.ListSeatsRequest()))
    assert isinstance(error, Unauthenticated)
    assert error.reason is Reason.CREDENTIALS_INVALID


async def test_a_devices_certificate_makes_no_server(pair: Pair, tmp_path: Path) -> None:
    """Else any computer could pass for the customer's server, whose CA the others trust."""
    used = await laptop(pair)
    ca_pem = pair.customer.ground.identity.ca_pem
    assert used.computer.certificate
    chain = used.computer.certificate.public_bytes(Encoding.PEM) + ca_pem
    key = used.computer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "rogue.pem").write_bytes(key + chain)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(tmp_path / "rogue.pem")
    rogue = await asyncio.start_server(lambda *_: None, HOST, 0, ssl=context)
    port = rogue.sockets[0].getsockname()[1]
    trusting = ssl.create_default_context(cadata=ca_pem.decode())
    trusting.check_hostname = False
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        await asyncio.open_connection(HOST, port, ssl=trusting)
    async with open_channel(f"{HOST}:{port}", pair.customer.guid, ca_pem) as connection:
        assert isinstance(await refusal(_show(connection)), Unavailable)
    rogue.close()


async def deauthorize(pair: Pair, device: device_pb.Device) -> None:
    request = device_pb.DeauthorizeDeviceRequest(device_id=device.id)
    await pair.devices.DeauthorizeDevice(request)


async def replace(pair: Pair, device: device_pb.Device) -> None:
    answer = await pair.devices.ReplaceDevice(device_pb.ReplaceDeviceRequest(device_id=device.id))
    assert answer.enrollment_code.code


async def deactivate(pair: Pair, device: device_pb.Device) -> None:
    await pair.devices.DeactivateDevice(device_pb.DeactivateDeviceRequest(device_id=device.id))


async def enroll_another(pair: Pair, device: device_pb.Device) -> None:
    await enrolled(pair, device)


@pytest.mark.parametrize("end", [deauthorize, replace, deactivate, enroll_another])
async def test_whoever_is_signed_out_is_out_at_once(
    pair: Pair, end: Callable[[Pair, device_pb.Device], Awaitable[None]]
) -> None:
    used = await laptop(pair)
    await used.show()  # its token is remembered
    async with used.computer.channel() as connection:
        stub = AgentServiceStub(connection)
        await end(pair, used.device)
        error = await refusal(stub.GetEnrolledDevice(agent_pb.GetEnrolledDeviceRequest()))
        assert isinstance(error, Unauthenticated)
        assert error.reason is REVOKED
        local = agent_pb.OpenArchiveRequest(storage_id=await local_id(pair))
        assert (await refusal(stub.OpenArchive(local))).reason is REVOKED
        assert (await refusal(stub.UnenrollDevice(agent_pb.UnenrollDeviceRequest()))).reason is (
            REVOKED
        )


async def test_counting_what_a_replacement_does_signs_nobody_out(pair: Pair) -> None:
    used = await laptop(pair)
    request = device_pb.ReplaceDeviceRequest(device_id=used.device.id, validate_only=True)
    assert not (await pair.devices.ReplaceDevice(request)).HasField("enrollment_code")
    assert (await used.show()).device.enrolled


async def test_a_computer_signs_itself_out(pair: Pair) -> None:
    await pair.attach()
    used = await laptop(pair)
    before = (await used.open()).access
    await used.ask("UnenrollDevice", agent_pb.UnenrollDeviceRequest())
    assert (await refusal(used.show())).reason is REVOKED
    await pair.settled()
    assert await pair.provider_seats() == 1
    assert (await used.seat()).generation == 2  # so the credential is over
    again = Laptop(pair, used.device, await enrolled(pair, used.device))
    assert (await again.open()).access.storage_credential != before.storage_credential
    kinds = [each.kind for each in await audit.events(pair.at_customer, "device.")]
    assert kinds.count("device.unenrolled") == 1
    assert kinds.count("device.enrolled") == 2


# --- opening archives


async def test_the_own_servers_archive_is_opened_with_a_seat(pair: Pair) -> None:
    used, local = await laptop(pair), await local_id(pair)
    opened = await used.open(local)
    assert opened.destination.state == pair.HELD
    assert opened.access.server_guid == pair.customer.guid
    assert re.fullmatch(
        rf"rest:https://{pair.customer.https_address}/archives/[0-9a-f-]{{36}}/{used.device.id}/",
        opened.access.archive_url,
    )
    expected = await credential_of(pair, used.device.id, opened.destination.generation)
    assert opened.access.storage_credential == expected
    assert await used.open(local) == opened
    assert await pair.customer_seats() == 1


async def test_the_providers_archive_is_opened_with_its_seat(pair: Pair) -> None:
    await pair.attach()
    used = await laptop(pair)
    opened = await used.open()
    assert (opened.destination.state, opened.destination.generation) == (pair.HELD, 1)
    archive = ArchiveId(pair.organization_id, used.device.id)
    theirs = pair.provider.ground
    expected = credentials.storage_credential(theirs.identity, archive, 1)
    assert opened.access.storage_credential == expected
    assert opened.access.archive_url == credentials.archive_url(theirs.advertised.https, archive)
    assert opened.access.server_guid == pair.provider.guid
    before = (await used.seat()).update_time
    assert (await used.open()).access == opened.access
    assert (await used.seat()).update_time == before
    assert (await pair.provider_seats(), await pair.customer_seats()) == (1, 1)


async def test_without_a_seat_there_is_a_reason_and_no_access(pair: Pair) -> None:
    await pair.attach(maximum_seats=0)
    opened = await (await laptop(pair)).open()
    assert opened.destination.state == pair.REFUSED
    assert opened.destination.reason.startswith("Offsite refused: ")
    assert opened.destination.advice
    assert not opened.HasField("access")


async def test_a_seat_revoked_since_is_found_out_by_asking(pair: Pair) -> None:
    await pair.attach()
    used = await laptop(pair)
    await used.open()
    await pair.seats.RevokeSeat(
        seat_pb.RevokeSeatRequest(organization_id=pair.organization_id, device_guid=used.device.id)
    )
    opened = await used.open()
    assert opened.destination.state == pair.REVOKED
    assert not opened.HasField("access")
    await pair.seats.RestoreSeat(
        seat_pb.RestoreSeatRequest(organization_id=pair.organization_id, device_guid=used.device.id)
    )
    assert (await used.open()).access.storage_credential


async def test_a_suspended_organization_keeps_what_is_held(pair: Pair) -> None:
    await pair.attach()
    used = await laptop(pair)
    before = await used.open()
    await pair.organizations.SuspendOrganization(
        organization_pb.SuspendOrganizationRequest(
            organization_id=pair.organization_id, reason="unpaid"
        )
    )
    await pair.go_on()
    await pair.until(storage_pb.STORAGE_STATE_SUSPENDED)
    assert (await used.open()).access == before.access


async def test_a_provider_that_has_ended_the_attachment_is_heard(pair: Pair) -> None:
    await pair.attach()
    used = await laptop(pair)
    await used.open()
    await pair.organizations.DetachOrganization(
        organization_pb.DetachOrganizationRequest(organization_id=pair.organization_id)
    )
    opened = await used.open()
    assert opened.destination.state == device_pb.DESTINATION_STATE_OFFERED
    assert not opened.HasField("access")
    assert (await refusal(used.open())).reason is Reason.STORAGE_NOT_ATTACHED


async def test_a_conflict_is_told_and_changes_no_seat(pair: Pair) -> None:
    await pair.attach()
    used = await laptop(pair)
    await used.open()
    await pair.customer.ground.database.run(_in_conflict, pair.storage_id)
    error = await refusal(used.open())
    assert error.reason is Reason.ATTACHMENT_CONFLICT
    (_, destination) = (await used.show()).device.destinations
    assert destination.state == pair.HELD


def _in_conflict(tx: Transaction, storage_id: str) -> None:
    changed = update(tables.storages).where(tables.storages.c.id == storage_id)
    reason = str(Reason.ATTACHMENT_CONFLICT)
    tx.execute(changed.values(state="conflict", reason_code=reason, reason="Two were seen."))


async def test_a_copy_of_the_server_is_found_out_by_opening(pair: Pair) -> None:
    await pair.attach()
    used = await laptop(pair)
    await used.open()
    await pair.customer.ground.database.run(_with_older_epoch, pair.storage_id)
    opened = await used.open()
    assert opened.destination.state == pair.ACQUIRING
    assert not opened.HasField("access")
    assert opened.destination.reason == (await pair.storage()).reason != ""
    await pair.until(storage_pb.STORAGE_STATE_CONFLICT)


def _with_older_epoch(tx: Transaction, storage_id: str) -> None:
    changed = update(tables.storages).where(tables.storages.c.id == storage_id)
    tx.execute(changed.values(epoch=tables.storages.c.epoch - 1))


async def test_a_provider_that_is_down_frees_nothing(tmp_path: Path) -> None:
    async with pair_behind_proxy(tmp_path) as (pair, proxy):
        await pair.attach()
        used = await laptop(pair)
        await used.open()
        proxy.plan = lambda method: Fault.LOSE_REQUEST
        assert isinstance(await refusal(used.open()), Unavailable)
        (_, destination) = (await used.show()).device.destinations
        assert destination.state == pair.HELD
        proxy.plan = lambda method: Fault.NONE
        opened = await eventually(used.open, lambda it: it.HasField("access"))
        assert opened.destination.generation == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sftp:host:/archives/",
        "--password-command=evil",
        "rest:http://host:1/archives/{organization}/{device}/",
        "rest:https://host:1/archives/{organization}/{organization}/",
        "rest:https://user@host:1/archives/{organization}/{device}/",
    ],
)
async def test_what_is_no_archive_of_the_device_is_not_passed_on(
    pair: Pair, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pair.attach()
    used = await laptop(pair)
    told = url.format(organization=pair.organization_id, device=used.device.id)
    monkeypatch.setattr(seat_service, "archive_url", lambda *_: told)
    error = await refusal(used.open())
    assert isinstance(error, Unavailable)
    assert error.reason is Reason.UNAVAILABLE


async def test_a_blocked_users_computer_uses_nothing(pair: Pair) -> None:
    used, local = await laptop(pair), await local_id(pair)
    await used.open(local)
    await pair.users.BlockUser(user_pb.BlockUserRequest(user_id=used.device.user_id))
    assert (await refusal(used.open(local))).reason is Reason.USER_NOT_ACTIVE
    assert (await refusal(used.open(str(uuid.uuid4())))).reason is Reason.NOT_FOUND
    assert await pair.customer_seats() == 0


# --- the recovery key


async def test_a_recovery_key_reaches_every_device(pair: Pair) -> None:
    recovery = RecoveryServiceStub(pair.at_customer)
    nothing = await recovery.GetRecoveryKey(recovery_pb.GetRecoveryKeyRequest())
    assert not nothing.HasField("recovery_key")
    used = await laptop(pair)
    assert (await used.show()).recovery_key == ""
    made = recovery_key.generate()
    request = recovery_pb.CreateRecoveryKeyRequest(recipient=made.recipient)
    answer = await recovery.CreateRecoveryKey(request)
    assert await recovery.CreateRecoveryKey(request) == answer
    shown = await used.show()
    stated = statements.read_recovery_key(shown.recovery_key, pair.customer.guid)
    assert stated.recipient == made.recipient
    found = await recovery.GetRecoveryKey(recovery_pb.GetRecoveryKeyRequest())
    assert found.recovery_key == answer.recovery_key
    (event,) = await audit.events(pair.at_customer, "recovery_key.created")
    assert event.subject == made.recipient
