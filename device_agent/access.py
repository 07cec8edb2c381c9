"""How an archive is reached."""

from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from service_kit.errors import Conflict
from service_kit.reasons import Reason

_SCHEME = "rest:"


@dataclass(frozen=True)
class Access:
    """An archive's place, and what opens it."""

    archive_url: str
    """As restic names it, without the credential: rest:https://HOST:PORT/archives/ACCOUNT/DEVICE/."""

    user: str
    credential: str = field(repr=False)
    server_guid: str
    """The server that keeps it; its identity CA must prove it."""

    def __post_init__(self) -> None:
        """Refuse what is no archive of ours.

        Raises:
            Conflict: it is none.
        """
        if not _is_archive(self.archive_url):
            raise Conflict(
                Reason.WRONG_STATE,
                f"{self.archive_url!r} is no archive.",
                "Compare the versions of the two servers and of this program.",
            )

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return urlsplit(self.archive_url.removeprefix(_SCHEME)).netloc

    @property
    def path(self) -> str:
        """The archive's path at its server, with a slash at both ends."""
        return urlsplit(self.archive_url.removeprefix(_SCHEME)).path

    @property
    def repository(self) -> str:
        """The repository as every restic takes it; secret, as the credential is part of it."""
        both = f"{quote(self.user, safe='')}:{quote(self.credential, safe='')}"
        return f"{_SCHEME}https://{both}@{self.address}{self.path}"


def _is_archive(text: str) -> bool:
    whole = text.startswith(_SCHEME) and text.endswith("/")
    try:
        url = urlsplit(text.removeprefix(_SCHEME))
        placed = bool(url.hostname and url.port and url.username is None)
    except ValueError:
        return False
    return whole and placed and url.scheme == "https"


def archive_url(address: str, account_id: str, device_guid: str) -> str:
    """The archive of a device at HOST:PORT."""
    return f"{_SCHEME}https://{address}/archives/{account_id}/{device_guid}/"
