"""What the agent asks its company's server, proven by its GUID."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from cryptography import x509
from offsite.common.v1.server_service_pb2 import GetServerIdentityRequest
from offsite.common.v1.server_service_pb2_grpc import ServerServiceStub
from offsite.customer.v1 import agent_service_pb2 as pb
from offsite.customer.v1.agent_service_pb2_grpc import AgentServiceStub

from device_agent.device_key import DeviceKey
from device_agent.state import Enrollment
from service_kit.client.status import error_of
from service_kit.clock import now
from service_kit.errors import PermissionDenied
from service_kit.identity import device_certificate, device_token
from service_kit.identity.enrollment import Invitation
from service_kit.identity.jws import Unproven
from service_kit.reasons import Reason
from service_kit.validation import plain, resource_id

LONGEST_NAME = 254  # characters of a device's name, or of its user's
TIMEOUT = 60.0  # seconds; opening an archive may wait for a provider

Ask = Callable[[grpc.aio.Channel], Awaitable[Any]]


@dataclass(frozen=True)
class Welcome:
    """What a server answered to an enrolling."""

    enrollment: Enrollment
    certificate: x509.Certificate
    ca: x509.Certificate


@dataclass(frozen=True)
class Told:
    """What a server says of this computer, and where it can be dialled."""

    answer: pb.GetEnrolledDeviceResponse
    addresses: tuple[str, ...]


class Server:
    """The server of an enrolled computer; each call dials it anew."""

    def __init__(self, enrollment: Enrollment, key: DeviceKey) -> None:
        self._enrollment = enrollment
        self._key = key

    def device(self) -> Told:
        """This device, and how it stands with each storage."""

        async def ask(channel: grpc.aio.Channel) -> Told:
            request = pb.GetEnrolledDeviceRequest()
            answer = await AgentServiceStub(channel).GetEnrolledDevice(request, timeout=TIMEOUT)
            return Told(answer, await _addresses(channel))

        told: Told = self._dialled(ask)
        return told

    def open_archive(self, storage_id: str) -> pb.OpenArchiveResponse:
        """Take the seat at a storage, unless it is held, and learn how its archive is reached."""

        async def ask(channel: grpc.aio.Channel) -> Any:
            request = pb.OpenArchiveRequest(storage_id=storage_id)
            return await AgentServiceStub(channel).OpenArchive(request, timeout=TIMEOUT)

        response: pb.OpenArchiveResponse = self._dialled(ask)
        return response

    def unenroll(self) -> None:
        """Let the server forget this computer's key."""

        async def ask(channel: grpc.aio.Channel) -> Any:
            request = pb.UnenrollDeviceRequest()
            return await AgentServiceStub(channel).UnenrollDevice(request, timeout=TIMEOUT)

        self._dialled(ask)

    def _dialled(self, ask: Ask) -> Any:
        """What the server answers.

        Raises:
            OffsiteError: it refuses, can't be reached, or is another one.
        """
        known = self._enrollment
        return asyncio.run(_dialled(known.addresses, known.server_guid, ask, self._token))

    def _token(self) -> str:
        key, audience = self._key, self._enrollment.server_guid
        return device_token.issue(key.private_key, key.certificate, audience, now())


def enroll(invitation: Invitation, key: Any) -> Welcome:
    """Have a key certified as the device that an invitation is for.

    Raises:
        OffsiteError: the server refuses, can't be reached, or is another one.
    """
    return asyncio.run(_enroll(invitation, key))


async def _enroll(invitation: Invitation, key: Any) -> Welcome:
    from service_kit.client.dial import read_peer

    request = pb.EnrollDeviceRequest(
        enrollment_code=invitation.code,
        certificate_signing_request=device_certificate.request(key),
    )
    ca = (await read_peer(invitation.address, invitation.guid)).ca

    async def ask(channel: grpc.aio.Channel) -> tuple[Any, Any]:
        addresses = await _addresses(channel)
        return addresses, await AgentServiceStub(channel).EnrollDevice(request, timeout=TIMEOUT)

    addresses, done = await _dialled([invitation.address], invitation.guid, ask)
    certificate = _certificate(done, ca, key)
    enrollment = Enrollment(
        device_id=resource_id("device.id", done.device.id),  # it names files here
        device_name=plain(done.device.name, LONGEST_NAME),
        user_email=plain(done.device.user_email, LONGEST_NAME),
        server_guid=invitation.guid,
        addresses=tuple(dict.fromkeys([invitation.address, *addresses])),
        recovery_key=done.recovery_key,
    )
    return Welcome(enrollment, certificate, ca)


def _certificate(done: pb.EnrollDeviceResponse, ca: x509.Certificate, key: Any) -> x509.Certificate:
    """The certificate, if it is for this key and this device."""
    try:
        certificate = x509.load_pem_x509_certificate(done.certificate_pem)
        certified = device_certificate.verify(certificate, ca)
        if (certified.guid, certified.key) != (done.device.id, key.public_key()):
            raise Unproven("it is for another device or another key")
    except (ValueError, Unproven) as error:
        raise PermissionDenied(
            Reason.CREDENTIALS_INVALID,
            f"The server's certificate for this computer can't be used: {error}.",
            "Compare the versions of the server and of this program.",
        ) from error
    return certificate


async def _addresses(channel: grpc.aio.Channel) -> tuple[str, ...]:
    """Where the server says that it can be dialled."""
    request = GetServerIdentityRequest()
    answer = await ServerServiceStub(channel).GetServerIdentity(request, timeout=TIMEOUT)
    return tuple(answer.grpc_addresses)


async def _dialled(
    addresses: Sequence[str], guid: str, ask: Ask, token: Callable[[], str] | None = None
) -> Any:
    from service_kit.client.dial import dial_any

    async with await dial_any(addresses, guid, token=token) as channel:
        try:
            return await ask(channel)
        except grpc.RpcError as error:
            raise error_of(error) from error
