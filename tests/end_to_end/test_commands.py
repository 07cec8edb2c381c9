"""Every command, typed as people type it, against both real servers.

One story: the tests of this module run in their order.
"""

import json
import re
import stat
import subprocess

import pytest

from service_kit.identity.recovery_key import parse_private_key
from service_kit.identity.recovery_sheet import RecoverySheet
from tests.support.desk import KEY, Desk

ADD_ACME = (
    "offsite-provider org add Acme --hosted --customer-guid CUSTOMER_GUID --max-seats 50"
    " --disk-quota 500GB --web-restore-user-limit 250MB --web-restore-admin-limit 1GB"
    " --contact-email it@acme.test --key-expires 30d --accept-terms"
)
WHERE = "--hostname H:P --guid PROVIDER_GUID"
WRONG_KEY = "ABCD-EFGH-JKMN-PQRX"


def test_a_server_says_who_it_is(desk: Desk) -> None:
    for name, server in (("customer", desk.customer), ("provider", desk.provider)):
        assert desk.run(f"offsite-{name} identity --quiet") == f"{server.guid}\n"
        assert server.guid in desk.run(f"offsite-{name} identity")
        assert desk.run(f"offsite-{name} identity --ca") == (server.data / "ca.pem").read_text()
        assert json.loads(desk.run(f"offsite-{name} --json identity"))["guid"] == server.guid
        assert desk.run(f"offsite-{name} health") == "ready\n"


def test_a_hosted_organization_is_added_and_its_key_handed_over(desk: Desk) -> None:
    printed = desk.run(ADD_ACME)
    (key,) = KEY.findall(printed)
    (desk.folder / "key").write_text(key)
    assert f"hostname          {desk.provider.address}\n" in printed
    assert f"GUID              {desk.provider.guid}\n" in printed
    command = printed.splitlines()[-1]
    assert command.split()[:3] == ["offsite-customer", "storage", "attach"]
    assert key not in command


def test_a_prepared_organization_is_made_hosted_later(desk: Desk) -> None:
    prepared = json.loads(desk.run("offsite-provider org add Later --json"))
    assert prepared["registration_key"] == ""
    made = desk.run(
        f"offsite-provider org update Later --hosted --customer-guid {'8' * 8}-0000-8000-8000-"
        f"{'8' * 12} --max-seats 1 --disk-quota unlimited --accept-terms --quiet"
    )
    assert KEY.fullmatch(made.strip())
    desk.run("offsite-provider org update Later --no-hosted")
    assert "hosted" in desk.run("offsite-provider org rotate-key Later", status=1)


def test_organizations_are_listed_shown_and_changed(desk: Desk) -> None:
    listed = desk.run("offsite-provider org list").splitlines()
    assert [line.split()[0] for line in listed] == ["name", "Acme", "Later"]
    assert "Acme" not in desk.run("offsite-provider org list --problems")
    assert "1 GB (not enforced yet)" in desk.run("offsite-provider org show Acme")
    assert "0 of 60 in use" in desk.run("offsite-provider org update Acme --max-seats 60")
    assert desk.run('offsite-provider org suspend Acme --reason "unpaid"')
    assert "suspended: unpaid" in desk.run("offsite-provider org show Acme")
    assert desk.run("offsite-provider org resume Acme") == "Acme is served again.\n"
    shown = json.loads(desk.run("offsite-provider --json org show Acme"))
    assert shown["organization"]["maximum_seats"] == 60
    assert "disk_quota" in desk.run("offsite-provider org add Bad --hosted", status=2)
    assert "no org Nowhere" in desk.run("offsite-provider org show Nowhere", status=1)


def test_archives_have_quotas_and_rules_of_keeping(desk: Desk) -> None:
    keeping = "--delete-delay 14d --retention 36h --append-only"
    shown = desk.run(f"offsite-provider org update Acme {keeping}")
    for fact in ("0 B of 500 GB (0 %)", "never", "14d", "36h", "append-only"):
        assert fact in shown
    back = "--delete-delay 30d --retention 90d --no-append-only --json"
    done = json.loads(desk.run(f"offsite-provider org update Acme {back}"))["organization"]
    assert (done["retention_seconds"], done["append_only"]) == (str(90 * 86400), False)
    assert "3650" in desk.run("offsite-provider org update Acme --retention 4000d", status=2)
    assert "30d" in desk.run("offsite-provider org update Acme --delete-delay soon", status=2)
    shown = desk.run(f"offsite-customer org update Acme {keeping} --disk-quota 2TB")
    assert ("0 B of 2 TB" in shown, "14d" in shown) == (True, True)
    desk.run("offsite-customer org update Acme --delete-delay 0d --no-append-only")
    desk.run("offsite-customer org add Capped --disk-quota 5GB")
    assert "0 B of 5 GB" in desk.run("offsite-customer org list")
    refused = desk.run("offsite-customer org update Capped --retention 5d", status=2)
    assert "root organization alone" in refused
    assert "unlimited" in desk.run("offsite-customer org update Capped --disk-quota unlimited")
    desk.run("offsite-customer org deactivate Capped --confirm")
    desk.run("offsite-customer user add cy@acme.test --disk-quota 1GB")
    assert "0 B of 2 GB" in desk.run("offsite-customer user update cy@acme.test --disk-quota 2GB")
    desk.run("offsite-customer user deactivate cy@acme.test --confirm")


def test_a_storage_is_tested_and_attached(desk: Desk) -> None:
    assert "Acme" in desk.run(f"offsite-customer storage test {WHERE} --key-file F")
    test = f"offsite-customer storage test {WHERE}"
    assert "registration_key" in desk.run(test, status=2, given="not a key")
    assert "Registration key" in desk.run(test, status=2)
    assert "Unused" in desk.run(f"{test} {WRONG_KEY}", status=2)
    elsewhere = "--hostname 127.0.0.1:1 --guid PROVIDER_GUID --key-file F"
    assert "127.0.0.1:1" in desk.run(f"offsite-customer storage test {elsewhere}", status=3)
    attach = f"offsite-customer storage attach --name Offsite {WHERE} --key-file F"
    assert "attached" in desk.run(attach)
    listed = desk.run("offsite-customer storage list").splitlines()
    assert [line.split()[0] for line in listed] == ["name", "Local", "Offsite"]
    assert desk.provider.guid in desk.run("offsite-customer storage show Offsite")
    desk.run("offsite-customer storage update Offsite --hostname H:P")
    assert "attached" in desk.run("offsite-customer storage resume Offsite", status=1)
    assert "conflict" in desk.run("offsite-customer storage takeover Offsite --confirm", status=1)
    desk.run("offsite-customer storage unclaimed Offsite")


def test_the_customers_tree_and_what_it_offers(desk: Desk) -> None:
    desk.run("offsite-customer org add Sales")
    desk.run("offsite-customer org add Inside --parent Sales")
    desk.run("offsite-customer org update Inside --name Within")
    listed = desk.run("offsite-customer org list").splitlines()
    assert [line.split()[0] for line in listed] == ["name", "Acme", "Sales", "Within"]
    assert "Local, Offsite" in desk.run("offsite-customer destination show")
    assert "inherited  yes" in desk.run("offsite-customer destination show --org Sales")
    desk.run("offsite-customer user add ann@acme.test --org Sales")
    add = "offsite-customer destination add Offsite --apply-to-existing"
    assert "0 users offered" in desk.run(f"{add} --dry-run")
    assert json.loads(desk.run(f"{add} --json"))["destinations"]["storage_ids"]
    desk.run("offsite-customer destination set Local Offsite --org Sales")
    assert "inherited  no" in desk.run("offsite-customer destination show --org Sales")
    desk.run("offsite-customer destination inherit --org Sales")


def test_users_are_listed_shown_and_changed(desk: Desk) -> None:
    desk.run("offsite-customer user add Bob@acme.test")
    listed = desk.run("offsite-customer user list").splitlines()
    assert [line.split()[0] for line in listed] == ["email", "ann@acme.test", "Bob@acme.test"]
    assert "Offsite" in desk.run("offsite-customer user show ann@acme.test")
    desk.run("offsite-customer user update bob@acme.test --org Sales")
    desk.run("offsite-customer user destinations ann@acme.test --inherit")
    assert "Offsite" in desk.run("offsite-customer user destinations ann@acme.test")


def test_a_device_takes_and_gives_up_a_seat_on_both_sides(desk: Desk) -> None:
    desk.run("offsite-customer device add laptop-1 --user ann@acme.test")
    assert desk.run("offsite-customer device use laptop-1 Offsite") == "Offsite: held\n"
    assert "laptop-1  held" in desk.run("offsite-provider seat list Acme")
    assert "1 seat, held" in desk.run("offsite-provider seat revoke Acme laptop-1", status=1)
    desk.run("offsite-provider seat revoke Acme laptop-1 --confirm")
    desk.run("offsite-provider seat restore Acme laptop-1")
    takes = "1 device, 1 seat here, 1 seat at providers."
    assert takes in desk.run("offsite-customer device stop laptop-1 Offsite", status=1)
    assert takes in desk.run("offsite-customer device stop laptop-1 Offsite --confirm")


def test_a_computer_is_handed_one_line_to_sign_in(desk: Desk) -> None:
    line = re.compile(rf"{desk.customer.address}/{desk.customer.guid}/{KEY.pattern}")
    added = desk.run("offsite-customer device add tower --user ann@acme.test")
    assert line.search(added)
    assert added.splitlines()[-1] == "  offsite-device enroll"
    again = desk.run("offsite-customer device enroll-code tower --quiet")
    assert line.fullmatch(again.strip())
    assert again.strip() not in added
    assert "1 device" in desk.run("offsite-customer device replace tower", status=1)
    assert line.search(desk.run("offsite-customer device replace tower --confirm"))
    code = json.loads(desk.run("offsite-customer device enroll-code tower --json"))
    assert KEY.fullmatch(code["enrollment_code"]["code"])
    assert "enrolled           no" in desk.run("offsite-customer device show tower")
    desk.run("offsite-customer device deactivate tower --confirm")


def test_a_recovery_sheet_is_printed_once(desk: Desk) -> None:
    assert "create" in desk.run("offsite-customer recovery-key show", status=1)
    sheet = RecoverySheet.parse("sheet", desk.run("offsite-customer recovery-key create"))
    assert sheet.customer_guid == desk.customer.guid
    shown = desk.run("offsite-customer recovery-key show --quiet")
    assert shown.strip() == sheet.key.recipient
    file = desk.folder / "sheet"
    told = desk.run(f"offsite-customer recovery-key create --output {file}")
    assert "AGE-SECRET-KEY" not in told
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = RecoverySheet.parse("sheet", file.read_text())
    shown = json.loads(desk.run("offsite-customer recovery-key show --json"))
    assert shown["recovery_key"]["recipient"] == written.key.recipient != sheet.key.recipient
    refused = f"offsite-customer recovery-key create --output {file}"
    assert str(file) in desk.run(refused, status=2)
    made = json.loads(desk.run("offsite-customer recovery-key create --json"))
    recipient = parse_private_key("key", made["private_key"]).recipient
    assert made["recovery_key"]["recipient"] == recipient
    assert made["server_guid"] == desk.customer.guid


def test_a_refusal_says_which_server_refused_and_why(desk: Desk) -> None:
    desk.run("offsite-customer device use laptop-1 Offsite")
    desk.run("offsite-provider org update Acme --max-seats 1")
    desk.run("offsite-customer device add laptop-2 --user ann@acme.test")
    told = desk.run("offsite-customer device use laptop-2 Offsite", status=1)
    assert told.startswith("Offsite refused: ")
    listed = desk.run("offsite-customer device list --refused")
    assert "laptop-2" in listed
    assert "laptop-1" not in listed
    assert "laptop-2  refused" in desk.run("offsite-provider seat list Acme --state refused")
    desk.run("offsite-customer device deactivate laptop-2 --confirm")
    desk.run("offsite-provider org update Acme --max-seats 60")


def test_a_device_is_signed_out_replaced_and_deactivated(desk: Desk) -> None:
    desk.run("offsite-customer device deauthorize laptop-1 --confirm")
    assert "signed out" in desk.run("offsite-customer device show laptop-1")
    desk.run("offsite-customer device replace laptop-1 --confirm")
    desk.run("offsite-customer device rename laptop-1 laptop-one")
    remove = "offsite-customer destination remove Offsite --org Sales --apply-to-existing"
    assert "1 device releasing" in desk.run(remove, status=1)
    assert "1 device releasing" in desk.run(f"{remove} --confirm")
    desk.run("offsite-customer device deactivate laptop-one --confirm")
    desk.run("offsite-customer device reactivate laptop-one")


def test_an_ambiguous_name_is_refused_with_the_list(desk: Desk) -> None:
    desk.run("offsite-customer device add laptop-one --user bob@acme.test")
    told = desk.run("offsite-customer device show laptop-one", status=1)
    assert told.startswith("2 are called laptop-one: ")
    assert "ann@acme.test" in told
    assert "Bob@acme.test" in told


def test_users_and_organizations_end_and_come_back(desk: Desk) -> None:
    assert "1 user" in desk.run("offsite-customer user block ann@acme.test", status=1)
    desk.run("offsite-customer user block ann@acme.test --confirm")
    desk.run("offsite-customer user unblock ann@acme.test")
    desk.run("offsite-customer user deactivate ann@acme.test --confirm")
    desk.run("offsite-customer user reactivate ann@acme.test")
    assert "2 organizations" in desk.run("offsite-customer org deactivate Sales", status=1)
    desk.run("offsite-customer org deactivate Sales --confirm")
    desk.run("offsite-customer org reactivate Sales")


def test_terms_are_shown_and_replaced(desk: Desk) -> None:
    (desk.folder / "file").write_text("Pay, and be backed up.\n")
    before = desk.run("offsite-provider terms show --quiet")
    desk.run("offsite-provider terms set FILE")
    shown = desk.run("offsite-provider terms show")
    assert shown.startswith("Pay, and be backed up.\n")
    assert before.strip() not in shown
    assert "FILE" in desk.run("offsite-provider terms set nowhere", status=2)


@pytest.mark.parametrize("name", ["provider", "customer"])
def test_license_tokens_and_audit(desk: Desk, name: str) -> None:
    desk.run(f"offsite-{name} license set --seats 500")
    assert " of 500 seats in use" in desk.run(f"offsite-{name} license show")
    created = desk.run(f"offsite-{name} token create monitoring --role read-only --expires 90d")
    (desk.folder / "token").write_text(created)
    token = f"--token-file {desk.folder / 'token'}"
    desk.run(f"offsite-{name} org list {token}")
    assert "read" in desk.run(f"offsite-{name} {token} license set --seats 1", status=1)
    assert "monitoring  read only" in desk.run(f"offsite-{name} token list")
    desk.run(f"offsite-{name} token revoke monitoring")
    assert "token.revoked" in desk.run(f"offsite-{name} audit list")


def test_the_audit_of_an_organization_and_of_a_kind(desk: Desk) -> None:
    listed = desk.run("offsite-provider audit list --org Acme --kind seat. --since 1h")
    assert "seat.revoked" in listed
    assert "organization." not in listed
    assert "seat.acquired" in desk.run("offsite-customer audit list")


def test_the_audit_is_listed_and_then_followed_as_it_happens(desk: Desk) -> None:
    words = desk.words("offsite-provider audit list --follow --kind organization. --since 1h")
    with subprocess.Popen(words, env=desk.environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert "organization.created" in child.stdout.readline()
        desk.run("offsite-provider org suspend Acme --reason followed")
        assert any("followed" in line for line in child.stdout)
        child.terminate()
    desk.run("offsite-provider org resume Acme")


def test_the_exports_for_grpcurl_name_no_token(desk: Desk) -> None:
    for name, server in (("provider", desk.provider), ("customer", desk.customer)):
        exports = desk.run(f"offsite-{name} env")
        assert f"export OFFSITE_TOKEN=$(cat {server.data / 'operator.token'})\n" in exports


def test_an_attachment_ends_and_begins_anew(desk: Desk) -> None:
    (key,) = KEY.findall(desk.run("offsite-provider org rotate-key Acme"))
    assert KEY.fullmatch(key)
    assert "Detaching Offsite" in desk.run("offsite-customer storage detach Offsite", status=1)
    desk.run("offsite-customer storage detach Offsite --confirm")
    assert "1 organization" in desk.run("offsite-provider org detach Acme", status=1)
    desk.run("offsite-provider org detach Acme --confirm")
    change = "offsite-provider org change-guid Acme --customer-guid CUSTOMER_GUID"
    assert "takes along" in desk.run(change, status=1)
    again = f"offsite-customer storage attach --name Again {WHERE}"
    desk.run(f"{again} --quiet", given=desk.run(f"{change} --confirm --quiet"))
    assert "1 organization" in desk.run("offsite-provider org deactivate Acme", status=1)
    desk.run("offsite-provider org deactivate Acme --confirm")
    assert KEY.search(desk.run("offsite-provider org reactivate Acme"))


def test_a_server_that_is_not_there_is_3_and_a_wrong_command_2(desk: Desk) -> None:
    assert "127.0.0.1:1" in desk.run("offsite-provider --endpoint 127.0.0.1:1 org list", status=3)
    assert "--help" in desk.run("offsite-provider org lsit", status=2)
    other = desk.customer.data / "ca.pem"
    assert "is not the one of" in desk.run(f"offsite-provider --ca {other} org list", status=1)


def test_a_restored_server_has_a_token_that_works(desk: Desk) -> None:
    desk.run(f"offsite-provider backup {desk.folder / 'backup'}")
    assert desk.provider.stop() == 0
    old = (desk.provider.data / "operator.token").read_text()
    assert "--force" in desk.run(f"offsite-provider restore {desk.folder / 'backup'}", status=1)
    desk.run(f"offsite-provider restore {desk.folder / 'backup'} --force")
    desk.provider.start()
    assert "Acme" in desk.run("offsite-provider org list")
    assert (desk.provider.data / "operator.token").read_text() != old


def test_shell_completion_completes(desk: Desk) -> None:
    desk.run(f"offsite-provider --install-completion --shell bash --output {desk.folder / 'done'}")
    script = (
        f"source {desk.folder / 'done'}; COMP_WORDS=(offsite-provider org rot); COMP_CWORD=2;"
        ' _offsite_provider; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "rotate-key"


def test_no_secret_is_logged_or_listed(desk: Desk) -> None:
    """At debug level, after all of the above; keys with and without their hyphens."""
    wrong = desk.folder / "wrong"
    wrong.write_text(f"offs_{'A' * 52}")
    desk.run(f"offsite-customer --token-file {wrong} org list", status=1)
    peer = desk.run("offsite-customer token peer --audience PROVIDER_GUID").strip()
    desk.grpcurl(desk.provider, desk.provider.address, "list", token=peer + "x")
    printed = "".join(desk.printed)
    tokens = [(each.data / "operator.token").read_text() for each in (desk.provider, desk.customer)]
    secrets = {*KEY.findall(printed), *re.findall(r"offs_[A-Z2-7]+", printed + "".join(tokens))}
    secrets |= {wrong.read_text(), peer}
    assert len(secrets) >= 10
    lists = [desk.run(f"offsite-{name} audit list") for name in ("provider", "customer")]
    lists += [desk.run("offsite-provider org list --json"), desk.run("offsite-customer token list")]
    logs = [(each.data / "server.log").read_text() for each in (desk.provider, desk.customer)]
    assert '"/offsite.customer.v1.StorageService/AttachStorage"' in logs[1]
    for text in (*lists, *logs):
        assert not re.search(r"offs_[A-Z2-7]{8}|eyJ[\w-]{16}|PRIVATE KEY|SECRET-KEY|Bearer ", text)
        for secret in secrets:
            assert secret not in text
            assert secret.replace("-", "") not in text
