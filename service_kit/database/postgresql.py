"""How a PostgreSQL database is opened, and what it takes to try again."""

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import DBAPIError

# serialization_failure, deadlock_detected: https://www.postgresql.org/docs/current/errcodes-appendix.html
_TRY_AGAIN = ("40001", "40P01")


def writer(url: URL, pool_size: int) -> Engine:
    """An engine that keeps up to `pool_size` connections."""
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        # After a restart of PostgreSQL the first calls would otherwise fail on dead connections.
        pool_pre_ping=True,
        # Of a database in SQL_ASCII, text would come as bytes.
        connect_args={"client_encoding": "utf8"},
    )


def reader(engine: Engine) -> Engine:
    """The same pool for reading; each transaction sees one snapshot, as on SQLite."""
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def overtaken(error: DBAPIError) -> bool:
    """Whether PostgreSQL ended the transaction in favour of another: it may be run again."""
    return getattr(error.orig, "sqlstate", None) in _TRY_AGAIN
