"""Every command, run as a user runs it, against both real servers."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ServerProcess

KEY = re.compile(r"(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}")


class Desk:
    """An operator's and an administrator's desk: both commands, and what they printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        options = ["--log-format", "json", "--log-level", "debug"]
        self.provider = ServerProcess("offsite-provider", folder / "provider", *options)
        self.customer = ServerProcess(
            "offsite-customer", folder / "customer", "--organization", "Acme", *options
        )
        self.secrets: set[str] = set()

    def start(self) -> None:
        self.provider.start()
        self.customer.start()
        self.words = {
            "CUSTOMER": self.customer.guid,
            "PROVIDER": self.provider.guid,
            "H:P": self.provider.address,
            "KEY": str(self.folder / "key"),
            "TERMS": str(self.folder / "terms"),
        }

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OFFSITE_PROVIDER_DATA": str(self.provider.data),
            "OFFSITE_PROVIDER_ENDPOINT": self.provider.address,
            "OFFSITE_CUSTOMER_DATA": str(self.customer.data),
            "OFFSITE_CUSTOMER_ENDPOINT": self.customer.address,
        }

    def run(self, line: str, status: int = 0, given: str = "") -> str:
        """Run a command line; answers what it printed, on stderr if it was refused."""
        for word, value in self.words.items():
            line = line.replace(word, value)
        done = subprocess.run(
            shlex.split(line), env=self.environment, input=given, capture_output=True, text=True
        )
        assert done.returncode == status, f"{line}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        if status:
            errors = [each for each in done.stderr.splitlines() if not each.startswith("Warning")]
            assert len(errors) == 2, done.stderr
        self.secrets.update(KEY.findall(done.stdout))
        return done.stderr if status else done.stdout


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    both = Desk(tmp_path_factory.mktemp("desk"))
    try:
        both.start()
        yield both
    finally:
        both.provider.kill()
        both.customer.kill()


# Tests of one story: they run in this order.


def test_identity(desk: Desk) -> None:
    for name, server in (("customer", desk.customer), ("provider", desk.provider)):
        assert desk.run(f"offsite-{name} identity --quiet").strip() == server.guid
        assert server.guid in desk.run(f"offsite-{name} identity")
        assert desk.run(f"offsite-{name} identity --ca").startswith("-----BEGIN CERTIFICATE")
        assert json.loads(desk.run(f"offsite-{name} --json identity"))["guid"] == server.guid
        assert desk.run(f"offsite-{name} health") == "ready\n"
        assert "$(cat " in desk.run(f"offsite-{name} env")


def test_a_hosted_organization_is_added(desk: Desk) -> None:
    printed = desk.run(
        "offsite-provider org add Acme --hosted --customer-guid CUSTOMER --max-seats 50"
        " --disk-quota 500GB --web-restore-user-limit 250MB --web-restore-admin-limit 1GB"
        " --contact-email it@acme.test --key-expires 30d --accept-terms"
    )
    assert desk.provider.guid in printed
    assert desk.provider.address in printed
    key = KEY.findall(printed)[0]
    (desk.folder / "key").write_text(key)
    command = next(line for line in printed.splitlines() if "storage attach" in line)
    assert key not in command


def test_an_organization_is_shown_edited_and_suspended(desk: Desk) -> None:
    assert "Acme" in desk.run("offsite-provider org list")
    assert "Acme" not in desk.run("offsite-provider org list --problems")
    assert "not enforced yet" in desk.run("offsite-provider org show Acme")
    assert "60" in desk.run("offsite-provider org update Acme --max-seats 60")
    desk.run('offsite-provider org suspend Acme --reason "unpaid"')
    assert "unpaid" in desk.run("offsite-provider org show Acme")
    desk.run("offsite-provider org resume Acme")
    shown = json.loads(desk.run("offsite-provider org show Acme --json"))
    assert shown["organization"]["maximum_seats"] == 60
    assert "Prepared" in desk.run("offsite-provider org add Prepared")


def test_a_storage_is_tested_and_attached(desk: Desk) -> None:
    where = "--hostname H:P --guid PROVIDER"
    assert "60" in desk.run(f"offsite-customer storage test {where} --key-file KEY")
    assert "typing error" in desk.run(
        f"offsite-customer storage test {where}", status=2, given="ABCD-EFGH-JKMN-PQRS"
    )
    printed = desk.run(f"offsite-customer storage attach --name Offsite {where} --key-file KEY")
    assert "attached" in printed
    assert "Offsite" in desk.run("offsite-customer storage list")
    assert desk.provider.guid in desk.run("offsite-customer storage show Offsite")
    desk.run("offsite-customer storage update Offsite --hostname H:P")
    assert "is attached" in desk.run("offsite-customer storage resume Offsite", status=1)
    assert "not in conflict" in desk.run(
        "offsite-customer storage takeover Offsite --confirm", status=1
    )
    desk.run("offsite-customer storage unclaimed Offsite")


def test_the_customers_tree_and_destinations(desk: Desk) -> None:
    desk.run("offsite-customer org add Sales")
    desk.run("offsite-customer org add Inside --parent Sales")
    assert "Sales" in desk.run("offsite-customer org list")
    desk.run("offsite-customer org update Inside --name Within")
    desk.run("offsite-customer user add ann@acme.test --org Sales")
    assert "Offsite" in desk.run("offsite-customer destination show --org Sales")
    desk.run("offsite-customer destination add Offsite --apply-to-existing --dry-run")
    desk.run("offsite-customer destination add Offsite --apply-to-existing")
    desk.run("offsite-customer destination set Local Offsite --org Sales")
    desk.run("offsite-customer destination inherit --org Sales")
    assert "ann@acme.test" in desk.run("offsite-customer user list")
    assert "Offsite" in desk.run("offsite-customer user show ann@acme.test")
    desk.run("offsite-customer user update ann@acme.test --org Sales")
    desk.run("offsite-customer user destinations ann@acme.test --inherit")


def test_devices_and_seats(desk: Desk) -> None:
    desk.run("offsite-customer device add laptop-1 --user ann@acme.test")
    assert "held" in desk.run("offsite-customer device use laptop-1 Offsite")
    assert "laptop-1" in desk.run("offsite-provider seat list Acme")
    assert "takes along" in desk.run("offsite-provider seat revoke Acme laptop-1", status=1)
    desk.run("offsite-provider seat revoke Acme laptop-1 --confirm")
    desk.run("offsite-provider seat restore Acme laptop-1")
    desk.run("offsite-customer device deauthorize laptop-1 --confirm")
    assert "signed out" in desk.run("offsite-customer device show laptop-1")
    desk.run("offsite-customer device replace laptop-1 --confirm")
    assert desk.run("offsite-customer device list --refused")
    desk.run("offsite-customer device rename laptop-1 laptop-one")
    desk.run("offsite-customer device stop laptop-one Offsite --confirm")
    desk.run("offsite-customer device use laptop-one Offsite")
    assert "1 device" in desk.run(
        "offsite-customer destination remove Offsite --org Sales --apply-to-existing", status=1
    )
    desk.run(
        "offsite-customer destination remove Offsite --org Sales --apply-to-existing --confirm"
    )
    desk.run("offsite-customer device deactivate laptop-one --confirm")
    desk.run("offsite-customer device reactivate laptop-one")


def test_users_and_organizations_end_and_come_back(desk: Desk) -> None:
    assert "takes along" in desk.run("offsite-customer user block ann@acme.test", status=1)
    desk.run("offsite-customer user block ann@acme.test --confirm")
    desk.run("offsite-customer user unblock ann@acme.test")
    desk.run("offsite-customer user deactivate ann@acme.test --confirm")
    desk.run("offsite-customer user reactivate ann@acme.test")
    desk.run("offsite-customer org deactivate Sales --confirm")
    desk.run("offsite-customer org reactivate Sales")
    assert "no org Nowhere" in desk.run("offsite-customer org show Nowhere", status=1)


def test_terms_license_tokens_and_audit(desk: Desk) -> None:
    (desk.folder / "terms").write_text("Pay, and be backed up.\n")
    assert "Version" in desk.run("offsite-provider terms show")
    desk.run("offsite-provider terms set TERMS")
    for name in ("provider", "customer"):
        desk.run(f"offsite-{name} license set --seats 500")
        assert "500" in desk.run(f"offsite-{name} license show")
        secret = desk.run(
            f"offsite-{name} token create monitoring --role read-only --expires 90d"
        ).strip()
        desk.secrets.add(secret)
        assert secret not in desk.run(f"offsite-{name} token list")
        desk.run(f"offsite-{name} token revoke monitoring")
        assert "token.revoked" in desk.run(f"offsite-{name} audit list")
    assert "seat.revoked" in desk.run("offsite-provider audit list --org Acme")


def test_a_peer_token_calls_the_provider(desk: Desk) -> None:
    token = desk.run("offsite-customer token peer --audience PROVIDER").strip()
    desk.secrets.add(token)
    called = subprocess.run(
        [
            "grpcurl",
            *("-cacert", str(desk.provider.data / "ca.pem")),
            *("-authority", f"{desk.provider.guid}.offsite.internal"),
            *("-expand-headers", "-H", "authorization: Bearer ${PEER}"),
            *("-d", "{}", desk.provider.address),
            "offsite.provider.v1.AttachmentService/GetEntitlement",
        ],
        env={**desk.environment, "PEER": token},
        capture_output=True,
        text=True,
    )
    assert '"organization_name": "Acme"' in called.stdout, called.stderr


def test_grpcurl_decodes_the_reason_of_a_refusal(desk: Desk) -> None:
    called = subprocess.run(
        [
            "grpcurl",
            *("-cacert", str(desk.customer.data / "ca.pem"), "-expand-headers"),
            *("-H", "authorization: Bearer ${OFFSITE_TOKEN}"),
            *("-d", '{"organization_id": "no id"}', desk.customer.address),
            "offsite.customer.v1.OrganizationService/GetOrganization",
        ],
        env={
            **desk.environment,
            "OFFSITE_TOKEN": (desk.customer.data / "operator.token").read_text().strip(),
        },
        capture_output=True,
        text=True,
    )
    assert "INVALID_FIELD" in called.stderr
    assert '"organization_id"' in called.stderr


def test_an_attachment_ends(desk: Desk) -> None:
    printed = desk.run("offsite-provider org rotate-key Acme")
    assert KEY.search(printed)
    desk.run("offsite-customer storage detach Offsite", status=1)
    desk.run("offsite-customer storage detach Offsite --confirm")
    desk.run("offsite-provider org detach Acme --confirm")
    printed = desk.run("offsite-provider org change-guid Acme --customer-guid CUSTOMER", status=1)
    assert "takes along" in printed
    desk.run("offsite-provider org change-guid Acme --customer-guid CUSTOMER --confirm", status=0)
    desk.run("offsite-provider org deactivate Acme --confirm")
    assert KEY.search(desk.run("offsite-provider org reactivate Acme"))


def test_nothing_that_is_secret_is_in_a_log(desk: Desk) -> None:
    """At debug level, after all of the above; keys with and without their hyphens."""
    for server in (desk.provider, desk.customer):
        desk.secrets.add((server.data / "operator.token").read_text().strip())
    logs = [(each.data / "server.log").read_text() for each in (desk.provider, desk.customer)]
    assert all("AttachStorage" in log or "Attach" in log for log in logs)
    assert len(desk.secrets) > 5
    for secret in desk.secrets:
        for log in logs:
            assert secret not in log
            assert secret.replace("-", "") not in log
