"""Domain values to protos. Nothing here decides."""

from offsite.common.v1.disk_quota_pb2 import DiskQuota
from offsite.common.v1.impact_pb2 import Impact as ImpactMessage
from offsite.customer.v1 import destination_service_pb2 as destination_pb
from offsite.customer.v1 import device_service_pb2 as device_pb
from offsite.customer.v1 import organization_service_pb2 as organization_pb
from offsite.customer.v1 import storage_service_pb2 as storage_pb
from offsite.customer.v1 import user_service_pb2 as user_pb

from customer_service.domain.seat import SeatState
from customer_service.domain.storage import Entitlement, StorageType
from customer_service.operations.destinations import Changes, Defaults
from customer_service.operations.devices import DeviceView
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
    )


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
        message.reason = seen.seat.reason
        message.advice = seen.seat.advice
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
    return message


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
