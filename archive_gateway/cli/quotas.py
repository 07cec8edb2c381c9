"""Quotas as people write them: 500GB, or unlimited."""

from offsite.common.v1.disk_quota_pb2 import DiskQuota

from service_kit.sizes import parse_size


def parse_quota(option: str, text: str) -> DiskQuota:
    """A quota.

    Raises:
        InvalidArgument: it is neither a size nor `unlimited`.
    """
    if text.strip().lower() == "unlimited":
        return DiskQuota(unlimited=DiskQuota.Unlimited())
    return DiskQuota(bytes=parse_size(option, text))
