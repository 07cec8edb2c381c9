"""Numbers for monitoring."""

from collections.abc import Mapping

from provider_service.store import organizations
from service_kit.database.engine import Transaction
from service_kit.ledger import license as master_license


def organizations_by_state(tx: Transaction) -> Mapping[tuple[str, ...], float]:
    """How many organizations there are in each state."""
    return {(state.value,): count for state, count in organizations.count_by_state(tx).items()}


def seats_in_use_by_organization(tx: Transaction) -> Mapping[tuple[str, ...], float]:
    """Seats in use of every hosted organization in force, by its id."""
    return {(id,): in_use for id, in_use, _ in organizations.seat_counts(tx)}


def maximum_seats_by_organization(tx: Transaction) -> Mapping[tuple[str, ...], float]:
    """Maximum seats of every hosted organization in force, by its id."""
    return {(id,): maximum for id, _, maximum in organizations.seat_counts(tx)}


def seats_in_use(tx: Transaction) -> int:
    """Seats in use of all organizations together."""
    return master_license.get(tx).seats_in_use
