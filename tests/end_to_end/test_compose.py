"""The compose file, run for real where a Docker engine is found."""

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds until both servers are healthy


def compose_command() -> list[str]:
    """`docker compose` or `docker-compose`, whichever exists; empty without an engine."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True).returncode
    ):
        return []
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []


COMPOSE = compose_command()
pytestmark = [
    pytest.mark.skipif(not COMPOSE, reason="no Docker engine with compose runs here"),
    pytest.mark.timeout(900),
]


class Cluster:
    """The default compose file, under a project name of its own."""

    def __init__(self) -> None:
        self.name = f"offsite-test-{uuid.uuid4().hex[:8]}"

    def compose(self, *words: str, given: str | None = None) -> str:
        """Run compose; answers what it printed."""
        command = [*COMPOSE, "--project-name", self.name, *words]
        done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def run(self, service: str, *words: str, given: str = "") -> str:
        """Run a server's command in its container, as the README does."""
        return self.compose("exec", "-T", service, f"offsite-{service}", *words, given=given)

    def is_healthy(self, service: str) -> bool:
        """Whether a service's own health check passes."""
        container = self.compose("ps", "--quiet", service)
        inspect = ["docker", "inspect", "--format", "{{.State.Health.Status}}", container]
        return subprocess.run(inspect, capture_output=True, text=True).stdout.strip() == "healthy"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    started = Cluster()
    try:
        started.compose("up", "--build", "--detach")
        end = time.monotonic() + PATIENCE
        while not all(started.is_healthy(each) for each in ("provider", "customer")):
            assert time.monotonic() < end, started.compose("logs")
            time.sleep(0.5)
        yield started
    finally:
        started.compose("down", "--volumes")


def test_the_commands_of_the_readme_attach_the_storage(cluster: Cluster) -> None:
    guid = cluster.run("customer", "identity", "--quiet")
    settings = ["--max-seats", "5", "--disk-quota", "10GB", "--accept-terms", "--quiet"]
    key = cluster.run(
        "provider", "org", "add", "Acme", "--hosted", "--customer-guid", guid, *settings
    )
    provider = cluster.run("provider", "identity", "--quiet")
    where = ["--name", "Offsite", "--hostname", "provider:7401", "--guid", provider]
    cluster.run("customer", "storage", "attach", *where, given=key)
    shown = json.loads(cluster.run("customer", "storage", "show", "Offsite", "--json"))
    assert shown["storage"]["state"] == "STORAGE_STATE_ATTACHED"


def test_a_server_runs_without_rights_and_cannot_write_but_its_data(cluster: Cluster) -> None:
    assert cluster.compose("exec", "-T", "provider", "id", "-u") == "10001"
    container = cluster.compose("ps", "--quiet", "provider")
    inspect = ["docker", "inspect", "--format", "{{.HostConfig.ReadonlyRootfs}}", container]
    assert subprocess.run(inspect, capture_output=True, text=True).stdout.strip() == "true"


def test_a_server_drains_and_ends_at_0(cluster: Cluster) -> None:
    container = cluster.compose("ps", "--quiet", "customer")
    cluster.compose("stop", "customer")
    inspect = ["docker", "inspect", "--format", "{{.State.ExitCode}}", container]
    assert subprocess.run(inspect, capture_output=True, text=True).stdout.strip() == "0"


def test_the_scale_overlay_is_valid() -> None:
    files = ["--file", "compose.yaml", "--file", "compose.scale.yaml"]
    environment = {**os.environ, "POSTGRES_PASSWORD": "a-password"}
    command = [*COMPOSE, *files, "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
