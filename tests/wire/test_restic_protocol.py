"""The gateway answers as the real rest-server does, but where it says why not.

Compared are the status, and of what succeeds the body and the headers that a client acts on. The
text of a refusal is for people, and each server's own.
"""

import asyncio
import base64
import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.archives import archive_server
from tests.support.rest_server import RestServer, rest_server_program
from tests.wire.restic_differences import DIFFERENCES
from tests.wire.restic_requests import Ask, everything

ASKS = {ask.name: ask for ask in everything()}
DIFFERENT = {name: each for each in DIFFERENCES for name in each.names}
CONTENT = ("Content-Type", "Content-Length", "Content-Range", "Accept-Ranges")
WATCHED = {"GET": CONTENT, "HEAD": ("Content-Length",)}  # of what succeeds, by method


@dataclass(frozen=True)
class Answer:
    """What a server answered, as far as it is compared."""

    status: int
    headers: tuple[tuple[str, str | None], ...] = ()
    body: object = b""


class Client(http.client.HTTPSConnection):
    """A client that asks for any path, as it is written."""

    def _validate_path(self, url: str) -> None:
        pass

    def send_ask(self, ask: Ask, base: str, authorization: str) -> None:
        """Send a request, without a header that it does not name."""
        self.putrequest(ask.method, base + ask.path, skip_accept_encoding=True)
        for name, value in {"Authorization": authorization, **ask.headers}.items():
            self.putheader(name, value)
        if ask.chunked:
            self.putheader("Transfer-Encoding", "chunked")
        elif ask.body is not None:
            self.putheader("Content-Length", str(len(ask.body)))
        self.endheaders(ask.body, encode_chunked=ask.chunked)

    def answer(self, ask: Ask) -> Answer:
        """What is answered to it; a list without its order, which clients do not rely on."""
        response = self.getresponse()
        body = response.read()
        if response.status >= 300:
            return Answer(response.status, _headers(response, "Content-Range", "Allow"))
        watched = _headers(response, *WATCHED.get(ask.method, ()))
        if "vnd.x.restic" in (response.getheader("Content-Type") or ""):
            return Answer(response.status, watched, sorted(json.loads(body), key=str))
        return Answer(response.status, watched, body)


def _headers(response: http.client.HTTPResponse, *names: str) -> tuple[tuple[str, str | None], ...]:
    return tuple((name, response.getheader(name)) for name in names)


def _played(url: str, ca_file: Path, user: str, password: str) -> dict[str, Answer]:
    """Everything asked of a server, in order, each over a connection of its own."""
    trust = ssl.create_default_context(cafile=ca_file)
    parts = urlsplit(url)
    both = base64.b64encode(f"{user}:{password}".encode()).decode()
    answers = {}
    for name, ask in ASKS.items():
        client = Client(parts.netloc, context=trust, timeout=30)
        try:
            client.send_ask(ask, parts.path, f"Basic {both}")
            answers[name] = client.answer(ask)
        finally:
            client.close()
    return answers


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """What rest-server answers."""
    folder = tmp_path_factory.mktemp("rest-server")
    with RestServer(rest_server_program(), folder, users={"u": "p"}) as server:
        return _played(f"{server.url}repository/", server.ca_file, "u", "p")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """What the gateway answers."""

    async def play() -> dict[str, Answer]:
        async with archive_server(tmp_path_factory.mktemp("gateway")) as server:
            access = (server.device_guid, server.credential)
            return await asyncio.to_thread(_played, server.url, server.ca_file, *access)

    return asyncio.run(play())


@pytest.mark.parametrize("name", [name for name in ASKS if name not in DIFFERENT])
def test_the_answer_is_rest_servers(
    theirs: dict[str, Answer], ours: dict[str, Answer], name: str
) -> None:
    assert ours[name] == theirs[name]


@pytest.mark.parametrize("name", list(DIFFERENT))
def test_the_answer_differs_as_is_meant(
    theirs: dict[str, Answer], ours: dict[str, Answer], name: str
) -> None:
    assert theirs[name].status == DIFFERENT[name].theirs, DIFFERENT[name].reason
    assert ours[name].status == DIFFERENT[name].ours, DIFFERENT[name].reason
    assert ours[name] != theirs[name]


def test_each_request_has_a_name_of_its_own() -> None:
    assert len(ASKS) == len(everything())
    assert set(DIFFERENT) <= set(ASKS)
