"""What happens between the two: identity, attach, seats, a thief, a crash, a clone."""

import threading
from pathlib import Path

import grpc
from offsite.customer.v1 import destination_service_pb2 as destination_pb
from offsite.customer.v1 import device_service_pb2 as device_pb
from offsite.customer.v1 import storage_service_pb2 as storage_pb

from tests.end_to_end.demo.archive import COMPUTERS, ArchiveStory
from tests.end_to_end.demo.companies import SEATS, Customer, Provider
from tests.end_to_end.demo.telling import chapter, check, say, until


class Story:
    """What happens between the two; without restic no byte is backed up."""

    def __init__(self, folder: Path, restic: Path | None) -> None:
        self.folder = folder
        self.restic = restic
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
        if self.restic is not None:
            ArchiveStory(self.folder, self.provider, self.customer, self.restic).play()
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
        left = 0 if self.restic is None else COMPUTERS
        check(
            self.customer.seats_in_use() == left,
            f"the customer's license counts the {left} computers that back up at home",
        )
