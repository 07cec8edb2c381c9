"""Enroll this computer."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from device_agent import files, server
from device_agent.device_key import DeviceKey, pending
from device_agent.state import Enrollment, State
from service_kit.errors import Conflict, Unauthenticated
from service_kit.identity.enrollment import Invitation
from service_kit.reasons import Reason


def enroll(state: State, invitation: Invitation) -> Enrollment:
    """Enroll by an invitation; a repeat after an answer that was lost succeeds.

    A computer that was signed out enrolls again, and keeps its repository password.

    Raises:
        Conflict: it is enrolled at another server.
        OffsiteError: the server refuses, can't be reached, or is another one.
    """
    if state.is_enrolled and state.enrollment.server_guid != invitation.guid:
        raise _elsewhere(state.enrollment)
    with files.held(state.lock_file, "Another command of this program"):
        key = _key(state)
        welcome = server.enroll(invitation, key)
        if state.is_enrolled and state.enrollment.device_id != welcome.enrollment.device_id:
            state.forget_access()  # it was another device's
        files.write(state.server_ca_file, welcome.ca.public_bytes(Encoding.PEM))
        state.save_enrollment(welcome.enrollment)
        DeviceKey(key, welcome.certificate).save(state)
    return welcome.enrollment


def _key(state: State) -> ec.EllipticCurvePrivateKey:
    """The key to enroll: the present one while it is good, so that a repeat is one.

    A computer that was signed out gets another: who signed it out may know that its key was copied.
    """
    if not state.is_enrolled:
        return pending(state)
    present = DeviceKey.load(state)
    try:
        server.Server(state.enrollment, present).device()
    except Unauthenticated:
        return pending(state)
    return present.private_key


def _elsewhere(known: Enrollment) -> Conflict:
    return Conflict(
        Reason.WRONG_STATE,
        f"This computer is enrolled as {known.device_name} at the server {known.server_guid}.",
        "Run unenroll first; or name another folder with --state.",
    )
