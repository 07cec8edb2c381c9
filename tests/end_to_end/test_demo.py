"""The demo is what a stranger sees first."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_plays_to_its_end() -> None:
    command = [sys.executable, "-m", "tests.end_to_end.demo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All of it held" in done.stdout
