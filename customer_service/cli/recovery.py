"""`offsite-customer recovery-key`: what opens the archives when every computer is gone."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from google.protobuf.json_format import MessageToDict
from offsite.customer.v1 import recovery_service_pb2 as pb
from offsite.customer.v1.recovery_service_pb2_grpc import RecoveryServiceStub

from service_kit.cli import output
from service_kit.cli.connection import call, stub
from service_kit.cli.identity import get_identity
from service_kit.clock import now
from service_kit.errors import FieldViolation, InvalidArgument, NotFound, OffsiteError, Unavailable
from service_kit.reasons import Reason

if TYPE_CHECKING:
    from service_kit.identity.recovery_sheet import RecoverySheet

ENDING = (signal.SIGHUP, signal.SIGTERM)

app = App(name="recovery-key", help="What opens the archives when every computer is gone.")


def service() -> RecoveryServiceStub:
    """The service of this noun."""
    return stub(RecoveryServiceStub)


@app.command
def create(*, file: Annotated[Path | None, Parameter(name="--output")] = None) -> None:
    """Make a recovery key, and print its sheet this once; the server learns the public half alone.

    An earlier sheet stays good for what was sealed to it.

    Parameters
    ----------
    file
        Write the sheet to this new file (0600), and do not print it.
    """
    sheet = _new_sheet()
    if file is not None:
        _write(file, sheet.text(now()))
    made = pb.CreateRecoveryKeyResponse()
    try:
        request = pb.CreateRecoveryKeyRequest(recipient=sheet.key.recipient)
        with _raising_signals():
            made = call(service().CreateRecoveryKey, request)
    except BaseException as error:
        if not isinstance(error, OffsiteError) or isinstance(error, Unavailable):
            # It may be in force: the only copy of the private half must not end with this process.
            _show(sheet, made, file)
        elif file is not None:
            file.unlink()
        raise
    _show(sheet, made, file)


@app.command
def show() -> None:
    """Show the public half of the recovery key that is in force."""
    found = call(service().GetRecoveryKey, pb.GetRecoveryKeyRequest())
    if not found.HasField("recovery_key"):
        raise NotFound(
            Reason.NOT_FOUND, "There is no recovery key yet.", "Make one: recovery-key create."
        )
    key = found.recovery_key
    facts = [("public half", key.recipient), ("made", output.moment(key, "create_time"))]
    output.show(found, lambda: output.facts(facts), quiet=key.recipient)


def _new_sheet() -> "RecoverySheet":
    from service_kit.identity import recovery_key
    from service_kit.identity.recovery_sheet import RecoverySheet

    return RecoverySheet(recovery_key.generate(), get_identity().guid)


@contextmanager
def _raising_signals() -> Iterator[None]:
    """Let what would end this process at once raise SystemExit."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = [each for each in ENDING if signal.getsignal(each) is not signal.SIG_IGN]  # nohup
    before = {each: signal.signal(each, end) for each in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(sheet: "RecoverySheet", made: pb.CreateRecoveryKeyResponse, file: Path | None) -> None:
    """Print the sheet, or where it was written; a program gets the answer and the same."""
    document = {
        **MessageToDict(made, preserving_proto_field_name=True),
        "server_guid": sheet.customer_guid,
    }
    if file is not None:
        told = f"The sheet is in {file}: print it, and remove the file."
        output.show_document(document, lambda: output.line(told), quiet=sheet.key.recipient)
        return
    document["private_key"] = sheet.key.private_key
    text = sheet.text(now())
    try:
        output.show_document(document, lambda: output.line(text), quiet=sheet.key.private_key)
    except OSError:  # the reader has gone, or a disk is full: no copy would be left
        sys.stderr.write(f"{text}\n")
        raise


def _write(file: Path, text: str) -> None:
    """Write a new file that only its owner may read, durably."""
    try:
        _write_new(file, f"{text}\n")
    except OSError as error:
        violation = FieldViolation("--output", f"{file} can't be made: {error.strerror}")
        raise InvalidArgument([violation]) from error


def _write_new(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as written:
            written.write(text)
            written.flush()
            os.fsync(descriptor)
        _sync_folder(file.parent)
    except BaseException:
        file.unlink(missing_ok=True)  # half of a sheet is none
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
