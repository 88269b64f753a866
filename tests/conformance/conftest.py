"""The sinks under one suite: SQLite, PostgreSQL, import files, and SQL Server where MSSQL_URL names one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from etl.config.layouts import Layout
from etl.erp import schema
from etl.erp.database import DatabaseSink
from etl.erp.engine import reading
from etl.erp.import_file import ImportFileSink
from etl.erp.port import VoucherSink
from tests.fixtures.postgres import pg_database

MOVING = {"updated_at", "loaded_at"}
MSSQL_URL = os.environ.get("MSSQL_URL", "")
TARGETS = ["sqlite", "postgresql", "import_file", *(["mssql"] if MSSQL_URL else [])]
LAYOUT = Layout.model_validate(
    {
        "version": "1",
        "name": "lines",
        "columns": [
            {"column": name, "from": name}
            for name in "claim_code voucher_word voucher_no voucher_date line_no line_summary account_code fx_rate amount_fc debit credit".split()
        ]
        + [{"column": "部门", "from": "dimension.department.code"}],
    }
)


@dataclass(frozen=True)
class Target:
    """A sink under test, and a way to look behind it."""

    sink: VoucherSink
    engine: Engine
    folder: Path

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table, in order of its key."""
        described = schema.metadata.tables[table]
        with reading(self.engine) as connection:
            return [dict(row) for row in connection.execute(sa.select(described).order_by(*described.primary_key)).mappings()]

    def dump(self) -> dict[str, Any]:
        """Everything the target holds that may not move on a run without news: all tables, all files."""
        tables = {name: [{key: value for key, value in row.items() if key not in MOVING} for row in self.rows(name)] for name in schema.metadata.tables}
        return {**tables, "files": {path.name: path.read_bytes() for path in sorted(self.folder.iterdir())}}

    def execute(self, statement: str) -> None:
        """Changes the target behind the sink's back."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(statement)


def url_of(name: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Address of an empty database."""
    if name == "postgresql":
        return str(request.getfixturevalue("pg_url"))
    if name == "mssql":
        _empty(MSSQL_URL)
        return MSSQL_URL
    return f"sqlite:///{folder}/erp.db"


def _empty(url: str) -> None:
    sink = DatabaseSink.open(url)
    schema.metadata.drop_all(sink.engine)
    with sink.engine.begin() as connection:
        connection.exec_driver_sql("DROP VIEW IF EXISTS claim_standing")
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {schema.VERSION_TABLE}")
    sink.close()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with all tables, to be copied."""
    path = tmp_path_factory.mktemp("erp") / "erp.db"
    DatabaseSink.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(pg_server: str) -> Iterator[str]:
    """A PostgreSQL database with all tables, to be emptied before each test."""
    with pg_database(pg_server) as url:
        DatabaseSink.open(url).close()
        yield url


def _prepared_url(name: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Address of an empty database that has its tables: migrating anew for every test would take most of the time."""
    if name == "mssql":
        return url_of(name, request, folder)
    if name != "postgresql":
        shutil.copy(request.getfixturevalue("migrated_file"), folder / "erp.db")
        return f"sqlite:///{folder}/erp.db"
    url = str(request.getfixturevalue("migrated_postgres"))
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"TRUNCATE {', '.join(sorted(set(schema.metadata.tables) - {'posting_lock'}))}")
    return url


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    """An empty, prepared sink of each kind."""
    folder = tmp_path / "files"
    folder.mkdir()
    ledger = DatabaseSink.open(_prepared_url(request.param, request, tmp_path), lock_wait_seconds=5)
    sink: VoucherSink = ImportFileSink(ledger, layout=LAYOUT, folder=folder) if request.param == "import_file" else ledger
    sink.prepare()
    yield Target(sink, ledger.engine, folder)
    sink.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database of each kind that runs here."""
    return url_of(request.param, request, tmp_path)
