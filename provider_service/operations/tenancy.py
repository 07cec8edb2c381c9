"""What the archives' gateway is told: an account is a hosted organization."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Limit, Policy, Standing, Tenant
from archive_gateway.store import archives
from provider_service.store import organizations
from provider_service.store import tenants as store
from provider_service.store.tenants import Account
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.errors import NotFound
from service_kit.reasons import Reason


class ProviderTenancy:
    """Hosted organizations, and the seats in this server's ledger."""

    def standing(self, tx: Transaction, archive: ArchiveId) -> Standing | None:
        """How a device stands; None where neither a seat nor an archive of it was ever known."""
        found = store.find_seat(tx, archive)
        if found is None or not (found.is_known or archives.find(tx, archive) is not None):
            return None
        policy, read_only = found.account
        limits: tuple[Limit, ...] = ()
        if policy.quota_bytes is not None:
            limits = (Limit("Organization", policy.quota_bytes),)
        return Standing(policy, found.generation, read_only, limits)

    def policy(self, tx: Transaction, account_id: str) -> Policy:
        """The rules of an organization's archives.

        Raises:
            NotFound: there is no such organization.
        """
        return _account(tx, account_id).policy

    def read_only(self, tx: Transaction, account_id: str) -> str:
        """Why nothing may be written to an organization's archives; empty where it may.

        Raises:
            NotFound: there is no such organization.
        """
        return _account(tx, account_id).read_only

    def accounts(self, tx: Transaction, page: PageRequest) -> Page[str]:
        """A page of the organizations' ids, by id."""
        return store.list_accounts(tx, page)

    def seats(self, tx: Transaction, account_id: str) -> tuple[int, int | None]:
        """An organization's seats in use, and its maximum.

        Raises:
            NotFound: there is no such organization.
        """
        organization = organizations.get(tx, account_id)
        return organization.seats_in_use, organization.settings.maximum_seats

    def tenants(
        self, tx: Transaction, account_id: str, device_guids: Collection[str]
    ) -> Mapping[str, Tenant]:
        """Those of these devices that have a seat's row or an archive."""
        found = store.find_devices(tx, account_id, device_guids)
        return {each.device_guid: each for each in found}

    def devices(self, tx: Transaction, account_id: str, page: PageRequest) -> Page[Tenant]:
        """A page of all devices that have a seat's row or an archive, by GUID."""
        return store.list_devices(tx, account_id, page)

    def lapsed(self, tx: Transaction, now: datetime, most: int) -> Sequence[ArchiveId]:
        """Some archives that hold something and whose device lost its seat a retention ago."""
        return store.lapsed(tx, now, most)


def _account(tx: Transaction, account_id: str) -> Account:
    account = store.find_account(tx, account_id)
    if account is None:
        raise NotFound(
            Reason.NOT_FOUND,
            f"There is no organization {account_id}.",
            "List the organizations and use one of their ids.",
        )
    return account
