"""An organization as its seats see it: limits and running counts while a batch is applied."""

from dataclasses import dataclass

from provider_service.domain.organization import Attachment, State


@dataclass(slots=True)
class Account:
    """The part of an organization that seat requests read and change.

    Mutable, unlike `Organization`: a batch of requests counts in it, and it is written once.
    """

    organization_id: str
    customer_guid: str
    state: State
    suspend_reason: str
    attachment: Attachment
    rewound_confirmed: bool
    epoch: int
    floor: int
    session_used: bool
    position: int
    maximum_seats: int
    seats_in_use: int
    seat_rows: int
