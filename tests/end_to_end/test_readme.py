"""The README's commands do what it says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ServerProcess
from tests.support.restic import restic_program

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"<!-- run: (\w+) -->\n((?:    .*\n|\n)+)")
BLOCKS = {
    name: re.sub(r"^    ", "", text, flags=re.MULTILINE) for name, text in BLOCK.findall(README)
}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Shell"]:
    folder = tmp_path_factory.mktemp("readme")
    provider = ServerProcess("offsite-provider", folder / "provider")
    customer = ServerProcess("offsite-customer", folder / "customer", "--organization", "Acme")
    try:
        provider.start()
        customer.start()
        yield Shell(folder, provider, customer)
    finally:
        provider.kill()
        customer.kill()


class Shell:
    """A shell in which both servers are at hand."""

    def __init__(self, folder: Path, provider: ServerProcess, customer: ServerProcess) -> None:
        self.folder = folder
        self.provider = provider
        self.customer = customer
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OFFSITE_DEVICE_STATE": str(folder / "laptop"),
            "RESTIC_CACHE_DIR": str(folder / "cache"),
            "OFFSITE_PROVIDER_DATA": str(provider.data),
            "OFFSITE_PROVIDER_ENDPOINT": provider.address,
            "OFFSITE_CUSTOMER_DATA": str(customer.data),
            "OFFSITE_CUSTOMER_ENDPOINT": customer.address,
        }

    def run(self, text: str) -> str:
        """Run commands of the README, at this test's addresses; answers what they printed."""
        text = text.replace("127.0.0.1:7401", self.provider.address)
        text = text.replace("127.0.0.1:7402", self.provider.https)
        text = re.sub(r"\bDATA\b", str(self.provider.data), text)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def test_five_minutes_by_hand(shell: Shell) -> None:
    """What needs no restic; the tests of this module run in their order."""
    shell.run(BLOCKS["provider"])
    assert re.fullmatch(r"(\w{4}-){3}\w{4}\n", (shell.folder / "key").read_text())
    printed = shell.run(BLOCKS["customer"])
    assert "offsite-device enroll" in printed
    assert "RECOVERY SHEET" in (shell.folder / "sheet").read_text()
    assert "0 users offered" in shell.run(BLOCKS["apply"])
    printed = shell.run(BLOCKS["grpcurl"])
    assert "offsite.provider.v1.OrganizationService" in printed
    assert '"name": "Acme"' in printed


def test_a_backup_and_a_restore_by_hand(shell: Shell) -> None:
    shell.environment["OFFSITE_DEVICE_RESTIC"] = str(restic_program("newest"))
    shutil.copytree(ROOT / "docs", shell.folder / "docs")
    printed = shell.run(BLOCKS["device"])
    assert "Local: saved as" in printed
    assert "Offsite: saved as" in printed
    assert re.search(r"laptop-1 .* held ", printed)


def test_a_sheet_and_a_grant_are_enough(shell: Shell) -> None:
    shell.environment["OFFSITE_DEVICE_RESTIC"] = str(restic_program("newest"))
    shell.customer.kill()
    shutil.rmtree(shell.folder / "laptop")
    assert "is restored in" in shell.run(BLOCKS["recover"])
