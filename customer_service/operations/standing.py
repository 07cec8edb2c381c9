"""Whether users and organizations may take part now."""

from customer_service.domain.user import User, UserState
from customer_service.store import organizations
from service_kit.database.engine import Transaction
from service_kit.errors import Conflict
from service_kit.reasons import Reason


def check_user(tx: Transaction, user: User) -> None:
    """Refuse a user who may not use the server. The caller holds the tree and the user.

    Raises:
        Conflict: the user is blocked or deactivated, or in a deactivated organization.
    """
    gone = organizations.deactivated_among(tx, [user.organization_id])
    if user.state is not UserState.ACTIVE or gone:
        what = "in a deactivated organization" if gone else str(user.state)
        raise Conflict(
            Reason.USER_NOT_ACTIVE, f"User {user.email} is {what}.", "Bring the user back first."
        )


def check_organization(tx: Transaction, organization_id: str) -> None:
    """Refuse an organization that takes in nobody. The caller holds the tree.

    Raises:
        NotFound: there is none.
        Conflict: it is deactivated, itself or by one above it.
    """
    organization = organizations.get(tx, organization_id)
    if organizations.deactivated_among(tx, [organization_id]):
        raise Conflict(
            Reason.WRONG_STATE,
            f"Organization {organization.name} is deactivated.",
            "Reactivate it, or choose another.",
        )
