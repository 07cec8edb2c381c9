"""A computer that took over from another takes over the password of its archive, too."""

from collections.abc import Callable

from device_agent import recovery
from device_agent.destinations import Device, Opened
from device_agent.restic import Restic
from device_agent.restic_run import Repository
from service_kit.errors import NotFound, OffsiteError
from service_kit.identity.recovery_sheet import RecoverySheet
from service_kit.reasons import Reason

Find = Callable[[Opened], str | None]


def of_password(restic: Restic, password: str) -> Find:
    """Finds a password that is known, where it opens the archive."""

    def find(opened: Opened) -> str | None:
        access, ca_file = opened.repository.access, opened.repository.ca_file
        repository = Repository(access, ca_file, password)
        return password if recovery.opens(restic, repository) else None

    return find


def of_sheet(restic: Restic, device_guid: str, sheet: RecoverySheet) -> Find:
    """Finds the password that the other computer sealed."""
    return lambda opened: recovery.password_of(restic, opened.archive, device_guid, sheet)


def adopt(device: Device, find: Find) -> str:
    """Keep the password of the first archive that it opens; answers the destination's name.

    Raises:
        NotFound: it opens none.
        OffsiteError: no archive answers, or none has a record that can be trusted.
    """
    refusals: list[OffsiteError] = []
    for offer in device.offers().destinations:
        try:
            opened = device.open(offer)
            password = find(opened) if opened.archive.has_config() else None
        except OffsiteError as error:
            refusals.append(error)
            continue
        if password is not None:
            device.state.set_password(device.enrollment.device_id, password)
            return opened.name
    raise (
        refusals[0]
        if refusals
        else NotFound(
            Reason.NOT_FOUND,
            "That password opens no archive of this device.",
            "Take the one of the computer that made the archive.",
        )
    )
