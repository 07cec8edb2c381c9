"""Where the gateway answers otherwise than rest-server, and why. The tests hold it to both."""

from dataclasses import dataclass

from tests.wire.restic_requests import ESCAPED, FOLDERS, NORMALIZED, READ, TYPES, V2, Ask


@dataclass(frozen=True)
class Difference:
    """Requests that are answered with other statuses, or with the same and other content."""

    reason: str
    theirs: int
    ours: int
    names: tuple[str, ...]


def _read(*ranges: str) -> tuple[str, ...]:
    return tuple(f"GET data/ID Range={each}" for each in ranges)


def _odd(methods: tuple[str, ...], *paths: str) -> tuple[str, ...]:
    return tuple(Ask(method, path, note="odd").name for method in methods for path in paths)


UNKNOWN = ("FOO", "get")
KNOWN_PATHS = ("", "config", "data/", "data/ID")

DIFFERENCES = (
    Difference(
        "The same content again is no error: a client that lost an answer repeats its upload.",
        *(403, 200, tuple(f"POST {each}/ID: same again" for each in TYPES)),
    ),
    Difference(
        "What is sent is checked before it is told that the blob is there.",
        *(403, 400, tuple(f"POST {each}/ID: wrong hash over a good one" for each in TYPES)),
    ),
    Difference(
        "Without a length no room can be promised (RFC 9110, section 15.5.12).",
        *(400, 411, ("POST data/ID: no length",)),
    ),
    Difference(
        "As above; restic always knows the length.",
        *(200, 411, ("POST data/ID: chunked",)),
    ),
    Difference(
        "A seat comes with an archive, which is empty until something is stored.",
        *(404, 200, tuple(f"GET {each}/ Accept={V2}: before create" for each in TYPES)),
    ),
    Difference(
        "A header that offers version 2 among others is understood.",
        *(200, 200, tuple(f"GET {each}/ Accept={V2}, */*: one" for each in TYPES)),
    ),
    Difference(
        "config can be read in parts, like any other blob.",
        *(200, 200, ("GET config", "GET config: still the first")),
    ),
    Difference("As above.", 200, 200, ("GET config: after delete and POST",)),
    Difference("As above.", 200, 206, ("GET config Range=bytes=4-5",)),
    Difference(
        "Blobs are encrypted: what their first bytes look like says nothing.",
        *(200, 200, ("GET data/ID: text", "GET data/ID: empty blob")),
    ),
    Difference(
        "As above, of nothing.",
        *(200, 200, tuple(f"GET data/ID Range=bytes=0-{each}: empty blob" for each in ("", "0"))),
    ),
    Difference(
        "No range of nothing can be satisfied (RFC 9110, section 14.1.2).",
        *(206, 416, _read("bytes=-0")),
    ),
    Difference(
        "A Range that is malformed is ignored (RFC 9110, section 14.2).",
        *(416, 200),
        _read(
            *("bytes=5-3", "bytes=x-y", "bytes=-", "bytes=1", "octets=0-1", "Bytes=0-1", "0-1"),
            *("bytes=0-" + "9" * 30, "bytes=" + "9" * 30 + "-"),
        ),
    ),
    Difference(
        "As above; no space and no sign belongs there.",
        *(206, 200, _read("bytes= 0-1", "bytes=0 - 1", "bytes=+1-2")),
    ),
    Difference(
        "Several ranges may be ignored, and restic asks for one (RFC 9110, section 14.2).",
        *(206, 200, _read("bytes=0-1,4-5", "bytes=0-1,2000-")),
    ),
    Difference(
        "A blob has its content in its name: there is no other version to ask about.",
        *(200, 206, ('GET data/ID Range=bytes=0-9 If-Range="none"',)),
    ),
    Difference("As above.", 304, 200, ("GET data/ID If-None-Match=*",)),
    Difference("As above.", 412, 200, ('GET data/ID If-Match="none"',)),
    Difference(
        "A path is taken as it is written, so that a blob has one name, and nothing leads upwards.",
        *(301, 404, _odd((*READ, "POST", "DELETE"), *NORMALIZED)),
    ),
    Difference("As above: without escapes.", 200, 404, _odd(READ, *ESCAPED)),
    Difference("As above.", 400, 404, _odd(READ, "data/%zz")),
    Difference("An archive has no folders of a client's choice.", 405, 404, _odd(READ, *FOLDERS)),
    Difference(
        "Methods that HTTP does not know are no HTTP.",
        *(405, 400, tuple(f"{each} {path}" for each in UNKNOWN for path in KNOWN_PATHS)),
    ),
    Difference("As above.", 404, 400, tuple(f"{each} data" for each in UNKNOWN)),
)
