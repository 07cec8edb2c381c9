"""Makes an archive for a device; a repository in it is the device's own business."""

from archive_gateway.domain import rules
from archive_gateway.domain.names import ArchiveId, BlobType
from archive_gateway.store import archives
from archive_gateway.tenancy import Tenancy
from service_kit.database.engine import Transaction
from service_kit.errors import Unauthenticated
from service_kit.reasons import Reason


def create(tx: Transaction, tenancy: Tenancy, archive: ArchiveId, generation: int | None) -> None:
    """Make an archive where there is none. A repeat changes nothing.

    Raises:
        Unauthenticated: the seat ended or was renewed since.
        PermissionDenied: ARCHIVE_READ_ONLY.
    """
    standing = tenancy.standing(tx, archive)
    if standing is None:
        raise Unauthenticated(Reason.CREDENTIALS_INVALID, "No such archive")
    rules.check_writable(standing, BlobType.CONFIG, generation)
    archives.lock_account(tx, archive.account_id)
    archives.ensure(tx, archive)
