"""What a ledger restored from a backup must know: it may be older than what it has told."""

from datetime import datetime

from archive_gateway.operations import holding
from provider_service.store import organizations, registration_keys
from service_kit.database.engine import Transaction
from service_kit.ledger import audit


def mark_restored(tx: Transaction, now: datetime) -> None:
    """Mark every attachment as rewound, with the operator's consent, and end every key.

    A key of the backup may have been rotated since; new ones are made by rotating. What was
    deleted may have been brought back since, so nothing is purged until `archive rebuild`.
    """
    count = organizations.mark_rewound(tx)
    registration_keys.end_all(tx)
    audit.record(tx, "server.restored", detail=f"{count} attachments are rewound.", now=now)
    holding.hold(tx)
