"""The built wheel works without the source tree."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_serves_without_the_source_tree(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(ROOT)]
    subprocess.run([sys.executable, *build], check=True)
    (wheel,) = wheels.iterdir()
    installed = tmp_path / "installed"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(installed)]
    subprocess.run([sys.executable, *install, str(wheel)], check=True)
    # What it depends on comes from this environment, in which the project itself is editable: -S
    # leaves out the editable install, and the path names the rest.
    path = os.pathsep.join([str(installed), sysconfig.get_path("purelib")])
    environment = {**os.environ, "PYTHONPATH": path}
    code = (
        "import provider_service.cli as p, customer_service.cli, sys;"
        "from service_kit.cli.program import status_of;"
        f"assert p.__file__.startswith({str(installed)!r}), p.__file__;"
        "sys.exit(status_of(p.app, sys.argv[1:]))"
    )
    for words in (["--help"], ["--data", str(tmp_path / "data"), "migrate"]):
        done = subprocess.run(
            [sys.executable, "-S", "-c", code, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "data" / "ledger.db").exists()
