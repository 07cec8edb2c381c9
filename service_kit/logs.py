"""Logging: one line an event, for people or as JSON, and never a secret.

Every line is redacted as a whole after it is rendered, so that no field, exception text or
library's message can carry a key, a token or a credential into a log.
"""

import json
import logging
import re
import sys
from functools import lru_cache
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from service_kit.server.caller import call_facts

_REDACTED = "[redacted]"
# A registration key as it is shown, with spaces or hyphens, or without.
_KEY = re.compile(r"\b[0-9A-Za-z]{4}(?:[0-9A-Za-z]{12}|(?:[- ][0-9A-Za-z]{4}){3})\b")
# What gives another secret away, and how far it goes: looked for by its first characters, since
# every line passes here.
_MARKED = {
    "offs_": re.compile(r"offs_[A-Za-z0-9_-]+"),
    "eyJ": re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*"),  # a JWT (RFC 7519), as a peer's token is
    "PRIVATE KEY": re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
    ),
    "://": re.compile(r"(?<=://)[^\s:/@\"]*:[^\s@/\"]+(?=@)"),  # a password in a database's URL
}
_SECRET_FIELD = re.compile(
    r"secret|password|passphrase|credential|authorization|_key$|^key$|^token$"
)
# Made once: json.dumps with a `default` makes an encoder for every line.
_ENCODER = json.JSONEncoder(default=repr)
_QUIET_LIBRARIES = ("aiohttp.access", "alembic", "asyncio", "grpc")


def redact(text: str) -> str:
    """The text without anything that looks like a registration key, token, JWT or credential."""
    for mark, secret in _MARKED.items():
        if mark in text:
            text = secret.sub(_REDACTED, text)
    return _KEY.sub(_redact_key, text)


def set_up(level: str = "info", format: str = "console") -> None:
    """Send structlog's events and the standard library's to stderr in one form."""
    number = logging.getLevelNamesMapping()[level.upper()]
    common = _common()
    render = _renderer(format)
    structlog.configure(
        processors=[*common, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _Stderr(),
    )
    handler = logging.StreamHandler(_Stderr())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for library in _QUIET_LIBRARIES:
        logging.getLogger(library).setLevel(max(number, logging.WARNING))


def _redact_key(match: re.Match[str]) -> str:
    """Four words of four letters are no key: one has hyphens, digits or capitals."""
    found = match.group()
    is_key = "-" in found or found.isupper() or any(each.isdigit() for each in found)
    return _REDACTED if is_key else found


class _Stderr:
    """Writes to whatever stderr is at the time: a test may have replaced it."""

    def msg(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = msg

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _common() -> list[Processor]:
    return [
        _add_call,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_secret_fields,
    ]


def _renderer(format: str) -> list[Processor]:
    if format == "json":
        exceptions = structlog.processors.format_exc_info
        return [exceptions, _as_json, _redact_line]
    colours = sys.stderr.isatty()
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain), _redact_line]


def _add_call(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    facts = call_facts.get()
    if facts is not None:
        event.setdefault("trace_id", facts.trace_id)
        event.setdefault("caller", facts.caller.name)
        event.setdefault("method", facts.method)
    return event


def _hide_secret_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for field in event:
        if _names_a_secret(field):
            event[field] = _REDACTED
    return event


@lru_cache(maxsize=1024)
def _names_a_secret(field: str) -> bool:
    return _SECRET_FIELD.search(field) is not None


def _as_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return _ENCODER.encode(event)


def _redact_line(_: WrappedLogger, __: str, line: Any) -> str:
    return redact(line)
