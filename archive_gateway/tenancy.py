"""What a service tells the gateway about its organizations, devices and seats."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Policy, Standing, Tenant
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest


class Tenancy(Protocol):
    """Read inside the gateway's own transactions, so that nothing is decided on old news."""

    def standing(self, tx: Transaction, archive: ArchiveId) -> Standing | None:
        """How a device stands; None where account or device is unknown."""

    def policy(self, tx: Transaction, account_id: str) -> Policy:
        """The rules of an account.

        Raises:
            NotFound: there is no such account.
        """

    def read_only(self, tx: Transaction, account_id: str) -> str:
        """Why nothing may be written to an account's archives; empty where it may."""

    def accounts(self, tx: Transaction, page: PageRequest) -> Page[str]:
        """A page of the accounts' ids, by id."""

    def seats(self, tx: Transaction, account_id: str) -> tuple[int, int | None]:
        """An account's seats in use, and the most it may have; None: only the license limits it."""

    def tenants(
        self, tx: Transaction, account_id: str, device_guids: Collection[str]
    ) -> Mapping[str, Tenant]:
        """Those of these devices that the account knows."""

    def devices(self, tx: Transaction, account_id: str, page: PageRequest) -> Page[Tenant]:
        """A page of all devices that an account knows, by GUID, whether they hold a seat or not."""

    def lapsed(self, tx: Transaction, now: datetime, most: int) -> Sequence[ArchiveId]:
        """Some archives that still hold blobs and whose device lost its seat a retention ago."""
