"""What people type."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cyclopts import App

import customer_service.cli
import provider_service.cli
from service_kit.cli.durations import parse_duration
from service_kit.cli.program import REFUSED, UNREACHABLE, USAGE, status_of
from service_kit.cli.sizes import format_size, parse_size
from service_kit.errors import InvalidArgument

NOBODY = ["--endpoint", "127.0.0.1:1"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("500GB", 500 * 10**9),
        ("500 gb", 500 * 10**9),
        ("1GiB", 2**30),
        ("1.5TB", 15 * 10**11),
        ("250MB", 250 * 10**6),
        ("42", 42),
        ("0", 0),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert parse_size("--disk-quota", text) == count


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1XB", "1e9", "unlimited", "9" * 40 + "GB"])
def test_what_is_no_size_is_refused_by_its_option(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_size("--disk-quota", text)
    assert caught.value.violations[0].field == "--disk-quota"


def test_sizes_are_shown_in_powers_of_a_thousand() -> None:
    shown = [format_size(count) for count in (0, 999, 250 * 10**6, 15 * 10**11)]
    assert shown == ["0 B", "999 B", "250 MB", "1.5 TB"]


@pytest.mark.parametrize(
    ("text", "length"),
    [("30d", timedelta(days=30)), ("24h", timedelta(hours=24)), ("15m", timedelta(minutes=15))],
)
def test_durations(text: str, length: timedelta) -> None:
    assert parse_duration("--expires", text) == length


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1y", "1.5h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_duration("--expires", text)


@pytest.mark.parametrize("app", [provider_service.cli.app, customer_service.cli.app])
def test_usage_is_2_and_says_where_help_is(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(app, ["org", "nonsense"]) == USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1].endswith("--help.")


def test_unreachable_is_3_in_two_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = [*NOBODY, "--data", str(tmp_path), "org", "list"]
    after = ["org", "list", *NOBODY, "--data", str(tmp_path)]
    for tokens in (before, after):
        assert status_of(provider_service.cli.app, tokens) == UNREACHABLE
        assert len(capsys.readouterr().err.splitlines()) == 2


def test_an_option_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OFFSITE_PROVIDER_DATA", str(tmp_path / "elsewhere"))
    status_of(provider_service.cli.app, ["org", "list"])
    assert str(tmp_path / "elsewhere") in capsys.readouterr().err


def test_a_fault_of_the_program_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("unexpected")

    monkeypatch.setattr("service_kit.cli.identity.get_identity", fail)
    assert status_of(provider_service.cli.app, ["identity"]) == REFUSED
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("package", ["provider_service", "customer_service"])
def test_a_command_loads_no_part_of_a_server(package: str) -> None:
    heavy = ("sqlalchemy", "alembic", "aiohttp", "psycopg", "OpenSSL")
    code = f"import sys, {package}.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
