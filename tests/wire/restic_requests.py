"""What is asked of a server that speaks restic's protocol: in order, each builds on the last.

https://restic.readthedocs.io/en/stable/100_references.html#rest-backend
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

TYPES = ("data", "keys", "locks", "snapshots", "index")
V1, V2 = "application/vnd.x.restic.rest.v1", "application/vnd.x.restic.rest.v2"
READ = ("HEAD", "GET")
_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Ask:
    """One request; its path is below the repository's. `chunked` sends a body without a length."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        """What tests call it: `POST data/ID: same again`; blobs' names are left out."""
        path = _NAME.sub("ID", self.path.replace(ID, "ID"))
        path = path if len(path) < 90 else f"{path[:20]}...{len(path)}"
        headers = "".join(f" {name}={value}" for name, value in self.headers.items())
        return f"{self.method} {path}{headers}" + (f": {self.note}" if self.note else "")


def content(text: str) -> bytes:
    """A blob's content; no text, so that nobody takes it for one."""
    return b"\x00\xff" + text.encode()


def id_of(body: bytes) -> str:
    """The name of content: its SHA-256."""
    return hashlib.sha256(body).hexdigest()


def everything() -> list[Ask]:
    """All that is asked, in order."""
    parts = (
        *(_strangers(), _before_create(), _create(), _config(), *map(_type, TYPES)),
        *(_bodies(), _ranges(), _paths(), _odd_writes(), _methods()),
    )
    return [ask for part in parts for ask in part]


def _strangers() -> Iterator[Ask]:
    for value in ("", "Basic", "Basic %%%", "Basic dTpwOg==", "Bearer dTpw", "Basic dQ=="):
        yield Ask("GET", "config", headers={"Authorization": value})
    yield Ask("POST", "?create=true", b"", {"Authorization": ""})
    yield Ask("POST", f"data/{id_of(b'a')}", b"a", {"Authorization": "Basic dTpwOg=="})


def _before_create() -> Iterator[Ask]:
    for method in (*READ, "DELETE"):
        yield Ask(method, "config", note="before create")
        yield Ask(method, f"data/{id_of(b'absent')}", note="before create")
    for each in TYPES:
        yield Ask("GET", f"{each}/", headers={"Accept": V2}, note="before create")


def _create() -> Iterator[Ask]:
    for query in ("", "?create=false", "?create", "?create=1", "?create=TRUE"):
        yield Ask("POST", query, b"")
    for note in ("first", "again"):
        yield Ask("POST", "?create=true", b"", note=note)
    for method in (*READ, "DELETE"):
        yield Ask(method, "")


def _config() -> Iterator[Ask]:
    for method in (*READ, "DELETE"):
        yield Ask(method, "config", note="absent")
    yield Ask("POST", "config", content("config"), note="first")
    for method in READ:
        yield Ask(method, "config")
    yield Ask("GET", "config", headers={"Range": "bytes=4-5"})
    yield Ask("POST", "config", content("config"), note="same again")
    yield Ask("POST", "config", content("other"), note="other content")
    yield Ask("GET", "config", note="still the first")
    for note in ("first", "again"):
        yield Ask("DELETE", "config", note=note)
    yield Ask("GET", "config", note="deleted")
    yield Ask("POST", "config", content("second"), note="after delete")
    yield Ask("GET", "config", note="after delete and POST")


def _type(each: str) -> Iterator[Ask]:
    body = content(each)
    path = f"{each}/{id_of(body)}"
    for headers in ({}, {"Accept": V1}, {"Accept": V2}):
        yield Ask("GET", f"{each}/", headers=headers, note="empty")
    for method in (*READ, "DELETE"):
        yield Ask(method, path, note="absent")
    yield Ask("POST", path, body, note="first")
    for method in READ:
        yield Ask(method, path)
    yield Ask("POST", path, body, note="same again")
    yield Ask("POST", path, b"wrong", note="wrong hash over a good one")
    yield Ask("GET", path, note="still the good one")
    for accept in (V1, V2, "*/*", f"{V2}, */*", V2.upper(), V2[:-1] + "3", "text/html"):
        yield Ask("GET", f"{each}/", headers={"Accept": accept}, note="one")
    for method in ("HEAD", "POST", "DELETE"):
        yield Ask(method, f"{each}/", None if method == "HEAD" else b"", {"Accept": V2})
    yield Ask("GET", each, headers={"Accept": V2})
    for note in ("first", "again"):
        yield Ask("DELETE", path, note=note)
    for method in READ:
        yield Ask(method, path, note="deleted")
    yield Ask("GET", f"{each}/", headers={"Accept": V2}, note="deleted")
    yield Ask("POST", path, body, note="after delete")
    yield Ask("GET", path, note="after delete and POST")
    yield Ask("GET", f"{each}/", headers={"Accept": V2}, note="after delete and POST")


def _bodies() -> Iterator[Ask]:
    body = content("body")
    path = f"data/{id_of(body)}"
    yield Ask("POST", path, b"other", note="wrong hash")
    yield Ask("POST", path, body + b"more", note="more than the hash is of")
    yield Ask("POST", path, note="no length")
    yield Ask("POST", path, b"", note="nothing")
    yield Ask("HEAD", path, note="nothing of these was kept")
    yield Ask("POST", path, body, chunked=True, note="chunked")
    yield Ask("DELETE", path, note="chunked")
    yield Ask("POST", f"data/{id_of(b'')}", b"", note="empty blob")
    for headers in ({}, {"Range": "bytes=0-"}, {"Range": "bytes=0-0"}):
        yield Ask("GET", f"data/{id_of(b'')}", headers=headers, note="empty blob")
    text = b"a text"
    yield Ask("POST", f"data/{id_of(text)}", text, {"Content-Type": "text/plain"}, note="text")
    yield Ask("GET", f"data/{id_of(text)}", note="text")
    awaited = content("awaited")
    yield Ask("POST", f"data/{id_of(awaited)}", awaited, {"Expect": "100-continue"})
    queried = content("queried")
    yield Ask("POST", f"data/{id_of(queried)}?a=b", queried)
    yield Ask("GET", f"data/{id_of(queried)}?a=b")
    large = bytes(range(256)) * 20_000
    yield Ask("POST", f"data/{id_of(large)}", large, note="5 MB")
    for headers in ({}, {"Range": "bytes=2500000-5119999"}):
        yield Ask("GET", f"data/{id_of(large)}", headers=headers, note="5 MB")


RANGES = (  # of 1000 bytes
    *("bytes=0-9", "bytes=0-0", "bytes=10-", "bytes=990-999", "bytes=990-2000", "bytes=999-"),
    *("bytes=1000-", "bytes=1000-1001", "bytes=5000-6000", "bytes=-5", "bytes=-0", "bytes=-5000"),
    *("bytes=5-3", "bytes=x-y", "bytes=", "bytes=-", "bytes=1", "octets=0-1", "Bytes=0-1", "0-1"),
    *("bytes=0-1,4-5", "bytes=0-1,2000-", "bytes= 0-1", "bytes=0 - 1", "bytes=+1-2"),
    *("bytes=0-" + "9" * 18, "bytes=0-" + "9" * 30, "bytes=" + "9" * 30 + "-"),
)


def _ranges() -> Iterator[Ask]:
    body = (bytes(range(256)) * 4)[:1000]
    path = f"data/{id_of(body)}"
    yield Ask("POST", path, body, note="1000 bytes")
    for method in READ:
        yield Ask(method, path, note="1000 bytes")
    for each in RANGES:
        yield Ask("GET", path, headers={"Range": each})
    for each in ("bytes=0-9", "bytes=1000-"):
        yield Ask("HEAD", path, headers={"Range": each})
    yield Ask("GET", path, headers={"Accept-Encoding": "gzip"})
    yield Ask("GET", path, headers={"Range": "bytes=0-9", "If-Range": '"none"'})
    yield Ask("GET", path, headers={"If-None-Match": "*"})
    yield Ask("GET", path, headers={"If-Match": '"none"'})


ID = id_of(content("odd"))
NORMALIZED = (  # a server that tidies paths up takes them for another
    *(f"data//{ID}", f"/data/{ID}", f"./data/{ID}", "data/../config", "data/..%2fconfig"),
    *("data/%2e%2e/config", "data/%2E%2E%2Fconfig", "data/..", "data/.", "../", ".."),
    "../../etc/passwd",
)
ESCAPED = (f"data%2f{ID}", f"data/%{ord(ID[0]):02x}{ID[1:]}", f"dat%61/{ID}", "con%66ig")
FOLDERS = ("foo/", "tmp/")
WRONG = (
    *(f"foo/{ID}", f"DATA/{ID}", f"data/{ID.upper()}", f"data/{ID[:63]}", f"data/{ID}0"),
    *(f"data/{ID[:63]}g", f"data/{ID}/", f"data/{ID}/more", f"data/{ID[:2]}/{ID}", "config/"),
    *("data/...", "data/%00", f"data/{ID}%00", f"data/{ID}%0a", f"data/{ID}%20", "config%2f"),
    *(f"data/{'a' * 255}", f"data/{'a' * 5000}", "data/%ff", "Config", "keys/config", ".htpasswd"),
    *(f"data/{ID};a", "data\\..\\", "data", "foo", f"config/{ID}", "data/config"),
)


def _paths() -> Iterator[Ask]:
    yield Ask("POST", f"data/{ID}", content("odd"), note="for odd paths")
    for method in READ:
        for path in (*NORMALIZED, *ESCAPED, *FOLDERS, *WRONG, "data/%zz"):
            yield Ask(method, path, note="odd")


def _odd_writes() -> Iterator[Ask]:
    for path in (*NORMALIZED, *WRONG):
        yield Ask("POST", path, content("odd"), note="odd")
        yield Ask("DELETE", path, note="odd")
    yield Ask("GET", f"data/{ID}", note="untouched")
    yield Ask("GET", "data/", headers={"Accept": V2}, note="untouched")


METHODS = ("PUT", "PATCH", "OPTIONS", "TRACE", "FOO", "MKCOL", "get")


def _methods() -> Iterator[Ask]:
    for method in METHODS:
        for path in ("", "config", "data/", f"data/{ID}", "data"):
            yield Ask(method, path, b"" if method in {"PUT", "PATCH"} else None)
