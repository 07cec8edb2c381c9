"""ArchiveService: what an operator may do to the archives that this server keeps."""

from collections.abc import AsyncIterator, Callable

from offsite.common.v1 import archive_service_pb2 as pb
from offsite.common.v1.archive_service_pb2_grpc import ArchiveServiceServicer

from archive_gateway.blob_stores import BlobStore
from archive_gateway.credentials import archive_url, grant_credential
from archive_gateway.domain import rules
from archive_gateway.domain.names import ArchiveId
from archive_gateway.inspection.rebuild import rebuild
from archive_gateway.inspection.scrub import scrub
from archive_gateway.operations import grants, purging, undelete, usage
from archive_gateway.rpc import messages
from archive_gateway.tenancy import Tenancy
from service_kit.clock import now
from service_kit.conversions import optional_time, optional_timestamp, to_timestamp
from service_kit.database.paging import PageRequest
from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.server.context import Context
from service_kit.server.first_start import Ground
from service_kit.validation import resource_id


class ArchiveServicer(ArchiveServiceServicer):
    """The archives of the accounts that a service tells of; `purge_soon` hurries a purge."""

    def __init__(
        self, ground: Ground, store: BlobStore, tenancy: Tenancy, purge_soon: Callable[[], None]
    ) -> None:
        self.ground = ground
        self.database = ground.database
        self.store = store
        self.tenancy = tenancy
        self.purge_soon = purge_soon

    async def GetArchive(
        self, request: pb.GetArchiveRequest, context: Context
    ) -> pb.GetArchiveResponse:
        account_id = resource_id("organization_id", request.organization_id)
        found = await self.database.read(usage.archive_of, self.tenancy, account_id)
        return pb.GetArchiveResponse(archive=messages.archive(found))

    async def UndeleteArchive(
        self, request: pb.UndeleteArchiveRequest, context: Context
    ) -> pb.UndeleteArchiveResponse:
        account_id, device_guid = _archives(request)
        time = optional_time(request, "time")
        if time is None:
            raise InvalidArgument([FieldViolation("time", "is required")])
        run = self.database.preview if request.validate_only else self.database.run
        done = await run(undelete.undelete, self.tenancy, account_id, device_guid, time, now())
        return pb.UndeleteArchiveResponse(
            devices=done.devices,
            restored_blobs=done.restored_blobs,
            restored_bytes=done.restored_bytes,
            deleted_blobs=done.deleted_blobs,
            deleted_bytes=done.deleted_bytes,
            lost_blobs=done.lost_blobs,
            purge_time=optional_timestamp(done.purge_time),
        )

    async def PurgeArchive(
        self, request: pb.PurgeArchiveRequest, context: Context
    ) -> pb.PurgeArchiveResponse:
        account_id, device_guid = _archives(request)
        run = self.database.preview if request.validate_only else self.database.run
        done = await run(
            purging.purge,
            self.tenancy,
            account_id,
            device_guid,
            now(),
            include_live=request.include_live,
        )
        if not request.validate_only:
            self.purge_soon()
        return pb.PurgeArchiveResponse(blobs=done.blobs, bytes=done.bytes)

    async def AllowPrune(
        self, request: pb.AllowPruneRequest, context: Context
    ) -> pb.AllowPruneResponse:
        account_id = resource_id("organization_id", request.organization_id)
        until = now() + rules.PRUNE_ALLOWANCE
        policy = await self.database.run(usage.allow_prune, self.tenancy, account_id, until)
        quota = policy.quota_bytes
        allowed = 0 if quota is None else rules.prune_allowance(quota)
        return pb.AllowPruneResponse(bytes=allowed, expire_time=to_timestamp(until))

    async def CreateGrant(
        self, request: pb.CreateGrantRequest, context: Context
    ) -> pb.CreateGrantResponse:
        archive = ArchiveId(
            resource_id("organization_id", request.organization_id),
            resource_id("device_guid", request.device_guid),
        )
        life = grants.lifetime("lifetime_seconds", request.lifetime_seconds)
        grant = await self.database.run(grants.create, self.tenancy, archive, life, now())
        return pb.CreateGrantResponse(
            grant=messages.grant(grant),
            credential=grant_credential(self.ground.identity, archive, grant.id),
            archive_url=archive_url(self.ground.advertised.https, archive),
        )

    async def ListGrants(
        self, request: pb.ListGrantsRequest, context: Context
    ) -> pb.ListGrantsResponse:
        account_id = resource_id("organization_id", request.organization_id)
        page = PageRequest(request.page_size, request.page_token)
        found = await self.database.read(grants.list_page, self.tenancy, account_id, page, now())
        return pb.ListGrantsResponse(
            grants=[messages.grant(each) for each in found.items],
            next_page_token=found.next_page_token,
        )

    async def RevokeGrant(
        self, request: pb.RevokeGrantRequest, context: Context
    ) -> pb.RevokeGrantResponse:
        grant_id = resource_id("grant_id", request.grant_id)
        await self.database.run(grants.revoke, grant_id, now())
        return pb.RevokeGrantResponse()

    async def ScrubArchive(
        self, request: pb.ScrubArchiveRequest, context: Context
    ) -> AsyncIterator[pb.ScrubArchiveResponse]:
        account_id = request.organization_id
        if account_id:
            account_id = resource_id("organization_id", account_id)
            await self.database.read(self.tenancy.policy, account_id)
        answer = pb.ScrubArchiveResponse()
        async for found in scrub(self.database, self.store, account_id):
            answer = pb.ScrubArchiveResponse(
                blobs=found.blobs,
                bytes=found.bytes,
                quarantined=found.quarantined,
                missing=found.missing,
            )
            yield answer
        answer.done = True
        yield answer

    async def RebuildArchive(
        self, request: pb.RebuildArchiveRequest, context: Context
    ) -> AsyncIterator[pb.RebuildArchiveResponse]:
        answer = pb.RebuildArchiveResponse()
        progress = rebuild(self.database, self.store, validate_only=request.validate_only)
        async for found in progress:
            answer = pb.RebuildArchiveResponse(
                adopted_blobs=found.adopted_blobs,
                adopted_bytes=found.adopted_bytes,
                missing_blobs=found.missing_blobs,
                missing_bytes=found.missing_bytes,
                strange_files=found.strange_files,
                compared=found.compared,
            )
            yield answer
        answer.done = True
        yield answer


def _archives(request: pb.UndeleteArchiveRequest | pb.PurgeArchiveRequest) -> tuple[str, str]:
    """The account, and the device where one is named."""
    account_id = resource_id("organization_id", request.organization_id)
    device_guid = request.device_guid
    return account_id, resource_id("device_guid", device_guid) if device_guid else ""
