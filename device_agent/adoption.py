"""A computer that took over from another takes over the password of its archive, too."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from device_agent import recovery
from device_agent.destinations import Device, Opened
from device_agent.offers import Offer
from device_agent.restic import Restic
from device_agent.restic_run import Repository
from service_kit.errors import Conflict, NotFound, OffsiteError
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


def adopt(device: Device, restic: Restic, find: Find) -> str:
    """Keep the password of the first archive that it opens; answers the destination's name.

    One that is kept already is passed over while there are other archives.

    Raises:
        NotFound: it opens none.
        Conflict: the present password opens an archive that this one does not.
        OffsiteError: no archive answers, or none has a record that can be trusted.
    """
    offered = device.offers().destinations
    present = device.state.password(device.enrollment.device_id)
    refusals: list[OffsiteError] = []
    kept_already: list[str] = []
    for offer in offered:
        try:
            opened = device.open(offer)
            password = find(opened) if opened.archive.has_config() else None
        except OffsiteError as error:
            refusals.append(error)
            continue
        if password == present:
            kept_already.append(opened.name)
        elif password is not None:
            _check_none_is_lost(device, restic, offered, password)
            device.state.set_password(device.enrollment.device_id, password)
            return opened.name
    if kept_already and not refusals:
        return kept_already[0]
    raise (
        refusals[0]
        if refusals
        else NotFound(
            Reason.NOT_FOUND,
            "That password opens no archive of this device.",
            "Take the one of the computer that made the archive.",
        )
    )


def _check_none_is_lost(
    device: Device, restic: Restic, offered: Iterable[Offer], password: str
) -> None:
    """Refuse a password where the present one opens a repository that it does not.

    A destination that does not answer is passed over: the present password is kept in any case.
    """
    for offer in offered:
        try:
            opened = device.open_held(offer)
            other = replace(opened.repository, password=password)
            is_lost = (
                opened.archive.has_config()
                and recovery.opens(restic, opened.repository)
                and not recovery.opens(restic, other)
            )
        except OffsiteError:
            continue
        if is_lost:
            raise Conflict(
                Reason.WRONG_STATE,
                f"{opened.name}: the present password opens the archive there, and that one does "
                "not. A computer has one password for all its archives.",
                "Nothing was changed. Ask your administrator which of the archives shall stay: "
                "the other has to be removed first (archive purge).",
            )
