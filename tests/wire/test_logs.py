"""No key, token or credential reaches a log."""

import json
import logging

import pytest
import structlog

from service_kit import logs

SECRETS = [
    "offs_MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK",
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl",
    "ABCD-EFGH-JKMN-PQRS",
    "ABCD EFGH JKMN PQRS",
    "ab3d-efgh-jkmn-pqrs",
    "ABCDEFGHJKMNPQRS",
    "abcd3fghjkmnpqrs",
    "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----",
]
HARMLESS = [
    "0b8f4d52-7d3f-8c3b-9a53-0d1f6a1c2e11",
    "0123456789abcdef0123456789abcdef",
    "/offsite.provider.v1.SeatService/AcquireSeat",
    "token:operator",
    "2026-11-24T11:20:00.123456Z",
    "when this came from there",
    "https://[::1]:7402/metrics",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("format", ["json", "console"])
def test_a_secret_is_redacted_wherever_it_stands(
    secret: str, format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up("info", format)
    structlog.get_logger().info("event", detail=f"it was {secret}.")
    structlog.get_logger().info(f"event {secret}")
    logging.getLogger("library").warning("it was %s", secret)
    try:
        raise ValueError(f"can't use {secret}")
    except ValueError:
        structlog.get_logger().exception("failed")
    written = capsys.readouterr().err
    assert secret not in written
    assert secret.splitlines()[-1][-12:] not in written
    assert "redacted" in written


def test_a_password_in_a_url_is_redacted() -> None:
    text = "can't reach postgresql://offsite:hunter2@db/ledger"
    assert logs.redact(text) == "can't reach postgresql://[redacted]@db/ledger"


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert logs.redact(text) == text


def test_a_field_that_is_named_like_a_secret_is_hidden(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.set_up("info", "json")
    structlog.get_logger().info("event", registration_key="abcd", secret="x", name="Acme")
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["registration_key"], event["secret"], event["name"]) == (
        "[redacted]",
        "[redacted]",
        "Acme",
    )


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("warning", "json")
    structlog.get_logger().info("event")
    logging.getLogger("library").info("event")
    assert capsys.readouterr().err == ""
