"""What the commands of `archive` do, for an account; each program adds its own way of naming it."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from offsite.common.v1 import archive_service_pb2 as pb
from offsite.common.v1 import usage_service_pb2 as usage_pb
from offsite.common.v1.archive_service_pb2_grpc import ArchiveServiceStub

from archive_gateway.cli import usage
from service_kit.cli import output
from service_kit.cli.confirmation import count_of, require
from service_kit.cli.connection import call, call_stream, stub
from service_kit.cli.durations import format_duration, parse_duration
from service_kit.cli.names import pages
from service_kit.conversions import to_timestamp
from service_kit.errors import Conflict, FieldViolation, InvalidArgument
from service_kit.reasons import Reason
from service_kit.sizes import format_size


def service() -> ArchiveServiceStub:
    """The service of this noun."""
    return stub(ArchiveServiceStub)


def show(account_id: str) -> None:
    """Show an archive with its devices."""
    found = call(service().GetArchive, pb.GetArchiveRequest(organization_id=account_id))
    archive, listed = found.archive, usage.devices(account_id, None)

    def people() -> None:
        output.facts(_facts(archive))
        output.line()
        usage.devices_table(listed.devices)

    document = {**output.document_of(found), "devices": output.document_of(listed)["devices"]}
    output.show_document(document, people, quiet=archive.organization_id)


def undelete(account_id: str, device_guid: str, to: str, *, confirm: bool) -> None:
    """Bring archives back to what they were at a time."""
    request = pb.UndeleteArchiveRequest(
        organization_id=account_id,
        device_guid=device_guid,
        time=to_timestamp(parse_time("--to", to)),
        validate_only=not confirm,
    )
    done = call(service().UndeleteArchive, request)
    takes = (
        f"{count_of(done.restored_blobs, 'blob')} ({format_size(done.restored_bytes)}) brought "
        f"back, {count_of(done.deleted_blobs, 'later blob')} ({format_size(done.deleted_bytes)}) "
        f"deleted, in {count_of(done.devices, 'archive')}"
    )
    if done.lost_blobs:
        output.warn(f"{count_of(done.lost_blobs, 'blob')} of that time are gone for good.")
    if purged := output.moment(done, "purge_time"):
        output.warn(
            f"What was deleted up to {purged} is purged: a repository of an earlier time is "
            "not complete."
        )
    require(confirm, f"Going back to {to}", takes)
    output.show(done, lambda: output.line(f"Back at {to}: {takes}."))


def purge(account_id: str, device_guid: str, *, include_live: bool, confirm: bool) -> None:
    """Remove for good what was deleted."""
    request = pb.PurgeArchiveRequest(
        organization_id=account_id,
        device_guid=device_guid,
        include_live=include_live,
        validate_only=not confirm,
    )
    done = call(service().PurgeArchive, request)
    takes = f"{count_of(done.blobs, 'blob')}, {format_size(done.bytes)}, for good"
    require(confirm, "Purging", takes)
    output.show(done, lambda: output.line(f"Purged: {takes}."))


def allow_prune(account_id: str) -> None:
    """Let a full organization write what a prune needs."""
    done = call(service().AllowPrune, pb.AllowPruneRequest(organization_id=account_id))
    until = output.moment(done, "expire_time")
    most = format_size(done.bytes) if done.bytes else "5 %, and at least 1.07 GB,"
    text = f"Until {until}, computers may write {most} above their quota: prunes, and backups too."
    output.show(done, lambda: output.line(text))


def grant(account_id: str, device_guid: str, life: str, file: Path | None) -> None:
    """Make a read-only credential for one device's archive."""
    request = pb.CreateGrantRequest(
        organization_id=account_id,
        device_guid=device_guid,
        lifetime_seconds=lifetime_seconds(life),
    )
    done = call(service().CreateGrant, request)
    show_grant(done, done.credential, done.archive_url, file)


def lifetime_seconds(text: str) -> int:
    """The value of --for."""
    return int(parse_duration("--for", text).total_seconds())


def show_grant(
    response: pb.CreateGrantResponse, credential: str, archive_url: str, file: Path | None
) -> None:
    """Hand a grant over, this once: in a file, or printed."""
    address, _, path = archive_url.removeprefix("rest:https://").partition("/archives/")
    line = f"{path}{credential}"
    until = output.moment(response.grant, "expire_time")
    if file is not None:
        _write(file, line)

    def people() -> None:
        output.line(f"Reading is granted until {until}; it is shown this once.")
        output.line(line if file is None else f"Written to {file}.")
        output.line(f"Use it: offsite-device recover {address} --guid GUID --grant-file FILE …")

    output.show(response, people, quiet=line)


def grants(account_id: str) -> None:
    """List the grants in force."""
    found = pages(service().ListGrants, pb.ListGrantsRequest(organization_id=account_id), "grants")
    names = {each.device_guid: each.device_name for each in usage.devices(account_id, None).devices}
    rows = [
        (
            names.get(each.device_guid, each.device_guid),
            output.moment(each, "expire_time"),
            each.creator,
            each.id,
        )
        for each in found.grants
    ]
    output.show(found, lambda: output.table(("device", "until", "given by", "id"), rows))


def revoke_grant(grant_id: str) -> None:
    """End a grant."""
    done = call(service().RevokeGrant, pb.RevokeGrantRequest(grant_id=grant_id))
    output.show(done, lambda: output.line("The grant has ended."))


def scrub(account_id: str) -> None:
    """Read every blob again; exit 1 if any is damaged or missing."""
    request = pb.ScrubArchiveRequest(organization_id=account_id)
    last = _last(call_stream(service().ScrubArchive, request))
    read = f"{count_of(last.blobs, 'blob')} read, {format_size(last.bytes)}"
    output.show(last, lambda: output.line(f"{read}."))
    if last.quarantined or last.missing:
        raise Conflict(
            Reason.ARCHIVE_DAMAGED,
            f"{last.quarantined} damaged and set aside, {last.missing} missing.",
            "The log names each. For missing ones, mount or repair the disk. For damaged ones, at "
            "the device: offsite-device restic NAME -- repair index, then back up again.",
        )


def rebuild(*, confirm: bool) -> None:
    """Make ledger and files agree after the ledger was restored."""
    request = pb.RebuildArchiveRequest(validate_only=not confirm)
    last = _last(call_stream(service().RebuildArchive, request))
    takes = (
        f"{count_of(last.adopted_blobs, 'unknown file')} ({format_size(last.adopted_bytes)}) "
        f"adopted, {count_of(last.missing_blobs, 'blob')} ({format_size(last.missing_bytes)}) "
        f"without a file forgotten, {count_of(last.strange_files, 'strange file')} left alone"
    )
    require(confirm, "Rebuilding", takes)
    output.show(last, lambda: output.line(f"Rebuilt: {takes}. Purges go on."))


def _last(answers: Iterator[Any]) -> Any:
    """The last answer of a stream, which tells the whole."""
    *_, last = answers
    return last


def parse_time(option: str, text: str) -> datetime:
    """A time with its zone, like 2026-11-01T12:00Z.

    Raises:
        InvalidArgument: it is none.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        description = f"must be a time with its zone, like 2026-11-01T12:00Z, is {text!r}"
        raise InvalidArgument([FieldViolation(option, description)])
    return time


def _facts(archive: pb.Archive) -> list[tuple[str, object]]:
    held: usage_pb.ArchiveUsage = archive.usage
    return [
        ("organization", archive.organization_name),
        ("state", output.word(pb.ArchiveState, archive.state)),
        ("reason", archive.reason),
        ("stored", usage.of_quota(held, archive.disk_quota)),
        ("deleted, kept", format_size(held.kept_bytes)),
        ("uploaded", format_size(held.uploaded_bytes)),
        ("downloaded", format_size(held.downloaded_bytes)),
        ("last backup", output.moment(held, "last_backup_time") or "never"),
        ("delete delay", format_duration(archive.delete_delay_seconds)),
        ("retention", format_duration(archive.retention_seconds)),
        ("append-only", "yes" if archive.append_only else ""),
        ("prune allowed until", output.moment(archive, "prune_allowance_expire_time")),
        ("purges", "held until archive rebuild" if archive.purges_held else ""),
        ("set aside", archive.quarantined_blobs or ""),
    ]


def _write(file: Path, line: str) -> None:
    """Write a secret to a new file that only its owner reads."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        description = f"can't be written: {error.strerror}"
        raise InvalidArgument([FieldViolation("--output", description)]) from error
    with os.fdopen(descriptor, "w") as out:
        out.write(f"{line}\n")
