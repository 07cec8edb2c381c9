"""How an S3 bucket is reached, and what its failures mean."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store as Bucket

from archive_gateway.blob_stores.faults import storage_failed, storage_full
from archive_gateway.blob_stores.locations import checked
from service_kit.errors import FieldViolation, InvalidArgument, OffsiteError

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3Config  # there for type checkers alone

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([\w.-]+(?:/[\w.-]+)*))?/?", re.A)
_STATUS = re.compile(r"status code: (\d{3})")
_CONNECT_TIMEOUT = timedelta(seconds=5)
_RETRY: "RetryConfig" = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"max_backoff": timedelta(seconds=5)},
}
_BUSY = (408, 429)
_NO_UPLOAD = "<Code>NoSuchUpload</Code>"
_NO_BUCKET = "<Code>NoSuchBucket</Code>"
_FULL_CODES = ("<Code>XMinioStorageFull</Code>", "<Code>QuotaExceeded</Code>")


@dataclass(frozen=True)
class Patience:
    """How long is waited: for one request, and for all of an operation, its repeats included.

    restic gives up a request that doesn't move for five minutes.
    """

    request: timedelta = timedelta(seconds=120)
    operation: timedelta = timedelta(seconds=240)


def open_bucket(where: str, environment: Mapping[str, str], patience: Patience) -> Bucket:
    """Prepare to reach `s3://BUCKET/PREFIX` with the credentials of AWS's usual variables.

    Raises:
        InvalidArgument: the URL is malformed.
    """
    match = _URL.fullmatch(where)
    if match is None or not _is_clear(match[2]):
        raise InvalidArgument([FieldViolation("archive", "must be s3://BUCKET/PREFIX")])
    config = _config(environment)
    return Bucket(
        match[1],
        prefix=match[2],
        config=config,
        client_options={
            "allow_http": config.get("endpoint", "").startswith("http://"),
            "connect_timeout": _CONNECT_TIMEOUT,
            "timeout": patience.request,
        },
        retry_config=_RETRY,
    )


def status(error: Exception) -> int | None:
    """The HTTP status that an error tells of, which obstore has only in its text."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def is_missing_bucket(error: FileNotFoundError) -> bool:
    """Whether it is the whole bucket that isn't there."""
    return _NO_BUCKET in str(error)


def is_final(error: Exception) -> bool:
    """Whether another attempt is in vain."""
    if isinstance(error, FileNotFoundError):
        return _NO_UPLOAD not in str(error)  # whose parts were put together already
    found = status(error)
    return found is not None and found < 500 and found not in _BUSY


def refusal(error: Exception) -> OffsiteError:
    """The refusal for what S3 said.

    Its own text is left out: where a signature is refused, it repeats the session token.
    """
    found, text = status(error), str(error)
    if found == 507 or any(code in text for code in _FULL_CODES):
        return storage_full()
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
        return storage_failed("the bucket refuses the server's credentials")
    if _NO_BUCKET in text:
        return storage_failed("the bucket doesn't exist")
    return storage_failed(f"S3 answered {found}" if found else "S3 gave no answer")


def _config(environment: Mapping[str, str]) -> "S3Config":
    # Plain DELETE instead of DeleteObjects, which not every S3 server knows.
    config: S3Config = {"disable_bulk_delete": True}
    if value := environment.get("AWS_ACCESS_KEY_ID"):
        config["access_key_id"] = value
    if value := environment.get("AWS_SECRET_ACCESS_KEY"):
        config["secret_access_key"] = value
    if value := environment.get("AWS_SESSION_TOKEN"):
        config["session_token"] = value
    if value := environment.get("AWS_ENDPOINT_URL"):
        config["endpoint"] = value
    if value := environment.get("AWS_REGION"):
        config["region"] = value
    return config


def _is_clear(prefix: str | None) -> bool:
    try:
        checked(prefix or "none")
    except ValueError:
        return False
    return True
