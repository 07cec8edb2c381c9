"""Escrow: the repository password, sealed to the recovery key, beside each archive.

So a company can restore what a computer that is lost has saved, and a provider can't read it.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography import x509

from device_agent import files
from device_agent.archive import Archive
from device_agent.device_key import DeviceKey
from device_agent.state import Enrollment, State
from service_kit.clock import now
from service_kit.identity import recovery_key, statements

KIND = "escrow"


def ensure(state: State, enrollment: Enrollment, key: DeviceKey, archive: Archive) -> bool:
    """Put the record beside an archive, unless it is there; whether there is a recovery key.

    Raises:
        OffsiteError: the recovery key is not the server's, or the archive refuses.
    """
    if not enrollment.recovery_key:
        return False
    record = _record(state, enrollment, key)
    if hashlib.sha256(record).hexdigest() not in archive.names(KIND):
        archive.put(KIND, record)
    return True


def _record(state: State, enrollment: Enrollment, key: DeviceKey) -> bytes:
    """The record of the present password and recovery key: one, however often it is put."""
    stated = statements.read_recovery_key(enrollment.recovery_key, enrollment.server_guid)
    password = state.password(enrollment.device_id).encode()
    present = {
        "recipient": stated.recipient,
        "device": enrollment.device_id,
        "password_sha256": hashlib.sha256(password).hexdigest(),
    }
    known = _known(state)
    if "record" not in known or any(known.get(name) != present[name] for name in present):
        known = {**present, "record": _sealed(state, key, stated.recipient, password)}
        files.write(state.escrow_file, json.dumps(known).encode())
    return str(known["record"]).encode()


def _known(state: State) -> Mapping[str, Any]:
    """The record that was made, and of what; nothing if it can't be read: it is made anew."""
    try:
        known = json.loads(files.read(state.escrow_file) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _sealed(state: State, key: DeviceKey, recipient: str, password: bytes) -> str:
    ca = x509.load_pem_x509_certificate(files.read(state.server_ca_file) or b"")
    sealed = recovery_key.seal(recipient, password)
    return statements.escrow_record(key.private_key, key.certificate, ca, sealed, now())
