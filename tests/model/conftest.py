"""The depth of the model: `pytest tests/model --model-depth 2` for a longer search."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--model-depth",
        type=int,
        default=1,
        help="how many changes, and messages in flight, beyond the usual model (1 is usual)",
    )


@pytest.fixture(scope="session")
def model_depth(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("model_depth", default=1))
