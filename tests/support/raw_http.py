"""An HTTP client that asks for any path, as it is written, and may stop anywhere."""

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.archives import ArchiveServer


@dataclass(frozen=True)
class RawAnswer:
    """What was answered; `reason` is the phrase of the status line."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class RawClient(http.client.HTTPSConnection):
    """One connection to a server; blocks, so it is for threads."""

    def __init__(self, server: ArchiveServer, seconds: float = 30.0) -> None:
        context = ssl.create_default_context(cafile=server.ca_file)
        super().__init__(server.https_address, context=context, timeout=seconds)

    def _validate_path(self, url: str) -> None:
        pass

    def begin(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Send the head of a request, with these headers and no others."""
        self.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            self.putheader(name, value)
        self.endheaders()

    def answer(self) -> RawAnswer:
        """What is answered to it."""
        response = self.getresponse()
        body = response.read()
        return RawAnswer(response.status, response.reason, dict(response.headers), body)

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> RawAnswer:
        """Send a request whole."""
        length = {} if body is None else {"Content-Length": str(len(body))}
        self.begin(method, path, {**length, **headers})
        if body:
            self.send(body)
        return self.answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        __: BaseException | None,
        ___: TracebackType | None,
    ) -> None:
        self.close()
