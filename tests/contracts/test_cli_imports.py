"""A command that only asks a server loads no part of one."""

import subprocess
import sys

import pytest

HEAVY = ("sqlalchemy", "alembic", "aiohttp", "psycopg", "OpenSSL", "prometheus_client", "structlog")

AGENT = ("device_agent.cli", "device_agent.backup", "device_agent.recovery", "device_agent.restore")


@pytest.mark.parametrize("package", ["provider_service.cli", "customer_service.cli", *AGENT])
def test_a_command_line_loads_no_part_of_a_server(package: str) -> None:
    code = f"import sys, {package}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
