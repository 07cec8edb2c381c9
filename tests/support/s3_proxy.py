"""What can go wrong between a server and its S3 bucket."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp
from aiohttp import web
from yarl import URL

from tests.support.s3 import S3Endpoint


class Fault(StrEnum):
    """What happens to one request."""

    NONE = "none"
    REFUSE = "answer 500, undone"
    LOSE_ANSWER = "do it, and answer 500"
    CUT = "do it, and cut the connection"
    CUT_BODY = "do it, and cut the connection within the answer"
    STALL = "do it, and never answer"
    ONCE = "do it, and answer as to a repeat of the end of an upload in parts"
    FULL = "answer 507, undone"


_ANSWERS = {  # status and body, in place of the server's own answer
    Fault.REFUSE: (500, ""),
    Fault.FULL: (507, ""),
    Fault.LOSE_ANSWER: (500, ""),
    Fault.ONCE: (404, "<Error><Code>NoSuchUpload</Code></Error>"),
}
_UNDONE = (Fault.REFUSE, Fault.FULL)


def every(request: web.BaseRequest) -> bool:
    return True


@dataclass
class S3Proxy:
    """Forwards requests; `faults` befall, one after the other, those that `of` chooses.

    `lasting` befalls the others of them.
    """

    target: str
    url: str = ""
    faults: deque[Fault] = field(default_factory=deque)
    lasting: Fault = Fault.NONE
    of: Callable[[web.BaseRequest], bool] = every
    seen: list[str] = field(default_factory=list)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def endpoint(self) -> S3Endpoint:
        return S3Endpoint(self.url)

    def release(self) -> None:
        """Let go of the requests that are stalled."""
        self._ended.set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Handle a request as planned."""
        fault = self._next(request)
        self.seen.append(f"{request.method} {fault}")
        content = await request.content.read()  # of any size
        answer = web.Response() if fault in _UNDONE else await self._forward(request, content)
        if fault is Fault.STALL:
            await self._ended.wait()
        if fault in _ANSWERS:
            code, text = _ANSWERS[fault]
            return web.Response(status=code, text=text)
        if fault is Fault.CUT_BODY:
            await answer.prepare(request)
            assert isinstance(answer.body, bytes)
            assert request.transport is not None
            request.transport.write(answer.body[: len(answer.body) // 2])
        if fault in (Fault.CUT, Fault.CUT_BODY):
            assert request.transport is not None
            request.transport.close()
        return answer

    def _next(self, request: web.BaseRequest) -> Fault:
        if not self.of(request):
            return Fault.NONE
        return self.faults.popleft() if self.faults else self.lasting

    async def _forward(self, request: web.BaseRequest, content: bytes) -> web.Response:
        headers = [(name, value) for name, value in request.headers.items() if name != "Connection"]
        url = URL(self.target + request.raw_path, encoded=True)
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, url, headers=headers, data=content, skip_auto_headers=["Accept"]
            ) as answer,
        ):
            body = await answer.read()
            passed_on = {
                name: value
                for name, value in answer.headers.items()
                if name not in ("Transfer-Encoding", "Connection", "Date", "Server")
            }
            return web.Response(status=answer.status, headers=passed_on, body=body)


@asynccontextmanager
async def s3_proxy(target: S3Endpoint) -> AsyncIterator[S3Proxy]:
    """A listening proxy in front of an S3 server."""
    proxy = S3Proxy(target.url)
    runner = web.ServerRunner(web.Server(proxy.answer), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield proxy
    finally:
        proxy.release()
        await runner.cleanup()
