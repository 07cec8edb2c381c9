"""AttachStorage, as a call and as a command."""

import statistics
import subprocess
import sys
import time
import uuid

import grpc.aio
from offsite.customer.v1 import storage_service_pb2 as storage_pb
from offsite.customer.v1.storage_service_pb2_grpc import StorageServiceStub
from offsite.provider.v1 import organization_service_pb2 as organization_pb
from offsite.provider.v1.organization_service_pb2_grpc import OrganizationServiceStub

from bench.processes import Process, folder, running
from bench.table import Row
from service_kit.client.dial import open_channel

ROUNDS = 7
SECONDS = 30  # that anything here may take
COMMAND = "import sys; sys.argv[0] = 'x'; from customer_service.cli import main; main()"


async def attach() -> list[Row]:
    """Attach and detach again and again: the call's time, and the command's."""
    with folder() as place:
        async with (
            running("offsite-provider", place / "provider") as provider,
            running("offsite-customer", place / "customer") as customer,
        ):
            calls = [await _call(provider, customer) for _ in range(ROUNDS)]
            beyond = [await _beyond_interpreter(provider, customer) for _ in range(ROUNDS)]
    return [
        Row("AttachStorage call", statistics.median(calls) * 1000, "ms", at_most=60),
        Row(
            "attach command past the interpreter",
            statistics.median(beyond) * 1000,
            "ms",
            at_most=300,
        ),
    ]


async def _call(provider: Process, customer: Process) -> float:
    key = await _key(provider, customer)
    async with _at(customer) as channel:
        storages = StorageServiceStub(channel)
        request = storage_pb.AttachStorageRequest(
            storage_id=str(uuid.uuid4()),
            name="Offsite",
            hostname=provider.address,
            provider_guid=provider.guid,
            registration_key=key,
        )
        begin = time.perf_counter()
        attached = await storages.AttachStorage(request, timeout=SECONDS)
        seconds = time.perf_counter() - begin
    await _detach(customer, attached.storage.id)
    return seconds


async def _beyond_interpreter(provider: Process, customer: Process) -> float:
    """What the command takes beyond an interpreter that does nothing, measured right after it."""
    command = await _command(provider, customer)
    return command - _seconds([sys.executable, "-c", "pass"])


async def _command(provider: Process, customer: Process) -> float:
    key = await _key(provider, customer)
    options = ["--data", str(customer.data), "--endpoint", customer.address, "--quiet"]
    where = ["--name", "Offsite", "--hostname", provider.address, "--guid", provider.guid]
    command = [sys.executable, "-c", COMMAND, *options, "storage", "attach", *where]
    begin = time.perf_counter()
    done = subprocess.run(
        command, input=key, capture_output=True, text=True, check=True, timeout=SECONDS
    )
    seconds = time.perf_counter() - begin
    await _detach(customer, done.stdout.strip())
    return seconds


async def _key(provider: Process, customer: Process) -> str:
    """A new organization's registration key, for this customer."""
    async with _at(provider) as channel:
        service = OrganizationServiceStub(channel)
        listed = await service.ListOrganizations(organization_pb.ListOrganizationsRequest())
        for each in listed.organizations:
            request = organization_pb.DeactivateOrganizationRequest(organization_id=each.id)
            await service.DeactivateOrganization(request)
        wanted = organization_pb.Organization(
            id=str(uuid.uuid4()),
            name="Acme",
            hosted=True,
            customer_guid=customer.guid,
            maximum_seats=10,
        )
        wanted.disk_quota.bytes = 10**9
        made = await service.CreateOrganization(
            organization_pb.CreateOrganizationRequest(organization=wanted, accept_terms=True)
        )
        return made.registration_key


async def _detach(customer: Process, storage_id: str) -> None:
    async with _at(customer) as channel:
        request = storage_pb.DetachStorageRequest(storage_id=storage_id)
        await StorageServiceStub(channel).DetachStorage(request, timeout=SECONDS)


def _at(process: Process) -> grpc.aio.Channel:
    ca_pem = process.identity.ca_pem
    return open_channel(process.address, process.guid, ca_pem, lambda: process.token)


def _seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, timeout=SECONDS)
    return time.perf_counter() - begin
