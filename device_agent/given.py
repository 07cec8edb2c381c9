"""Files that options name: the recovery sheet, a grant, a password."""

from pathlib import Path

from device_agent.recovery import Grant
from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.identity.recovery_sheet import RecoverySheet

LONGEST = 100_000  # characters


def read_sheet(file: Path) -> RecoverySheet:
    """The recovery sheet of a file.

    Raises:
        InvalidArgument: it can't be read, or is none.
    """
    return RecoverySheet.parse("--recovery-sheet", read_text("--recovery-sheet", file))


def read_grant(file: Path) -> Grant:
    """The grant of a file.

    Raises:
        InvalidArgument: it can't be read, or is none.
    """
    return Grant.parse("--grant-file", read_text("--grant-file", file))


def read_text(option: str, file: Path) -> str:
    """What a file holds that an option names.

    Raises:
        InvalidArgument: it can't be read.
    """
    try:
        return file.read_text(encoding="utf-8")[:LONGEST]
    except (OSError, UnicodeDecodeError) as error:
        violation = FieldViolation(option, f"can't be read: {error}")
        raise InvalidArgument([violation]) from error
