"""Connections to the ERP database: one engine per address, one kind of transaction for posting, errors in our families."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine, RootTransaction, make_url

from etl.erp.columns import ExactSum
from etl.errors import AnotherRunActive, BatchRefused, CommitUnknown, ConfigError, EtlError, SchemaOutdated, SinkUnavailable
from etl.files import on_disk, refused_by_disk, storage_unavailable
from etl.redaction import redact

SUPPORTED = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mssql": "mssql+pyodbc"}
_BUSY = re.compile(r"database is locked|LockNotAvailable|lock timeout|lock request time out", re.IGNORECASE)
_IMMEDIATE = "hesi_erp_immediate"
# A run sums up whole tables, one question at a time: room to sort and join in memory, no helpers beside it, no compiling of
# statements that are asked once (measured at 100,000 claims: half the server's time for the run report).
_FRUGAL = "SET work_mem = '64MB'; SET max_parallel_workers_per_gather = 0; SET jit = off"


def open_engine(url: str, *, lock_wait_seconds: int = 60) -> Engine:
    """An engine for ``ERP_URL``; nothing is connected yet. A new SQLite file is readable by its owner only.

    Args:
        url: ``sqlite:///path``, ``postgresql://...`` or ``mssql+pyodbc://...``; drivers other than ours are replaced.
        lock_wait_seconds: how long a poster waits for another one.

    Raises:
        ConfigError: a database this program does not support, or its driver is not installed.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise ConfigError("ERP_URL: expected a SQLAlchemy URL like postgresql://user:password@host/erp") from None
    backend = parsed.get_backend_name()
    if backend not in SUPPORTED:
        raise ConfigError(f"ERP_URL: expected sqlite, postgresql or mssql+pyodbc, found {backend}")
    parsed = parsed.set(drivername=SUPPORTED[backend])
    options: dict[str, Any] = {"hide_parameters": True}  # parameters carry names and amounts
    if backend == "sqlite":
        _private_file(parsed)
        options["connect_args"] = {"timeout": lock_wait_seconds}
    elif backend == "mssql":
        options["fast_executemany"] = True
    try:
        engine = sa.create_engine(parsed, **options)
    except ImportError as error:  # also a driver whose system library is missing
        raise ConfigError(f"ERP_URL: {backend} needs the package {error.name}; install it, for example pip install {error.name}") from None
    _prepare_connections(engine, backend, lock_wait_seconds)
    return engine


def _private_file(url: URL) -> None:
    if not url.database or url.database == ":memory:":
        raise ConfigError("ERP_URL: expected a file like sqlite:////var/lib/hesi-erp/erp.db; an in-memory database would forget what was posted")
    path = Path(url.database)
    if not path.exists():
        with on_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _prepare_connections(engine: Engine, backend: str, lock_wait_seconds: int) -> None:
    if backend == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return
    settings = {
        "postgresql": f"SET lock_timeout = '{lock_wait_seconds}s'; {_FRUGAL}",
        "mssql": f"SET LOCK_TIMEOUT {lock_wait_seconds * 1000}",
    }[backend]

    def prepare(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(settings)
        connection.commit()

    event.listen(engine, "connect", prepare)


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's own BEGIN below, so that DDL and the lock are transactional
    connection.create_aggregate("exact_sum", 1, ExactSum)  # type: ignore[arg-type]
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that commits at the end of the block and rolls back whole on any exception.

    Raises:
        CommitUnknown: the connection was lost with the commit under way; any other error says that nothing was committed.
    """
    with translated(engine), engine.connect().execution_options(**{_IMMEDIATE: True}) as connection, connection.begin() as transaction:
        yield connection
        _commit(engine, transaction)


def _commit(engine: Engine, transaction: RootTransaction) -> None:
    try:
        transaction.commit()
    except exc.DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise CommitUnknown(
            f"{_place(engine)}: expected the answer to a commit, found the connection lost; the batch is looked up before anything is "
            f"sent again, run again when the database is back ({_said(error.orig or error)})"
        ) from None


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for queries."""
    with translated(engine), engine.connect() as connection:
        yield connection


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Whatever the driver raises inside, as one of our families and without secrets or row values."""
    try:
        yield
    except EtlError:
        raise
    except exc.SQLAlchemyError as error:
        raise _family(engine, getattr(error, "orig", None) or error) from None
    except Exception as error:
        if not isinstance(error, _driver_errors(engine)):
            raise
        raise _family(engine, error) from None


def _driver_errors(engine: Engine) -> tuple[type[BaseException], ...]:
    """The driver's own base error: COPY runs below SQLAlchemy, so its errors arrive unwrapped."""
    return (engine.dialect.loaded_dbapi.Error,)


def _family(engine: Engine, error: BaseException) -> EtlError:
    driver = engine.dialect.loaded_dbapi
    place, said = _place(engine), _said(error)
    if refused_by_disk(error):
        return storage_unavailable(place, said)
    if _BUSY.search(said):
        return AnotherRunActive(f"{place}: another run holds the posting lock; wait for it to end and run again ({said})")
    if isinstance(error, (driver.IntegrityError, driver.DataError)):
        return BatchRefused(f"{place} refused a row and the whole batch was rolled back; look up the named constraint ({said})")
    if isinstance(error, driver.ProgrammingError) or "no such table" in said:
        return SchemaOutdated(f"{place}: the tables are not those of this version; run hesi-erp run once to migrate, or check the version ({said})")
    return SinkUnavailable(f"{place} did not answer; nothing was committed, run again when it is back ({said})")


def _place(engine: Engine) -> str:
    return f"{engine.dialect.name} database {engine.url.database}"


def _said(error: BaseException) -> str:
    told = redact(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {told[0] if told else 'no message'}"
