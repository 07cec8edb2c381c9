"""The public half of the recovery key, to which devices seal their repository passwords."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class RecoveryKey:
    """A recipient, and the statement by which this server's identity vouches for it."""

    recipient: str
    statement: str
    create_time: datetime
