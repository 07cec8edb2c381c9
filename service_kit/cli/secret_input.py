"""A secret from a file, stdin, or a prompt without echo: never from an argument."""

import getpass
import sys
from pathlib import Path

from service_kit.errors import FieldViolation, InvalidArgument

LONGEST = 1000  # characters


def read_secret(file: Path | None, prompt: str, option: str = "--key-file") -> str:
    """The secret, without the space around it; `option` is the one that names the file.

    Raises:
        InvalidArgument: the file can't be read, or nothing was given.
    """
    if file is not None:
        text = _from_file(file, option)
    elif sys.stdin.isatty():
        text = getpass.getpass(f"{prompt}: ")
    else:
        text = sys.stdin.read(LONGEST)
    if not text.strip():
        raise InvalidArgument([FieldViolation(prompt, "was not given")])
    return text.strip()


def _from_file(file: Path, option: str) -> str:
    try:
        return file.read_text(encoding="utf-8")[:LONGEST]
    except (OSError, UnicodeDecodeError) as error:
        violation = FieldViolation(option, f"can't be read: {error}")
        raise InvalidArgument([violation]) from error
