"""The whole workflow of hosted offsite backup between two companies, told as it happens.

Two real servers, real RPCs, a temporary folder; every step is checked. `./run demo`.
"""

import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import grpc
from offsite.common.v1.license_service_pb2 import GetLicenseRequest
from offsite.common.v1.license_service_pb2_grpc import LicenseServiceStub
from offsite.customer.v1 import destination_service_pb2 as destination_pb
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
PATIENCE = 30  # seconds for what two servers settle between them


def say(text: str) -> None:
    """A line of the story."""
    print(text, flush=True)


def chapter(title: str) -> None:
    """A heading of the story."""
    say(f"\n== {title}")


def check(true: object, what: str) -> None:
    """Fail loudly, or say that it is so."""
    if not true:
        raise SystemExit(f"FAILED: {what}")
    say(f"   ok: {what}")


def until(true: Callable[[], object], what: str) -> None:
    """Wait until something is so, and say it."""
    end = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    check(true(), what)


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


class Story:
    """What happens between the two."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.provider = Provider(folder / "provider")
        self.customer = Customer(folder / "customer")
        self.thief = Customer(folder / "thief")
        self.clone = Customer(folder / "clone")

    def end(self) -> None:
        """No server of the story is left running."""
        for company in (self.provider, self.customer, self.thief, self.clone):
            company.server.kill()

    def play(self) -> None:
        """All chapters."""
        self.two_servers()
        self.attach()
        self.destinations()
        self.seats_on_both()
        self.the_limit()
        self.a_stolen_key()
        self.kill_9()
        self.a_clone()
        self.detach()

    def two_servers(self) -> None:
        """Identity."""
        chapter("Two servers of two companies start, each with an identity of its own")
        self.provider.begin()
        self.customer.begin()
        say(f"   provider  {self.provider.server.guid}  at {self.provider.server.address}")
        say(f"   customer  {self.customer.server.guid}  at {self.customer.server.address}")
        check(self.provider.server.guid != self.customer.server.guid, "a GUID is a key's hash")

    def attach(self) -> None:
        """Organization, key, test, attach."""
        chapter("The provider adds the hosted organization Acme and hands over three things")
        self.key = self.provider.add_organization(self.customer.server.guid)
        say(f"   hostname {self.provider.server.address}, GUID, key {self.key}")
        self.ann = self.customer.add_user("ann@acme.test")
        chapter("The customer tests them, then attaches the storage")
        request = storage_pb.TestStorageRequest(
            hostname=self.provider.server.address,
            provider_guid=self.provider.server.guid,
            registration_key=self.key,
        )
        offer = self.customer.storages.TestStorage(request).storage
        check(offer.maximum_seats == SEATS, f"the test says: {SEATS} seats, nothing has changed")
        storage = self.customer.attach(self.provider.server, self.key)
        check(storage.state == storage_pb.STORAGE_STATE_ATTACHED, "Offsite is attached")

    def destinations(self) -> None:
        """Old users only when told, new users at once."""
        chapter("New users are offered it at once, old users only when told")
        check(not self.customer.offered(self.ann), "ann, who was there before, is not offered it")
        self.bob = self.customer.add_user("bob@acme.test")
        check(self.customer.offered(self.bob), "bob, who is new, is")
        present = self.customer.destinations.GetDefaultDestinations(
            destination_pb.GetDefaultDestinationsRequest()
        )
        request = destination_pb.SetDefaultDestinationsRequest(
            destinations=present.destinations, apply_to_existing=True
        )
        changes = self.customer.destinations.SetDefaultDestinations(request).changes
        check(changes.users_gaining == 1, "applied to existing users: 1 gains it")
        check(self.customer.offered(self.ann), "ann is offered it now")

    def seats_on_both(self) -> None:
        """A computer on both holds a seat on both."""
        chapter("A computer that backs up to both holds a seat on both")
        self.laptop = self.customer.add_device("laptop-1", self.ann)
        state = self.customer.use(self.laptop).state
        check(state == device_pb.DESTINATION_STATE_HELD, "laptop-1 uses Offsite")
        check(self.customer.seats_in_use() == 1, "1 seat of the customer's license")
        check(self.provider.organization().seats_in_use == 1, "1 seat at the provider")

    def the_limit(self) -> None:
        """The provider's limit is reached."""
        chapter(f"The provider allows {SEATS} seats")
        more = [self.customer.add_device(f"desk-{n}", self.bob) for n in range(SEATS)]
        answers = [self.customer.use(each) for each in more]
        refused = [each for each in answers if each.state == device_pb.DESTINATION_STATE_REFUSED]
        check(len(refused) == 1, f"the last of {SEATS + 1} is refused")
        say(f"   {refused[0].reason}")
        check(self.customer.seats_in_use() == SEATS + 1, "its local backup goes on, and its seat")
        for each in more:
            self.customer.stop(each)
        until(lambda: self.provider.organization().seats_in_use == 1, "they stop; seats come back")

    def a_stolen_key(self) -> None:
        """A stolen key opens nothing."""
        chapter("A thief has hostname, GUID and key, and a server of his own")
        thief = self.thief
        thief.begin()
        try:
            thief.attach(self.provider.server, self.key)
            check(False, "the thief is refused")
        except grpc.RpcError as error:
            check(error.code() == grpc.StatusCode.PERMISSION_DENIED, "the thief is refused")
            say(f"   {error.details()}")
        finally:
            thief.server.stop()
        refused = self.provider.organization().last_refused_guid
        check(refused == thief.server.guid, "the provider sees who tried")

    def kill_9(self) -> None:
        """kill -9 of the provider in the middle of seat requests."""
        chapter("kill -9 of the provider, in the middle of seat requests")
        devices = [self.customer.add_device(f"kill-{n}", self.bob) for n in range(SEATS - 1)]
        threads = [threading.Thread(target=self.customer.use, args=(each,)) for each in devices]
        for number, thread in enumerate(threads):
            thread.start()
            if number == len(threads) // 2:
                self.provider.server.kill()
        say("   killed; the customer goes on and keeps what is to be sent")
        self.provider.begin()
        for thread in threads:
            thread.join()
        until(lambda: not self.customer.storage().devices_waiting, "every change was answered")
        ours, theirs = self.customer.held(), self.provider.held()
        check(ours == theirs, f"both ledgers hold the same {len(ours)} seats")
        check(ours == {self.laptop, *devices}, "and nothing was lost")

    def a_clone(self) -> None:
        """A clone of the customer is found out."""
        chapter("Somebody starts a copy of the customer's server")
        backup = self.folder / "customer.backup"
        self.customer.server.run("backup", str(backup))
        clone = self.clone
        clone.storage_id = self.customer.storage_id
        clone.server.data.mkdir()
        clone.server.run("restore", str(backup))
        clone.begin()
        conflict = storage_pb.STORAGE_STATE_CONFLICT
        until(
            lambda: self._asks_again() == conflict,
            "the two are found out: seat requests wait, backups go on",
        )
        clone.server.stop()
        request = storage_pb.TakeOverStorageRequest(storage_id=self.customer.storage_id)
        self.customer.storages.TakeOverStorage(request)
        attached = storage_pb.STORAGE_STATE_ATTACHED
        until(lambda: self.customer.storage().state == attached, "the rightful one takes over")
        until(lambda: self.customer.held() == self.provider.held(), "both ledgers are equal")

    def _asks_again(self) -> storage_pb.StorageState.ValueType:
        """Any seat request of the original shows that its session was overtaken."""
        self.customer.stop(self.laptop)
        self.customer.use(self.laptop)
        return self.customer.storage().state

    def detach(self) -> None:
        """The attachment ends."""
        chapter("The customer detaches the storage")
        request = storage_pb.DetachStorageRequest(storage_id=self.customer.storage_id)
        storage = self.customer.storages.DetachStorage(request).storage
        check(storage.state == storage_pb.STORAGE_STATE_DETACHED, "Offsite is detached")
        until(lambda: not self.provider.held(), "the provider holds no seat any more")
        check(
            self.customer.seats_in_use() == 0, "nor does the customer, where nothing else is used"
        )


def what_to_try(provider: ServerProcess, customer: ServerProcess) -> None:
    """Commands for those who keep the servers."""
    say("\nThe servers keep running. Try, in this shell:")
    say(f"  export PATH={Path(sys.executable).parent}:$PATH")
    for server in (provider, customer):
        prefix = server.program.replace("-", "_").upper()
        say(f"  export {prefix}_DATA={server.data} {prefix}_ENDPOINT={server.address}")
    say("  offsite-provider audit list --org Acme")
    say("  offsite-provider org rotate-key Acme --quiet >key")
    say(
        f"  offsite-customer storage attach --name Offsite-2 --hostname {provider.address} "
        "--guid $(offsite-provider identity --quiet) --key-file key"
    )
    say("  offsite-customer storage list")
    say("  eval $(offsite-provider env)   # for grpcurl")
    children = [server.child for server in (provider, customer) if server.child]
    say(f"  kill {' '.join(str(child.pid) for child in children)}   # the end")
    say(f"  rm -r {provider.data.parent}")


def main() -> None:
    """Play the story; `--keep` leaves the servers running."""
    keep = "--keep" in sys.argv[1:]
    begin = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="offsite-demo-"))
    story = Story(folder)
    try:
        story.play()
    except BaseException:
        story.end()
        say(f"\nThe servers' logs: {folder}/*/server.log")
        raise
    say(f"\nAll of it held, in {time.monotonic() - begin:.0f} s.")
    if keep:
        what_to_try(story.provider.server, story.customer.server)
        return
    story.end()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
