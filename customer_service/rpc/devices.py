"""The customer's DeviceService."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from offsite.customer.v1 import device_service_pb2 as pb
from offsite.customer.v1.device_service_pb2_grpc import DeviceServiceServicer

from customer_service.domain.device import Device
from customer_service.operations import devices, enrollment_codes, seats
from customer_service.rpc import conversions
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.identity.identity import Identity
from service_kit.server.context import Context
from service_kit.validation import Checks, resource_id


class _NamesDevice(Protocol):
    @property
    def device_id(self) -> str: ...


class DeviceServicer(DeviceServiceServicer):
    """Converts, runs one operation, converts back.

    `send_now` sends one change of a seat and waits for its outcome; `wake` lets the outbox look.
    """

    def __init__(
        self,
        database: Database,
        identity: Identity,
        send_now: Callable[[str, str], Awaitable[None]],
        wake: Callable[[], None],
    ) -> None:
        self.database = database
        self.identity = identity
        self.send_now = send_now
        self.wake = wake

    async def RegisterDevice(
        self, request: pb.RegisterDeviceRequest, context: Context
    ) -> pb.RegisterDeviceResponse:
        wanted = request.device
        device = Device(wanted.id, wanted.name, wanted.user_id, now())
        view, code = await self.database.run(
            enrollment_codes.register, self.identity, device, now()
        )
        return pb.RegisterDeviceResponse(
            device=conversions.device(view), enrollment_code=conversions.enrollment_code(code)
        )

    async def GetDevice(
        self, request: pb.GetDeviceRequest, context: Context
    ) -> pb.GetDeviceResponse:
        view = await self.database.read(devices.get, _id(request))
        return pb.GetDeviceResponse(device=conversions.device(view))

    async def ListDevices(
        self, request: pb.ListDevicesRequest, context: Context
    ) -> pb.ListDevicesResponse:
        checks = Checks()
        name = checks.text("name", request.name, most=200)
        user_id = checks.uuid("user_id", request.user_id) if request.user_id else ""
        checks.done()
        found = await self.database.read(
            devices.list_page,
            PageRequest(size=request.page_size, token=request.page_token),
            name=name,
            user_id=user_id,
            refused=request.refused,
            waiting=request.waiting,
            show_deactivated=request.show_deactivated,
        )
        return pb.ListDevicesResponse(
            devices=[conversions.device(each) for each in found.items],
            next_page_token=found.next_page_token,
        )

    async def RenameDevice(
        self, request: pb.RenameDeviceRequest, context: Context
    ) -> pb.RenameDeviceResponse:
        view = await self.database.run(devices.rename, _id(request), request.name, now())
        return pb.RenameDeviceResponse(device=conversions.device(view))

    async def DeactivateDevice(
        self, request: pb.DeactivateDeviceRequest, context: Context
    ) -> pb.DeactivateDeviceResponse:
        run = self.database.preview if request.validate_only else self.database.run
        view, impact = await run(devices.deactivate, _id(request), now())
        self.wake()
        return pb.DeactivateDeviceResponse(
            device=conversions.device(view), impact=conversions.impact(impact)
        )

    async def ReactivateDevice(
        self, request: pb.ReactivateDeviceRequest, context: Context
    ) -> pb.ReactivateDeviceResponse:
        view = await self.database.run(devices.reactivate, _id(request), now())
        return pb.ReactivateDeviceResponse(device=conversions.device(view))

    async def UseDestination(
        self, request: pb.UseDestinationRequest, context: Context
    ) -> pb.UseDestinationResponse:
        device_id, storage_id = _id(request), resource_id("storage_id", request.storage_id)
        await self.database.run(seats.use, device_id, storage_id, now())
        await self.send_now(storage_id, device_id)
        device = conversions.device(await self.database.read(devices.get, device_id))
        used = [each for each in device.destinations if each.storage_id == storage_id]
        return pb.UseDestinationResponse(destination=used[0] if used else None, device=device)

    async def StopUsingDestination(
        self, request: pb.StopUsingDestinationRequest, context: Context
    ) -> pb.StopUsingDestinationResponse:
        run = self.database.preview if request.validate_only else self.database.run
        device_id, storage_id = _id(request), resource_id("storage_id", request.storage_id)
        view, impact = await run(devices.stop_using, device_id, storage_id, now())
        self.wake()
        return pb.StopUsingDestinationResponse(
            device=conversions.device(view), impact=conversions.impact(impact)
        )

    async def DeauthorizeDevice(
        self, request: pb.DeauthorizeDeviceRequest, context: Context
    ) -> pb.DeauthorizeDeviceResponse:
        run = self.database.preview if request.validate_only else self.database.run
        view, impact = await run(devices.deauthorize, _id(request), now())
        self.wake()
        return pb.DeauthorizeDeviceResponse(
            device=conversions.device(view), impact=conversions.impact(impact)
        )

    async def ReplaceDevice(
        self, request: pb.ReplaceDeviceRequest, context: Context
    ) -> pb.ReplaceDeviceResponse:
        run = self.database.preview if request.validate_only else self.database.run
        name = request.name if request.HasField("name") else None
        view, impact, code = await run(
            enrollment_codes.replace, self.identity, _id(request), name, now()
        )
        self.wake()
        return pb.ReplaceDeviceResponse(
            device=conversions.device(view),
            impact=conversions.impact(impact),
            enrollment_code=conversions.enrollment_code(None if request.validate_only else code),
        )

    async def CreateEnrollmentCode(
        self, request: pb.CreateEnrollmentCodeRequest, context: Context
    ) -> pb.CreateEnrollmentCodeResponse:
        code = await self.database.run(enrollment_codes.create, self.identity, _id(request), now())
        return pb.CreateEnrollmentCodeResponse(enrollment_code=conversions.enrollment_code(code))


def _id(request: _NamesDevice) -> str:
    return resource_id("device_id", request.device_id)
