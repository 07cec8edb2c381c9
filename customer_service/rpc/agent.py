"""The customer's AgentService: what a computer's own program asks."""

from collections.abc import Callable

from offsite.customer.v1 import agent_service_pb2 as pb
from offsite.customer.v1.agent_service_pb2_grpc import AgentServiceServicer

from customer_service.operations import enrollment
from customer_service.operations.archives import Archives, Opened
from customer_service.operations.enrollment import Caller
from customer_service.rpc import conversions
from service_kit.clock import now
from service_kit.identity.device_certificate import requested_key
from service_kit.identity.enrollment import normalize_code
from service_kit.server.caller import current_device
from service_kit.server.context import Context
from service_kit.validation import resource_id


class AgentServicer(AgentServiceServicer):
    """Converts, runs one operation, converts back. `wake` lets the outbox look."""

    def __init__(self, archives: Archives, wake: Callable[[], None]) -> None:
        self.archives = archives
        self.database = archives.database
        self.identity = archives.identity
        self.wake = wake

    async def EnrollDevice(
        self, request: pb.EnrollDeviceRequest, context: Context
    ) -> pb.EnrollDeviceResponse:
        enrolled = await self.database.run(
            enrollment.enroll,
            self.identity,
            normalize_code("enrollment_code", request.enrollment_code),
            requested_key("certificate_signing_request", request.certificate_signing_request),
            now(),
        )
        self.wake()
        return pb.EnrollDeviceResponse(
            device=conversions.device(enrolled.view),
            certificate_pem=enrolled.certificate_pem,
            recovery_key=enrolled.recovery_key,
        )

    async def GetEnrolledDevice(
        self, request: pb.GetEnrolledDeviceRequest, context: Context
    ) -> pb.GetEnrolledDeviceResponse:
        enrolled = await self.database.read(enrollment.show, _caller())
        return pb.GetEnrolledDeviceResponse(
            device=conversions.device(enrolled.view), recovery_key=enrolled.recovery_key
        )

    async def OpenArchive(
        self, request: pb.OpenArchiveRequest, context: Context
    ) -> pb.OpenArchiveResponse:
        storage_id = resource_id("storage_id", request.storage_id)
        return _opened(await self.archives.open(_caller(), storage_id))

    async def UnenrollDevice(
        self, request: pb.UnenrollDeviceRequest, context: Context
    ) -> pb.UnenrollDeviceResponse:
        await self.database.run(enrollment.unenroll, _caller(), now())
        self.wake()
        return pb.UnenrollDeviceResponse()


def _caller() -> Caller:
    return Caller(*current_device())


def _opened(opened: Opened) -> pb.OpenArchiveResponse:
    response = pb.OpenArchiveResponse()
    if opened.destination is not None:
        response.destination.CopyFrom(conversions.destination(opened.destination))
    if opened.access is not None:
        response.access.archive_url = opened.access.archive_url
        response.access.storage_credential = opened.access.storage_credential
        response.access.server_guid = opened.server_guid
    return response
