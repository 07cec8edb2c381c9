"""Requests walked by descriptor: a plausible one for each method, and each field of it made bad."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import offsite
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from service_kit.server.access import AccessTable

INT32 = (-(2**31), 2**31 - 1)
INT64 = (-(2**63), 2**63 - 1)
NIL = "00000000-0000-0000-0000-000000000000"

TEXTS = {
    "empty": "",
    "blank": " \t\n",
    "a NUL": "a\x00b",
    "control characters": "a\x07\x1b[31mb",
    "turned round": "a\u202eb",
    "oversized": "x" * 200_000,
    "oversized in bytes": "💾" * 110_000,
}
IDS = {"no UUID": "0b8f4d52-7d3f-4c3b-9a53", "the nil UUID": NIL, "SQL": "'; DROP TABLE seats; --"}
IS_ID = re.compile(r"(.*_)?(id|ids|guid|guids|nonce)")
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: {"negative": -1, "lowest": INT32[0], "highest": INT32[1]},
    FieldDescriptor.CPPTYPE_INT64: {"negative": -1, "lowest": INT64[0], "highest": INT64[1]},
    FieldDescriptor.CPPTYPE_ENUM: {"unknown": 99, "negative": -1},
}
BYTES = {"empty": b"", "oversized": b"x" * 200_000}
TIMES = {
    "before time": {"seconds": INT64[0]},
    "after time": {"seconds": INT64[1]},
    "wrong nanoseconds": {"nanos": -5},
    "the year 10000": {"seconds": 253_402_300_800},
}
MANY = 20_000


@dataclass(frozen=True)
class Bad:
    """One bad value of one field."""

    path: str
    what: str
    request: Message


def methods(access: AccessTable) -> list[MethodDescriptor]:
    """Our own methods that a server's access table names."""
    for module in pkgutil.walk_packages(offsite.__path__, "offsite."):
        importlib.import_module(module.name)
    found = []
    for full_name in sorted(access):
        service, _, method = full_name[1:].rpartition("/")
        if service.startswith("offsite."):
            found.append(Default().FindServiceByName(service).methods_by_name[method])
    return found


def plausible(method: MethodDescriptor, samples: Mapping[str, Any]) -> Message:
    """A good request; `samples` holds values by `Method.field.path` or by the field's name."""
    request = GetMessageClass(method.input_type)()
    _fill(request, f"{method.name}.", samples)
    return request


def bad_requests(method: MethodDescriptor, samples: Mapping[str, Any]) -> Iterator[Bad]:
    """The plausible request with each field in turn made bad."""

    def changed(change: Callable[[Any], None]) -> Message:
        request = plausible(method, samples)
        change(request)
        return request

    for path, field in _fields(method.input_type):
        for what, change in _changes(field).items():

            def apply(
                request: Any, path: str = path, change: Callable[[Any], None] = change
            ) -> None:
                for name in path.split(".")[:-1]:
                    inner = getattr(request, name)
                    repeats = not isinstance(inner, Message)
                    request = (inner[0] if len(inner) else inner.add()) if repeats else inner
                change(request)

            yield Bad(path, what, changed(apply))


def _fields(message: Descriptor, prefix: str = "") -> Iterator[tuple[str, FieldDescriptor]]:
    for field in message.fields:
        path = prefix + field.name
        if f"{message.full_name}.{field.name}" in output_only():
            continue
        yield path, field
        if field.message_type and _is_ours(field.message_type):
            yield from _fields(field.message_type, f"{path}.")


def _changes(field: FieldDescriptor) -> dict[str, Callable[[Any], None]]:
    if field.is_repeated:
        return _repeated_changes(field)
    name = field.name
    values: Mapping[str, Any] = {}
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        values = BYTES if field.type == FieldDescriptor.TYPE_BYTES else _texts(name)
    elif field.cpp_type in NUMBERS:
        values = NUMBERS[field.cpp_type]
    elif field.message_type and field.message_type.name == "Timestamp":
        return {what: _merge(name, parts) for what, parts in TIMES.items()}
    elif field.message_type and field.message_type.name == "FieldMask":
        masks = {"empty": [], "unknown": ["nope"], "blank": [""], "many": ["name"] * MANY}
        return {what: _masked(name, paths) for what, paths in masks.items()}
    return {what: _set(name, value) for what, value in values.items()}


def _repeated_changes(field: FieldDescriptor) -> dict[str, Callable[[Any], None]]:
    name = field.name
    if field.message_type:
        return {"many": lambda request: _add_many(getattr(request, name))}
    return {
        "many": _extend(
            name, [f"{number:08x}-0000-4000-8000-000000000000" for number in range(MANY)]
        ),
        **{f"one {what}": _extend(name, [value]) for what, value in _texts(name).items()},
    }


def _texts(name: str) -> dict[str, str]:
    return {**TEXTS, **IDS} if IS_ID.fullmatch(name) else TEXTS


def _set(name: str, value: Any) -> Callable[[Any], None]:
    return lambda request: setattr(request, name, value)


def _merge(name: str, parts: Mapping[str, int]) -> Callable[[Any], None]:
    def change(request: Any) -> None:
        for part, value in parts.items():
            setattr(getattr(request, name), part, value)

    return change


def _masked(name: str, paths: list[str]) -> Callable[[Any], None]:
    def change(request: Any) -> None:
        getattr(request, name).paths[:] = paths

    return change


def _extend(name: str, values: list[str]) -> Callable[[Any], None]:
    return lambda request: getattr(request, name).extend(values)


def _add_many(repeated: Any) -> None:
    for _ in range(MANY):
        repeated.add()


def _fill(message: Message, prefix: str, samples: Mapping[str, Any]) -> None:
    for field in message.DESCRIPTOR.fields:
        path = prefix + field.name
        if f"{message.DESCRIPTOR.full_name}.{field.name}" in output_only():
            continue
        value = samples.get(path, samples.get(field.name))
        if value is not None:
            _put(message, field, value() if callable(value) else value)
        elif field.message_type and not field.is_repeated and _is_ours(field.message_type):
            inner = getattr(message, field.name)
            inner.SetInParent()
            _fill(inner, f"{path}.", samples)


def _put(message: Message, field: Any, value: Any) -> None:
    if field.is_repeated:
        getattr(message, field.name).extend(value)
    elif isinstance(value, Message):
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


def _is_ours(message: Any) -> bool:
    return str(message.full_name).startswith("offsite.")


@cache
def output_only() -> frozenset[str]:
    """Full names of fields that are the server's alone, as their comments say."""
    found = set()
    for folder in map(Path, offsite.__path__):
        for file in folder.rglob("*.proto"):
            text = file.read_text()
            package = re.search(r"^package (.+);", text, re.MULTILINE)
            assert package
            for message, body in re.findall(r"^message (\w+) \{(.*?)^\}", text, re.S | re.M):
                for name in re.findall(r"// Output only[^;]*?(\w+) = \d+;", body):
                    found.add(f"{package[1]}.{message}.{name}")
    return frozenset(found)
