"""Several companies at one server."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Policy, Standing, Tenant
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from tests.support.archives import ArchiveServer, Company


@dataclass
class Companies(Company):
    """A company, and others beside it that know nothing of each other."""

    others: list[Company] = field(default_factory=lambda: [Company()])

    def standing(self, tx: Transaction, archive: ArchiveId) -> Standing | None:
        other = self._other(archive.account_id)
        return other.standing(tx, archive) if other else super().standing(tx, archive)

    def policy(self, tx: Transaction, account_id: str) -> Policy:
        other = self._other(account_id)
        return other.policy(tx, account_id) if other else super().policy(tx, account_id)

    def read_only(self, tx: Transaction, account_id: str) -> str:
        other = self._other(account_id)
        return other.read_only_ if other else self.read_only_

    def accounts(self, tx: Transaction, page: PageRequest) -> Page[str]:
        return Page(sorted([self.account_id, *(each.account_id for each in self.others)]), "")

    def seats(self, tx: Transaction, account_id: str) -> tuple[int, int | None]:
        other = self._other(account_id)
        return other.seats(tx, account_id) if other else super().seats(tx, account_id)

    def tenants(
        self, tx: Transaction, account_id: str, device_guids: Collection[str]
    ) -> Mapping[str, Tenant]:
        other = self._other(account_id)
        known = other.tenants if other else super().tenants
        return known(tx, account_id, device_guids)

    def devices(self, tx: Transaction, account_id: str, page: PageRequest) -> Page[Tenant]:
        other = self._other(account_id)
        return (other.devices if other else super().devices)(tx, account_id, page)

    def lapsed(self, tx: Transaction, now: datetime, most: int) -> Sequence[ArchiveId]:
        found = [*super().lapsed(tx, now, most)]
        for each in self.others:
            found += each.lapsed(tx, now, most)
        return found[:most]

    def _other(self, account_id: str) -> Company | None:
        return next((each for each in self.others if each.account_id == account_id), None)


def seen_by(server: ArchiveServer, company: Company, device_guid: str = "") -> ArchiveServer:
    """The server as a device of another company sees it."""
    return replace(server, company=company, device_guid=device_guid or company.device())
