"""What the archives' gateway is told: the one account is the root organization."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Limit, Policy, Standing, Tenant
from archive_gateway.store import archives
from customer_service.domain.organization import Organization
from customer_service.domain.user import UserState
from customer_service.store import organizations
from customer_service.store import tenants as store
from customer_service.store.tenants import DeviceSeat
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.errors import NotFound
from service_kit.ledger import license
from service_kit.reasons import Reason


class CustomerTenancy:
    """This server's own devices, by their seats at the local storage."""

    def standing(self, tx: Transaction, archive: ArchiveId) -> Standing | None:
        """How a device stands; None where neither it nor an archive of it was ever known."""
        device = store.find_device(tx, archive.device_guid)
        if device is None:
            return self._stray(tx, archive)
        path = organizations.path(tx, device.organization_id)
        if path[-1].id != archive.account_id:
            return None
        limits = tuple(_limits(device, path))
        return Standing(_policy(path[-1]), device.generation, _read_only(device, path), limits)

    def policy(self, tx: Transaction, account_id: str) -> Policy:
        """The rules of this server's archives.

        Raises:
            NotFound: that is not the root organization.
        """
        return _policy(_root(tx, account_id))

    def read_only(self, tx: Transaction, account_id: str) -> str:
        """Why nothing may be written: of all archives together there is no reason."""
        return ""

    def accounts(self, tx: Transaction, page: PageRequest) -> Page[str]:
        """The root organization's id, as a page."""
        return store.list_accounts(tx, page)

    def seats(self, tx: Transaction, account_id: str) -> tuple[int, int | None]:
        """Seats in use, and those of this server's license, which is the one account's limit."""
        own = license.get(tx)
        return own.seats_in_use, own.seats

    def tenants(
        self, tx: Transaction, account_id: str, device_guids: Collection[str]
    ) -> Mapping[str, Tenant]:
        """Those of these devices that there are, or that have an archive."""
        found = store.find_devices(tx, account_id, device_guids)
        return {each.device_guid: each for each in found}

    def devices(self, tx: Transaction, account_id: str, page: PageRequest) -> Page[Tenant]:
        """A page of all devices that there are, or that have an archive, by GUID."""
        return store.list_devices(tx, account_id, page)

    def lapsed(self, tx: Transaction, now: datetime, most: int) -> Sequence[ArchiveId]:
        """Some archives that hold something and whose device lost its seat a retention ago."""
        root = organizations.root(tx)
        if root is None:
            return []
        return store.lapsed(tx, root.id, now - root.present_retention, most)

    def _stray(self, tx: Transaction, archive: ArchiveId) -> Standing | None:
        """An archive whose device's row was lost: a grant can open it."""
        if archives.find(tx, archive) is None:
            return None
        return Standing(self.policy(tx, archive.account_id), None)


def _root(tx: Transaction, account_id: str) -> Organization:
    root = organizations.root(tx)
    if root is None or root.id != account_id:
        raise NotFound(
            Reason.NOT_FOUND,
            f"Organization {account_id} has no archive of its own.",
            "The archive of this server is its root organization's.",
        )
    return root


def _policy(root: Organization) -> Policy:
    return Policy(
        root.name,
        root.disk_quota_bytes,
        root.present_delete_delay,
        root.present_retention,
        root.append_only,
    )


def _read_only(device: DeviceSeat, path: Sequence[Organization]) -> str:
    if device.deactivated:
        return "the device is deactivated"
    if device.user_state is not UserState.ACTIVE:
        return f"the user is {device.user_state}"
    gone = next((each for each in path if each.deactivated), None)
    return f"organization {gone.name} is deactivated" if gone else ""


def _limits(device: DeviceSeat, path: Sequence[Organization]) -> Iterator[Limit]:
    """The quotas that an upload must fit into: the user's, and those of all above."""
    if device.user_quota_bytes is not None:
        yield Limit(f"User {device.email}", device.user_quota_bytes, store.of_user(device.user_id))
    for each in path:
        if each.disk_quota_bytes is not None:
            is_root = each.parent_id is None
            chosen = None if is_root else store.in_organization(each.id)
            yield Limit(f"Organization {each.name}", each.disk_quota_bytes, chosen)
