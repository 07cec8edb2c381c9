"""What a device needs to reach its archive. Nothing of it is stored here."""

import base64
from collections.abc import Sequence

from service_kit.identity.identity import Identity


def storage_credential(
    identity: Identity, organization_id: str, device_guid: str, generation: int
) -> str:
    """The password of a device's archive for one generation of its seat.

    The same every time, so that a repeat of a lost answer gives the same one; a newer generation
    gives another. The version allows a later change of how it is made.
    """
    secret = identity.secret("storage credential", "v1", organization_id, device_guid, generation)
    return base64.urlsafe_b64encode(secret).decode().rstrip("=")


def archive_url(https_addresses: Sequence[str], organization_id: str, device_guid: str) -> str:
    """A device's archive as restic names it, at the best of the server's HTTPS addresses."""
    return f"rest:https://{https_addresses[0]}/archives/{organization_id}/{device_guid}/"
