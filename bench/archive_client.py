"""A client of a REST repository, a process with one connection, as fast as Python can be.

It reads what to do on standard input, says when it is connected, waits for a line, sends its
requests one after another, and prints when it began and ended. Nothing but the standard library
is loaded, so that many of them start fast.
"""

import base64
import hashlib
import json
import random
import re
import socket
import ssl
import sys
import time
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

PACK = 16 << 20
V2 = "application/vnd.x.restic.rest.v2"
_BUFFER = 1 << 18
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Repository:
    """A repository of some server, and what opens it."""

    url: str
    user: str
    password: str
    ca_file: str


@dataclass(frozen=True)
class Request:
    """POST a blob, GET a blob or `length` bytes of it from `start`, or GET a list if `size` is 0.

    A blob's content follows from `number` and `size`.
    """

    method: str
    number: int = 0
    size: int = 0
    start: int = 0
    length: int = 0
    type: str = "data"


def task(repository: Repository, requests: list[Request]) -> bytes:
    """What a client is told to do."""
    told = {"repository": asdict(repository), "requests": [asdict(each) for each in requests]}
    return json.dumps(told).encode() + b"\n"


class Client:
    """One connection."""

    def __init__(self, repository: Repository) -> None:
        parts = urlsplit(repository.url)
        self._path = parts.path
        both = base64.b64encode(f"{repository.user}:{repository.password}".encode()).decode()
        self._headers = f"Host: {parts.netloc}\r\nAuthorization: Basic {both}\r\nAccept: {V2}\r\n"
        context = ssl.create_default_context(cafile=repository.ca_file)
        plain = socket.create_connection((parts.hostname, parts.port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain, server_hostname=parts.hostname)
        self._buffer = memoryview(bytearray(_BUFFER))
        self._content = bytearray(random.Random(0).randbytes(PACK))
        self._names: dict[tuple[int, int], str] = {}

    def prepare(self, request: Request) -> bytes:
        """A request's head."""
        name = self._name(request) if request.size else ""
        lines = f"{request.method} {self._path}{request.type}/{name} HTTP/1.1\r\n{self._headers}"
        if request.method == "POST":
            lines += f"Content-Length: {request.size}\r\n"
        if request.length:
            last = request.start + request.length - 1
            lines += f"Range: bytes={request.start}-{last}\r\n"
        return f"{lines}\r\n".encode()

    def send(self, head: bytes, request: Request) -> None:
        """Send a request and read the whole answer.

        Raises:
            RuntimeError: it is refused.
        """
        self._socket.sendall(head)
        if request.method == "POST":
            self._number(request)
            self._socket.sendall(memoryview(self._content)[: request.size])
        self._receive()

    def _receive(self) -> None:
        count = self._some(0)
        while (end := bytes(self._buffer[:count]).find(b"\r\n\r\n")) < 0:
            count += self._some(count)
        head = bytes(self._buffer[: end + 2])
        if head[9:12] not in (b"200", b"206"):
            raise RuntimeError(head.decode())
        if found := _LENGTH.search(head):
            left = int(found[1]) - (count - end - 4)
            while left:
                left -= self._some(0)
        else:  # in chunks, the last one empty
            while bytes(self._buffer[count - 5 : count]) != b"0\r\n\r\n":
                count = self._some(0)

    def _some(self, start: int) -> int:
        """Receive some bytes to a place in the buffer."""
        count = self._socket.recv_into(self._buffer[start:])
        if not count:
            raise RuntimeError("the connection ended")
        return count

    def _number(self, request: Request) -> None:
        """Make the content that of a request: blobs differ in their first bytes."""
        self._content[:8] = request.number.to_bytes(8)

    def _name(self, request: Request) -> str:
        key = (request.number, request.size)
        if key not in self._names:
            self._number(request)
            content = memoryview(self._content)[: request.size]
            self._names[key] = hashlib.sha256(content).hexdigest()
        return self._names[key]


def main() -> None:
    """See the module."""
    told = json.loads(sys.stdin.readline())
    client = Client(Repository(**told["repository"]))
    requests = [Request(**each) for each in told["requests"]]
    heads = [client.prepare(each) for each in requests]
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.perf_counter()
    for head, request in zip(heads, requests, strict=True):
        client.send(head, request)
    print(begin, time.perf_counter(), flush=True)


if __name__ == "__main__":
    main()
