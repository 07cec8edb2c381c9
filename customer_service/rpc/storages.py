"""The customer's StorageService."""

import uuid
from collections.abc import Callable
from typing import Protocol

from offsite.customer.v1 import storage_service_pb2 as pb
from offsite.customer.v1.storage_service_pb2_grpc import StorageServiceServicer

from archive_gateway.operations import grants
from customer_service.domain.provider import ProviderSeat
from customer_service.domain.storage import (
    Storage,
    StorageState,
    StorageType,
    parse_hostname,
)
from customer_service.operations import adopt, attach, detach, storages, takeover
from customer_service.operations.grants import Grants
from customer_service.operations.ledgers import Difference
from customer_service.rpc import conversions
from service_kit.clock import now
from service_kit.conversions import optional_timestamp
from service_kit.database.paging import PageRequest
from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.identity import registration_key
from service_kit.identity.guid import parse_guid
from service_kit.server.context import Context
from service_kit.validation import Checks, resource_id, resource_ids

MOST_DIFFERENCES = 1000
MOST_ADOPTED = 10_000


class _NamesStorage(Protocol):
    @property
    def storage_id(self) -> str: ...


class StorageServicer(StorageServiceServicer):
    """Converts, runs one operation, converts back. `wake` lets outbox and upkeep look at once."""

    def __init__(self, grants: Grants, wake: Callable[[], None]) -> None:
        self.database = grants.database
        self.dial = grants.dial
        self.identity = grants.identity
        self.grants = grants
        self.wake = wake

    async def TestStorage(
        self, request: pb.TestStorageRequest, context: Context
    ) -> pb.TestStorageResponse:
        # It is dialled and never written, so it needs no id or name of a person's choice.
        storage = self._wanted(str(uuid.uuid4()), "Test", request)
        key = registration_key.normalize("registration_key", request.registration_key)
        offer = await attach.test(self.dial, storage, key)
        message = pb.Storage(
            type=pb.STORAGE_TYPE_ATTACHED_SERVER,
            hostname=storage.hostname,
            provider_guid=storage.provider_guid,
        )
        conversions.grant(message, offer.entitlement)
        expire_time = optional_timestamp(offer.key_expire_time)
        return pb.TestStorageResponse(storage=message, registration_key_expire_time=expire_time)

    async def AttachStorage(
        self, request: pb.AttachStorageRequest, context: Context
    ) -> pb.AttachStorageResponse:
        _check_type(request.type)
        storage = self._wanted(request.storage_id, request.name, request)
        key = registration_key.normalize("registration_key", request.registration_key)
        attached = await attach.attach(self.database, self.dial, self.identity, storage, key)
        self.wake()
        return pb.AttachStorageResponse(storage=await self._shown(attached.id))

    async def GetStorage(
        self, request: pb.GetStorageRequest, context: Context
    ) -> pb.GetStorageResponse:
        return pb.GetStorageResponse(storage=await self._shown(_id(request)))

    async def ListStorages(
        self, request: pb.ListStoragesRequest, context: Context
    ) -> pb.ListStoragesResponse:
        checks = Checks()
        name = checks.text("name", request.name, most=100)
        checks.done()
        page = PageRequest(size=request.page_size, token=request.page_token)
        found = await self.database.read(storages.list_page, page, name, request.show_detached)
        return pb.ListStoragesResponse(
            storages=[conversions.storage(each) for each in found.items],
            next_page_token=found.next_page_token,
        )

    async def UpdateStorage(
        self, request: pb.UpdateStorageRequest, context: Context
    ) -> pb.UpdateStorageResponse:
        hostname = request.hostname if request.HasField("hostname") else None
        checks = Checks()
        if request.HasField("name"):
            checks.text("name", request.name, least=1, most=100)
        checks.done()
        view = await storages.update(
            self.database,
            self.dial,
            _id(request),
            request.name if request.HasField("name") else None,
            None if hostname is None else parse_hostname("hostname", hostname),
            now(),
        )
        return pb.UpdateStorageResponse(storage=conversions.storage(view))

    async def ChangeProviderGuid(
        self, request: pb.ChangeProviderGuidRequest, context: Context
    ) -> pb.ChangeProviderGuidResponse:
        storage_id = _id(request)
        hostname = parse_hostname("hostname", request.hostname) if request.hostname else ""
        await attach.attach_again(
            self.database,
            self.dial,
            self.identity,
            storage_id,
            registration_key.normalize("registration_key", request.registration_key),
            provider_guid=self._other_guid(request.provider_guid),
            hostname=hostname,
        )
        self.wake()
        return pb.ChangeProviderGuidResponse(storage=await self._shown(storage_id))

    async def DetachStorage(
        self, request: pb.DetachStorageRequest, context: Context
    ) -> pb.DetachStorageResponse:
        storage_id = _id(request)
        run = self.database.preview if request.validate_only else self.database.run
        taken = await run(detach.begin, storage_id, now(), force=request.force)
        if not request.validate_only:
            await detach.complete(self.database, self.dial, storage_id)
        return pb.DetachStorageResponse(
            storage=await self._shown(storage_id), impact=conversions.impact(taken)
        )

    async def ResumeAttach(
        self, request: pb.ResumeAttachRequest, context: Context
    ) -> pb.ResumeAttachResponse:
        storage_id, key = _id(request), ""
        if request.registration_key:
            key = registration_key.normalize("registration_key", request.registration_key)
        await attach.attach_again(self.database, self.dial, self.identity, storage_id, key)
        self.wake()
        return pb.ResumeAttachResponse(storage=await self._shown(storage_id))

    async def TakeOverStorage(
        self, request: pb.TakeOverStorageRequest, context: Context
    ) -> pb.TakeOverStorageResponse:
        storage_id = _id(request)
        work = takeover.differences if request.validate_only else takeover.take_over
        found = await work(self.database, self.dial, storage_id)
        self.wake()
        return pb.TakeOverStorageResponse(
            storage=await self._shown(storage_id),
            differences=[conversions.difference(each) for each in found[:MOST_DIFFERENCES]],
            difference_count=len(found),
        )

    async def ListUnclaimedSeats(
        self, request: pb.ListUnclaimedSeatsRequest, context: Context
    ) -> pb.ListUnclaimedSeatsResponse:
        page = PageRequest(size=request.page_size, token=request.page_token)
        found = await self.database.read(adopt.list_unclaimed, _id(request), page)
        return pb.ListUnclaimedSeatsResponse(
            seats=[conversions.difference(_unknown_here(each)) for each in found.items],
            next_page_token=found.next_page_token,
        )

    async def AdoptSeats(
        self, request: pb.AdoptSeatsRequest, context: Context
    ) -> pb.AdoptSeatsResponse:
        adopted = await self.database.run(
            adopt.adopt,
            _id(request),
            resource_id("user_id", request.user_id),
            resource_ids("device_guids", request.device_guids, MOST_ADOPTED),
            now(),
        )
        return pb.AdoptSeatsResponse(devices_adopted=adopted)

    async def CreateStorageGrant(
        self, request: pb.CreateStorageGrantRequest, context: Context
    ) -> pb.CreateStorageGrantResponse:
        given = await self.grants.create(
            _id(request),
            resource_id("device_id", request.device_id),
            grants.lifetime("lifetime_seconds", request.lifetime_seconds),
        )
        return conversions.archive_grant(given)

    async def _shown(self, storage_id: str) -> pb.Storage:
        return conversions.storage(await self.database.read(storages.get, storage_id))

    def _wanted(
        self,
        storage_id: str,
        name: str,
        request: pb.TestStorageRequest | pb.AttachStorageRequest,
    ) -> Storage:
        """The storage that a request describes, every field out of bounds named at once."""
        storage = Storage(
            id=storage_id,
            name=name,
            type=StorageType.ATTACHED_SERVER,
            state=StorageState.ATTACHING,
            create_time=now(),
            hostname=request.hostname,
            provider_guid=request.provider_guid,
        )
        self._other_guid(storage.provider_guid)
        return storage

    def _other_guid(self, text: str) -> str:
        guid = parse_guid("provider_guid", text)
        if guid == self.identity.guid:
            description = "is this server's own GUID; the provider's is needed"
            raise InvalidArgument([FieldViolation("provider_guid", description)])
        return guid


def _check_type(storage_type: pb.StorageType.ValueType) -> None:
    allowed = (pb.STORAGE_TYPE_UNSPECIFIED, pb.STORAGE_TYPE_ATTACHED_SERVER)
    if storage_type not in allowed:
        raise InvalidArgument([FieldViolation("type", "must be STORAGE_TYPE_ATTACHED_SERVER")])


def _unknown_here(seat: ProviderSeat) -> Difference:
    return Difference(seat.device_guid, seat.device_name, None, seat)


def _id(request: _NamesStorage) -> str:
    return resource_id("storage_id", request.storage_id)
