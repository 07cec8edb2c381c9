"""A real S3 server, SeaweedFS, for tests."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import S3Store as Bucket

from tests.support.ports import free_port

BUCKET = "archives"
KEY, SECRET = "test-key", "test-secret-7c1b"
_LONGEST = 60.0  # seconds until it is ready, on a busy machine
_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port")
_MORE_PORTS = ("filer.port.grpc", "s3.port", "s3.port.grpc")
_OPTIONS = {
    "ip": "127.0.0.1",
    "ip.bind": "127.0.0.1",
    "filer": "true",
    "s3": "true",
    "s3.iam": "false",
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
    "volume.max": "0",  # as many as fit: what a test writes is never refused for room
    "master.volumeSizeLimitMB": "256",
}


@dataclass(frozen=True)
class S3Endpoint:
    """Where a bucket is, and the variables that open it; each prefix is as a store of its own."""

    url: str

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
        }

    def where(self, prefix: str) -> str:
        """The setting that names the bucket."""
        return f"s3://{BUCKET}/{prefix}"


class SeaweedFs:
    """The server; its data goes with its folder."""

    def __init__(self, folder: Path) -> None:
        self._ports = {name: free_port() for name in _PORTS + _MORE_PORTS}
        self.endpoint = S3Endpoint(f"http://127.0.0.1:{self._ports['s3.port']}")
        with (folder / "log").open("wb") as log:
            self._child = subprocess.Popen(
                self._command(folder),
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(folder)},  # its own logs
            )
        try:
            _until(self._healthy)
            _until(self._bucket_made)
        except AssertionError:
            self.kill()
            raise

    def kill(self) -> None:
        """End it at once: asked to stop, it takes 15 seconds."""
        self._child.kill()
        self._child.wait()
        for port in self._ports.values():
            for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket.unlink()

    def _command(self, folder: Path) -> list[str]:
        users = folder / "users.json"
        users.write_text(json.dumps(_users()))
        data = folder / "data"
        data.mkdir()
        weed = str(Path(sys.executable).with_name("weed"))
        folders = {"dir": str(data), "s3.config": str(users)}
        ports = {name: str(port) for name, port in self._ports.items()}
        options = {**_OPTIONS, **folders, **ports}
        return [weed, "server", *(f"-{name}={value}" for name, value in options.items())]

    def _healthy(self) -> bool:
        assert self._child.poll() is None, "the S3 server ended"
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.endpoint.url}/healthz"):
            return True
        return False

    def _bucket_made(self) -> bool:
        """Its first object makes a bucket, once the parts of the server have found each other."""
        bucket = Bucket(
            BUCKET,
            access_key_id=KEY,
            secret_access_key=SECRET,
            endpoint=self.endpoint.url,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
        with contextlib.suppress(obstore.exceptions.BaseError, OSError):
            obstore.put(bucket, "ready", b"")
            return True
        return False


def _until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + _LONGEST
    while not ready():
        assert time.monotonic() < end, "the S3 server isn't ready"
        time.sleep(0.05)


def _users() -> object:
    keys = [{"accessKey": KEY, "secretKey": SECRET}]
    return {"identities": [{"name": "test", "credentials": keys, "actions": ["Admin"]}]}
