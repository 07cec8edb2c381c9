"""Quotas that were sent."""

from offsite.common.v1.disk_quota_pb2 import DiskQuota

from service_kit.errors import FieldViolation, InvalidArgument


def quota_bytes(field: str, message: DiskQuota) -> int | None:
    """The bytes of a quota; None is without limit.

    Raises:
        InvalidArgument: neither is chosen; the field is named.
    """
    match message.WhichOneof("limit"):
        case "bytes":
            return message.bytes
        case "unlimited":
            return None
    raise InvalidArgument([FieldViolation(field, "must be a number of bytes or unlimited")])
