"""A computer that signs in as a device: what its own program sends, made by hand."""

from dataclasses import dataclass, field
from datetime import timedelta

import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from offsite.customer.v1 import agent_service_pb2 as agent_pb
from offsite.customer.v1 import device_service_pb2 as device_pb
from offsite.customer.v1.agent_service_pb2_grpc import AgentServiceStub

from service_kit.clock import now
from service_kit.identity import device_certificate, device_token
from service_kit.server.process import Server
from tests.support.pair import Pair
from tests.support.servers import channel


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def new_request() -> bytes:
    """A signing request of a new key."""
    return device_certificate.request(new_key())


@dataclass
class Computer:
    """A computer with a key of its own, at its customer's server."""

    server: Server
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    certificate: x509.Certificate | None = None

    async def enroll(self, code: str) -> agent_pb.EnrollDeviceResponse:
        request = agent_pb.EnrollDeviceRequest(
            enrollment_code=code,
            certificate_signing_request=device_certificate.request(self.key),
        )
        async with channel(self.server) as connection:
            answer = await AgentServiceStub(connection).EnrollDevice(request)
        self.certificate = x509.load_pem_x509_certificate(answer.certificate_pem)
        return answer

    def token(self, audience: str = "", late: timedelta = timedelta()) -> str:
        """A token made so long ago, for this server if for no other."""
        assert self.certificate is not None
        to = audience or self.server.guid
        return device_token.issue(self.key, self.certificate, to, now() - late)

    def channel(self) -> grpc.aio.Channel:
        """A channel that proves who it is."""
        return channel(self.server, self.token())


async def new_code(pair: Pair, device: device_pb.Device) -> str:
    """A code for a device."""
    request = device_pb.CreateEnrollmentCodeRequest(device_id=device.id)
    return str((await pair.devices.CreateEnrollmentCode(request)).enrollment_code.code)


async def enrolled(pair: Pair, device: device_pb.Device) -> Computer:
    """A computer that is signed in as a device."""
    computer = Computer(pair.customer)
    await computer.enroll(await new_code(pair, device))
    return computer


async def enrolled_channel(pair: Pair, device: device_pb.Device) -> grpc.aio.Channel:
    """The channel of such a computer."""
    return (await enrolled(pair, device)).channel()
