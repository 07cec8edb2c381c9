"""The outbound adapter: a provider's server in the words of the domain.

One channel a provider is kept open and proven once; it is dialled anew after a failure, when its
address or identity changed.
"""

import asyncio
import contextlib
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import grpc
from offsite.common.v1 import usage_service_pb2 as usage_pb
from offsite.provider.v1 import attachment_service_pb2 as attachment_pb
from offsite.provider.v1 import hosted_archive_service_pb2 as archive_pb
from offsite.provider.v1 import organization_service_pb2 as organization_pb
from offsite.provider.v1 import seat_service_pb2 as seat_pb
from offsite.provider.v1.attachment_service_pb2_grpc import AttachmentServiceStub
from offsite.provider.v1.hosted_archive_service_pb2_grpc import HostedArchiveServiceStub
from offsite.provider.v1.seat_service_pb2_grpc import SeatServiceStub

from archive_gateway.domain.usage import ArchiveUsage
from archive_gateway.domain.warnings import UsageWarning
from customer_service.domain.provider import (
    ArchiveAccess,
    ArchiveGrant,
    Attached,
    Contact,
    Offer,
    ProviderSeat,
    ProviderState,
    ResyncRow,
    SeatAnswer,
    Session,
    SessionKind,
)
from customer_service.domain.seat import Kind, Seat, SeatState
from customer_service.domain.storage import (
    Entitlement,
    Storage,
    StorageUsage,
    parse_hostname,
)
from service_kit.client.dial import dial_any
from service_kit.client.status import error_of
from service_kit.clock import now
from service_kit.conversions import optional_time
from service_kit.errors import InvalidArgument, Unavailable
from service_kit.identity import peer_token
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason
from service_kit.validation import plain
from service_kit.version import VERSION

TIMEOUT = 10.0  # seconds for a request; an outcome that is unclear by then is asked for again
PAGE = 1000
# What restic would take for an option or for another kind of repository is never passed on.
_ARCHIVE_URL = re.compile(
    r"rest:https://[\w.\-\[\]:]{1,300}/archives/[0-9a-f-]{36}/([0-9a-f-]{36})/", re.ASCII
)
_CREDENTIAL = re.compile(r"[!-~]{1,200}")
MOST_ADDRESSES = 5  # each may take its time to answer
MOST_WARNINGS = 10

RESYNC_STATES = {
    SeatState.HELD: seat_pb.SEAT_STATE_HELD,
    SeatState.NONE: seat_pb.SEAT_STATE_RELEASED,
    SeatState.REFUSED: seat_pb.SEAT_STATE_REFUSED,
    SeatState.REVOKED: seat_pb.SEAT_STATE_REVOKED,
}
SESSION_KINDS = {
    SessionKind.START: seat_pb.SESSION_KIND_START,
    SessionKind.TAKE_OVER: seat_pb.SESSION_KIND_TAKE_OVER,
    SessionKind.RESYNC: seat_pb.SESSION_KIND_RESYNC,
}
ATTACHMENT_STATES = {
    organization_pb.ATTACHMENT_STATE_DETACHED: ProviderState.DETACHED,
    organization_pb.ATTACHMENT_STATE_CONFLICT: ProviderState.CONFLICT,
    organization_pb.ATTACHMENT_STATE_REWOUND: ProviderState.REWOUND,
}


class ProviderClient:
    """A provider's server over one proven channel."""

    def __init__(self, channel: grpc.aio.Channel, addresses: Sequence[str]) -> None:
        self.channel = channel
        self._addresses = addresses
        self._attachments = AttachmentServiceStub(channel)
        self._seats = SeatServiceStub(channel)
        self._archives = HostedArchiveServiceStub(channel)

    async def validate(self, registration_key: str) -> Offer:
        """Ask what attaching with a key would grant."""
        request = attachment_pb.ValidateRegistrationKeyRequest(registration_key=registration_key)
        answer = await _call(self._attachments.ValidateRegistrationKey, request)
        return Offer(
            _entitlement(answer.entitlement), optional_time(answer, "registration_key_expire_time")
        )

    async def attach(self, registration_key: str) -> Attached:
        """Attach this server."""
        request = attachment_pb.AttachRequest(
            registration_key=registration_key, addresses=self._addresses, version=VERSION
        )
        answer = await _call(self._attachments.Attach, request)
        return Attached(_entitlement(answer.entitlement), answer.epoch, answer.position)

    async def detach(self) -> None:
        """End the attachment."""
        await _call(self._attachments.Detach, attachment_pb.DetachRequest())

    async def contact(self, position: int) -> Contact:
        """Ask what is granted now."""
        request = attachment_pb.GetEntitlementRequest(
            addresses=self._addresses, version=VERSION, position=position
        )
        answer = await _call(self._attachments.GetEntitlement, request)
        state = _provider_state(answer.entitlement)
        return Contact(_entitlement(answer.entitlement), state, answer.epoch, answer.position)

    async def open_session(
        self, session: Session, nonce: str, kind: SessionKind, *, resync_parts: int = 0
    ) -> Session:
        """Begin a session under the next epoch."""
        request = seat_pb.OpenSessionRequest(
            epoch=session.epoch,
            nonce=nonce,
            position=session.position,
            kind=SESSION_KINDS[kind],
            resync_parts=resync_parts,
        )
        answer = await _call(self._seats.OpenSession, request)
        return Session(answer.epoch, answer.position)

    async def acquire(self, session: Session, seat: Seat, device_name: str) -> SeatAnswer:
        """Ask for a device's seat."""
        answer = await self._acquire(session, seat, device_name)
        return SeatAnswer(SeatState.HELD, answer.position)

    async def open_archive(self, session: Session, seat: Seat, device_name: str) -> ArchiveAccess:
        """Ask once more for a seat that is held, and so for what opens the archive there."""
        answer = await self._acquire(session, seat, device_name)
        return _access(seat.device_id, answer.archive_url, answer.storage_credential)

    async def grant(self, device_guid: str, life: timedelta) -> ArchiveGrant:
        """Ask for a read-only credential of a device's archive."""
        request = archive_pb.CreateHostedGrantRequest(
            device_guid=device_guid, lifetime_seconds=life // timedelta(seconds=1)
        )
        answer = await _call(self._archives.CreateHostedGrant, request)
        access = _access(device_guid, answer.archive_url, answer.credential)
        return ArchiveGrant(
            id=plain(answer.grant.id, 36),
            device_guid=device_guid,
            creator=plain(answer.grant.creator, 200),
            create_time=optional_time(answer.grant, "create_time") or now(),
            expire_time=optional_time(answer.grant, "expire_time") or now() + life,
            access=access,
        )

    async def usage(self) -> StorageUsage:
        """Ask what this server's archive there holds."""
        request = archive_pb.GetHostedUsageRequest()
        return _usage((await _call(self._archives.GetHostedUsage, request)).usage)

    async def release(self, session: Session, seat: Seat) -> SeatAnswer:
        """Give a device's seat back."""
        request = seat_pb.ReleaseSeatRequest(
            epoch=session.epoch,
            position=session.position,
            device_guid=seat.device_id,
            generation=seat.generation,
            acknowledged_generation=seat.acknowledged,
        )
        answer = await _call(self._seats.ReleaseSeat, request)
        return SeatAnswer(SeatState.NONE, answer.position)

    async def _acquire(
        self, session: Session, seat: Seat, device_name: str
    ) -> seat_pb.AcquireSeatResponse:
        request = seat_pb.AcquireSeatRequest(
            epoch=session.epoch,
            position=session.position,
            device_guid=seat.device_id,
            device_name=device_name,
            generation=seat.generation,
            acknowledged_generation=seat.acknowledged,
        )
        answer: seat_pb.AcquireSeatResponse = await _call(self._seats.AcquireSeat, request)
        if answer.seat.state != seat_pb.SEAT_STATE_HELD:
            raise Unavailable(
                Reason.UNAVAILABLE,
                "The provider granted a seat and did not say that it is held.",
                "It is asked again.",
            )
        return answer

    async def reconcile(self, session: Session, digest: bytes, excluded: Sequence[str]) -> bool:
        """Ask whether both sides' sets of seats are the same."""
        request = seat_pb.ReconcileSeatsRequest(
            epoch=session.epoch,
            position=session.position,
            digest=digest,
            excluded_device_guids=excluded,
        )
        return bool((await _call(self._seats.ReconcileSeats, request)).matches)

    async def resync(self, session: Session, rows: Sequence[ResyncRow], number: int) -> None:
        """Send a part of this server's set."""
        request = seat_pb.ResyncSeatsRequest(
            epoch=session.epoch,
            position=session.position,
            seats=[
                seat_pb.ResyncSeat(
                    device_guid=each.device_guid,
                    device_name=each.device_name,
                    generation=each.generation,
                    state=RESYNC_STATES[each.state],
                )
                for each in rows
            ],
            part=number,
        )
        await _call(self._seats.ResyncSeats, request)

    async def seats(self, session: Session) -> AsyncIterator[Sequence[ProviderSeat]]:
        """The provider's rows by device GUID, a page at a time."""
        request = seat_pb.ListSeatsRequest(
            epoch=session.epoch, position=session.position, page_size=PAGE
        )
        while True:
            answer = await _call(self._seats.ListSeats, request)
            yield [_provider_seat(each) for each in answer.seats]
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token


class Dialler:
    """Dials providers, and keeps a channel to each."""

    def __init__(self, identity: Identity, addresses: Callable[[], Sequence[str]]) -> None:
        self._identity = identity
        self._addresses = addresses
        self._open: dict[str, tuple[tuple[str, ...], ProviderClient]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._dialling: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def __call__(self, storage: Storage) -> ProviderClient:
        """The provider of a storage.

        Raises:
            Unavailable: nobody answers at any of its addresses.
            PermissionDenied: another server answers there.
            Conflict: the two servers' clocks are too far apart.
        """
        guid = storage.provider_guid
        async with self._dialling[guid]:
            addresses, client = self._open.get(guid, ((), None))
            if client is None or addresses != storage.addresses or _broken(client.channel):
                if client is not None:
                    self._close_later(client)
                client = await self._dial(storage)
                self._open[guid] = storage.addresses, client
            return client

    async def close(self) -> None:
        """Close every channel."""
        for task in self._closing:
            task.cancel()
        for _, client in self._open.values():
            await client.channel.close()

    def _close_later(self, client: ProviderClient) -> None:
        """Close a channel after the calls under way: a cancelled one would cancel its task."""
        task = asyncio.create_task(client.channel.close(TIMEOUT))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _dial(self, storage: Storage) -> ProviderClient:
        guid = storage.provider_guid
        channel = await dial_any(
            storage.addresses,
            guid,
            token=lambda: peer_token.issue(self._identity, guid, now()),
            within=timedelta(seconds=TIMEOUT),
        )
        return ProviderClient(channel, self._addresses())


def _broken(channel: grpc.aio.Channel) -> bool:
    """Whether a channel has to be proven anew: after a failure another server may answer there."""
    return channel.get_state() in (
        grpc.ChannelConnectivity.TRANSIENT_FAILURE,
        grpc.ChannelConnectivity.SHUTDOWN,
    )


async def _call(method: Callable[..., Awaitable[Any]], request: Any) -> Any:
    """Call, with a deadline, and raise our errors."""
    try:
        return await method(request, timeout=TIMEOUT)
    except grpc.aio.AioRpcError as error:
        raise error_of(error) from error


def _entitlement(message: attachment_pb.Entitlement) -> Entitlement:
    quota = message.disk_quota
    suspended = message.state == organization_pb.ORGANIZATION_STATE_SUSPENDED
    return Entitlement(
        organization_id=plain(message.organization_id, 36),
        organization_name=plain(message.organization_name, 200),
        maximum_seats=message.maximum_seats,
        seats_in_use=message.seats_in_use,
        disk_quota_bytes=quota.bytes if quota.WhichOneof("limit") == "bytes" else None,
        web_restore_user_limit_bytes=message.web_restore_user_limit_bytes,
        web_restore_admin_limit_bytes=message.web_restore_admin_limit_bytes,
        suspend_reason=plain(message.suspend_reason, 500) if suspended else None,
        grpc_addresses=tuple(_addresses(message.grpc_addresses)),
        version=plain(message.version, 50),
    )


def _access(device_guid: str, archive_url: str, credential: str) -> ArchiveAccess:
    """What opens a device's archive, if it is what a provider of ours would say."""
    url = _ARCHIVE_URL.fullmatch(archive_url)
    if not url or url[1] != device_guid or not _CREDENTIAL.fullmatch(credential):
        raise Unavailable(
            Reason.UNAVAILABLE,
            "The provider did not say how this device reaches its archive.",
            "Ask the provider whether its server runs as it should.",
        )
    return ArchiveAccess(archive_url, credential)


def _usage(message: usage_pb.OrganizationUsage) -> StorageUsage:
    held = message.archive
    figures = ArchiveUsage(
        stored_bytes=max(held.stored_bytes, 0),
        reserved_bytes=max(held.reserved_bytes, 0),
        kept_bytes=max(held.kept_bytes, 0),
        uploaded_bytes=max(held.uploaded_bytes, 0),
        downloaded_bytes=max(held.downloaded_bytes, 0),
        last_backup_time=optional_time(held, "last_backup_time"),
    )
    warnings = (
        UsageWarning(plain(each.resource, 50), each.percent, plain(each.message, 300))
        for each in message.warnings[:MOST_WARNINGS]
    )
    return StorageUsage(figures, tuple(warnings))


def _addresses(advertised: Sequence[str]) -> Iterator[str]:
    """The addresses that can be dialled: a few, and each HOST:PORT."""
    for each in advertised[:MOST_ADDRESSES]:
        with contextlib.suppress(InvalidArgument):
            yield parse_hostname("grpc_addresses", each)


def _provider_state(message: attachment_pb.Entitlement) -> ProviderState:
    state = ATTACHMENT_STATES.get(message.attachment_state)
    if state is None and message.state == organization_pb.ORGANIZATION_STATE_SUSPENDED:
        return ProviderState.SUSPENDED
    return state or ProviderState.ATTACHED


def _provider_seat(message: seat_pb.Seat) -> ProviderSeat:
    return ProviderSeat(
        device_guid=message.device_guid,
        device_name=plain(message.device_name, 200),
        generation=message.generation,
        live=message.state == seat_pb.SEAT_STATE_HELD,
        revoked=message.state == seat_pb.SEAT_STATE_REVOKED,
        kind=Kind.RELEASE if message.state == seat_pb.SEAT_STATE_RELEASED else Kind.ACQUIRE,
    )
