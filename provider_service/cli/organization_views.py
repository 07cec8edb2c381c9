"""An organization as people read it."""

import shlex
from collections.abc import Iterable

from offsite.common.v1.server_service_pb2 import GetServerIdentityResponse
from offsite.provider.v1 import organization_service_pb2 as pb

from archive_gateway.cli import usage_views
from archive_gateway.cli.usage import of_quota
from service_kit.cli import output
from service_kit.cli.identity import warn_of_loopback
from service_kit.sizes import format_size


def listed(organizations: Iterable[pb.Organization]) -> None:
    """A table."""
    columns = "name,state,attachment,seats,stored,kept,last backup,last contact,problems"
    output.table(columns.split(","), map(_row, organizations))


def shown(one: pb.Organization) -> None:
    """All that is known of one."""
    contact = one.contact
    output.facts(
        [
            ("name", one.name),
            ("id", one.id),
            ("state", _state(one)),
            ("hosted", "yes" if one.hosted else "no"),
            ("customer GUID", one.customer_guid),
            ("attachment", output.word(pb.AttachmentState, one.attachment_state)),
            ("seats", f"{one.seats_in_use} of {_seats(one)} in use"),
            *usage_views.used(one.archive_usage, one.disk_quota),
            *usage_views.kept(one),
            ("web restore, user", _limit(one.web_restore_user_limit_bytes)),
            ("web restore, admin", _limit(one.web_restore_admin_limit_bytes)),
            ("company", contact.company),
            ("person", contact.person),
            ("email", contact.email),
            ("phone", contact.phone),
            ("address", contact.postal_address),
            ("note", contact.note),
            (
                "terms accepted",
                f"{one.terms_version} {output.moment(one, 'terms_accept_time')}".strip(),
            ),
            ("key", one.registration_key_id),
            ("key expires", output.moment(one, "registration_key_expire_time")),
            ("attached since", output.moment(one, "attach_time")),
            ("last contact", output.moment(one, "last_contact_time")),
            ("customer's version", one.peer_version),
            ("customer's addresses", ", ".join(one.peer_addresses)),
            ("last refused GUID", _refused(one)),
            ("problems", _problems(one)),
            *usage_views.warned(one.warnings),
        ]
    )


def hand_over(one: pb.Organization, key: str, identity: GetServerIdentityResponse) -> None:
    """The three things to send to the customer, and the command that takes them."""
    hosts = list(identity.grpc_addresses) or ["?"]
    output.line()
    output.line("Send these three to the customer; the key is not shown again:")
    output.facts([("hostname", hosts[0]), ("GUID", identity.guid), ("registration key", key)])
    output.line()
    output.line("The customer then runs, and enters the key when asked:")
    output.line(
        f"  offsite-customer storage attach --name Offsite --hostname {shlex.quote(hosts[0])} "
        f"--guid {identity.guid}"
    )
    warn_of_loopback(identity, "customer")


def _row(one: pb.Organization) -> tuple[str, ...]:
    return (
        one.name,
        _state(one),
        output.word(pb.AttachmentState, one.attachment_state),
        f"{one.seats_in_use}/{_seats(one)}",
        of_quota(one.archive_usage, one.disk_quota),
        format_size(one.archive_usage.kept_bytes),
        usage_views.last_backup(one.archive_usage),
        output.moment(one, "last_contact_time"),
        _problems(one),
    )


def _state(one: pb.Organization) -> str:
    state = output.word(pb.OrganizationState, one.state)
    return f"{state}: {one.suspend_reason}" if one.suspend_reason else state


def _seats(one: pb.Organization) -> str:
    return str(one.maximum_seats) if one.HasField("maximum_seats") else "-"


def _limit(count: int) -> str:
    return f"{format_size(count) if count else 'disabled'} (not enforced yet)"


def _refused(one: pb.Organization) -> str:
    if not one.last_refused_guid:
        return ""
    return f"{one.last_refused_guid} at {output.moment(one, 'last_refused_time')}"


def _problems(one: pb.Organization) -> str:
    return ", ".join(output.word(pb.Problem, each) for each in one.problems)
