"""The built wheel works without the source tree."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of a new environment with nothing of ours but the wheel.

    What the wheel depends on is this environment's: a .pth file names its folder, without running
    the .pth files there, of which one leads to the source tree.
    """
    folder = tmp_path_factory.mktemp("wheel")
    python = folder / "new" / "bin" / "python"
    wheels = folder / "wheels"
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder / "new"))
    pip = (sys.executable, "-m", "pip")
    _run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(ROOT))
    (wheel,) = wheels.iterdir()
    _run(*pip, "--python", str(python), "install", "--quiet", "--no-deps", str(wheel))
    purelib = Path(
        _run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    )
    (purelib / "present.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def _run(*words: str, cwd: Path | None = None) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["provider", "customer"])
def test_the_wheels_programs_serve_without_the_source_tree(
    installed: Path, tmp_path: Path, name: str
) -> None:
    program = str(installed / f"offsite-{name}")
    where = f"import {name}_service.cli as cli, offsite.{name}.v1 as v1; print(cli, v1)"
    loaded = _run(str(installed / "python"), "-c", where, cwd=tmp_path)
    assert str(installed.parent) in loaded
    assert str(ROOT) not in loaded
    assert "serve" in _run(program, "--help", cwd=tmp_path)
    address = f"127.0.0.1:{free_port()}"
    options = ["--data", str(tmp_path / "data")]
    listen = ["--grpc", address, "--https", f"127.0.0.1:{free_port()}"]
    with subprocess.Popen(
        [program, "serve", *options, *listen], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            assert any("is ready" in line for line in server.stdout)
            assert _run(program, *options, "--endpoint", address, "health") == "ready"
            identity = _run(program, *options, "--endpoint", address, "identity", "--json")
            assert json.loads(identity)["version"]
        finally:
            server.terminate()
    assert server.returncode == 0


def test_the_wheels_agent_runs_without_the_source_tree(installed: Path, tmp_path: Path) -> None:
    loaded = _run(
        str(installed / "python"), "-c", "import device_agent; print(device_agent)", cwd=tmp_path
    )
    assert str(installed.parent) in loaded
    assert "backup" in _run(str(installed / "offsite-device"), "--help", cwd=tmp_path)
