"""How long the tests of faults go on."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kill-rounds", type=int, default=20, help="how often servers are killed under load"
    )


@pytest.fixture(scope="session")
def kill_rounds(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("kill_rounds", default=20))
