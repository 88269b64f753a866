"""The engine of the run ledger: private SQLite files, hidden parameters, failures named once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError

from etl.errors import ConfigError, SinkUnavailable
from etl.files import on_disk, refused_by_disk, storage_unavailable
from etl.redaction import redact


def ledger_engine(url: URL) -> Engine:
    """An engine that never prints parameters; a SQLite file is made with mode 0600.

    Raises:
        ConfigError: a database or driver that is not installed.
    """
    if url.get_backend_name() != "sqlite":
        try:
            return create_engine(url, hide_parameters=True, pool_pre_ping=True)
        except (ArgumentError, ImportError):
            reason = f"HESI_ERP_LEDGER_URL: expected sqlite, postgresql+psycopg or mssql+pyodbc, found {url.drivername}, which is not installed here"
        raise ConfigError(reason)
    if url.database and url.database != ":memory:":
        _private_file(Path(url.database))
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": 30})
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    return engine


@contextmanager
def failures_named(engine: Engine, what: str) -> Iterator[None]:
    """A lost or refused ledger says which it is, without password: SinkUnavailable, or StorageUnavailable where its disk refuses."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if refused_by_disk(error.orig):
            raise storage_unavailable(f"run ledger {engine.url.database}", str(error.orig)) from None
        raise SinkUnavailable(
            f"run ledger {engine.url.set(query={}).render_as_string(hide_password=True)}: {what} failed: {redact(str(error.orig))}. "
            "Check that HESI_ERP_LEDGER_URL is reachable, then run again."
        ) from None  # the driver's error carries the whole address, password included


def _private_file(path: Path) -> None:
    # SQLite would create it with the umask's mode; journals then inherit the mode of the database.
    with on_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
