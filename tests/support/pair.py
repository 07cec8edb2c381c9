"""Two real servers of two companies, and what their operators do."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc.aio
from offsite.common.v1.license_service_pb2 import GetLicenseRequest, UpdateLicenseRequest
from offsite.common.v1.license_service_pb2_grpc import LicenseServiceStub
from offsite.customer.v1 import device_service_pb2 as device_pb
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
from offsite.provider.v1.organization_service_pb2_grpc import OrganizationServiceStub
from offsite.provider.v1.seat_service_pb2_grpc import SeatServiceStub
from sqlalchemy import update

import customer_service.app
import provider_service.app
from customer_service.store import tables as customer_tables
from service_kit.clock import now
from service_kit.database.engine import Transaction
from service_kit.identity.identity import Identity
from service_kit.server.process import Server
from tests.support.fault_proxy import GrpcProxy, grpc_proxy
from tests.support.servers import channel, local_settings, operator_token, running
from tests.support.waiting import eventually


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
    hostname: str = ""  # where the customer dials; the provider's own address if not set

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
            "hostname": self.hostname or self.provider.grpc_address,
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
        return await eventually(self.storage, lambda storage: not storage.devices_waiting)

    async def until(self, state: storage_pb.StorageState.ValueType) -> storage_pb.Storage:
        """Wait until the storage is in a state."""
        return await eventually(self.storage, lambda storage: storage.state == state)

    async def go_on(self, *, compare: bool = False) -> None:
        """Let the customer's server do now what waits for its time; `compare` ledgers too."""
        await self.customer.ground.database.run(_make_due, now(), compare)
        # A repeated attach changes nothing, but wakes outbox and upkeep.
        await self.storages.AttachStorage(self.attach_request())

    async def provider_seats(self) -> int:
        return (await self.provider_license.GetLicense(GetLicenseRequest())).license.seats_in_use

    async def customer_seats(self) -> int:
        return (await self.customer_license.GetLicense(GetLicenseRequest())).license.seats_in_use

    async def provider_may_use(self, seats: int) -> None:
        await self.provider_license.UpdateLicense(UpdateLicenseRequest(seats=seats))

    async def customer_may_use(self, seats: int) -> None:
        await self.customer_license.UpdateLicense(UpdateLicenseRequest(seats=seats))


def _make_due(tx: Transaction, moment: datetime, compare: bool) -> None:
    if compare:
        tx.execute(update(customer_tables.storages).values(reconcile_time=None))
    for table in (customer_tables.seats, customer_tables.storages):
        waits = table.c.next_attempt_time.is_not(None)
        tx.execute(update(table).where(waits).values(next_attempt_time=moment, attempts=0))


@asynccontextmanager
async def pair_behind_proxy(folder: Path) -> AsyncIterator[tuple[Pair, GrpcProxy]]:
    """A running pair; whatever the customer asks of the provider goes through a fault proxy."""
    identity = first_identity(folder / "provider")
    async with (
        grpc_proxy(identity) as proxy,
        pair_of(folder, advertise_grpc=[proxy.address]) as pair,
    ):
        await proxy.forward_to(pair.provider.grpc_address)
        pair.hostname = proxy.address
        yield pair, proxy


def first_identity(data: Path) -> Identity:
    """The identity that a server with this data folder will have at its first start."""
    data.mkdir(parents=True, exist_ok=True)
    return Identity.load_or_create(data / "identity.pem")


@asynccontextmanager
async def pair_of(
    folder: Path, databases: tuple[str | None, str | None] = (None, None), **overrides: Any
) -> AsyncIterator[Pair]:
    """A running pair with its data below a folder, its ledgers there too unless URLs are given."""
    theirs, ours = ({**overrides, "database": each} for each in databases)
    provider = local_settings("offsite-provider", folder / "provider", **theirs)
    customer = local_settings("offsite-customer", folder / "customer", **ours)
    async with (
        running(provider_service.app.build, provider) as p,
        running(customer_service.app.build, customer) as c,
        channel(p, operator_token(p)) as at_provider,
        channel(c, operator_token(c)) as at_customer,
    ):
        yield Pair(p, c, at_provider, at_customer)
