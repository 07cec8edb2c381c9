"""Access tokens of people's tools."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.database.tables import access_tokens as table
from service_kit.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, Unauthenticated
from service_kit.ledger import access_tokens, audit
from service_kit.ledger.access_tokens import AccessToken, TokenRole
from service_kit.reasons import Reason

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def create(
    database: Database,
    name: str,
    role: TokenRole = TokenRole.OPERATOR,
    expire_time: datetime | None = None,
) -> tuple[AccessToken, str]:
    return database.run_sync(access_tokens.create, name, role, expire_time, NOW)


def test_a_secret_finds_its_token(database: Database) -> None:
    token, secret = create(database, "monitoring", TokenRole.READ_ONLY, LATER)
    assert secret.startswith("offs_")
    assert database.read_sync(access_tokens.find, secret, NOW) == token
    assert token == AccessToken("monitoring", TokenRole.READ_ONLY, NOW, LATER, None)


def test_the_secret_is_not_kept(database: Database) -> None:
    _, secret = create(database, "operator")
    rows = database.read_sync(lambda tx: tx.execute(select(table)).all())
    assert secret not in repr(rows)


@pytest.mark.parametrize("secret", ["", "offs_", "offs_AAAA", "operator"])
def test_an_unknown_secret_is_refused(database: Database, secret: str) -> None:
    create(database, "operator")
    with pytest.raises(Unauthenticated) as refusal:
        database.read_sync(access_tokens.find, secret, NOW)
    assert refusal.value.reason is Reason.CREDENTIALS_INVALID


def test_an_expired_token_is_refused(database: Database) -> None:
    _, secret = create(database, "monitoring", expire_time=LATER)
    with pytest.raises(Unauthenticated) as refusal:
        database.read_sync(access_tokens.find, secret, LATER)
    assert refusal.value.reason is Reason.CREDENTIALS_EXPIRED


def test_a_revoked_token_is_refused_and_stays_in_the_list(database: Database) -> None:
    create(database, "operator")
    _, secret = create(database, "monitoring")
    revoked = database.run_sync(access_tokens.revoke, "monitoring", LATER)
    assert revoked.revoke_time == LATER
    assert (
        database.run_sync(access_tokens.revoke, "monitoring", LATER + LATER.resolution) == revoked
    )
    with pytest.raises(Unauthenticated) as refusal:
        database.read_sync(access_tokens.find, secret, LATER)
    assert refusal.value.reason is Reason.CREDENTIALS_INVALID
    page = database.read_sync(access_tokens.list_tokens, PageRequest())
    assert [token.name for token in page.items] == ["monitoring", "operator"]
    assert page.items[0] == revoked


def test_a_name_is_used_once(database: Database) -> None:
    create(database, "operator")
    with pytest.raises(AlreadyExists):
        create(database, "operator")


def test_the_last_operators_token_cannot_be_revoked(database: Database) -> None:
    create(database, "operator")
    create(database, "monitoring", TokenRole.READ_ONLY)
    with pytest.raises(Conflict) as refusal:
        database.run_sync(access_tokens.revoke, "operator", NOW)
    assert refusal.value.reason is Reason.WRONG_STATE
    create(database, "other")
    database.run_sync(access_tokens.revoke, "operator", NOW)


def test_a_renewed_token_has_a_new_secret_alone(database: Database) -> None:
    _, old = create(database, "operator", expire_time=LATER)
    token, new = database.run_sync(access_tokens.renew, "operator", LATER)
    assert database.read_sync(access_tokens.find, new, LATER) == token
    with pytest.raises(Unauthenticated):
        database.read_sync(access_tokens.find, old, LATER)
    with pytest.raises(NotFound):
        database.run_sync(access_tokens.renew, "none", LATER)


def test_an_unknown_token_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        database.run_sync(access_tokens.revoke, "none", NOW)


@pytest.mark.parametrize(
    ("name", "expire_time", "field"),
    [
        ("", None, "name"),
        ("n" * 101, None, "name"),
        ("a\nb", None, "name"),
        ("a", NOW, "expire_time"),
    ],
)
def test_what_is_out_of_bounds_is_named(
    database: Database, name: str, expire_time: datetime | None, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        create(database, name, expire_time=expire_time)
    assert [each.field for each in refusal.value.violations] == [field]


def test_making_and_revoking_are_audited(database: Database) -> None:
    create(database, "operator")
    create(database, "other")
    database.run_sync(access_tokens.revoke, "other", NOW)
    page = database.read_sync(audit.list_events, audit.AuditFilter(kind="token."), PageRequest())
    assert [(event.kind, event.subject) for event in page.items] == [
        ("token.created", "operator"),
        ("token.created", "other"),
        ("token.revoked", "other"),
    ]
