"""The compose files, run for real where a Docker engine is found."""

import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds until every server is healthy
PUBLISHED = (7401, 7402, 7501, 7502, 8401, 8402, 8501, 8502)
SECRETS = {"POSTGRES_PASSWORD": "forthetest", "S3_SECRET_KEY": "alsoforthetest"}
PULLED = ("postgres:18", "envoyproxy/envoy:v1.36-latest", "chrislusf/seaweedfs:4.48")


def compose_command() -> list[str]:
    """`docker compose` or `docker-compose`, whichever exists; empty without an engine."""
    if not shutil.which("docker") or not succeeds("docker", "info"):
        return []
    if succeeds("docker", "compose", "version"):
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []


def succeeds(*command: str) -> bool:
    """Whether a command ends with 0."""
    return subprocess.run(command, capture_output=True).returncode == 0


def is_taken(port: int) -> bool:
    """Whether something listens at a port already."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


COMPOSE = compose_command()
pytestmark = [
    pytest.mark.skipif(not COMPOSE, reason="no Docker engine with compose runs here"),
    pytest.mark.timeout(900),
]


class Cluster:
    """Compose files, under a project name of their own."""

    def __init__(self, *files: str) -> None:
        name = f"offsite-test-{uuid.uuid4().hex[:8]}"
        chosen = [word for file in files for word in ("--file", file)]
        self.command = [*COMPOSE, "--project-name", name, *chosen]

    def compose(self, *words: str, given: str | None = None) -> str:
        """Run compose; answers what it printed."""
        done = subprocess.run(
            [*self.command, *words],
            cwd=ROOT,
            env={**os.environ, **SECRETS},
            input=given,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def run(self, container: str, *words: str, given: str = "") -> str:
        """Run a server's command in its container, as the README does."""
        program = f"offsite-{container.removesuffix('-2')}"
        return self.compose("exec", "-T", container, program, *words, given=given)

    def device(self, *words: str, given: str = "") -> str:
        """Run a command of the computer, in a container for this command alone."""
        return self.compose("run", "--rm", "-T", "device", *words, given=given)

    def enroll(self, name: str) -> None:
        """Add a computer and sign it in, as the README does."""
        self.run("customer", "device", "add", name, "--user", "ann@acme.test")
        line = self.run("customer", "device", "enroll-code", name, "--quiet")
        assert f"enrolled as  {name}" in self.device("enroll", given=line)

    def files_differ(self, one: str, other: str) -> str:
        """What diff says of two folders of the computer."""
        look = ("--entrypoint", "diff", "device", "--recursive", one, other)
        return self.compose("run", "--rm", "-T", *look)

    def inspect(self, service: str) -> Any:
        """What the engine knows of a service's container."""
        container = self.compose("ps", "--quiet", service)
        found = subprocess.run(["docker", "inspect", container], capture_output=True, check=True)
        return json.loads(found.stdout)[0]

    def is_healthy(self, service: str) -> bool:
        """Whether a service's own health check passes."""
        return bool(self.inspect(service)["State"]["Health"]["Status"] == "healthy")

    def start(self, *services: str) -> None:
        """Start everything, and wait until these services are healthy."""
        if any(map(is_taken, PUBLISHED)):
            pytest.skip(f"something listens at one of the ports {PUBLISHED} already")
        self.compose("build", "device")
        self.compose("up", "--build", "--detach")
        end = time.monotonic() + PATIENCE
        while not all(self.is_healthy(each) for each in services):
            assert time.monotonic() < end, self.compose("logs")
            time.sleep(0.5)

    def end(self) -> None:
        """Remove containers, networks and volumes."""
        self.compose("down", "--volumes")

    def attach(self, hostname: str) -> Any:
        """The README's commands; answers the storage as it then stands."""
        guid = self.run("customer", "identity", "--quiet")
        limits = ["--max-seats", "5", "--disk-quota", "10GB", "--accept-terms", "--quiet"]
        add = ["org", "add", "Acme", "--hosted", "--customer-guid", guid, *limits]
        key = self.run("provider", *add)
        provider = self.run("provider", "identity", "--quiet")
        where = ["--name", "Offsite", "--hostname", hostname, "--guid", provider]
        self.run("customer", "storage", "attach", *where, given=key)
        return json.loads(self.run("customer", "storage", "show", "Offsite", "--json"))["storage"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    started = Cluster("compose.yaml")
    try:
        started.start("provider", "customer")
        yield started
    finally:
        started.end()


def test_the_commands_of_the_readme_attach_the_storage(cluster: Cluster) -> None:
    assert cluster.attach("provider:7401")["state"] == "STORAGE_STATE_ATTACHED"


def test_a_computer_backs_up_to_both_and_restores(cluster: Cluster) -> None:
    cluster.run("customer", "user", "add", "ann@acme.test")
    cluster.enroll("laptop-1")
    printed = cluster.device("backup", "/files")
    assert "Local: saved as" in printed
    assert "Offsite: saved as" in printed
    cluster.device("restore", "latest", "--from", "Offsite", "--target", "/data/restored")
    assert cluster.files_differ("/files", "/data/restored/files") == ""


def test_archives_rest_in_volumes_of_their_own(cluster: Cluster) -> None:
    for server in ("provider", "customer"):
        found = cluster.compose("exec", "-T", server, "ls", "-A", "/archive").split()
        assert ".offsite-archive" in found
        assert len(found) == 3  # the spool, and an account


def test_a_server_runs_without_rights_and_cannot_write_but_its_data(cluster: Cluster) -> None:
    assert cluster.compose("exec", "-T", "provider", "id", "-u") == "10001"
    assert cluster.inspect("provider")["HostConfig"]["ReadonlyRootfs"]


def test_the_image_has_no_compiler(cluster: Cluster) -> None:
    look = "command -v gcc cc clang || echo none"
    assert cluster.compose("exec", "-T", "provider", "sh", "-c", look) == "none"


def test_ports_are_published_on_loopback_alone(cluster: Cluster) -> None:
    bindings = cluster.inspect("provider")["HostConfig"]["PortBindings"]
    assert {each["HostIp"] for port in bindings.values() for each in port} == {"127.0.0.1"}


def test_a_server_drains_and_ends_at_0(cluster: Cluster) -> None:
    cluster.compose("stop", "customer")
    assert cluster.inspect("customer")["State"]["ExitCode"] == 0
    cluster.end()  # the next cluster publishes the same ports


@pytest.fixture(scope="module")
def scaled() -> Iterator[Cluster]:
    started = Cluster("compose.yaml", "compose.scale.yaml")
    for image in PULLED:
        if not succeeds("docker", "image", "inspect", image) and not succeeds(
            "docker", "pull", image
        ):
            pytest.skip(f"the image {image} is neither here nor to be pulled")
    try:
        started.start("provider", "provider-2", "customer", "customer-2")
        yield started
    finally:
        started.end()


def test_replicas_are_one_server_behind_the_proxy(scaled: Cluster) -> None:
    assert scaled.run("provider", "identity") == scaled.run("provider-2", "identity")
    assert scaled.attach("proxy:7401")["state"] == "STORAGE_STATE_ATTACHED"
    scaled.run("customer-2", "user", "add", "ann@acme.test")
    scaled.run("customer-2", "device", "add", "laptop-1", "--user", "ann@acme.test")
    assert "held" in scaled.run("customer", "device", "use", "laptop-1", "Offsite")
    assert "held" in scaled.run("provider-2", "seat", "list", "Acme")


def test_the_providers_archive_rests_in_s3(scaled: Cluster) -> None:
    scaled.enroll("laptop-3")
    assert "Offsite: saved as" in scaled.device("backup", "/files")
    assert scaled.compose("exec", "-T", "provider", "ls", "-A", "/archive") == ""
    assert "blobs read" in scaled.run("provider-2", "archive", "scrub", "Acme")


def test_nobody_but_the_provider_reaches_s3(scaled: Cluster) -> None:
    look = "getent hosts s3 || echo unknown"
    answer = scaled.compose("run", "--rm", "-T", "--entrypoint", "sh", "device", "-c", look)
    assert answer == "unknown"


def test_a_replica_that_is_killed_is_not_missed(scaled: Cluster) -> None:
    scaled.compose("kill", "provider")
    scaled.compose("kill", "customer")
    assert "Offsite: saved as" in scaled.device("backup", "/files")
    scaled.device("restore", "latest", "--from", "Offsite", "--target", "/data/restored")
    assert scaled.files_differ("/files", "/data/restored/files") == ""
    scaled.run("customer-2", "device", "add", "laptop-2", "--user", "ann@acme.test")
    assert "held" in scaled.run("customer-2", "device", "use", "laptop-2", "Offsite")
    assert scaled.run("provider-2", "seat", "list", "Acme").count("held") == 3
