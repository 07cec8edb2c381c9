"""Two real servers of two companies, and what their operators do."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
from offsite.common.v1.license_service_pb2 import GetLicenseRequest, UpdateLicenseRequest
from offsite.common.v1.license_service_pb2_grpc import LicenseServiceStub
from offsite.customer.v1 import device_service_pb2 as device_pb
from offsite.customer.v1 import organization_service_pb2 as tree_pb
from offsite.customer.v1 import storage_service_pb2 as storage_pb
from offsite.customer.v1 import user_service_pb2 as user_pb
from offsite.customer.v1.destination_service_pb2_grpc import DestinationServiceStub
from offsite.customer.v1.device_service_pb2_grpc import DeviceServiceStub
from offsite.customer.v1.organization_service_pb2_grpc import (
    OrganizationServiceStub as TreeServiceStub,
)
from offsite.customer.v1.storage_service_pb2_grpc import StorageServiceStub
from offsite.customer.v1.user_service_pb2_grpc import UserServiceStub
from offsite.provider.v1 import organization_service_pb2 as organization_pb
from offsite.provider.v1 import seat_service_pb2 as seat_pb
from offsite.provider.v1.organization_service_pb2_grpc import OrganizationServiceStub
from offsite.provider.v1.seat_service_pb2_grpc import SeatServiceStub

import customer_service.app
import provider_service.app
from service_kit.server.process import Server
from tests.support.servers import channel, local_settings, operator_token, running


@dataclass
class Pair:
    """A provider and a customer, each with its operator's channel."""

    provider: Server
    customer: Server
    at_provider: grpc.aio.Channel
    at_customer: grpc.aio.Channel
    organization_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    storage_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    key: str = ""

    HELD = device_pb.DESTINATION_STATE_HELD
    ACQUIRING = device_pb.DESTINATION_STATE_ACQUIRING
    REFUSED = device_pb.DESTINATION_STATE_REFUSED
    REVOKED = device_pb.DESTINATION_STATE_REVOKED

    def __post_init__(self) -> None:
        self.organizations = OrganizationServiceStub(self.at_provider)
        self.seats = SeatServiceStub(self.at_provider)
        self.storages = StorageServiceStub(self.at_customer)
        self.tree = TreeServiceStub(self.at_customer)
        self.users = UserServiceStub(self.at_customer)
        self.devices = DeviceServiceStub(self.at_customer)
        self.destinations = DestinationServiceStub(self.at_customer)
        self.provider_license = LicenseServiceStub(self.at_provider)
        self.customer_license = LicenseServiceStub(self.at_customer)

    async def host(self, maximum_seats: int = 10) -> str:
        """Add the hosted organization; answers the registration key."""
        organization = organization_pb.Organization(
            id=self.organization_id,
            name="Acme",
            hosted=True,
            customer_guid=self.customer.guid,
            maximum_seats=maximum_seats,
        )
        organization.disk_quota.bytes = 10**10
        answer = await self.organizations.CreateOrganization(
            organization_pb.CreateOrganizationRequest(organization=organization, accept_terms=True)
        )
        self.key = answer.registration_key
        return self.key

    async def attach(self, maximum_seats: int = 10) -> storage_pb.Storage:
        """Add the organization and attach it as the storage `Offsite`."""
        await self.host(maximum_seats)
        answer = await self.storages.AttachStorage(self.attach_request())
        return answer.storage

    def attach_request(self, **changes: Any) -> storage_pb.AttachStorageRequest:
        fields = {
            "storage_id": self.storage_id,
            "name": "Offsite",
            "hostname": self.provider.grpc_address,
            "provider_guid": self.provider.guid,
            "registration_key": self.key,
        }
        return storage_pb.AttachStorageRequest(**{**fields, **changes})

    async def user(self, email: str = "") -> user_pb.User:
        user = user_pb.User(id=str(uuid.uuid4()), email=email or f"{uuid.uuid4()}@acme.test")
        return (await self.users.CreateUser(user_pb.CreateUserRequest(user=user))).user

    async def device(self, name: str, user_id: str = "") -> device_pb.Device:
        """Register a device, of a new user if none is named."""
        device = device_pb.Device(
            id=str(uuid.uuid4()), name=name, user_id=user_id or (await self.user()).id
        )
        request = device_pb.RegisterDeviceRequest(device=device)
        return (await self.devices.RegisterDevice(request)).device

    async def use(self, device: device_pb.Device) -> device_pb.UseDestinationResponse:
        return await self.devices.UseDestination(
            device_pb.UseDestinationRequest(device_id=device.id, storage_id=self.storage_id)
        )

    async def stop(self, device: device_pb.Device) -> device_pb.StopUsingDestinationResponse:
        return await self.devices.StopUsingDestination(
            device_pb.StopUsingDestinationRequest(device_id=device.id, storage_id=self.storage_id)
        )

    async def storage(self) -> storage_pb.Storage:
        request = storage_pb.GetStorageRequest(storage_id=self.storage_id)
        return (await self.storages.GetStorage(request)).storage

    async def organization(self) -> organization_pb.Organization:
        request = organization_pb.GetOrganizationRequest(organization_id=self.organization_id)
        return (await self.organizations.GetOrganization(request)).organization

    async def settled(self) -> storage_pb.Storage:
        """Wait until no change of the storage waits for an answer."""
        async with asyncio.timeout(30):
            while (storage := await self.storage()).devices_waiting:
                await asyncio.sleep(0.02)
        return storage

    async def until(self, state: storage_pb.StorageState.ValueType) -> storage_pb.Storage:
        """Wait until the storage is in a state."""
        async with asyncio.timeout(30):
            while (storage := await self.storage()).state != state:
                await asyncio.sleep(0.02)
        return storage

    async def provider_seats(self) -> int:
        return (await self.provider_license.GetLicense(GetLicenseRequest())).license.seats_in_use

    async def customer_seats(self) -> int:
        return (await self.customer_license.GetLicense(GetLicenseRequest())).license.seats_in_use

    async def provider_may_use(self, seats: int) -> None:
        await self.provider_license.UpdateLicense(UpdateLicenseRequest(seats=seats))

    async def customer_may_use(self, seats: int) -> None:
        await self.customer_license.UpdateLicense(UpdateLicenseRequest(seats=seats))


@asynccontextmanager
async def pair_of(folder: Path, **overrides: Any) -> AsyncIterator[Pair]:
    """A running pair with its data below a folder."""
    provider = local_settings("offsite-provider", folder / "provider", **overrides)
    customer = local_settings("offsite-customer", folder / "customer", **overrides)
    async with (
        running(provider_service.app.build, provider) as p,
        running(customer_service.app.build, customer) as c,
        channel(p, operator_token(p)) as at_provider,
        channel(c, operator_token(c)) as at_customer,
    ):
        yield Pair(p, c, at_provider, at_customer)
