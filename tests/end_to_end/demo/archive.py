"""What happens with bytes: backups to both servers, a full quota, ransomware, a lost company."""

import json
import ssl
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.end_to_end.demo.companies import Customer, Provider
from tests.end_to_end.demo.computers import Computer
from tests.end_to_end.demo.telling import chapter, check, say

ACME, OFFSITE, LOCAL = "Acme", "Offsite", "Local"
LAPTOP, DESK = "laptop-1", "kill-0"
COMPUTERS = 2
TYPES = ("snapshots", "index", "data", "keys")
ROOM = 2_000_000  # bytes that are left of the quota for a backup that needs more


class ArchiveStory:
    """The chapters with bytes; both servers run, and the storage is attached."""

    def __init__(self, folder: Path, provider: Provider, customer: Customer, restic: Path) -> None:
        self.folder = folder
        self.provider = provider
        self.customer = customer
        self.laptop = Computer(folder / LAPTOP, restic)
        self.desk = Computer(folder / DESK, restic)
        self.sheet = folder / "recovery-sheet"

    def play(self) -> None:
        """All chapters."""
        self.enroll()
        self.back_up()
        self.restore()
        self.fill_the_quota()
        self.ransomware()
        self.recover()

    def enroll(self) -> None:
        """A recovery key, and two computers that sign in."""
        chapter("The customer makes a recovery key, and two computers enroll")
        self.customer.server.run("recovery-key", "create", "--output", str(self.sheet))
        say("   the sheet is printed once; the server knows its public half alone")
        for computer, name in ((self.laptop, LAPTOP), (self.desk, DESK)):
            line = self.customer.server.run("--quiet", "device", "enroll-code", name)
            computer.run("enroll", line=line)
            size = computer.make_files()
            say(f"   {name} is enrolled and has 3000 files, {size / 10**6:.1f} MB")

    def back_up(self) -> None:
        """One command, two servers."""
        chapter("Each backs up to both servers with one command")
        for computer in (self.laptop, self.desk):
            said = computer.run("backup", str(computer.files))
            for line in said.splitlines():
                say(f"   {line}")
            saved = json.loads(computer.run("snapshots", "--json"))["snapshots"]
            check(len(saved) == 2, "a snapshot at each of the two servers")
        say(f"   the provider: {self._stored() / 10**6:.1f} MB stored, and no key to read them")

    def restore(self) -> None:
        """From the provider, byte for byte."""
        chapter("Restore from the provider")
        target = self.folder / "restored"
        self.laptop.run("restore", "latest", "--from", OFFSITE, "--target", str(target))
        check(self.laptop.restored_equals(target), "3000 files, equal byte for byte")

    def fill_the_quota(self) -> None:
        """A full organization is refused in clear words, and can restore."""
        chapter("The quota is used up")
        quota = self._stored() + ROOM
        self.provider.server.run("org", "update", ACME, "--disk-quota", str(quota))
        large = self.desk.folder / "large"
        large.write_bytes(_noise(20))
        self.desk.run("backup", str(large), status=1)
        said = next(each for each in self.desk.said.splitlines() if "quota" in each)
        check("disk quota exceeded" in said, "the provider refuses, and says why")
        say(f"   {said}")
        at_home = json.loads(self.desk.run("snapshots", "--from", LOCAL, "--json"))["snapshots"]
        check(len(at_home) == 2, "the company's own server has the backup all the same")
        target = self.folder / "restored-while-full"
        self.desk.run("restore", "latest", "--from", OFFSITE, "--target", str(target))
        check(self.desk.restored_equals(target), "and a full organization restores")
        self.provider.server.run("org", "update", ACME, "--disk-quota", "500GB")

    def ransomware(self) -> None:
        """A thief with a device's credential deletes everything; the operator brings it back."""
        chapter("A thief has the laptop's credential and deletes everything at the provider")
        before = datetime.now(UTC)
        deleted = self._delete_all()
        check(deleted > 0, f"{deleted} blobs are deleted, config and keys with them")
        gone = self.laptop.run("snapshots", "--from", OFFSITE, status=None)
        check(LAPTOP not in gone, "nothing is left to restore from")
        undelete = ("archive", "undelete", ACME, LAPTOP, "--to", before.isoformat(), "--confirm")
        say(f"   {self.provider.server.run(*undelete)}")
        self.laptop.run("restic", OFFSITE, "--", "check", "--read-data")
        check(True, "restic check --read-data finds no error, with the old password")
        target = self.folder / "undeleted"
        self.laptop.run("restore", "latest", "--from", OFFSITE, "--target", str(target))
        check(self.laptop.restored_equals(target), "and all is restored, byte for byte")

    def recover(self) -> None:
        """The customer's company burns down: the sheet and a grant bring everything back."""
        chapter("The customer's server and computers are gone")
        self.customer.server.kill()
        grant = self.folder / "grant"
        self.provider.server.run("archive", "grant", ACME, LAPTOP, "--output", str(grant))
        target = self.folder / "recovered"
        bare = Computer(self.folder / "bare-machine", self.laptop.restic)
        bare.folder.mkdir()
        bare.run(
            "recover",
            self.provider.server.https,
            *("--guid", self.provider.server.guid, "--grant-file", str(grant)),
            *("--recovery-sheet", str(self.sheet), "--target", str(target)),
        )
        check(
            self.laptop.restored_equals(target),
            "the sheet and a grant alone bring all back on a bare machine",
        )
        self.customer.begin()

    def _stored(self) -> int:
        return self.provider.organization().archive_usage.stored_bytes

    def _delete_all(self) -> int:
        """Delete every blob of the laptop's archive at the provider, as its credential may."""
        exports = json.loads(self.laptop.run("env", OFFSITE, "--json"))
        repository = exports["RESTIC_REPOSITORY"].removeprefix("rest:")
        parts = urlsplit(repository)
        plain = f"https://{parts.hostname}:{parts.port}{parts.path}"
        passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        passwords.add_password(None, plain, user, password, is_authenticated=True)
        trust = ssl.create_default_context(cafile=self.provider.server.data / "ca.pem")
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=trust),
            urllib.request.HTTPBasicAuthHandler(passwords),
        )
        deleted = 0
        for type in TYPES:
            with opener.open(f"{plain}{type}/") as answer:
                names = json.load(answer)
            for name in [f"{type}/{each}" for each in names]:
                opener.open(urllib.request.Request(plain + name, method="DELETE")).close()
                deleted += 1
        opener.open(urllib.request.Request(f"{plain}config", method="DELETE")).close()
        return deleted + 1


def _noise(megabytes: int) -> bytes:
    with Path("/dev/urandom").open("rb") as noise:
        return noise.read(megabytes * 10**6)
