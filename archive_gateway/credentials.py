"""What opens a device's archive. Nothing of it is stored: each is derived from the identity."""

import base64
from collections.abc import Sequence

from archive_gateway.domain.names import ArchiveId, is_uuid
from service_kit.identity.identity import Identity

GRANT = "grant"


def storage_credential(identity: Identity, archive: ArchiveId, generation: int) -> str:
    """The password of a device's archive for one generation of its seat.

    The same every time, so that a repeat of a lost answer gives the same one; a newer generation
    gives another. The version allows a later change of how it is made.
    """
    account, device = archive.account_id, archive.device_guid
    return _text(identity.secret("storage credential", "v1", account, device, generation))


def grant_credential(identity: Identity, archive: ArchiveId, grant_id: str) -> str:
    """The password by which a grant opens an archive: `grant.ID.SECRET`."""
    account, device = archive.account_id, archive.device_guid
    secret = identity.secret("archive grant", "v1", account, device, grant_id)
    return f"{GRANT}.{grant_id}.{_text(secret)}"


def grant_id_of(password: str) -> str | None:
    """The id of the grant that a password claims to be of."""
    parts = password.split(".")
    found = len(parts) == 3 and parts[0] == GRANT and is_uuid(parts[1])
    return parts[1] if found else None


def archive_url(https_addresses: Sequence[str], archive: ArchiveId) -> str:
    """A device's archive as restic names it, at the best of the server's HTTPS addresses."""
    path = f"archives/{archive.account_id}/{archive.device_guid}/"
    return f"rest:https://{https_addresses[0]}/{path}"


def _text(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).decode().rstrip("=")
