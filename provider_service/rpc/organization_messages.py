"""Organizations between the wire and the domain."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from google.protobuf.field_mask_pb2 import FieldMask
from offsite.common.v1.disk_quota_pb2 import DiskQuota as DiskQuotaMessage
from offsite.provider.v1 import organization_service_pb2 as pb

from archive_gateway.domain.keeping import (
    DEFAULT_DELETE_DELAY,
    DEFAULT_RETENTION,
    whole_seconds,
)
from archive_gateway.domain.warnings import UsageWarning, Use, warnings
from archive_gateway.rpc import messages
from archive_gateway.rpc.quotas import quota_bytes
from provider_service.domain.organization import Contact, Organization, Settings, problems
from provider_service.domain.quota import DEFAULT_WEB_RESTORE_LIMIT_BYTES, DiskQuota
from provider_service.domain.registration_key import lifetime
from provider_service.domain.saving import Draft, Edit, Shown
from service_kit.conversions import optional_timestamp, to_timedelta, to_timestamp
from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.validation import Checks, resource_id

Reader: TypeAlias = Callable[[pb.Organization], Any]

CONTACT_FIELDS = tuple(field.name for field in fields(Contact))


def to_draft(request: pb.CreateOrganizationRequest) -> Draft:
    """A new organization as asked for.

    Raises:
        InvalidArgument: all fields out of bounds.
    """
    checks = Checks()
    settings = Settings("unnamed")
    with checks.collecting():
        settings = to_settings(request.organization)
    key_lifetime = lifetime(0)
    with checks.collecting():
        key_lifetime = lifetime(request.registration_key_lifetime_seconds)
    with checks.collecting():
        draft = Draft(request.organization.id, settings, request.accept_terms, key_lifetime)
    checks.done()
    return draft


def to_settings(message: pb.Organization) -> Settings:
    """The settings of a message, all of them."""
    checks = Checks()
    values: dict[str, Any] = {}
    for name, read in READERS.items():
        with checks.collecting():
            values[_setting(name)] = read(message)
    with checks.collecting():
        settings = Settings(**values)
    checks.done()
    return settings


def to_edit(request: pb.UpdateOrganizationRequest) -> Edit:
    """A change of the fields in a mask.

    Raises:
        InvalidArgument: the mask is empty or names a field that can't be changed, and the like.
    """
    message = request.organization
    return Edit(
        id=resource_id("organization.id", message.id),
        change=_change(message, request.update_mask),
        etag=message.etag,
        accept_terms=request.accept_terms,
        key_lifetime=lifetime(request.registration_key_lifetime_seconds),
    )


def to_message(shown: Shown, now: datetime) -> pb.Organization:
    """An organization for the wire."""
    organization, key = shown.organization, shown.key
    expire_time = key.expire_time if key else None
    message = pb.Organization(
        **_settings_fields(organization.settings),
        id=organization.id,
        terms_version=organization.terms.version if organization.terms else "",
        terms_accept_time=_accept_time(organization),
        state=state_value(organization),
        suspend_reason=organization.suspend_reason,
        attachment_state=attachment_value(organization),
        seats_in_use=organization.seats_in_use,
        registration_key_id=key.id if key else "",
        registration_key_expire_time=optional_timestamp(expire_time),
        attach_time=optional_timestamp(organization.attach_time),
        last_contact_time=optional_timestamp(organization.last_contact_time),
        peer_version=organization.peer_version,
        peer_addresses=organization.peer_addresses,
        last_refused_guid=organization.last_refused_guid,
        last_refused_time=optional_timestamp(organization.last_refused_time),
        create_time=to_timestamp(organization.create_time),
        etag=organization.etag,
        rewound_confirmed=organization.rewound_confirmed,
        archive_usage=messages.archive_usage(shown.usage),
        warnings=[messages.warning(each) for each in _warnings(shown)],
    )
    for problem in problems(organization, expire_time, shown.usage.stored_bytes, now):
        message.problems.append(pb.Problem.Value(f"PROBLEM_{problem.name}"))
    return message


def quota_message(quota: DiskQuota | None) -> DiskQuotaMessage | None:
    """A quota for the wire; None leaves the field unset."""
    return None if quota is None else messages.disk_quota(quota.limit_bytes)


def state_value(organization: Organization) -> pb.OrganizationState.ValueType:
    """An organization's state for the wire."""
    return pb.OrganizationState.Value(f"ORGANIZATION_STATE_{organization.state.name}")


def attachment_value(organization: Organization) -> pb.AttachmentState.ValueType:
    """An attachment's state for the wire."""
    return pb.AttachmentState.Value(f"ATTACHMENT_STATE_{organization.attachment.name}")


def _settings_fields(settings: Settings) -> dict[str, Any]:
    return {
        "name": settings.name,
        "hosted": settings.hosted,
        "customer_guid": settings.customer_guid,
        "contact": pb.Contact(**vars(settings.contact)),
        "maximum_seats": settings.maximum_seats,
        "disk_quota": quota_message(settings.disk_quota),
        "web_restore_user_limit_bytes": settings.web_restore_user_limit_bytes,
        "web_restore_admin_limit_bytes": settings.web_restore_admin_limit_bytes,
        "delete_delay_seconds": whole_seconds(settings.delete_delay),
        "retention_seconds": whole_seconds(settings.retention),
        "append_only": settings.append_only,
    }


def _warnings(shown: Shown) -> tuple[UsageWarning, ...]:
    settings = shown.organization.settings
    quota = settings.disk_quota
    use = Use(
        stored_bytes=shown.usage.stored_bytes,
        quota_bytes=quota.limit_bytes if quota else None,
        seats_in_use=shown.organization.seats_in_use,
        maximum_seats=settings.maximum_seats,
    )
    return warnings(use)


def _accept_time(organization: Organization) -> Any:
    return optional_timestamp(organization.terms.accept_time if organization.terms else None)


def _change(message: pb.Organization, mask: FieldMask) -> Callable[[Settings], Settings]:
    paths = list(mask.paths)
    known = {*READERS, *(f"contact.{name}" for name in CONTACT_FIELDS)}
    wrong = sorted(set(paths) - known)
    if wrong or not paths:
        listed = ", ".join(sorted(known))
        what = f"has {', '.join(wrong)}; " if wrong else "is empty; "
        raise InvalidArgument([FieldViolation("update_mask", f"{what}may have {listed}")])

    def change(before: Settings) -> Settings:
        values = {_setting(path): READERS[path](message) for path in paths if path in READERS}
        contact = values.get("contact", before.contact)
        parts = {name: getattr(message.contact, name) for name in CONTACT_FIELDS}
        masked = {name: parts[name] for name in CONTACT_FIELDS if f"contact.{name}" in paths}
        return replace(before, **{**values, "contact": replace(contact, **masked)})

    return change


def _setting(path: str) -> str:
    """The setting that a field is of: a duration's field says in seconds."""
    return path.removesuffix("_seconds")


def _contact(message: pb.Organization) -> Contact:
    return Contact(**{name: getattr(message.contact, name) for name in CONTACT_FIELDS})


def _quota(message: pb.Organization) -> DiskQuota | None:
    if not message.HasField("disk_quota"):
        return None
    return DiskQuota(quota_bytes("organization.disk_quota", message.disk_quota))


def _web_restore_limit(who: str) -> Reader:
    field = f"web_restore_{who}_limit_bytes"

    def read(message: pb.Organization) -> int:
        is_set = message.HasField(field)  # type: ignore[arg-type]
        return int(getattr(message, field)) if is_set else DEFAULT_WEB_RESTORE_LIMIT_BYTES

    return read


def _duration(field: str, default: timedelta) -> Reader:
    def read(message: pb.Organization) -> timedelta:
        is_set = message.HasField(field)  # type: ignore[arg-type]
        return to_timedelta(getattr(message, field)) if is_set else default

    return read


# What may be set, by field name; an update mask names these, or a part of the contact.
READERS: Mapping[str, Reader] = {
    "name": lambda message: message.name,
    "hosted": lambda message: message.hosted,
    "customer_guid": lambda message: message.customer_guid,
    "contact": _contact,
    "maximum_seats": lambda message: (
        message.maximum_seats if message.HasField("maximum_seats") else None
    ),
    "disk_quota": _quota,
    "web_restore_user_limit_bytes": _web_restore_limit("user"),
    "web_restore_admin_limit_bytes": _web_restore_limit("admin"),
    "delete_delay_seconds": _duration("delete_delay_seconds", DEFAULT_DELETE_DELAY),
    "retention_seconds": _duration("retention_seconds", DEFAULT_RETENTION),
    "append_only": lambda message: message.append_only,
}
