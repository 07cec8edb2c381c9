"""Fixtures of the contract tests."""

import pytest

from service_kit.database.engine import Database
from tests.support.customer import Customer


@pytest.fixture
def customer(customer_database: Database) -> Customer:
    """A customer's ledger, on either engine."""
    return Customer(customer_database)
