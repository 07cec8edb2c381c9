"""What people type."""

import os
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cyclopts import App

import customer_service.cli
import provider_service.cli
from provider_service.cli.program import PROGRAM
from service_kit.cli.connection import call
from service_kit.cli.durations import parse_duration
from service_kit.cli.names import by_name, is_id, the_one
from service_kit.cli.options import Invocation, Options, begin, invocation
from service_kit.cli.program import DONE, REFUSED, UNREACHABLE, USAGE, status_of
from service_kit.cli.secret_input import read_secret
from service_kit.errors import Conflict, InvalidArgument, NotFound
from service_kit.sizes import format_size, parse_size

PROVIDER, CUSTOMER = provider_service.cli.app, customer_service.cli.app
NOBODY = "127.0.0.1:1"
PAGE = SimpleNamespace(
    identity_ca_pem="-----BEGIN CERTIFICATE-----\n", guid="", grpc_addresses=(), https_addresses=()
)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("OFFSITE_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("500GB", 500 * 10**9),
        ("500 gb", 500 * 10**9),
        ("1GiB", 2**30),
        ("1.5TB", 15 * 10**11),
        ("0.5KiB", 512),
        ("250MB", 250 * 10**6),
        ("42", 42),
        ("0", 0),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert parse_size("--disk-quota", text) == count


@pytest.mark.parametrize(
    "text",
    ["", "GB", "-1GB", "1XB", "1e9", "1.GB", "١GB", "unlimited", "9" * 40 + "GB", "9999999PB"],
)
def test_what_is_no_size_is_refused_by_its_option(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_size("--disk-quota", text)
    assert caught.value.violations[0].field == "--disk-quota"


def test_sizes_are_shown_in_powers_of_a_thousand() -> None:
    shown = [format_size(count) for count in (0, 999, 250 * 10**6, 15 * 10**11, 500 * 2**30)]
    assert shown == ["0 B", "999 B", "250 MB", "1.5 TB", "536.87 GB"]


@pytest.mark.parametrize("count", [1_234_567, 999_999_999, 500 * 2**30, 2**63 - 1])
def test_a_size_is_shown_as_it_may_be_typed_and_never_larger_than_it_is(count: int) -> None:
    assert 0.99 * count < parse_size("", format_size(count)) <= count


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30d", timedelta(days=30)),
        ("2W", timedelta(weeks=2)),
        ("24h", timedelta(hours=24)),
        ("15m", timedelta(minutes=15)),
        ("30s", timedelta(seconds=30)),
    ],
)
def test_durations(text: str, length: timedelta) -> None:
    assert parse_duration("--expires", text) == length


@pytest.mark.parametrize(
    "text", ["", "30", "d", "-1d", "1y", "1.5h", "1d2h", "٣d", "9999999999d", "999999w"]
)
def test_what_is_no_duration_is_refused_by_its_option(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_duration("--expires", text)
    assert caught.value.violations[0].field == "--expires"


@pytest.mark.parametrize("number", ["-1", "1.5", "99999999999", "many"])
def test_a_number_that_no_message_carries_is_wrong_usage(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["license", "set", "--seats"], ["org", "add", "Acme", "--max-seats"]):
        assert status_of(PROVIDER, [*words, number]) == USAGE
        assert words[-1] in capsys.readouterr().err


def test_an_id_is_told_from_a_name() -> None:
    assert is_id("0B8F4D52-7d3f-4c3b-9a53-0d1f6a1c2e11")
    assert not is_id("Acme")
    assert not is_id("0b8f4d52")


def test_a_name_is_the_one_or_refused_with_the_list() -> None:
    first, second = (SimpleNamespace(id=each, name="Acme") for each in ("id-1", "id-2"))
    assert the_one("org", "Acme", [first]) is first
    with pytest.raises(NotFound):
        the_one("org", "Acme", [])
    with pytest.raises(Conflict) as caught:
        the_one("org", "Acme", [first, second])
    assert "id-1; id-2" in caught.value.message


def test_lists_are_sorted_by_name_in_any_case() -> None:
    listed = [SimpleNamespace(id="", name=each) for each in ("b", "C", "A")]
    assert [each.name for each in by_name(listed)] == ["A", "b", "C"]


@pytest.mark.parametrize("app", [PROVIDER, CUSTOMER])
@pytest.mark.parametrize(
    "words", [["org", "nonsense"], ["org", "show"], ["org", "list", "--nonsense"], ["nonsense"]]
)
def test_wrong_usage_is_2_in_two_lines_that_say_where_help_is(
    app: App, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(app, words) == USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    what, next_ = printed.err.splitlines()
    assert words[-1] in what or "requires" in what
    assert next_.endswith("--help.")


def test_unreachable_is_3_in_two_lines_wherever_the_options_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--endpoint", NOBODY, "--data", str(tmp_path)]
    for words in ([*options, "org", "list"], ["org", *options, "list"], ["org", "list", *options]):
        assert status_of(PROVIDER, words) == UNREACHABLE
        assert len(capsys.readouterr().err.splitlines()) == 2


def test_an_option_may_come_from_the_environment_and_is_overruled_by_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OFFSITE_PROVIDER_DATA", str(tmp_path / "environment"))
    monkeypatch.setenv("OFFSITE_CUSTOMER_DATA", str(tmp_path / "other"))
    status_of(PROVIDER, ["org", "list"])
    assert str(tmp_path / "environment") in capsys.readouterr().err
    status_of(PROVIDER, ["org", "list", "--data", str(tmp_path / "line")])
    assert str(tmp_path / "line") in capsys.readouterr().err


def test_an_option_of_a_command_is_no_variable_but_of_the_servers_own_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OFFSITE_PROVIDER_DATABASE", "nonsense://")
    assert status_of(PROVIDER, ["migrate", "--data", str(tmp_path)]) == USAGE
    assert "database" in capsys.readouterr().err
    monkeypatch.setenv("OFFSITE_PROVIDER_CONFIRM", "true")
    seen: list[str] = []
    monkeypatch.setattr("provider_service.cli.attachments.id_of", seen.append)
    status_of(PROVIDER, ["org", "detach", "Acme"])
    assert seen == ["Acme"]


@pytest.mark.parametrize(
    ("words", "ca"),
    [
        (["identity", "--ca"], None),
        (["identity", "--ca", "--endpoint", NOBODY], None),
        (["--ca", "own.pem", "identity", "--ca"], "own.pem"),
        (["identity", "--ca", "own.pem", "--ca"], "own.pem"),
    ],
)
def test_identity_prints_the_ca_by_a_flag_that_is_elsewhere_an_option(
    words: list[str],
    ca: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("service_kit.cli.identity.get_identity", lambda: PAGE)
    assert status_of(PROVIDER, words) == DONE
    assert capsys.readouterr().out == PAGE.identity_ca_pem
    assert invocation().options.ca == (Path(ca) if ca else None)


def test_a_file_that_holds_no_token_is_named_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("one line\nand another")
    begin(Invocation(PROGRAM, Options(token_file=file)))
    with pytest.raises(InvalidArgument) as caught:
        call(lambda *_, **__: None, None)
    assert str(file) in caught.value.message
    assert "another" not in caught.value.message


def test_a_key_is_read_from_a_file_without_the_space_around_it(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("  ABCD-EFGH-JKMN-PQRS \n")
    assert read_secret(file, "Registration key") == "ABCD-EFGH-JKMN-PQRS"
    file.write_text("\n")
    with pytest.raises(InvalidArgument):
        read_secret(file, "Registration key")


def test_a_fault_of_the_program_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("unexpected")

    monkeypatch.setattr("service_kit.cli.identity.get_identity", fail)
    assert status_of(PROVIDER, ["identity"]) == REFUSED
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert len(told.splitlines()) == 2
