"""Hatch build hook: generate Python from the protos, beside each `.proto`.

Run `python hatch_build.py` to generate without building.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # generating needs no Hatch

    class BuildHookInterface:  # type: ignore[no-redef]
        """Stands in for Hatch's class when it is not installed."""


def generate(root: Path) -> None:
    """Generate messages, services and type stubs under `root/protos`.

    protoc runs as a process: called in-process it loses the protos that grpcio-tools bundles.
    It finds its plugins by PATH, where an environment that is not activated does not stand.
    """
    protos = root / "protos"
    sources = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    kinds = {"python": "", "grpc_python": "", "mypy": "quiet:", "mypy_grpc": "quiet:"}
    outputs = [f"--{kind}_out={options}." for kind, options in kinds.items()]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, *sources]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    subprocess.run(command, cwd=protos, check=True, env={**os.environ, "PATH": path})  # noqa: S603


class GenerateProtos(BuildHookInterface):  # type: ignore[type-arg, misc, unused-ignore]
    """Generate before every build, editable ones included."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by Hatch before a target is built."""
        generate(Path(self.root))


if __name__ == "__main__":
    generate(Path(__file__).parent)
