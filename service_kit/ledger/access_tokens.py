"""The bearer tokens by which people's tools call a server; only their hashes are kept."""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, Select, insert, select, update
from sqlalchemy.exc import IntegrityError

from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest, paginate
from service_kit.database.tables import access_tokens as table
from service_kit.errors import AlreadyExists, Conflict, NotFound, Unauthenticated
from service_kit.ledger import audit
from service_kit.reasons import Reason
from service_kit.validation import Checks

_PREFIX = "offs_"  # lets secret scanners and our own logs recognize one
_SECRET_BYTES = 32


class TokenRole(StrEnum):
    """What a token may do."""

    OPERATOR = "operator"
    READ_ONLY = "read-only"


@dataclass(frozen=True)
class AccessToken:
    """A token without its secret; without an expire time it ends by revocation alone."""

    name: str
    role: TokenRole
    create_time: datetime
    expire_time: datetime | None
    revoke_time: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Whether it may be used."""
        return self.revoke_time is None and (self.expire_time is None or now < self.expire_time)


def create(
    tx: Transaction, name: str, role: TokenRole, expire_time: datetime | None, now: datetime
) -> tuple[AccessToken, str]:
    """Make a token; answers it and its secret, which is not kept.

    Raises:
        InvalidArgument: the name is not 1 to 100 characters, or the expire time has passed.
        AlreadyExists: another token, perhaps a revoked one, has the name.
    """
    checks = Checks()
    name = checks.text("name", name, least=1, most=100)
    if expire_time is not None and expire_time <= now:
        checks.fail("expire_time", "must be in the future")
    checks.done()
    token = AccessToken(name, role, now, expire_time, None)
    secret = _new_secret()
    try:
        with tx.begin_nested():
            tx.execute(insert(table).values(**vars(token), secret_hash=_hash(secret)))
    except IntegrityError as error:
        raise _taken(name) from error
    audit.record(tx, "token.created", subject=name, detail=f"Its role is {role}.", now=now)
    return token, secret


def renew(tx: Transaction, name: str, now: datetime) -> tuple[AccessToken, str]:
    """Give a token a new secret and end the old one; a revoked or expired token lives again.

    For the server's own `operator` token, where its file was lost: whoever can write the data
    folder is an operator.

    Raises:
        NotFound: no token has the name.
    """
    row = tx.execute(_tokens().where(table.c.name == name).with_for_update()).one_or_none()
    if row is None:
        raise _not_found(name)
    token = AccessToken(name, TokenRole(row.role), row.create_time, None, None)
    secret = _new_secret()
    values = {"secret_hash": _hash(secret), "expire_time": None, "revoke_time": None}
    tx.execute(update(table).where(table.c.name == name).values(values))
    audit.record(tx, "token.renewed", subject=name, now=now)
    return token, secret


def find(tx: Transaction, secret: str, now: datetime) -> AccessToken:
    """The token of a secret.

    Raises:
        Unauthenticated: CREDENTIALS_INVALID, no token or a revoked one; CREDENTIALS_EXPIRED.
    """
    row = tx.execute(_tokens().where(table.c.secret_hash == _hash(secret))).one_or_none()
    token = None if row is None else _from_row(row)
    if token is None or token.revoke_time is not None:
        raise Unauthenticated(
            Reason.CREDENTIALS_INVALID,
            "The access token is unknown or revoked.",
            "Use the token in the server's data folder, or ask an operator for one.",
        )
    if not token.is_valid(now):
        raise Unauthenticated(
            Reason.CREDENTIALS_EXPIRED,
            f"The access token {token.name} has expired.",
            "Ask an operator for a new one.",
        )
    return token


def list_tokens(tx: Transaction, page: PageRequest) -> Page[AccessToken]:
    """The tokens, revoked ones too, by name.

    Raises:
        InvalidArgument: the page size or token is wrong.
    """
    return paginate(tx, _tokens(), keys=[table.c.name], page=page, build=_from_row)


def revoke(tx: Transaction, name: str, now: datetime) -> AccessToken:
    """End a token; a repeat changes nothing.

    Raises:
        NotFound: no token has the name.
        Conflict: WRONG_STATE, it is the last operator's token that is valid.
    """
    tokens = {token.name: token for token in _lock_operators_and(tx, name)}
    token = tokens.pop(name, None)
    if token is None:
        raise _not_found(name)
    if token.revoke_time is not None:
        return token
    others = any(each.is_valid(now) for each in tokens.values())
    if token.role is TokenRole.OPERATOR and token.is_valid(now) and not others:
        raise Conflict(
            Reason.WRONG_STATE,
            f"{name} is the last operator's token: nobody could make another.",
            "Create another operator's token first.",
        )
    tx.execute(update(table).where(table.c.name == name).values(revoke_time=now))
    audit.record(tx, "token.revoked", subject=name, now=now)
    return AccessToken(token.name, token.role, token.create_time, token.expire_time, now)


def _lock_operators_and(tx: Transaction, name: str) -> Sequence[AccessToken]:
    """One named token and all of operators, held, so that two can't both be revoked as not last."""
    wanted = (table.c.name == name) | (table.c.role == TokenRole.OPERATOR)
    statement = _tokens().where(wanted).order_by(table.c.name).with_for_update()
    return [_from_row(row) for row in tx.execute(statement)]


def _tokens() -> Select[Any]:
    return select(
        table.c.name, table.c.role, table.c.create_time, table.c.expire_time, table.c.revoke_time
    )


def _from_row(row: Row[Any]) -> AccessToken:
    return AccessToken(
        row.name, TokenRole(row.role), row.create_time, row.expire_time, row.revoke_time
    )


def _hash(secret: str) -> str:
    """SHA-256 is enough: the secret has 256 random bits, which no dictionary holds."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _new_secret() -> str:
    return _PREFIX + base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode().rstrip("=")


def _not_found(name: str) -> NotFound:
    return NotFound(
        Reason.NOT_FOUND, f"There is no access token {name}.", "List the tokens for their names."
    )


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(
        Reason.ALREADY_EXISTS,
        f"There is already an access token {name}.",
        "Choose another name; a revoked token keeps its own, for the audit trail.",
    )
