"""restic's REST protocol, versions 1 and 2, one repository a device.

https://restic.readthedocs.io/en/stable/100_references.html#rest-backend
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import structlog
from aiohttp import hdrs, web

from archive_gateway.domain.rules import MOST_BYTES, Upload, check_size
from archive_gateway.http.doorkeeper import Access, Doorkeeper
from archive_gateway.http.paths import PREFIX, Kind, Target, parse
from archive_gateway.http.receiving import Receiver
from archive_gateway.http.refusals import plain, refusal
from archive_gateway.http.sending import Sender
from archive_gateway.http.slots import Slots
from archive_gateway.operations import deletes, opening, reports
from archive_gateway.tenancy import Tenancy
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.errors import LimitReached, OffsiteError, Unauthenticated
from service_kit.metrics import Metrics

log = structlog.get_logger()

UPLOADS_OF_DEVICE, UPLOADS_OF_ACCOUNT = 8, 32  # restic uses 5 connections, unless told otherwise
LISTS_OF_DEVICE, LISTS_OF_ACCOUNT = 2, 8  # each may be of a million blobs
_DRAIN_SECONDS = 60.0
_METHODS = {hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_POST, hdrs.METH_DELETE}


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may pass, and when it came: before whatever is being promised then."""

    request: web.Request
    target: Target
    access: Access
    arrived: datetime


Handler: TypeAlias = Callable[[Call], Awaitable[web.StreamResponse]]


class Gateway:
    """The archives of one server, over HTTPS; `purge_soon` is told of files to be removed."""

    def __init__(
        self,
        database: Database,
        tenancy: Tenancy,
        doorkeeper: Doorkeeper,
        receiver: Receiver,
        sender: Sender,
        purge_soon: Callable[[], None],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._tenancy = tenancy
        self._doorkeeper = doorkeeper
        self._receiver = receiver
        self._sender = sender
        self._purge_soon = purge_soon
        self._metrics = metrics
        self._uploads = Slots(UPLOADS_OF_DEVICE, UPLOADS_OF_ACCOUNT)
        self._lists = Slots(LISTS_OF_DEVICE, LISTS_OF_ACCOUNT)
        self._handlers: dict[tuple[Kind, str], Handler] = {
            (Kind.REPOSITORY, hdrs.METH_POST): self._create,
            (Kind.LIST, hdrs.METH_GET): self._list,
            (Kind.BLOB, hdrs.METH_HEAD): self._head,
            (Kind.BLOB, hdrs.METH_GET): self._get,
            (Kind.BLOB, hdrs.METH_POST): self._post,
            (Kind.BLOB, hdrs.METH_DELETE): self._delete,
            (Kind.USAGE, hdrs.METH_GET): self._usage,
        }

    def add_routes(self, app: web.Application) -> None:
        """Serve every path of every archive."""
        app.router.add_route("*", PREFIX + "{path:.*}", self._handle)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        target = parse(request.rel_url.raw_path)
        response = (
            plain(404, "Not Found") if target is None else await self._answer(request, target)
        )
        known = request.method in _METHODS  # a stranger may send any word
        method = request.method if known else "other"
        self._metrics.archive_requests.labels(method, str(response.status)).inc()
        path = request.rel_url.raw_path
        log.debug("archive.request", method=method, path=path, status=response.status)
        return response

    async def _answer(self, request: web.Request, target: Target) -> web.StreamResponse:
        arrived = self._receiver.promised(target.archive, target.type, target.name)
        handler = self._handlers.get((target.kind, request.method))
        if handler is None:
            return self._not_allowed(target.kind)
        try:
            authorization = request.headers.get(hdrs.AUTHORIZATION)
            access = await self._doorkeeper.admit(target.archive, authorization)
            return await handler(Call(request, target, access, arrived))
        except OffsiteError as error:
            self._metrics.refusals.labels(error.reason).inc()
            if isinstance(error, LimitReached):
                with contextlib.suppress(OffsiteError):  # the ledger's disk may be full as well
                    await self._database.run(reports.note_refusal, target.archive, error, now())
            return await _refuse(request, error)

    def _not_allowed(self, kind: Kind) -> web.Response:
        """The methods that a client could use instead (RFC 9110, section 15.5.6)."""
        response = plain(405, "Method Not Allowed")
        response.headers[hdrs.ALLOW] = ", ".join(
            method for known, method in self._handlers if known is kind
        )
        return response

    async def _create(self, call: Call) -> web.Response:
        if call.request.query.get("create") != "true":
            return plain(400, "Only ?create=true is known here")
        archive, generation = call.target.archive, call.access.generation
        await self._database.run(opening.create, self._tenancy, archive, generation)
        return web.Response()

    async def _list(self, call: Call) -> web.StreamResponse:
        async with self._lists.turn(call.target.archive):
            return await self._sender.list(call.request, call.target)

    async def _head(self, call: Call) -> web.Response:
        return await self._sender.head(call.target)

    async def _get(self, call: Call) -> web.StreamResponse:
        return await self._sender.get(call.request, call.target)

    async def _post(self, call: Call) -> web.Response:
        target, size = call.target, call.request.content_length
        if size is None:
            return plain(411, "Length Required")
        upload = Upload(target.archive, target.type, target.name, size)
        check_size(upload)
        async with self._uploads.turn(target.archive):
            await self._receiver.receive(call.request, call.access, upload)
        return web.Response()

    async def _delete(self, call: Call) -> web.Response:
        target, generation = call.target, call.access.generation
        purge = await self._database.run(
            deletes.delete,
            self._tenancy,
            target.archive,
            target.type,
            target.name,
            generation,
            call.arrived,
            now(),
        )
        if purge:
            self._purge_soon()
        return web.Response()

    async def _usage(self, call: Call) -> web.Response:
        found = await self._database.read(reports.of_device, self._tenancy, call.target.archive)
        return web.Response(text=json.dumps(found), content_type="application/json")


async def _refuse(request: web.Request, error: OffsiteError) -> web.Response:
    """Refuse, once the body was read: a client whose connection is cut would try for minutes.

    A stranger's body is not read.
    """
    log.info(
        "archive.refused",
        method=request.method,
        path=request.rel_url.raw_path,
        reason=error.reason,
        message=error.message,
    )
    if not isinstance(error, Unauthenticated) and (request.content_length or 0) <= MOST_BYTES:
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for _ in request.content.iter_any():
                    pass
    return refusal(error)
