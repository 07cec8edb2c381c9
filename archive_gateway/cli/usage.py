"""What the commands of `usage` do."""

from collections.abc import Iterable

from offsite.common.v1 import usage_service_pb2 as pb
from offsite.common.v1.disk_quota_pb2 import DiskQuota
from offsite.common.v1.usage_service_pb2_grpc import UsageServiceStub

from service_kit.cli import output
from service_kit.cli.connection import call, stub
from service_kit.cli.durations import parse_duration
from service_kit.cli.names import is_id, pages, the_one
from service_kit.errors import NotFound
from service_kit.reasons import Reason
from service_kit.sizes import format_size


def service() -> UsageServiceStub:
    """The service of this noun."""
    return stub(UsageServiceStub)


def show(account_id: str, without_backup: str | None) -> None:
    """Show an account's usage, and that of its devices."""
    found = call(service().GetUsage, pb.GetUsageRequest(organization_id=account_id))
    listed = devices(account_id, without_backup)

    def people() -> None:
        _warn([found.usage])
        output.facts(
            [
                ("organization", found.usage.organization_name),
                ("stored", of_quota(found.usage.archive, found.usage.disk_quota)),
                ("deleted, kept", format_size(found.usage.archive.kept_bytes)),
                ("uploaded", format_size(found.usage.archive.uploaded_bytes)),
                ("downloaded", format_size(found.usage.archive.downloaded_bytes)),
                ("seats", seats(found.usage)),
                ("last backup", _last(found.usage.archive)),
            ]
        )
        output.line()
        devices_table(listed.devices)

    document = {**output.document_of(found), "devices": output.document_of(listed)["devices"]}
    output.show_document(document, people)


def list_all() -> None:
    """List the usage of every account."""
    found = pages(service().ListUsage, pb.ListUsageRequest(), "organizations")
    rows = [
        (
            each.organization_name,
            of_quota(each.archive, each.disk_quota),
            format_size(each.archive.kept_bytes),
            seats(each),
            _last(each.archive),
        )
        for each in sorted(found.organizations, key=lambda each: each.organization_name.casefold())
    ]

    def people() -> None:
        _warn(found.organizations)
        columns = ("organization", "stored", "deleted, kept", "seats", "last backup")
        output.table(columns, rows)

    output.show(found, people)


def devices(account_id: str, without_backup: str | None) -> pb.ListDeviceUsageResponse:
    """All devices of an account, or those that hold a seat and have not backed up for a while."""
    request = pb.ListDeviceUsageRequest(organization_id=account_id)
    if without_backup:
        idle = parse_duration("--without-backup", without_backup)
        request.without_backup_seconds = int(idle.total_seconds())
    found: pb.ListDeviceUsageResponse = pages(service().ListDeviceUsage, request, "devices")
    return found


def device_guid_of(account_id: str, device: str) -> str:
    """A device's GUID by its name; a GUID is taken as it is.

    Raises:
        NotFound: there is none of this name.
        Conflict: there are several.
    """
    if is_id(device):
        return device.lower()
    called = device.casefold()
    found = [
        each for each in devices(account_id, None).devices if each.device_name.casefold() == called
    ]
    if not found:
        raise NotFound(
            Reason.NOT_FOUND, f"No device {device} is known there.", "See: archive show."
        )
    one = the_one("device", device, found, lambda each: str(each.device_guid))
    return str(one.device_guid)


def devices_table(found: Iterable[pb.DeviceUsage]) -> None:
    """Devices, by name."""
    rows = [
        (
            each.device_name,
            format_size(each.archive.stored_bytes),
            format_size(each.archive.kept_bytes),
            format_size(each.archive.uploaded_bytes),
            format_size(each.archive.downloaded_bytes),
            _last(each.archive),
            _seat(each),
            each.device_guid,
        )
        for each in sorted(found, key=lambda each: each.device_name.casefold())
    ]
    columns = ("device", "stored", "deleted, kept", "uploaded", "downloaded", "last backup", "seat")
    output.table((*columns, "GUID"), rows)


def of_quota(usage: pb.ArchiveUsage, quota: DiskQuota) -> str:
    """Bytes stored, of how many."""
    stored = format_size(usage.stored_bytes)
    if quota.WhichOneof("limit") != "bytes":
        return f"{stored}, unlimited"
    percent = usage.stored_bytes * 100 // quota.bytes if quota.bytes else 100
    return f"{stored} of {format_size(quota.bytes)} ({percent} %)"


def seats(usage: pb.OrganizationUsage) -> str:
    """Seats in use, of how many."""
    of = f" of {usage.maximum_seats}" if usage.HasField("maximum_seats") else ""
    return f"{usage.seats_in_use}{of}"


def _warn(found: Iterable[pb.OrganizationUsage]) -> None:
    for each in found:
        for warning in each.warnings:
            output.warn(f"{each.organization_name}: {warning.message}")


def _last(usage: pb.ArchiveUsage) -> str:
    return output.moment(usage, "last_backup_time") or "never"


def _seat(device: pb.DeviceUsage) -> str:
    if device.holds_seat:
        return "held"
    end = output.moment(device, "archive_end_time")
    return f"none; removed {end}" if end else "none"
