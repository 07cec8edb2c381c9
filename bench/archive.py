"""The archive's gateway against rest-server: packs, ranges, lists, memory, and a large ledger."""

import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench import archive_filling
from bench.archive_client import PACK, Repository, Request
from bench.archive_servers import Server, both, ours, serve
from bench.processes import folder
from bench.table import Row, ratio, times

ROUNDS = 9
CONNECTIONS = 5  # as many as restic opens
PACKS = 8  # of each connection
RANGE = 32 << 10
RANGES = 400  # of each connection
SMALL = 64 << 10
SMALLS = 100  # of each connection
MANY = 50  # connections of one device
LISTED = 50_000
UPLOADS = 100  # of each connection
FEW_BLOBS, MANY_BLOBS = 10_000, 1_000_000

Measure = Callable[[int, int], Awaitable[float]]


async def packs() -> list[Row]:
    """PUT of whole packs, GET of them, and GET of ranges, by five connections."""
    megabytes = CONNECTIONS * PACKS * PACK / 1e6
    with folder() as place:
        async with both(place) as servers:
            repositories = [await server.new() for server in servers]

            async def put(which: int, number: int) -> float:
                repositories[which] = await servers[which].new()
                return megabytes / await serve(repositories[which], _whole("POST", PACKS, PACK))

            async def get(which: int, number: int) -> float:
                return megabytes / await serve(repositories[which], _whole("GET", PACKS, PACK))

            async def ranges(which: int, number: int) -> float:
                return CONNECTIONS * RANGES / await serve(repositories[which], _ranges(number))

            return [
                ratio("PUT 16 MiB packs, 5 connections, durable", *await _in_turn(put), 0.9),
                ratio("GET 16 MiB packs, 5 connections", *await _in_turn(get), 0.8),
                ratio("GET 32 KiB ranges, 5 connections", *await _in_turn(ranges), 0.5),
            ]


async def small() -> list[Row]:
    """Small blobs, each read once: every GET looks into the ledger and opens a file."""
    with folder() as place:
        async with both(place) as servers:
            repositories = [await server.new() for server in servers]
            for repository in repositories:
                await serve(repository, _whole("POST", SMALLS, SMALL))

            async def get(which: int, number: int) -> float:
                requests = _whole("GET", SMALLS, SMALL)
                return CONNECTIONS * SMALLS / await serve(repositories[which], requests)

            return [ratio("GET 64 KiB blobs, each once", *await _in_turn(get), None)]


async def lists() -> list[Row]:
    """A list of 50,000 blobs."""
    with folder() as place:
        async with both(place) as servers:
            repositories = [await server.new() for server in servers]
            archive_filling.rest_server(place / "theirs", repositories[1], LISTED)
            await _filled(place / "ours", repositories[0], LISTED)

            async def ask(which: int, number: int) -> float:
                return await serve(repositories[which], [[Request("GET")]])

            return [times("list 50,000 blobs", *await _in_turn(ask), 0.5)]


async def memory() -> list[Row]:
    """The most memory that each server takes, while fifty connections send and fetch packs."""
    with folder() as place:
        async with both(place) as servers:
            peaks = [await _peak(server) for server in servers]
    work = f"memory at {MANY} connections of 16 MiB packs"
    note = f"rest-server: {peaks[1] / 1e6:.0f} MB"
    return [Row(work, peaks[0] / 1e6, "MB", at_most=300, note=note)]


async def _peak(server: Server) -> int:
    repository = await server.new()
    for method in ("POST", "GET"):
        await serve(repository, _whole(method, 2, PACK, MANY))
    return server.peak_bytes()


async def ledger() -> list[Row]:
    """An upload to a ledger of 1,000,000 blobs against one of 10,000."""
    with folder() as place:
        async with ours(place / "small") as few, ours(place / "large") as many:
            servers = (many, few)
            repositories = [await server.new() for server in servers]
            await _filled(place / "large", repositories[0], MANY_BLOBS)
            await _filled(place / "small", repositories[1], FEW_BLOBS)

            async def put(which: int, number: int) -> float:
                requests = _whole("POST", UPLOADS, 4096, first=number * CONNECTIONS * UPLOADS)
                return CONNECTIONS * UPLOADS / await serve(repositories[which], requests)

            work = "an upload, 1,000,000 blobs in the ledger to 10,000"
            return [ratio(work, *await _in_turn(put), 0.9)]


async def _filled(data: Path, repository: Repository, count: int) -> None:
    """Let the gateway make the archive, then write blobs into its ledger."""
    await serve(repository, [[Request("POST", 10**9, 1000)]])
    archive_filling.ledger(data, repository, count)


async def _in_turn(measure: Measure) -> tuple[list[float], list[float]]:
    """Measure one and the other again and again, each as often first."""
    figures: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS):
        for which in (0, 1) if number % 2 else (1, 0):
            figures[which].append(await measure(which, number))
    return figures


def _whole(
    method: str, count: int, size: int, clients: int = CONNECTIONS, first: int = 0
) -> list[list[Request]]:
    """Requests of clients, each with so many whole blobs of its own."""
    numbers = [
        range(first + client * count, first + (client + 1) * count) for client in range(clients)
    ]
    return [[Request(method, each, size) for each in some] for some in numbers]


def _ranges(number: int) -> list[list[Request]]:
    """Random parts of random packs, other ones in each round."""
    chosen = random.Random(number)

    def one() -> Request:
        start = chosen.randrange(PACK - RANGE)
        return Request("GET", chosen.randrange(CONNECTIONS * PACKS), PACK, start, RANGE)

    return [[one() for _ in range(RANGES)] for _ in range(CONNECTIONS)]
