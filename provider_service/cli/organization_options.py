"""The options of an organization's settings, the same for `org add` and `org update`."""

from dataclasses import dataclass, fields
from typing import Any

from cyclopts import Parameter
from offsite.provider.v1.organization_service_pb2 import Organization

from archive_gateway.cli.quotas import parse_quota
from service_kit.cli.parameters import Count
from service_kit.sizes import parse_size


@Parameter(name="*", negative=())
@dataclass(frozen=True)
class OrganizationOptions:
    """What was given; None was not."""

    customer_guid: str | None = None
    """The GUID of the customer's server, which it shows by `identity`."""

    max_seats: Count | None = None
    """The most seats that it may have in use."""

    disk_quota: str | None = None
    """The most that its archive may hold, like 500GB; or unlimited."""

    web_restore_user_limit: str | None = None
    """The most that a user may restore by web at a time, like 250MB (not enforced yet)."""

    web_restore_admin_limit: str | None = None
    """The most that an admin may restore by web at a time (not enforced yet)."""

    contact_company: str | None = None
    """The customer's company."""

    contact_person: str | None = None
    """Whom to speak to."""

    contact_email: str | None = None
    """An e-mail address."""

    contact_phone: str | None = None
    """A telephone number."""

    contact_postal_address: str | None = None
    """A postal address."""

    contact_note: str | None = None
    """Anything else."""

    def fill(self, organization: Organization) -> list[str]:
        """Set what was given; answers the paths of the fields set."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return [
            _set(organization, name, value) for name, value in given.items() if value is not None
        ]


def _set(organization: Organization, option: str, value: Any) -> str:
    """Set the field of one option; answers its path."""
    if option == "disk_quota":
        organization.disk_quota.CopyFrom(parse_quota("--disk-quota", value))
        return option
    if option.startswith("contact_"):
        part = option.removeprefix("contact_")
        setattr(organization.contact, part, value)
        return f"contact.{part}"
    if option.startswith("web_restore_"):
        field = f"{option}_bytes"
        setattr(organization, field, parse_size("--" + option.replace("_", "-"), value))
        return field
    field = "maximum_seats" if option == "max_seats" else option
    setattr(organization, field, value)
    return field
