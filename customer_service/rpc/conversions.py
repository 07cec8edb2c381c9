"""Domain values to protos. Nothing here decides."""

from typing import Any

from offsite.common.v1 import archive_service_pb2 as archive_pb
from offsite.common.v1.disk_quota_pb2 import DiskQuota
from offsite.common.v1.impact_pb2 import Impact as ImpactMessage
from offsite.customer.v1 import destination_service_pb2 as destination_pb
from offsite.customer.v1 import device_service_pb2 as device_pb
from offsite.customer.v1 import organization_service_pb2 as organization_pb
from offsite.customer.v1 import recovery_service_pb2 as recovery_pb
from offsite.customer.v1 import storage_service_pb2 as storage_pb
from offsite.customer.v1 import user_service_pb2 as user_pb

from archive_gateway.domain.keeping import whole_seconds
from archive_gateway.operations.usage import AccountUsage
from archive_gateway.rpc import messages
from customer_service.domain.enrollment import IssuedCode
from customer_service.domain.organization import Organization
from customer_service.domain.recovery_key import RecoveryKey
from customer_service.domain.seat import SeatState
from customer_service.domain.storage import Entitlement, StorageType, StorageUsage
from customer_service.operations.destinations import Changes, Defaults
from customer_service.operations.devices import DeviceView
from customer_service.operations.grants import Granted
from customer_service.operations.ledgers import Difference
from customer_service.operations.organizations import Impact, OrganizationView
from customer_service.operations.seats import Destination
from customer_service.operations.storages import StorageView
from customer_service.operations.users import UserView
from service_kit.conversions import optional_timestamp, to_timestamp

DESTINATION_STATES = {
    SeatState.NONE: device_pb.DESTINATION_STATE_OFFERED,
    SeatState.ACQUIRING: device_pb.DESTINATION_STATE_ACQUIRING,
    SeatState.HELD: device_pb.DESTINATION_STATE_HELD,
    SeatState.RELEASING: device_pb.DESTINATION_STATE_RELEASING,
    SeatState.REFUSED: device_pb.DESTINATION_STATE_REFUSED,
    SeatState.REVOKED: device_pb.DESTINATION_STATE_REVOKED,
}


def organization(view: OrganizationView) -> organization_pb.Organization:
    """An organization."""
    state = "DEACTIVATED" if view.deactivated else "ACTIVE"
    return organization_pb.Organization(
        id=view.organization.id,
        name=view.organization.name,
        parent_id=view.organization.parent_id or "",
        state=organization_pb.OrganizationState.Value(f"ORGANIZATION_STATE_{state}"),
        active_users=view.active_users,
        seats_in_use=view.seats_in_use,
        create_time=to_timestamp(view.organization.create_time),
        etag=str(view.organization.version),
        disk_quota=quota(view.organization.disk_quota_bytes),
        archive_usage=messages.archive_usage(view.archive),
        **_keeping(view.organization),
    )


def quota(limit_bytes: int | None) -> DiskQuota | None:
    """A quota that may be left out; without one the field is not set."""
    return None if limit_bytes is None else messages.disk_quota(limit_bytes)


def _keeping(one: Organization) -> dict[str, Any]:
    """How long archives are kept, which the root alone says."""
    if one.parent_id is not None:
        return {}
    return {
        "delete_delay_seconds": whole_seconds(one.present_delete_delay),
        "retention_seconds": whole_seconds(one.present_retention),
        "append_only": one.append_only,
    }


def user(view: UserView) -> user_pb.User:
    """A user."""
    return user_pb.User(
        id=view.user.id,
        email=view.user.email,
        organization_id=view.user.organization_id,
        state=user_pb.UserState.Value(f"USER_STATE_{view.user.state.upper()}"),
        storage_ids=view.storage_ids,
        inherits_destinations=view.user.inherits_destinations,
        devices=view.devices,
        seats_in_use=view.seats_in_use,
        create_time=to_timestamp(view.user.create_time),
        etag=str(view.user.version),
        disk_quota=quota(view.user.disk_quota_bytes),
        archive_usage=messages.archive_usage(view.archive),
    )


def device(view: DeviceView) -> device_pb.Device:
    """A device."""
    state = "DEACTIVATED" if view.device.deactivated else "ACTIVE"
    return device_pb.Device(
        id=view.device.id,
        name=view.device.name,
        user_id=view.device.user_id,
        user_email=view.user_email,
        state=device_pb.DeviceState.Value(f"DEVICE_STATE_{state}"),
        holds_seat=view.holds_seat,
        destinations=[destination(each) for each in view.destinations],
        deauthorized=view.device.deauthorized,
        create_time=to_timestamp(view.device.create_time),
        enrolled=view.device.enrolled,
    )


def enrollment_code(issued: IssuedCode | None) -> device_pb.EnrollmentCode | None:
    """A code, in the only answer that ever holds it."""
    if issued is None:
        return None
    expire_time = to_timestamp(issued.expire_time)
    return device_pb.EnrollmentCode(code=issued.code, expire_time=expire_time)


def recovery_key(key: RecoveryKey) -> recovery_pb.RecoveryKey:
    """A recovery key's public half."""
    return recovery_pb.RecoveryKey(
        recipient=key.recipient,
        statement=key.statement,
        create_time=to_timestamp(key.create_time),
    )


def destination(seen: Destination) -> device_pb.Destination:
    """A storage as a device sees it."""
    message = device_pb.Destination(
        storage_id=seen.storage.id,
        storage_name=seen.storage.name,
        state=device_pb.DESTINATION_STATE_OFFERED,
    )
    if seen.seat is not None:
        message.state = DESTINATION_STATES[seen.seat.state]
        # A change that waits may do so because of the whole storage.
        why = seen.storage if seen.seat.waiting and not seen.seat.reason else seen.seat
        message.reason, message.advice = why.reason, why.advice
        message.generation = seen.seat.generation
        message.update_time.CopyFrom(to_timestamp(seen.seat.update_time))
    return message


def storage(view: StorageView) -> storage_pb.Storage:
    """A storage."""
    one = view.storage
    granted = one.entitlement
    message = storage_pb.Storage(
        id=one.id,
        name=one.name,
        type=storage_pb.StorageType.Value(f"STORAGE_TYPE_{one.type.upper()}"),
        hostname=one.hostname,
        provider_guid=one.provider_guid,
        state=storage_pb.StorageState.Value(f"STORAGE_STATE_{one.state.upper()}"),
        reason=one.reason,
        advice=one.advice,
        devices_holding=view.devices_holding,
        devices_waiting=view.devices_waiting,
        last_contact_time=optional_timestamp(one.last_contact_time),
        create_time=to_timestamp(one.create_time),
        epoch=one.epoch,
        unclaimed_seats=view.unclaimed_seats,
        reconcile_time=optional_timestamp(one.reconcile_time),
    )
    if one.type is StorageType.ATTACHED_SERVER:
        grant(message, granted)
    _fill_usage(message, view)
    return message


def _fill_usage(message: storage_pb.Storage, view: StorageView) -> None:
    """Fill in what the archive at a storage holds, where that is known."""
    found: StorageUsage | AccountUsage | None = view.own or view.storage.usage
    if view.own is not None and view.own.policy.quota_bytes is not None:
        message.disk_quota.CopyFrom(messages.disk_quota(view.own.policy.quota_bytes))
    if found is not None:
        message.archive_usage.CopyFrom(messages.archive_usage(found.archive))
        message.warnings.extend(messages.warning(each) for each in found.warnings)


def grant(message: storage_pb.Storage, granted: Entitlement) -> None:
    """Fill in what a provider grants."""
    message.provider_organization_name = granted.organization_name
    message.maximum_seats = granted.maximum_seats
    message.provider_seats_in_use = granted.seats_in_use
    message.web_restore_user_limit_bytes = granted.web_restore_user_limit_bytes
    message.web_restore_admin_limit_bytes = granted.web_restore_admin_limit_bytes
    message.peer_version = granted.version
    message.peer_addresses.extend(granted.grpc_addresses)
    if granted.disk_quota_bytes is None:
        message.disk_quota.unlimited.CopyFrom(DiskQuota.Unlimited())
    else:
        message.disk_quota.bytes = granted.disk_quota_bytes


def archive_grant(given: Granted) -> storage_pb.CreateStorageGrantResponse:
    """A read-only credential for a device's archive."""
    grant = given.grant
    return storage_pb.CreateStorageGrantResponse(
        grant=archive_pb.Grant(
            id=grant.id,
            device_guid=grant.device_guid,
            creator=grant.creator,
            create_time=to_timestamp(grant.create_time),
            expire_time=to_timestamp(grant.expire_time),
        ),
        credential=grant.access.storage_credential,
        archive_url=grant.access.archive_url,
        server_guid=given.server_guid,
    )


def impact(taken: Impact) -> ImpactMessage:
    """What a change took along."""
    return ImpactMessage(
        organizations=taken.organizations,
        users=taken.users,
        devices=taken.released.devices,
        seats=taken.released.seats,
        provider_seats=taken.released.provider_seats,
    )


def defaults(found: Defaults) -> destination_pb.DefaultDestinations:
    """What one level offers."""
    return destination_pb.DefaultDestinations(
        organization_id=found.organization_id,
        inherit=found.inherit,
        storage_ids=found.storage_ids,
    )


def changes(made: Changes) -> destination_pb.DestinationChanges:
    """What applying defaults changed."""
    return destination_pb.DestinationChanges(
        users_gaining=made.users_gaining,
        users_losing=made.users_losing,
        devices_released=made.devices_released,
    )


def difference(found: Difference) -> storage_pb.SeatDifference:
    """Where two ledgers differ."""
    ours, theirs = found.ours, found.theirs
    return storage_pb.SeatDifference(
        device_guid=found.device_guid,
        device_name=found.device_name,
        generation=ours.generation if ours else 0,
        provider_generation=theirs.generation if theirs else 0,
        held=bool(ours and ours.live),
        held_at_provider=bool(theirs and theirs.live),
    )
