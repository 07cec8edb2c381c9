"""The agent on real computers: both real servers, the real restic, commands as typed.

One story: the tests of this module run in their order.
"""

import json
import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509

from device_agent.archive import Archive
from device_agent.destinations import Device, Opened
from device_agent.device_key import DeviceKey
from device_agent.state import State
from service_kit.clock import now
from service_kit.identity import device_certificate, recovery_key, statements
from service_kit.identity.identity import Identity
from tests.support.desk import KEY, Desk
from tests.support.laptop import Laptop, enrollment_line, same
from tests.support.restic import restic_program

QUOTA = 40 * 10**6
ADD_ACME = (
    "offsite-provider org add Acme --hosted --customer-guid CUSTOMER_GUID --max-seats 50"
    f" --disk-quota {QUOTA} --accept-terms"
)
ATTACH = "offsite-customer storage attach --name Offsite --hostname H:P --guid PROVIDER_GUID"
DONE, REFUSED, USAGE, UNREACHABLE = 0, 1, 2, 3


@pytest.fixture(scope="module")
def company(desk: Desk) -> Desk:
    """Both servers, attached; a user whom both storages are offered."""
    (key,) = KEY.findall(desk.run(ADD_ACME))
    desk.run(ATTACH, given=key)
    desk.run("offsite-customer user add ada@acme.test")
    return desk


@pytest.fixture(scope="module")
def sheet(company: Desk) -> Path:
    """The administrator's recovery sheet."""
    file = company.folder / "sheet"
    file.write_text(company.run("offsite-customer recovery-key create"))
    return file


def add(company: Desk, name: str, release: str = "newest") -> tuple[Laptop, str]:
    """A new computer, and the line by which it enrolls."""
    printed = company.run(f"offsite-customer device add {name} --user ada@acme.test")
    return Laptop(company, name, restic_program(release)), enrollment_line(printed)


def enrolled(company: Desk, name: str, release: str = "newest") -> Laptop:
    """A new computer, enrolled, with files."""
    laptop, line = add(company, name, release)
    laptop.enroll(line)
    laptop.fill()
    return laptop


def grant(company: Desk, laptop: Laptop) -> Path:
    """A file with a grant of the provider's operator."""
    file = laptop.folder / "grant"
    file.unlink(missing_ok=True)
    company.run(f"offsite-provider archive grant Acme {laptop.name} --output {file}")
    return file


@pytest.fixture(scope="module")
def ada(company: Desk, sheet: Path) -> Laptop:
    return enrolled(company, "ada-1")


def test_a_computer_enrolls_by_a_line_that_is_pasted(company: Desk, sheet: Path) -> None:
    laptop, line = add(company, "first")
    assert "not enrolled" in laptop.run("status", status=REFUSED).err
    address, _, code = line.split("/")
    assert "enrollment line" in laptop.run("enroll", given=f"{address}/{code}", status=USAGE).err
    wrong = laptop.run("enroll", given=f"{address}/{company.provider.guid}/{code}", status=REFUSED)
    assert company.provider.guid in wrong.err
    assert code not in wrong.err
    enrolled_as = laptop.run("enroll", "--json", given=line).json["device_id"]
    assert enrolled_as in laptop.run("enroll", given=line).out  # a repeat by the same computer
    file = laptop.folder / "line"
    file.write_text(line)
    laptop.run("enroll", "--file", file)
    thief = Laptop(company, "thief", laptop.restic)
    assert "enrollment code" in thief.run("enroll", given=line, status=REFUSED).err
    laptop.run("unenroll")
    assert "not enrolled" in laptop.run("status", status=REFUSED).err


def test_only_its_owner_may_read_what_it_keeps(ada: Laptop) -> None:
    for path in [ada.state, *ada.state.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("release", ["0.14", "newest"])
def test_a_backup_goes_to_both_and_is_restored_from_either(
    company: Desk, sheet: Path, release: str
) -> None:
    laptop = enrolled(company, f"both-{release}", release)
    first = laptop.backup("--tag", "weekly")
    assert {name: each["verdict"] for name, each in first.items()} == {
        "Local": "saved",
        "Offsite": "saved",
    }
    assert first["Local"]["new_files"] == first["Local"]["files"] == 41
    assert all(each["in_escrow"] for each in first.values())
    (laptop.files / "new").write_text("one more")
    assert laptop.backup()["Offsite"]["new_files"] == 1
    for name in ("Local", "Offsite"):
        assert same(laptop.restored("--from", name, into=name), laptop.files)
    assert same(laptop.restored(), laptop.files)
    listed = laptop.run("snapshots", "--json").json["snapshots"]
    assert [each["destination"] for each in listed] == ["Local"] * 2 + ["Offsite"] * 2
    assert [each["tags"] for each in listed] == [["weekly"], []] * 2
    snapshot = listed[0]["id"][:8]
    laptop.run("restore", snapshot, "--target", laptop.folder / "old", "--include", "empty")
    assert [each.name for each in (laptop.folder / "old").rglob("*") if each.is_file()] == ["empty"]
    missing = laptop.run("restore", "abcdef", "--target", laptop.folder / "x", status=REFUSED)
    assert "abcdef" in missing.err


def test_status_says_how_each_destination_stands(ada: Laptop) -> None:
    before = ada.run("status", "--json").json["destinations"]
    assert [(each["destination"], each["seat"]) for each in before] == [
        ("Local", "offered"),
        ("Offsite", "offered"),
    ]
    ada.backup("--to", "offsite")
    local, offsite = ada.run("--json", "status").json["destinations"]
    assert (local["seat"], local["archive"]) == ("offered", "")
    assert (offsite["seat"], offsite["archive"], offsite["last_run"]) == ("held", "active", "saved")
    assert offsite["quota_bytes"] == QUOTA
    assert 0 < offsite["stored_bytes"] <= QUOTA - offsite["quota_left_bytes"]
    assert offsite["last_backup_time"]
    assert "Offsite" in ada.run("status").out


def test_a_quiet_backup_prints_the_ids_of_its_snapshots(ada: Laptop) -> None:
    printed = ada.run("backup", ada.files, "--quiet").out.split()
    listed = ada.run("snapshots", "--json").json["snapshots"]
    assert len(printed) == 2
    assert set(printed) <= {each["id"] for each in listed}


def test_content_that_the_archive_had_lost_is_stored_again(company: Desk, sheet: Path) -> None:
    laptop = enrolled(company, "lossy")
    laptop.backup("--to", "Local")
    archive = local(laptop).archive
    for name in archive.names("data"):
        archive.delete("data", name)
    laptop.run("restic", "Local", "--", "repair", "index")
    result = laptop.backup("--to", "Local")["Local"]
    assert result["verdict"] == "saved"
    assert "stored again" in result["message"]
    assert same(laptop.restored("--from", "Local"), laptop.files)


def test_what_is_left_out_is_not_in_the_backup(ada: Laptop) -> None:
    patterns = ada.folder / "patterns"
    patterns.write_text("folder 1\n")
    ada.backup("--to", "Local", "--exclude", "folder 2", "--exclude-file", patterns)
    found = ada.restored("--from", "Local", into="partly")
    assert {each.name for each in found.iterdir()} == {
        "empty",
        "link",
        "folder 0",
        "folder 3",
        "folder 4",
    }


def test_its_own_secrets_are_in_no_backup(ada: Laptop) -> None:
    ada.run("backup", ada.folder, "--to", "Local")
    found = ada.run("restic", "local", "--", "ls", "latest").out
    assert str(ada.files) in found
    assert str(ada.state) not in found


def test_what_can_not_be_read_is_named_and_the_rest_saved(ada: Laptop) -> None:
    gone = ada.folder / "gone"
    said = ada.run("backup", ada.files, gone, "--to", "Local", status=REFUSED)
    assert "Local: saved" in said.out
    assert str(gone) in said.err
    assert "is not there" in ada.run("backup", gone, status=USAGE).err
    assert "PATH" in ada.run("backup", status=USAGE).err


def test_a_destination_that_is_not_offered_is_named_with_those_that_are(ada: Laptop) -> None:
    said = ada.run("backup", ada.files, "--to", "Elsewhere", status=REFUSED).err
    assert "Local, Offsite" in said
    assert "Elsewhere" in said


def test_a_refused_destination_says_who_refused_and_stops_no_other(
    company: Desk, sheet: Path
) -> None:
    laptop = enrolled(company, "one-too-many")
    company.run("offsite-provider org update Acme --max-seats 1")
    results = laptop.backup(status=REFUSED)
    assert results["Local"]["verdict"] == "saved"
    assert results["Offsite"]["verdict"] == "refused"
    assert "Offsite" in results["Offsite"]["message"]
    assert "seat" in results["Offsite"]["message"]
    assert results["Offsite"]["advice"]
    company.run("offsite-provider org update Acme --max-seats 50")
    assert laptop.backup()["Offsite"]["verdict"] == "saved"


def test_a_suspended_organization_takes_no_backup_and_still_restores(
    company: Desk, ada: Laptop
) -> None:
    company.run("offsite-provider org suspend Acme --reason unpaid")
    try:
        results = ada.backup("--to", "Offsite", status=REFUSED)
        assert "unpaid" in results["Offsite"]["message"]
        assert ada.run("status", "--json").json["destinations"][1]["archive"] == "read-only"
        assert same(ada.restored("--from", "Offsite", into="suspended"), ada.files)
    finally:
        company.run("offsite-provider org resume Acme")
    ada.backup("--to", "Offsite")


def test_a_new_credential_is_fetched_when_the_old_one_has_ended(company: Desk, ada: Laptop) -> None:
    company.run("offsite-customer device stop ada-1 Offsite --confirm")
    for words in (["snapshots"], ["restore", "latest", "--target", ada.folder / "none"]):
        said = ada.run(*words, "--from", "Offsite", status=REFUSED).err
        assert "has ended" in said
        assert 'archive grant ada-1 --from "Offsite"' in said
    (warning,) = ada.run("status").err.splitlines()
    assert "A backup by the device's own program" in warning
    assert "administrator." not in warning
    assert ada.backup("--to", "Offsite")["Offsite"]["verdict"] == "saved"
    company.run("offsite-provider seat revoke Acme ada-1 --confirm")
    refused = ada.backup("--to", "Offsite", status=REFUSED)["Offsite"]
    assert "revoked" in refused["message"]
    company.run("offsite-provider seat restore Acme ada-1")
    assert ada.backup("--to", "Offsite")["Offsite"]["verdict"] == "saved"


@pytest.mark.parametrize("release", ["0.14", "newest"])
def test_a_full_quota_refuses_at_once_in_the_servers_words_and_still_restores(
    company: Desk, sheet: Path, release: str
) -> None:
    company.run(f"offsite-provider org update Acme --disk-quota {QUOTA}")
    laptop = enrolled(company, f"full-{release}", release)
    laptop.backup("--to", "Offsite")
    restorable = laptop.restored("--from", "Offsite", into="before")
    big = laptop.files / "big"
    big.write_bytes(os.urandom(2 * QUOTA))
    begun = time.monotonic()
    refused = laptop.backup(status=REFUSED)
    assert time.monotonic() - begun < 60
    assert refused["Local"]["verdict"] == "saved"
    assert "disk quota exceeded" in refused["Offsite"]["message"]
    assert "40 MB" in refused["Offsite"]["message"]
    assert "prune" in refused["Offsite"]["advice"]
    assert same(laptop.restored("--from", "Offsite", into="after"), restorable)
    big.unlink()
    laptop.run("restic", "Offsite", "--", "prune")
    assert laptop.backup("--to", "Offsite")["Offsite"]["verdict"] == "saved"
    company.run("offsite-provider org update Acme --disk-quota unlimited")  # others follow


def test_plain_restic_by_the_agent_and_by_its_environment(ada: Laptop) -> None:
    direct = json.loads(ada.run("restic", "Offsite", "--", "--json", "snapshots").out)
    assert direct
    ada.run("restic", "Offsite", "--", "check", "--read-data")
    assert ada.run("restic", "Offsite", "--", "nonsense", status=1).err
    exports = ada.run("env", "Offsite").out
    asked = f"{exports}\n{ada.restic} snapshots --json"
    done = subprocess.run(["sh", "-c", asked], env=ada.environment, capture_output=True, text=True)
    assert json.loads(done.stdout) == direct, done.stderr


def test_ctrl_c_ends_restic_too_and_leaves_no_lock(ada: Laptop) -> None:
    (ada.folder / "much").write_bytes(os.urandom(400 * 10**6))
    command = ["offsite-device", "backup", str(ada.folder / "much"), "--to", "Local"]
    agent = subprocess.Popen(command, env=ada.environment)
    child = restic_of(agent.pid)
    line = (child / "cmdline").read_text()
    credential = State(ada.state).destinations()[0].access
    assert credential
    assert credential.credential not in line
    assert State(ada.state).password(State(ada.state).enrollment.device_id) not in line
    agent.send_signal(signal.SIGINT)
    assert agent.wait(30) == 130
    assert not child.exists()
    assert not ada.run("restic", "Local", "--", "list", "locks", "--no-lock").out
    (ada.folder / "much").unlink()


def restic_of(pid: int) -> Path:
    """The /proc folder of restic's backup, a child of a process, when it has begun."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for each in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
                words = (each / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if parent == pid and b"backup" in words:
                time.sleep(1)  # it then has its lock
                return each
        time.sleep(0.05)
    raise AssertionError("restic did not start")


def test_a_repository_that_was_deleted_is_not_made_anew_in_silence(
    company: Desk, sheet: Path
) -> None:
    laptop = enrolled(company, "robbed")
    laptop.backup("--to", "Offsite")
    time.sleep(1)
    stamp = now()
    archive = offsite(laptop).archive
    delete_all(archive)
    refused = laptop.backup("--to", "Offsite", status=REFUSED)["Offsite"]
    assert "gone" in refused["message"]
    assert "undelete" in refused["advice"]
    company.run(
        f"offsite-provider archive undelete Acme robbed --to {stamp:%Y-%m-%dT%H:%M:%SZ} --confirm"
    )
    assert laptop.backup("--to", "Offsite")["Offsite"]["new_files"] == 0
    assert same(laptop.restored("--from", "Offsite"), laptop.files)
    delete_all(archive)
    assert laptop.backup("--to", "Offsite", "--begin-anew")["Offsite"]["new_files"] == 41


def test_a_making_that_was_cut_off_is_made_good_and_a_robbed_one_is_not(
    company: Desk, sheet: Path
) -> None:
    laptop = enrolled(company, "cut-off")
    archive = offsite(laptop).archive
    archive.put("keys", b"the key of a making that was cut off")
    assert laptop.backup("--to", "Offsite")["Offsite"]["verdict"] == "saved"
    archive.delete("config", "")
    refused = laptop.backup("--to", "Offsite", "--begin-anew", status=REFUSED)["Offsite"]
    assert "gone" in refused["message"]
    assert archive.names("keys")


def offsite(laptop: Laptop, name: str = "Offsite") -> Opened:
    """A computer's archive at the provider, its seat taken."""
    device = Device(State(laptop.state))
    (offer,) = [each for each in device.offers().destinations if each.name == name]
    return device.open(offer)


def local(laptop: Laptop) -> Opened:
    """As `offsite`, of its company's own server."""
    return offsite(laptop, "Local")


def delete_all(archive: Archive) -> None:
    """What a thief does who has the device's credential."""
    for kind in ("snapshots", "index", "data", "keys", "locks"):
        for name in archive.names(kind):
            archive.delete(kind, name)
    archive.delete("config", "")


def test_a_computer_that_takes_over_takes_the_password_too(company: Desk, sheet: Path) -> None:
    old = enrolled(company, "worn-out")
    old.backup()
    printed = company.run("offsite-customer device replace worn-out --confirm")
    said = old.run("backup", old.files, status=REFUSED).err
    assert "enroll" in said
    new = Laptop(company, "shiny", old.restic)
    new.enroll(enrollment_line(printed))
    new.fill(seed=1)
    refused = new.backup(status=REFUSED)
    assert "password" in refused["Local"]["message"]
    assert "password import" in refused["Local"]["advice"]
    wrong = new.run("password", "import", given="not the password", status=REFUSED)
    assert "opens no archive" in wrong.err
    new.run("password", "import", "--recovery-sheet", sheet)
    new.backup()
    restored = new.folder / "old"
    old_snapshot = new.run("snapshots", "--from", "Local", "--json").json["snapshots"][0]["id"]
    new.run("restore", old_snapshot, "--target", restored)
    assert same(restored / old.files.relative_to("/"), old.files)
    other = Laptop(company, "other", old.restic)
    printed = company.run("offsite-customer device replace worn-out --confirm")
    other.enroll(enrollment_line(printed))
    guid = State(other.state).enrollment.device_id
    other.run("password", "import", "--file", old.state / "passwords" / guid)
    other.fill()
    other.backup()


def test_a_signed_out_computer_says_so_and_enrolls_again_with_its_password(
    company: Desk, sheet: Path
) -> None:
    laptop = enrolled(company, "signed-out")
    laptop.backup("--to", "Local")
    company.run("offsite-customer device deauthorize signed-out --confirm")
    assert "enroll" in laptop.run("status", status=REFUSED).err
    printed = company.run("offsite-customer device enroll-code signed-out")
    laptop.enroll(enrollment_line(printed))
    assert laptop.backup("--to", "Local")["Local"]["new_files"] == 0
    laptop.run("unenroll")
    assert "not enrolled" in laptop.run("snapshots", status=REFUSED).err


def test_a_forged_escrow_record_is_refused(company: Desk, sheet: Path) -> None:
    victim = enrolled(company, "victim")
    state = State(victim.state)
    enrollment = state.enrollment
    genuine = enrollment.recovery_key
    key = DeviceKey.load(state)
    recipient = statements.read_recovery_key(genuine, enrollment.server_guid).recipient
    forger = Identity.create()
    pem = device_certificate.issue(
        forger, enrollment.device_id, key.private_key.public_key(), now()
    )
    forged = statements.escrow_record(
        key.private_key,
        x509.load_pem_x509_certificate(pem),
        forger.ca_certificate,
        recovery_key.seal(recipient, b"the provider's own password"),
        now(),
    )
    # Before there is any record of the device's own: as where a provider has removed them all.
    offsite(victim).archive.put("escrow", forged.encode())
    said = recover(company, victim, sheet, status=REFUSED)
    assert "No escrow record there can be trusted" in said
    # With the device's own beside it, the forged one is passed over.
    victim.backup("--to", "Offsite")
    recover(company, victim, sheet)
    assert same(victim.folder / "recovered" / victim.files.relative_to("/"), victim.files)


def test_a_repository_that_is_not_the_devices_own_is_refused(company: Desk, sheet: Path) -> None:
    victim = enrolled(company, "fooled")
    offsite(victim)  # which takes the seat
    exports = victim.run("env", "Offsite", "--json").json
    forged = {**victim.environment, **exports, "RESTIC_PASSWORD": "the provider's own"}
    del forged["RESTIC_PASSWORD_FILE"]
    subprocess.run([victim.restic, "init"], env=forged, check=True, capture_output=True)
    refused = victim.backup("--to", "Offsite", status=REFUSED)["Offsite"]
    assert "does not open" in refused["message"]
    assert "not the one that device" in recover(company, victim, sheet, status=REFUSED)
    recover(company, victim, sheet, status=REFUSED)


def recover(
    company: Desk, laptop: Laptop, sheet: Path, status: int = 0, **other: str | Path
) -> str:
    """Recover a computer's archive from the provider on a bare machine; answers its words."""
    bare = laptop.folder / "bare"
    address = other.pop("address", company.provider.https)
    options = {
        "guid": company.provider.guid,
        "grant-file": grant(company, laptop),
        "recovery-sheet": sheet,
        "target": laptop.folder / "recovered",
        **other,
    }
    done = subprocess.run(
        [
            *("offsite-device", "recover", address),
            *(str(word) for name, value in options.items() for word in (f"--{name}", value)),
        ],
        env={**laptop.environment, "OFFSITE_DEVICE_STATE": str(bare)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert not bare.exists()
    return done.stdout + done.stderr


def test_an_unreachable_destination_stops_no_other(company: Desk, ada: Laptop) -> None:
    ada.backup()
    company.provider.kill()
    try:
        results = ada.backup(status=UNREACHABLE)
        assert [each["verdict"] for each in results.values()] == ["saved", "unreachable"]
        assert company.provider.https in results["Offsite"]["message"]
        ada.run("status", status=UNREACHABLE)
        said = ada.run("snapshots", status=UNREACHABLE)
        assert "Local" in said.out
        assert said.err.count("Warning: ") == 1
        said = ada.run("snapshots", "--from", "Offsite", status=UNREACHABLE)
        assert not said.out
        assert len(said.err.splitlines()) == 2
    finally:
        company.provider.start()
    company.customer.kill()
    try:
        results = ada.backup(status=UNREACHABLE)
        assert [each["verdict"] for each in results.values()] == ["unreachable", "saved"]
        assert same(ada.restored(into="from the other"), ada.files)
    finally:
        company.customer.start()


def test_a_wrong_port_and_a_grant_that_has_ended_are_said(
    company: Desk, ada: Laptop, sheet: Path
) -> None:
    ada.backup("--to", "Offsite")
    said = recover(company, ada, sheet, UNREACHABLE, address=company.provider.address)
    assert "HTTPS port is wanted, 7402" in said
    ended = ada.folder / "ended"
    ended.write_text(f"{grant(company, ada).read_text().strip()}x")
    said = recover(company, ada, sheet, REFUSED, **{"grant-file": ended})
    assert "Ask for a new one: archive grant." in said


def test_with_the_provider_alone_a_grant_and_the_sheet_restore_everything(
    company: Desk, ada: Laptop, sheet: Path
) -> None:
    ada.backup()
    company.customer.kill()
    shutil.rmtree(ada.state)
    recover(company, ada, sheet)
    assert same(ada.folder / "recovered" / ada.files.relative_to("/"), ada.files)
    wrong = ada.folder / "wrong sheet"
    text = sheet.read_text()
    wrong.write_text(text.replace(company.customer.guid, company.provider.guid))
    said = recover(company, ada, wrong, status=REFUSED)
    assert "No escrow record there can be trusted" in said
    said = recover(company, ada, sheet, status=REFUSED, guid=company.customer.guid)
    assert company.provider.guid in said
    other = recovery_key.generate()
    wrong.write_text(f"{other.private_key} {company.customer.guid}")
    assert "sealed" in recover(company, ada, wrong, status=REFUSED)
