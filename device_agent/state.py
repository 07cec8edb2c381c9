"""What the agent keeps on its computer: one folder, and files that only its owner may read."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import platformdirs

from device_agent import files
from device_agent.access import Access
from service_kit.clock import now
from service_kit.errors import Conflict
from service_kit.reasons import Reason
from service_kit.validation import resource_id

PROGRAM = "offsite-device"
PASSWORD_BYTES = 32


@dataclass(frozen=True)
class Enrollment:
    """Which device this computer is, and where its company's server is."""

    device_id: str
    device_name: str
    user_email: str
    server_guid: str
    addresses: tuple[str, ...]
    recovery_key: str = ""
    """The recovery key, as a statement that the server's identity signed; empty without one."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """As it was kept."""
        return cls(**{**document, "addresses": tuple(document["addresses"])})


@dataclass(frozen=True)
class Kept:
    """What is known of one destination."""

    storage_id: str
    name: str
    access: Access | None = None
    """How its archive was last reached; None where it never was, or no longer may be."""

    begun: bool = False
    """Whether this computer has found or made a repository there."""

    last: Mapping[str, Any] | None = None
    """The last backup's result."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """As it was kept."""
        access = document["access"]
        return cls(**{**document, "access": Access(**access) if access else None})


class State:
    """The state folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or platformdirs.user_data_path(PROGRAM, appauthor=False)).absolute()
        self.device_file = self.folder / "device.pem"  # the key and its certificate
        self.pending_key_file = self.folder / "pending.key"  # of an enrolling not yet answered
        self.server_ca_file = self.folder / "server-ca.pem"
        self.escrow_file = self.folder / "escrow.json"
        self.lock_file = self.folder / "lock"
        self._enrollment_file = self.folder / "enrollment.json"
        self._destinations = self.folder / "destinations"

    @property
    def is_enrolled(self) -> bool:
        """Whether this computer is enrolled."""
        return self._enrollment_file.exists() and self.device_file.exists()

    @property
    def enrollment(self) -> Enrollment:
        """Which device this computer is.

        Raises:
            Conflict: it is none.
        """
        document = _load(self._enrollment_file)
        if document is None or not self.device_file.exists():
            raise Conflict(
                Reason.NOT_ENROLLED,
                f"This computer is not enrolled (no enrollment in {self.folder}).",
                "Ask your administrator for the line that `device add` prints, and run: enroll.",
            )
        return Enrollment.of(document)

    def save_enrollment(self, enrollment: Enrollment) -> None:
        """Note which device this computer is."""
        _dump(self._enrollment_file, asdict(enrollment))

    def destination(self, storage_id: str, name: str) -> Kept:
        """What is known of a destination, which may be nothing."""
        document = _load(self._destination_file(storage_id))
        return replace(Kept.of(document), name=name) if document else Kept(storage_id, name)

    def destinations(self) -> list[Kept]:
        """What is known of each destination, by name."""
        documents = [_load(each) for each in self._destinations.glob("*.json")]
        found = [Kept.of(each) for each in documents if each]
        return sorted(found, key=lambda each: each.name.casefold())

    def save_destination(self, kept: Kept) -> None:
        """Note what is known of a destination."""
        _dump(self._destination_file(kept.storage_id), asdict(kept))

    def ca_file(self, storage_id: str) -> Path:
        """Where the identity CA of a destination's server is kept."""
        return self._destinations / f"{storage_id}.pem"

    def password_file(self, device_id: str) -> Path:
        """Where a device's repository password is kept, whatever else is forgotten.

        Raises:
            InvalidArgument: it is no device's GUID: a server must not name another file by it.
        """
        return self.folder / "passwords" / resource_id("device id", device_id)

    def password(self, device_id: str) -> str:
        """A device's repository password, made durable before it is answered if there was none."""
        path = self.password_file(device_id)
        if not path.exists():
            files.create(path, secrets.token_urlsafe(PASSWORD_BYTES).encode())
        return (files.read(path) or b"").decode().strip()

    def set_password(self, device_id: str, password: str) -> None:
        """Take over the repository password of an archive that another computer began.

        The present one stays beside it, as GUID.TIME: it may be the only copy.
        """
        path = self.password_file(device_id)
        former = files.read(path)
        if former is not None:
            files.write(path.with_name(f"{path.name}.{now():%Y%m%dT%H%M%S.%fZ}"), former)
        files.remove(self.escrow_file)  # it sealed the former password
        files.write(path, password.encode())

    def forget(self) -> None:
        """Forget the enrollment and all access; repository passwords are kept."""
        files.remove(self._enrollment_file, self.device_file, self.pending_key_file)
        files.remove(self.server_ca_file)
        self.forget_access()

    def forget_access(self) -> None:
        """Forget all destinations."""
        files.remove(self.escrow_file, *self._destinations.glob("*"))

    def _destination_file(self, storage_id: str) -> Path:
        return self._destinations / f"{storage_id}.json"


def _load(path: Path) -> Any:
    content = files.read(path)
    if content is None:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise Conflict(
            Reason.WRONG_STATE, f"{path} is not what this program wrote.", "Remove the file."
        ) from error


def _dump(path: Path, document: Any) -> None:
    files.write(path, json.dumps(document, indent=2).encode())
