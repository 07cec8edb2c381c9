"""The two companies: a server each, and what its operator does."""

import uuid
from pathlib import Path

from offsite.common.v1.license_service_pb2 import GetLicenseRequest
from offsite.common.v1.license_service_pb2_grpc import LicenseServiceStub
from offsite.customer.v1 import device_service_pb2 as device_pb
from offsite.customer.v1 import storage_service_pb2 as storage_pb
from offsite.customer.v1 import user_service_pb2 as user_pb
from offsite.customer.v1.destination_service_pb2_grpc import DestinationServiceStub
from offsite.customer.v1.device_service_pb2_grpc import DeviceServiceStub
from offsite.customer.v1.storage_service_pb2_grpc import StorageServiceStub
from offsite.customer.v1.user_service_pb2_grpc import UserServiceStub
from offsite.provider.v1 import organization_service_pb2 as organization_pb
from offsite.provider.v1 import seat_service_pb2 as seat_pb
from offsite.provider.v1.organization_service_pb2_grpc import OrganizationServiceStub
from offsite.provider.v1.seat_service_pb2_grpc import SeatServiceStub

from tests.support.processes import ServerProcess

SEATS = 8


class Provider:
    """The service provider and its operator."""

    def __init__(self, folder: Path) -> None:
        self.server = ServerProcess("offsite-provider", folder)
        self.organization_id = str(uuid.uuid4())

    def begin(self) -> None:
        """Start the server, or start it again."""
        self.server.start()
        channel = self.server.channel()
        self.organizations = OrganizationServiceStub(channel)
        self.seats = SeatServiceStub(channel)

    def add_organization(self, customer_guid: str) -> str:
        """Add the hosted organization; answers the registration key."""
        wanted = organization_pb.Organization(
            id=self.organization_id,
            name="Acme",
            hosted=True,
            customer_guid=customer_guid,
            maximum_seats=SEATS,
        )
        wanted.disk_quota.bytes = 500 * 10**9
        request = organization_pb.CreateOrganizationRequest(organization=wanted, accept_terms=True)
        return self.organizations.CreateOrganization(request).registration_key

    def organization(self) -> organization_pb.Organization:
        """The organization as it stands."""
        request = organization_pb.GetOrganizationRequest(organization_id=self.organization_id)
        return self.organizations.GetOrganization(request).organization

    def held(self) -> set[str]:
        """The devices that hold a seat, by this server's ledger."""
        request = seat_pb.ListOrganizationSeatsRequest(
            organization_id=self.organization_id, state=seat_pb.SEAT_STATE_HELD, page_size=1000
        )
        return {each.device_guid for each in self.seats.ListOrganizationSeats(request).seats}


class Customer:
    """The customer company and its administrator."""

    def __init__(self, folder: Path) -> None:
        self.server = ServerProcess("offsite-customer", folder, "--organization", "Acme")
        self.storage_id = str(uuid.uuid4())

    def begin(self) -> None:
        """Start the server."""
        self.server.start()
        channel = self.server.channel()
        self.storages = StorageServiceStub(channel)
        self.destinations = DestinationServiceStub(channel)
        self.users = UserServiceStub(channel)
        self.devices = DeviceServiceStub(channel)
        self.license = LicenseServiceStub(channel)

    def attach(self, provider: ServerProcess, key: str) -> storage_pb.Storage:
        """Attach the provider's storage with hostname, GUID and key."""
        request = storage_pb.AttachStorageRequest(
            storage_id=self.storage_id,
            name="Offsite",
            hostname=provider.address,
            provider_guid=provider.guid,
            registration_key=key,
        )
        return self.storages.AttachStorage(request).storage

    def storage(self) -> storage_pb.Storage:
        """The storage as it stands."""
        request = storage_pb.GetStorageRequest(storage_id=self.storage_id)
        return self.storages.GetStorage(request).storage

    def add_user(self, email: str) -> user_pb.User:
        """Add a user."""
        user = user_pb.User(id=str(uuid.uuid4()), email=email)
        return self.users.CreateUser(user_pb.CreateUserRequest(user=user)).user

    def offered(self, user: user_pb.User) -> bool:
        """Whether a user is offered the storage."""
        found = self.users.GetUser(user_pb.GetUserRequest(user_id=user.id)).user
        return self.storage_id in found.storage_ids

    def add_device(self, name: str, user: user_pb.User) -> str:
        """Add a computer; answers its GUID."""
        device = device_pb.Device(id=str(uuid.uuid4()), name=name, user_id=user.id)
        request = device_pb.RegisterDeviceRequest(device=device)
        return self.devices.RegisterDevice(request).device.id

    def use(self, device_id: str) -> device_pb.Destination:
        """Let a computer begin to back up to the storage."""
        request = device_pb.UseDestinationRequest(device_id=device_id, storage_id=self.storage_id)
        return self.devices.UseDestination(request).destination

    def stop(self, device_id: str) -> None:
        """Let a computer stop."""
        self.devices.StopUsingDestination(
            device_pb.StopUsingDestinationRequest(device_id=device_id, storage_id=self.storage_id)
        )

    def held(self) -> set[str]:
        """The devices that hold a seat at the provider, by this server's ledger."""
        request = device_pb.ListDevicesRequest(page_size=1000)
        return {
            device.id
            for device in self.devices.ListDevices(request).devices
            for each in device.destinations
            if each.storage_id == self.storage_id and each.state == device_pb.DESTINATION_STATE_HELD
        }

    def seats_in_use(self) -> int:
        """The seats of this server's own license in use."""
        return self.license.GetLicense(GetLicenseRequest()).license.seats_in_use
