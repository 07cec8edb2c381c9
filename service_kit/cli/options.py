"""The options that every command has, before or after its name."""

import contextvars
from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from service_kit.cli.parameters import Flag
from service_kit.settings import default_data


@Parameter(name="*")
@dataclass(frozen=True)
class PrintOptions:
    """How to print."""

    json: Flag = False
    """Print the answer as JSON, with the fields' names of the protocol, and nothing else."""

    quiet: Flag = False
    """Print the one thing that a script needs: an id, a GUID or a key."""


@Parameter(name="*")
@dataclass(frozen=True)
class Options(PrintOptions):
    """How to reach the server, and how to print."""

    data: Path | None = None
    """The server's data folder, on its own machine: the other options default from it."""

    endpoint: str | None = None
    """HOST:PORT of the server's gRPC."""

    ca: Path | None = None
    """The server's identity CA; ca.pem in the data folder."""

    token_file: Path | None = None
    """A file with a token; operator.token in the data folder."""


@dataclass(frozen=True)
class Program:
    """Which of the two servers' commands this is."""

    name: str
    prefix: str
    service: str
    grpc: str
    https: str


@dataclass(frozen=True)
class Invocation:
    """The command being run."""

    program: Program
    options: Options

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.options.data or default_data(self.program.name)

    @property
    def endpoint(self) -> str:
        """HOST:PORT of the server."""
        return self.options.endpoint or self.program.grpc

    @property
    def ca(self) -> Path:
        """The identity CA's file."""
        return self.options.ca or self.data / "ca.pem"

    @property
    def token_file(self) -> Path:
        """The token's file."""
        return self.options.token_file or self.data / "operator.token"


_invocation: contextvars.ContextVar[Invocation] = contextvars.ContextVar("invocation")
_printing: contextvars.ContextVar[PrintOptions] = contextvars.ContextVar("printing")


def begin(invocation: Invocation) -> None:
    """Note which command is being run."""
    _invocation.set(invocation)
    print_as(invocation.options)


def print_as(options: PrintOptions) -> None:
    """Note how the command being run prints."""
    _printing.set(options)


def printing() -> PrintOptions:
    """How the command being run prints."""
    return _printing.get()


def invocation() -> Invocation:
    """The command being run."""
    return _invocation.get()
