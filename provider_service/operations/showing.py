"""What is shown of organizations beside their own rows."""

from collections.abc import Sequence

from archive_gateway.domain.usage import NOTHING
from archive_gateway.store import totals
from provider_service.domain.organization import Organization
from provider_service.domain.saving import Shown
from provider_service.store import registration_keys
from service_kit.database.engine import Transaction


def shown(tx: Transaction, organization: Organization) -> Shown:
    """An organization with the record of its key in force, and what its archive holds."""
    return shown_all(tx, [organization])[0]


def shown_all(tx: Transaction, some: Sequence[Organization]) -> list[Shown]:
    """The same of several, a query for each kind of fact."""
    ids = [each.id for each in some]
    keys, usage = registration_keys.in_force(tx, ids), totals.of_accounts(tx, ids)
    return [Shown(each, keys.get(each.id), usage.get(each.id, NOTHING)) for each in some]
