"""Between protobuf's well-known types and Python's: times in UTC, to the microsecond."""

from datetime import UTC, datetime, timedelta

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from service_kit.errors import FieldViolation, InvalidArgument


def to_timestamp(time: datetime) -> Timestamp:
    """A protobuf time of an aware datetime."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def from_timestamp(message: Timestamp) -> datetime:
    """An aware datetime in UTC; ValueError if out of the years 1 to 9999."""
    return message.ToDatetime(tzinfo=UTC)


def optional_timestamp(time: datetime | None) -> Timestamp | None:
    """A protobuf time, or None, which leaves a message's field unset."""
    return None if time is None else to_timestamp(time)


def optional_time(message: Message, field: str, *, prefix: str = "") -> datetime | None:
    """A message's time field, or None where it is not set.

    Raises:
        InvalidArgument: it is not a time; the field is named, after `prefix`.
    """
    if not message.HasField(field):
        return None
    try:
        return from_timestamp(getattr(message, field))
    except (ValueError, OverflowError):
        raise InvalidArgument(
            [FieldViolation(prefix + field, "must be a time in the years 1 to 9999")]
        ) from None


def to_timedelta(seconds: int) -> timedelta:
    """A duration of a message; what Python can't hold becomes the longest, which no rule allows."""
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        return timedelta.max if seconds > 0 else timedelta.min
