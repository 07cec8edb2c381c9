"""Fixtures of the end-to-end tests."""

from collections.abc import Iterator

import pytest

from tests.support.desk import Desk


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Both servers, new for each module."""
    both = Desk(tmp_path_factory.mktemp("desk"))
    try:
        both.start()
        yield both
    finally:
        both.kill()
