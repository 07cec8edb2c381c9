"""What an account has nearly or wholly used up."""

from dataclasses import dataclass

from service_kit.sizes import format_size

THRESHOLDS = (80, 90, 100)  # per cent
DISK_QUOTA, SEATS = "disk quota", "seats"


@dataclass(frozen=True)
class UsageWarning:
    """A threshold that was passed, in per cent, with a sentence that has the figures."""

    resource: str
    percent: int
    message: str


@dataclass(frozen=True)
class Use:
    """What an account uses of what it may; a limit of None is none."""

    stored_bytes: int
    quota_bytes: int | None
    seats_in_use: int
    maximum_seats: int | None


def warnings(use: Use) -> tuple[UsageWarning, ...]:
    """What is to be told of, at most one warning a resource."""
    found = (quota_warning(use), seats_warning(use))
    return tuple(each for each in found if each is not None)


def quota_warning(use: Use) -> UsageWarning | None:
    """What to tell of the disk quota, if anything."""
    percent = percent_passed(use.stored_bytes, use.quota_bytes)
    if use.quota_bytes is None or not percent:
        return None
    used, quota = format_size(use.stored_bytes), format_size(use.quota_bytes)
    return UsageWarning(DISK_QUOTA, percent, f"{used} of {quota} are stored{_QUOTA_NEXT[percent]}")


def seats_warning(use: Use) -> UsageWarning | None:
    """What to tell of the seats, if anything."""
    percent = percent_passed(use.seats_in_use, use.maximum_seats)
    if not percent:
        return None
    figures = f"{use.seats_in_use} of {use.maximum_seats} seats are in use"
    return UsageWarning(SEATS, percent, figures + _SEATS_NEXT[percent])


def percent_passed(used: int, limit: int | None) -> int:
    """The highest threshold that is passed; 0 where none is."""
    if limit is None or used <= 0:
        return 0
    return max((each for each in THRESHOLDS if used * 100 >= limit * each), default=0)


_QUOTA_NEXT = {
    80: ": 80 per cent are reached.",
    90: ": 90 per cent are reached.",
    100: ": new data is refused unless a prune is allowed; restore, forget and prune work.",
}
_SEATS_NEXT = {
    80: ": 80 per cent are reached.",
    90: ": 90 per cent are reached.",
    100: ": no further device can begin to back up.",
}
