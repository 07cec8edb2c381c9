"""Archives and usage as messages."""

from datetime import timedelta

from offsite.common.v1 import archive_service_pb2 as archive_pb
from offsite.common.v1 import usage_service_pb2 as usage_pb
from offsite.common.v1.disk_quota_pb2 import DiskQuota

from archive_gateway.domain import rules
from archive_gateway.domain.usage import ArchiveUsage
from archive_gateway.domain.warnings import UsageWarning
from archive_gateway.operations.usage import AccountArchive, AccountUsage, DeviceUsage
from archive_gateway.store.grants import Grant
from service_kit.conversions import optional_timestamp


def archive_usage(found: ArchiveUsage) -> usage_pb.ArchiveUsage:
    """What an archive holds and has carried."""
    return usage_pb.ArchiveUsage(
        stored_bytes=found.stored_bytes,
        reserved_bytes=found.reserved_bytes,
        kept_bytes=found.kept_bytes,
        uploaded_bytes=found.uploaded_bytes,
        downloaded_bytes=found.downloaded_bytes,
        last_backup_time=optional_timestamp(found.last_backup_time),
    )


def warning(found: UsageWarning) -> usage_pb.UsageWarning:
    """A threshold that was passed."""
    return usage_pb.UsageWarning(
        resource=found.resource, percent=found.percent, message=found.message
    )


def account_usage(found: AccountUsage) -> usage_pb.OrganizationUsage:
    """An organization's usage."""
    return usage_pb.OrganizationUsage(
        organization_id=found.account_id,
        organization_name=found.policy.name,
        archive=archive_usage(found.archive),
        disk_quota=disk_quota(found.policy.quota_bytes),
        seats_in_use=found.seats_in_use,
        maximum_seats=found.maximum_seats,
        warnings=[warning(each) for each in found.warnings],
    )


def device_usage(found: DeviceUsage) -> usage_pb.DeviceUsage:
    """A device's usage."""
    return usage_pb.DeviceUsage(
        device_guid=found.tenant.device_guid,
        device_name=found.tenant.name,
        archive=archive_usage(found.archive),
        holds_seat=found.tenant.holds_seat,
        archive_end_time=optional_timestamp(found.archive_end_time),
    )


def archive(found: AccountArchive) -> archive_pb.Archive:
    """An organization's archive."""
    policy, usage = found.usage.policy, found.usage.archive
    message = archive_pb.Archive(
        organization_id=found.usage.account_id,
        organization_name=policy.name,
        state=_state(found),
        reason=found.read_only,
        usage=archive_usage(usage),
        disk_quota=disk_quota(policy.quota_bytes),
        delete_delay_seconds=policy.delete_delay // timedelta(seconds=1),
        retention_seconds=policy.retention // timedelta(seconds=1),
        append_only=policy.append_only,
        purges_held=found.purges_held,
        quarantined_blobs=found.quarantined_blobs,
    )
    if found.prune_allowance_expire_time is not None and policy.quota_bytes is not None:
        message.prune_allowance_expire_time.FromDatetime(found.prune_allowance_expire_time)
        most = policy.quota_bytes + rules.prune_allowance(policy.quota_bytes)
        left = most - usage.stored_bytes - usage.reserved_bytes
        message.prune_allowance_bytes = max(left, 0)
    return message


def grant(found: Grant) -> archive_pb.Grant:
    """A grant, without its credential."""
    return archive_pb.Grant(
        id=found.id,
        device_guid=found.archive.device_guid,
        creator=found.creator,
        create_time=optional_timestamp(found.create_time),
        expire_time=optional_timestamp(found.expire_time),
    )


def disk_quota(quota_bytes: int | None) -> DiskQuota:
    """A quota; None is without limit."""
    if quota_bytes is None:
        return DiskQuota(unlimited=DiskQuota.Unlimited())
    return DiskQuota(bytes=quota_bytes)


def _state(found: AccountArchive) -> archive_pb.ArchiveState.ValueType:
    if found.read_only:
        return archive_pb.ARCHIVE_STATE_READ_ONLY
    return archive_pb.ARCHIVE_STATE_FULL if found.full else archive_pb.ARCHIVE_STATE_ACTIVE
