"""The agent's own rules: what restic says, what is kept, what is scheduled."""

import json
import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from offsite.customer.v1.agent_service_pb2 import (
    EnrollDeviceResponse,
    GetEnrolledDeviceResponse,
)
from offsite.customer.v1.device_service_pb2 import Device as DeviceMessage

import device_agent.cli
from device_agent import (
    adoption,
    archive,
    backup,
    device_key,
    escrow,
    files,
    offers,
    recovery,
    repositories,
    restic,
    restic_output,
    server,
)
from device_agent.access import Access, archive_url
from device_agent.archive import Archive, _sentence_and_advice
from device_agent.backup import Result, Verdict, Wanted
from device_agent.cli.telling import together
from device_agent.destinations import Device, Opened
from device_agent.device_key import DeviceKey
from device_agent.offers import Offer, Offers
from device_agent.recovery import Grant
from device_agent.restic_failures import error_of
from device_agent.restic_run import Outcome, Repository
from device_agent.schedule import Cron, Systemd, units_folder
from device_agent.schedule_units import MARK, NAME, When, cron_line, parse_when, service_unit
from device_agent.state import Enrollment, Kept, State
from service_kit.cli.program import DONE, REFUSED, UNREACHABLE, USAGE, status_of
from service_kit.clock import now
from service_kit.errors import (
    Conflict,
    InvalidArgument,
    LimitReached,
    NotFound,
    OffsiteError,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from service_kit.identity import device_certificate, recovery_key, statements
from service_kit.identity.enrollment import Invitation
from service_kit.identity.identity import Identity
from service_kit.identity.recovery_sheet import RecoverySheet
from service_kit.reasons import Reason

GUID = "0b8f4d52-7d3f-8c3b-9a53-0d1f6a1c2e11"
DEVICE = "3f0d1c1a-54f5-4a39-8f44-2f6a2a5c9e10"
ACCOUNT = "aa0d1c1a-54f5-4a39-8f44-2f6a2a5c9e10"
ACCESS = Access(archive_url("backup.test:7602", ACCOUNT, DEVICE), DEVICE, "cre/dential", GUID)
ARCHIVE = Archive("Offsite", ACCESS, Path("/nowhere"))
QUOTA_TEXT = "Organization disk quota exceeded (500.0 GB of 500 GB)"
OLD_507 = (
    "Save(<data/c30278a672>) returned error, retrying after 552.330144ms: "
    f"server response unexpected: 507 {QUOTA_TEXT} (507)"
)
NEW_507 = f"Save(<data/254c27016e>) failed: unexpected HTTP response (507): 507 {QUOTA_TEXT}"


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


@pytest.fixture
def enrolled(state: State) -> tuple[State, DeviceKey, Identity]:
    """A state folder as enrolling leaves it, and its server's identity."""
    identity = Identity.create()
    key = device_key.pending(state)
    pem = device_certificate.issue(identity, DEVICE, key.public_key(), now())
    own = DeviceKey(key, x509.load_pem_x509_certificate(pem))
    stated = statements.recovery_key(identity, recovery_key.generate().recipient, now())
    files.write(state.server_ca_file, identity.ca_pem)
    state.save_enrollment(Enrollment(DEVICE, "laptop", "a@b.c", identity.guid, ("h:1",), stated))
    own.save(state)
    return state, own, identity


# what restic says


def test_a_refusal_in_json_is_the_servers_words_alone() -> None:
    text = f"Fatal: unable to save snapshot: unexpected HTTP response (507): 507 {QUOTA_TEXT}"
    event = {"message_type": "exit_error", "code": 1, "message": text}
    refusal = restic_output.refusal_of(json.dumps(event))
    assert refusal == restic_output.Refusal(507, QUOTA_TEXT)


@pytest.mark.parametrize("line", [OLD_507, NEW_507])
def test_a_refused_upload_is_understood_of_old_and_new_restic(line: str) -> None:
    refusal = restic_output.ends_it(line)
    assert refusal
    assert (refusal.status, refusal.text) == (507, QUOTA_TEXT)


@pytest.mark.parametrize(
    "line",
    [
        "Save(<data/c3>) returned error, retrying: server response unexpected: 503 x (503)",
        "Remove(<lock/86>) failed: unexpected HTTP response (403): 403 append-only",
        "Save(<data/c3>) returned error, retrying after 1s: connection reset by peer",
        "",
    ],
)
def test_what_may_pass_does_not_end_a_run(line: str) -> None:
    assert restic_output.ends_it(line) is None


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ("/gone does not exist, skipping", "/gone"),
        ('{"message_type":"error","error":{"message":"x"},"during":"archival","item":"/a"}', "/a"),
        ('{"message_type":"error","error":{}}', "something"),
        ('{"message_type":"error","item":"/a\\u001b[31m"}', "/a [31m"),
        ('{"message_type":"exit_error","code":3,"message":"Warning: x"}', None),
        ("scan finished", None),
        (
            '{"message_type":"error","error":{"message":"parts of /a not found in the repository '
            'index; storing the file again"},"item":"/a"}',
            None,
        ),
    ],
)
def test_what_was_not_read_is_named(line: str, item: str | None) -> None:
    assert restic_output.unread_item(line) == item


def error_event(item: str, message: str) -> str:
    """As restic of 0.17 and later prints it."""
    return json.dumps({"message_type": "error", "error": {"message": message}, "item": item})


TREE = "3b35d6a937ef9fc94cb5f5978c959cdb7d720d8d7b68ca4a3fdc265a83824032"
LOST = (
    ("/a", "/a: parts of a not found in the repository index; storing the file again"),
    (
        "/",
        f"/: tree {TREE} is not known; the repository could be damaged, run `repair index` to "
        "try to repair it",
    ),
    ("/a", f"/a: id {TREE} not found in repository"),
)
UNLOADED = (
    f"tree {TREE} could not be loaded; the repository could be damaged: ReadFull(<data/82>): EOF"
)


@pytest.mark.parametrize(("item", "message"), LOST)
def test_what_the_archive_had_lost_is_stored_again_and_was_read(item: str, message: str) -> None:
    line = error_event(item, message)
    assert restic_output.is_stored_again(line)
    assert not restic_output.is_damaged(line)
    assert restic_output.unread_item(line) is None


def test_what_can_not_be_read_in_the_archive_is_no_file_here() -> None:
    line = error_event("/a", f"/a: {UNLOADED}")
    assert restic_output.is_damaged(line)
    assert not restic_output.is_stored_again(line)
    assert restic_output.unread_item(line) is None


@pytest.mark.parametrize("message", [each for _, each in LOST])
def test_a_files_name_can_not_pass_it_off_as_stored_again(message: str) -> None:
    item = f"/{message}"
    line = error_event(item, f"open {item}: permission denied")
    assert restic_output.unread_item(line) == item


@pytest.mark.parametrize("line", ["[1]", "{", "{}", '{"a": 1}', "{" * 10**5, "text"])
def test_what_is_no_event_is_none(line: str) -> None:
    assert restic_output.event_of(line) is None


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("Fatal: wrong password or no key found", "wrong password or no key found"),
        ('{"message_type":"exit_error","code":1,"message":"Fatal: a\\nb"}', "a"),
        ('{"message_type":"error","error":{"message":"denied"},"item":"/a"}', "denied"),
        ('{"message_type":"status","percent_done":1}', ""),
        ('{"message_type":"exit_error","message":"a\\u001b[31m"}', "a [31m"),
        ("Fatal: ", ""),
        ("\n", ""),
    ],
)
def test_a_line_of_errors_is_told_in_one_sentence(line: str, sentence: str) -> None:
    assert restic_output.sentence_of(line) == sentence


def test_no_secret_and_no_control_character_is_shown() -> None:
    told = f"Get {ACCESS.repository}config: pass-word\x1b[31m {ACCESS.credential}"
    shown = restic_output.without_secrets(told, (ACCESS.credential, "pass-word"))
    for secret in ("cre", "pass-word", "\x1b"):
        assert secret not in shown
    assert "backup.test:7602" in shown
    assert restic_output.without_secrets("told", ("",)) == "told"


@pytest.mark.parametrize(
    ("outcome", "kind", "words"),
    [
        (Outcome(1, errors=[NEW_507]), LimitReached, QUOTA_TEXT),
        (Outcome(1, errors=["x (403): 403 Acme is suspended"]), PermissionDenied, "suspended"),
        (Outcome(1, errors=["x (401): 401 Unauthorized"]), Unauthenticated, "Unauthorized"),
        (Outcome(1, errors=["Fatal: wrong password or no key found"]), Conflict, "password"),
        (Outcome(12), Conflict, "password"),
        (Outcome(11), Conflict, "locked"),
        (Outcome(1, errors=["dial tcp 1.2.3.4:1: connect: connection refused"]), Unavailable, "1:"),
        (Outcome(1, errors=["Fatal: something odd"]), Conflict, "something odd"),
        (Outcome(2), Conflict, "status 2"),
    ],
)
def test_a_failed_run_says_who_refused_and_why(
    outcome: Outcome, kind: type[OffsiteError], words: str
) -> None:
    for line in outcome.errors:
        text = line.replace("x (", "unexpected HTTP response (")
        outcome.refusal = restic_output.refusal_of(text) or outcome.refusal
    error = error_of(outcome, ARCHIVE)
    assert type(error) is kind
    assert error.message.startswith("Offsite: ")
    assert words in error.message
    assert error.advice


# restic itself


def test_restic_is_found_where_it_is_named_and_too_old_a_one_refused(tmp_path: Path) -> None:
    program = tmp_path / "restic"
    for version, good in (("0.14.0", True), ("0.19.1", True), ("1.0.0", True), ("0.13.1", False)):
        program.write_text(f"#!/bin/sh\necho restic {version} compiled with go1.19\n")
        program.chmod(0o755)
        if good:
            assert restic.find(program).program == program
            continue
        with pytest.raises(Conflict) as caught:
            restic.find(program)
        assert "0.13" in caught.value.message
        assert restic.install_line() in caught.value.advice
    with pytest.raises(Conflict, match="no program"):
        restic.find(tmp_path / "nothing")
    for script, words in (("echo hello", "is no restic."), ("exit 1", "it ended with 1.")):
        program.write_text(f"#!/bin/sh\n{script}\n")
        with pytest.raises(Conflict) as caught:
            restic.find(program)
        assert caught.value.message.endswith(words)
        assert "Posix" not in caught.value.message


def test_without_restic_the_message_has_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(Conflict) as caught:
        restic.find(None)
    assert caught.value.reason is Reason.RESTIC_MISSING
    assert "Install it" in caught.value.advice


def test_no_secret_is_an_argument_and_no_other_repository_is_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PASSWORD_FILE", "REPOSITORY_FILE", "REST_USERNAME", "PASSWORD_COMMAND"):
        monkeypatch.setenv(f"RESTIC_{name}", "another's")
    monkeypatch.setenv("RESTIC_PACK_SIZE", "32")
    repository = Repository(ACCESS, Path("/ca.pem"), "pass-word")
    words = " ".join(repository.command(restic.Restic(Path("/restic"), (0, 14)), "snapshots"))
    assert words == "/restic --cacert /ca.pem snapshots"
    environment = repository.environment()
    assert "another's" not in environment.values()
    assert environment["RESTIC_PACK_SIZE"] == "32"
    assert environment["RESTIC_REPOSITORY"] == (
        f"rest:https://{DEVICE}:cre%2Fdential@backup.test:7602/archives/{ACCOUNT}/{DEVICE}/"
    )
    assert environment["RESTIC_PASSWORD"] == "pass-word"
    assert "cre" not in repr(repository)
    assert "pass-word" not in repr(repository)


@pytest.mark.parametrize(
    "url", ["rest:http://h:1/a/", "https://h:1/a/", "rest:https://h/a/", "rest:https://h:1/a", ""]
)
def test_what_is_no_archive_is_refused(url: str) -> None:
    with pytest.raises(Conflict):
        Access(url, DEVICE, "x", GUID)


# what is kept


def test_what_is_kept_is_found_again(enrolled: tuple[State, DeviceKey, Identity]) -> None:
    state, own, _ = enrolled
    again = State(state.folder)
    assert again.enrollment == state.enrollment
    assert DeviceKey.load(again).certificate == own.certificate
    assert not state.pending_key_file.exists()
    kept = Kept(ACCOUNT, "Offsite", ACCESS, True, {"verdict": "saved"})
    state.save_destination(kept)
    assert again.destination(ACCOUNT, "Renamed") == Kept(
        ACCOUNT, "Renamed", ACCESS, True, {"verdict": "saved"}
    )
    assert again.destinations() == [kept]


def test_a_key_that_enrolling_has_begun_with_stays_the_same(state: State) -> None:
    first, second = device_key.pending(state), device_key.pending(state)
    assert first.private_numbers() == second.private_numbers()


def test_the_password_is_made_once_and_outlives_an_unenrolling(
    enrolled: tuple[State, DeviceKey, Identity],
) -> None:
    state, _, _ = enrolled
    password = state.password(DEVICE)
    assert len(password) >= 40
    state.save_destination(Kept(ACCOUNT, "Offsite", ACCESS))
    state.forget()
    assert not state.is_enrolled
    assert not state.destinations()
    assert state.password(DEVICE) == password
    assert state.password(ACCOUNT) != password


@pytest.mark.parametrize("name", ["/etc/passwd", "../device.pem", "", ".", f"{DEVICE}/x"])
def test_a_servers_name_for_this_computer_names_no_other_file(state: State, name: str) -> None:
    for use in (state.password_file, state.password, lambda name: state.set_password(name, "x")):
        with pytest.raises(InvalidArgument):
            use(name)
    assert not state.folder.exists()


def test_a_server_that_names_a_file_as_this_computer_enrolls_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    identity = Identity.create()
    key = ec.generate_private_key(ec.SECP256R1())
    named = DeviceMessage(id="/home/u/.ssh/id_ed25519", name="a\x1b[31m", user_email="a@b.c")

    async def chain(address: str, guid: str) -> Any:
        return SimpleNamespace(ca=identity.ca_certificate)

    async def dialled(*given: Any) -> Any:
        pem = device_certificate.issue(identity, named.id, key.public_key(), now())
        return (), EnrollDeviceResponse(certificate_pem=pem, device=named)

    monkeypatch.setattr("service_kit.client.dial.read_peer", chain)
    monkeypatch.setattr(server, "_dialled", dialled)
    invitation = Invitation("h:1", identity.guid, "code")
    with pytest.raises(InvalidArgument):
        server.enroll(invitation, key)
    named.id = DEVICE
    assert server.enroll(invitation, key).enrollment.device_name == "a [31m"


def test_names_that_the_server_says_later_steer_no_terminal(
    enrolled: tuple[State, DeviceKey, Identity],
) -> None:
    state, _, _ = enrolled
    named = DeviceMessage(name="b\x1b[31m", user_email="b\x07@b.c")
    offers._note(state, server.Told(GetEnrolledDeviceResponse(device=named), ()))
    assert (state.enrollment.device_name, state.enrollment.user_email) == ("b [31m", "b @b.c")


def test_a_password_that_is_replaced_stays_beside_it(
    enrolled: tuple[State, DeviceKey, Identity],
) -> None:
    state, _, _ = enrolled
    formers = [state.password(DEVICE), "second"]
    for password in ("second", "third"):
        state.set_password(DEVICE, password)
    assert state.password(DEVICE) == "third"
    kept = sorted(state.password_file(DEVICE).parent.glob(f"{DEVICE}.*"))
    assert [each.read_text() for each in kept] == formers
    assert {stat.S_IMODE(each.stat().st_mode) for each in kept} == {0o600}


def test_folders_that_are_made_are_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files.make_folder(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    for made in ("a", "a/b", "a/b/c"):
        assert stat.S_IMODE((tmp_path / made).stat().st_mode) == 0o700


def test_files_are_its_owners_alone(enrolled: tuple[State, DeviceKey, Identity]) -> None:
    state, _, _ = enrolled
    state.password(DEVICE)
    for path in state.folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_a_damaged_file_is_named(state: State) -> None:
    files.write(state.folder / "enrollment.json", b"{")
    files.write(state.device_file, b"")
    with pytest.raises(Conflict, match=r"enrollment\.json"):
        _ = state.enrollment


def test_a_damaged_key_is_told_of(enrolled: tuple[State, DeviceKey, Identity]) -> None:
    state, _, _ = enrolled
    for content in (b"", state.device_file.read_bytes().partition(b"-----BEGIN CERT")[0]):
        files.write(state.device_file, content)
        with pytest.raises(Conflict, match="can't be read"):
            DeviceKey.load(state)


def test_a_folder_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="file"):
        State(tmp_path / "file" / "state").password(DEVICE)


def test_one_backup_at_a_time(state: State) -> None:
    with files.held(state.lock_file, "A backup"):
        with pytest.raises(Conflict) as caught, files.held(state.lock_file, "A backup"):
            pass
        assert caught.value.reason is Reason.DATA_IN_USE
    with files.held(state.lock_file, "A backup"):
        pass


# backups


def result(verdict: Verdict) -> Result:
    return Result("Offsite", verdict, "")


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ((Verdict.SAVED, Verdict.SAVED), DONE),
        ((Verdict.SAVED, Verdict.REFUSED), REFUSED),
        ((Verdict.SAVED, Verdict.INCOMPLETE), REFUSED),
        ((Verdict.UNREACHABLE, Verdict.SAVED), UNREACHABLE),
        ((Verdict.UNREACHABLE, Verdict.REFUSED), REFUSED),
    ],
)
def test_the_exit_status_is_of_the_worst(verdicts: tuple[Verdict, ...], status: int) -> None:
    assert backup.status_of([*map(result, verdicts)], DONE, REFUSED, UNREACHABLE) == status


SUMMARY = {"snapshot_id": "abc"}


@pytest.mark.parametrize(
    ("outcome", "verdict", "words", "advice"),
    [
        (Outcome(0), Verdict.SAVED, "", ""),
        (Outcome(3, stored_again=True), Verdict.SAVED, "stored again", 'restic "Offsite" -- check'),
        (Outcome(3, damaged=True), Verdict.INCOMPLETE, "damaged", "repair index"),
        (Outcome(3), Verdict.INCOMPLETE, "some files", "readable"),
        (
            Outcome(3, stored_again=True, unread=["/a"], unread_count=1),
            Verdict.INCOMPLETE,
            "1 files or folders could not be read; the archive had lost content",
            "readable",
        ),
    ],
)
def test_what_was_amiss_with_a_snapshot_is_said(
    outcome: Outcome, verdict: Verdict, words: str, advice: str
) -> None:
    result = backup._result("Offsite", outcome, SUMMARY, True)
    assert result.verdict is verdict
    assert words in result.message
    assert advice in result.advice


def test_what_is_backed_up_is_told_to_restic_as_it_was_told() -> None:
    wanted = Wanted(("/a", "-b"), exclude=("*.o",), exclude_file=("/x",), tag=("t",))
    words = wanted.words("laptop 1", Path("/state[1]"))
    assert words == [
        *("backup", "--host", "laptop 1", "--exclude", r"/state\[1]", "--exclude", "*.o"),
        *("--exclude-file", "/x", "--tag", "t", "--", "/a", "-b"),
    ]


def test_the_state_folder_is_left_out_by_each_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    words = Wanted(("/a",)).words("laptop", tmp_path / "link")
    assert words.count("--exclude") == 2
    assert {str(tmp_path / "link"), str(tmp_path / "real")} < set(words)


def test_a_fault_at_one_destination_is_a_result(
    enrolled: tuple[State, DeviceKey, Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, _, _ = enrolled
    device, program = Device(state), restic.Restic(Path("/restic"), (0, 18))
    offer = Offer(ACCOUNT, "Offsite")

    def backed_up() -> Result:
        return backup.to(device, program, offer, Wanted(("/a",)), lambda _: None)

    def fail(*given: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_made", fail)
    failed = backed_up()
    assert (failed.verdict, failed.reason) == (Verdict.REFUSED, Reason.INTERNAL)
    assert "No space left" in failed.message
    assert state.destination(ACCOUNT, "Offsite").last == {**failed.document(), "unread": []}
    monkeypatch.setattr(backup, "_made", lambda *given: result(Verdict.SAVED))
    monkeypatch.setattr(state, "save_destination", fail)
    unkept = backed_up()
    assert unkept.verdict is Verdict.REFUSED
    assert "can't be noted" in unkept.message


def test_a_peer_that_drips_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LONGEST", 0.2)
    here, there = socket.socketpair()

    def listen() -> None:
        with archive._ending_in_time(here), suppress(BrokenPipeError):
            there.send(b"x")
            while here.recv(1):
                there.send(b"x")

    with there, pytest.raises(TimeoutError, match="longer"):
        listen()


def test_destinations_are_named_in_any_case_and_once() -> None:
    local, offsite = Offer("1", "Local"), Offer("2", "Offsite")
    assert offers.named([local, offsite], []) == [local, offsite]
    assert offers.named([local, offsite], ["offsite", "OFFSITE"]) == [offsite]
    with pytest.raises(NotFound, match="Local, Offsite"):
        offers.named([local, offsite], ["Third"])
    with pytest.raises(NotFound, match="no destination"):
        offers.named([], [])


# escrow and recovery


def test_a_grant_is_read_from_its_line_and_never_shown() -> None:
    grant = Grant.parse("--grant-file", f" {ACCOUNT}/{DEVICE}/grant.1.secret\n")
    assert grant.access("h:1", GUID).archive_url == archive_url("h:1", ACCOUNT, DEVICE)
    assert "secret" not in repr(grant)
    for text in ("", "a/b", f"{ACCOUNT}/{DEVICE}/x/y", f"{ACCOUNT}/../secret"):
        with pytest.raises(InvalidArgument) as caught:
            Grant.parse("--grant-file", text)
        assert "secret" not in caught.value.message


def test_a_record_is_made_anew_for_another_password_or_where_it_is_damaged(
    enrolled: tuple[State, DeviceKey, Identity],
) -> None:
    state, own, _ = enrolled
    first = escrow._record(state, state.enrollment, own)
    assert escrow._record(state, state.enrollment, own) == first
    assert state.password(DEVICE).encode() not in state.escrow_file.read_bytes()
    files.write(state.password_file(DEVICE), b"another")  # with no word to the record's file
    second = escrow._record(state, state.enrollment, own)
    assert second != first
    for damage in (b"{", b"[]", b'{"record": 1}', b"{" * 10**5):
        files.write(state.escrow_file, damage)
        assert escrow._record(state, state.enrollment, own) not in (first, second)


class Records(Archive):
    """An archive that holds escrow records; one of them is lost."""

    def __init__(self, records: Sequence[str]) -> None:
        super().__init__("Offsite", ACCESS, Path("/nowhere"))
        self.records = {"lost": None, **{str(n): each for n, each in enumerate(records)}}

    def names(self, kind: str) -> list[str]:
        return list(self.records)

    def read(self, kind: str, name: str) -> bytes:
        record = self.records[name]
        if record is None:
            raise self.refusal(404, "")
        return record.encode()


def test_no_bad_record_hinders_a_recovery(
    enrolled: tuple[State, DeviceKey, Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, own, identity = enrolled
    sheet = RecoverySheet(recovery_key.generate(), identity.guid)
    passwords = ["good", "", "a\0b", "a\nb", "x" * 201, "ä", "breaks restic"]
    records = [
        statements.escrow_record(
            own.private_key,
            own.certificate,
            identity.ca_certificate,
            recovery_key.seal(sheet.key.recipient, each.encode()),
            now() - timedelta(minutes=20 - n),  # the good one is the oldest
        )
        for n, each in enumerate(passwords)
    ]
    tried = []

    def opens(program: restic.Restic, repository: Repository) -> bool:
        tried.append(repository.password)
        if repository.password == "breaks restic":
            raise Conflict(Reason.RESTIC_FAILED, "it broke")
        return True

    monkeypatch.setattr(recovery, "opens", opens)
    program = restic.Restic(Path("/restic"), (0, 18))
    found = recovery.password_of(program, Records(["rubbish", *records]), DEVICE, sheet)
    assert (found, tried) == ("good", ["breaks restic", "good"])
    with pytest.raises(Conflict, match="it broke"):
        recovery.password_of(program, Records(records[-1:]), DEVICE, sheet)
    with pytest.raises(NotFound):
        recovery.password_of(program, Records([]), DEVICE, sheet)


@dataclass
class Places:
    """Destinations, each with what opens the repository there: a device as adopting sees it."""

    state: State
    passwords: dict[str, str]

    @property
    def enrollment(self) -> Enrollment:
        return self.state.enrollment

    @property
    def offered(self) -> tuple[Offer, ...]:
        return tuple(Offer(name, name) for name in self.passwords)

    def offers(self) -> Offers:
        return Offers(self.offered)

    def open(self, offer: Offer) -> Opened:
        there = Archive(offer.name, ACCESS, Path("/nowhere"))
        has_config = bool(self.passwords[offer.name])
        there.has_config = lambda: has_config  # type: ignore[method-assign]
        # The file's place says which one it is.
        repository = Repository(ACCESS, Path(offer.name), self.state.password(DEVICE))
        return Opened(Kept(offer.name, offer.name), there, repository, {})

    open_held = open

    def opens(self, program: restic.Restic, repository: Repository) -> bool:
        return repository.password == self.passwords[repository.ca_file.name]


@pytest.fixture
def places(enrolled: tuple[State, DeviceKey, Identity], monkeypatch: pytest.MonkeyPatch) -> Places:
    made = Places(enrolled[0], {})
    monkeypatch.setattr(recovery, "opens", made.opens)
    monkeypatch.setattr(repositories, "opens", made.opens)
    return made


def adopted(places: Places, passwords: Mapping[str, str]) -> str:
    """Adopt what is found at each place."""
    program = restic.Restic(Path("/restic"), (0, 18))
    return adoption.adopt(cast("Device", places), program, lambda at: passwords.get(at.name))


def test_a_password_that_is_kept_already_is_passed_over(places: Places) -> None:
    present = places.state.password(DEVICE)
    places.passwords = {"A": "another's", "B": "old"}
    assert adopted(places, {"A": present, "B": "old"}) == "B"
    assert places.state.password(DEVICE) == "old"
    assert adopted(places, {"B": "old"}) == "B"
    assert len(list(places.state.password_file(DEVICE).parent.iterdir())) == 2


def test_a_password_does_not_replace_the_one_that_another_archive_needs(places: Places) -> None:
    present = places.state.password(DEVICE)
    places.passwords = {"A": present, "B": "old"}
    with pytest.raises(Conflict, match="A: the present password"):
        adopted(places, {"B": "old"})
    assert places.state.password(DEVICE) == present


def test_no_second_password_is_begun_beside_an_archive_that_is_another_computers(
    places: Places,
) -> None:
    places.passwords = {"A": "old", "B": ""}
    program, device = restic.Restic(Path("/restic"), (0, 18)), cast("Device", places)
    opened = places.open(Offer("B", "B"))
    with pytest.raises(Conflict) as caught:
        repositories.ensure(device, program, opened)
    assert "password import" in caught.value.advice
    places.passwords["C"] = places.state.password(DEVICE)
    repositories._check_password(device, program, opened)  # this computer's own is in use


# schedules


def test_times_and_intervals_as_systemd_and_cron_write_them() -> None:
    assert parse_when(None, None) == When(12, 0)
    assert parse_when("2:30", None).cron == "30 2 * * *"
    assert "OnCalendar=*-*-* 02:30:00\nPersistent=true" in parse_when("02:30", None).systemd
    assert parse_when(None, "4h").cron == "0 */4 * * *"
    assert parse_when(None, "15m").cron == "*/15 * * * *"
    assert parse_when(None, "1d").cron == "0 12 * * *"
    assert "OnUnitActiveSec=5400" in When(every=timedelta(minutes=90)).systemd
    with pytest.raises(InvalidArgument):
        _ = When(every=timedelta(minutes=90)).cron


@pytest.mark.parametrize(
    ("at", "every"),
    [("24:00", None), ("9", None), ("09:60", None), (None, "5m"), (None, "31d"), ("1:00", "1h")],
)
def test_what_is_no_schedule_is_refused(at: str | None, every: str | None) -> None:
    with pytest.raises(InvalidArgument):
        parse_when(at, every)


COMMAND = ["/opt/offsite device", "backup", "--exclude", '100% "$HOME" \\', "--", "/home/ä b"]


def test_a_cron_line_runs_the_command_as_it_is() -> None:
    line = cron_line(When(12, 0), COMMAND)
    assert line.startswith("0 12 * * * ")
    assert line.endswith(MARK)
    assert line.endswith(f" >/dev/null {MARK}")  # cron mails what is printed
    words = line.removeprefix("0 12 * * * ").removesuffix(f" >/dev/null {MARK}").replace(r"\%", "%")
    assert shlex.split(words) == COMMAND


def test_a_units_command_is_quoted_as_systemd_reads_it() -> None:
    (line,) = [each for each in service_unit(COMMAND).splitlines() if each.startswith("ExecStart=")]
    assert line == (
        'ExecStart="/opt/offsite device" "backup" "--exclude" '
        r'"100%% \"$$HOME\" \\" "--" "/home/ä b"'
    )


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
@pytest.mark.parametrize("when", [When(2, 30), When(every=timedelta(hours=4))])
def test_systemd_takes_the_units(tmp_path: Path, when: When) -> None:
    program = tmp_path / "offsite device"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    Systemd(tmp_path).write(when, [str(program), *COMMAND[1:]])
    for kind in ("service", "timer"):
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", tmp_path / f"{NAME}.{kind}"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert NAME not in done.stderr, done.stderr
    assert "ExecStart" in Systemd(tmp_path).show()


def test_a_crontab_keeps_what_others_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "table"
    program = tmp_path / "crontab"
    program.write_text(f'#!/bin/sh\n[ "$1" = -l ] && exec cat {table}\ncat >{table}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    cron = Cron()
    assert cron.show() == ""
    assert not cron.remove()
    table.write_text("0 0 * * * other\n")
    cron.install(When(1, 0), ["old"])
    cron.install(When(2, 0), COMMAND)
    assert table.read_text() == f"0 0 * * * other\n{cron_line(When(2, 0), COMMAND)}\n"
    assert cron.show() == cron_line(When(2, 0), COMMAND)
    assert cron.remove()
    assert table.read_text() == "0 0 * * * other\n"


# the command


@pytest.fixture
def typed(state: State, monkeypatch: pytest.MonkeyPatch) -> State:
    for name in [each for each in os.environ if each.startswith("OFFSITE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OFFSITE_DEVICE_STATE", str(state.folder))
    return state


def test_a_computer_that_is_not_enrolled_says_so_in_two_lines(
    typed: State, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["status"], ["snapshots"], ["backup", "/"], ["env", "Local"], ["unenroll"]):
        assert status_of(device_agent.cli.app, words) == REFUSED
        what, next_ = capsys.readouterr().err.splitlines()
        assert "not enrolled" in what
        assert "enroll" in next_
    assert not typed.folder.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["enroll", "h:1/guid/code"],
        ["backup", "--nonsense"],
        ["recover", "h:1", "--guid", GUID, "--grant-file", "/nowhere", "--list"],
        ["schedule", "install"],
        ["schedule", "install", "/nowhere"],
        ["backup", "/", ""],
        ["backup", "/", "--exclude-file", ""],
        ["schedule", "install", "/", ""],
        ["restore", "latest", "--target", ""],
        ["recover", "h:1", "--guid", GUID, "--grant-file", "/nowhere", "--target", ""],
        ["enroll", "--file", ""],
        ["status", "--state", ""],
        ["snapshots", "--restic", ""],
    ],
)
def test_wrong_usage_is_2(
    typed: State, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(device_agent.cli.app, words) == USAGE
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_schedule_is_printed_as_it_would_be_installed(
    typed: State,
    enrolled: tuple[State, DeviceKey, Identity],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    program = tmp_path / "restic"
    program.write_text("#!/bin/sh\necho restic 0.18.0\n")
    program.chmod(0o755)
    words = ["schedule", "install", "/home", "--exclude", "*.o", "--every", "4h", "--print"]
    assert status_of(device_agent.cli.app, [*words, "--restic", str(program)]) == DONE
    printed = capsys.readouterr().out
    assert f'"--state" "{typed.folder}" "--restic" "{program}" "backup" "--quiet"' in printed
    assert '"--exclude" "*.o" "--" "/home"' in printed
    assert "OnUnitActiveSec=14400" in printed
    assert "every 4h" in printed
    assert "0 */4 * * *" in printed
    names = [line for line in printed.splitlines() if line.startswith("# ")]
    assert [each.rpartition("/")[2] for each in names] == [
        f"{NAME}.service",
        f"{NAME}.timer",
        "# crontab",
    ]
    assert status_of(device_agent.cli.app, [*words, "--json", "--restic", str(program)]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert document["when"] == "every 4h"
    assert [each["file"] for each in document["files"]] == [each[2:] for each in names]
    assert not Systemd(units_folder()).show()


def test_where_nothing_can_be_scheduled_nothing_is(
    typed: State,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for command, words in (("show", "No backups are"), ("remove", "No backups were")):
        assert status_of(device_agent.cli.app, ["schedule", command]) == DONE
        assert words in capsys.readouterr().out
        assert status_of(device_agent.cli.app, ["schedule", command, "--json"]) == DONE
        assert json.loads(capsys.readouterr().out)["by"] == ""
    Systemd(units_folder()).write(When(2, 30), COMMAND)  # by a session that systemd answered
    assert status_of(device_agent.cli.app, ["schedule", "show"]) == DONE
    assert "ExecStart" in capsys.readouterr().out
    assert status_of(device_agent.cli.app, ["schedule", "remove"]) == REFUSED
    assert "systemctl does not run" in capsys.readouterr().err


def test_an_answers_advice_is_told_apart_and_alone() -> None:
    said = _sentence_and_advice("Read-only: caf?", "Read-only: café. Ask them.\n")
    assert said == ("Read-only: café", "Ask them.")
    assert _sentence_and_advice("Bad Gateway", "<html>\n") == ("<html>", "")
    assert _sentence_and_advice("Gone", "") == ("Gone", "")
    assert ARCHIVE.refusal(401, *said).advice == "Ask them."
    assert ARCHIVE.refusal(401, "Gone").advice == "Ask your administrator."


def test_a_message_and_its_advice_are_two_sentences() -> None:
    assert together("Refused", "Wait.") == "Refused. Wait."
    assert together("Refused.", "") == "Refused."
