"""SQL Server through the same port: what can be proved without one, and the whole suite where MSSQL_URL names one."""

from __future__ import annotations

import io
import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy.dialects.mssql import pyodbc
from sqlalchemy.schema import CreateIndex, CreateTable

from etl.erp import migrate, schema
from etl.erp.columns import amount
from etl.erp.control import read_back
from etl.erp.generic import GenericWriter
from etl.erp.lookup import among

DIALECT = pyodbc.dialect(paramstyle="qmark")  # what the driver asks for once it is connected
DIALECT.server_version_info = (16, 0)


def ddl(table: str) -> str:
    described = schema.metadata.tables[table]
    return "\n".join([str(CreateTable(described).compile(dialect=DIALECT)), *(str(CreateIndex(index).compile(dialect=DIALECT)) for index in described.indexes)])


@pytest.mark.parametrize("table", sorted(schema.metadata.tables))
def test_every_table_compiles(table: str) -> None:
    assert f"CREATE TABLE {table}" in ddl(table)


def test_ids_compare_byte_by_byte_and_texts_are_unicode() -> None:
    text = ddl("voucher")

    assert "claim_id NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL" in text
    assert "summary NVARCHAR(1000) NOT NULL" in text
    assert " VARCHAR(" not in text


def test_instants_and_amounts_keep_their_precision() -> None:
    assert "created_at DATETIME2(6)" in ddl("posting_batch")
    assert "debit NUMERIC(20, 4) NOT NULL" in ddl("voucher_line")
    assert "fx_rate NUMERIC(20, 10) NULL" in ddl("voucher_line")
    assert "due_date DATE NULL" in ddl("voucher_line")


def test_numbers_are_unique_by_a_filtered_index() -> None:
    text = ddl("voucher")

    assert "CREATE UNIQUE INDEX uq_voucher_number ON voucher (fiscal_year, fiscal_period, company_code, book_code, voucher_word, voucher_no)" in text
    assert "WHERE voucher_no IS NOT NULL" in text


def test_the_date_check_speaks_its_language() -> None:
    text = ddl("voucher")

    assert "YEAR(voucher_date) = fiscal_year AND MONTH(voucher_date) = fiscal_period" in text
    assert "EXTRACT" not in text
    assert "strftime" not in text


def test_details_refer_to_their_voucher() -> None:
    assert all("REFERENCES voucher (" in ddl(table) for table in ("voucher_line", "voucher_line_dimension", "voucher_line_source", "voucher_invoice"))


@pytest.mark.parametrize("table", ["voucher", "voucher_line", "voucher_line_dimension", "voucher_line_source", "voucher_invoice", "claim_state"])
def test_keys_fit_a_clustered_index(table: str) -> None:
    size = 0
    for column in schema.metadata.tables[table].primary_key:
        size += 2 * column.type.length if isinstance(column.type, sa.String) else 4

    assert size <= 900


def test_every_migration_compiles() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")))
    revisions = [*ScriptDirectory.from_config(config).walk_revisions()][::-1]
    buffer = io.StringIO()
    context = MigrationContext.configure(dialect_name="mssql", opts={"as_sql": True, "output_buffer": buffer, "target_metadata": schema.metadata})
    with Operations.context(context):
        for revision in revisions:
            revision.module.upgrade()

    text = buffer.getvalue()
    assert all(f"CREATE TABLE {table}" in text for table in schema.metadata.tables)
    assert "INSERT INTO posting_lock (id) VALUES (1)" in text
    assert "FROM claim_in_hand h CROSS APPLY OPENJSON(h.claims) j" in text
    assert "THEN N'数据工程'" in text


def test_the_posting_lock_is_held_until_the_end_of_the_transaction() -> None:
    lock = schema.posting_lock
    query = sa.select(lock.c.id).with_for_update().with_hint(lock, "WITH (UPDLOCK, HOLDLOCK)", "mssql")

    assert "FROM posting_lock WITH (UPDLOCK, HOLDLOCK)" in str(query.compile(dialect=DIALECT))


def test_look_ups_send_one_parameter_whatever_the_number_of_claims() -> None:
    condition = among(schema.claim_state.c.claim_id, [f"C{number}" for number in range(5_000)], "mssql").compile(dialect=DIALECT)

    assert len(condition.params) == 1
    assert "openjson(" in str(condition)
    assert "COLLATE Latin1_General_100_BIN2" in str(condition)


class RecordingConnection:
    """Stands where SQLAlchemy's connection stands and keeps what would be sent."""

    def __init__(self) -> None:
        self.dialect = DIALECT
        self.sent: list[tuple[str, list[tuple[object, ...]]]] = []

    def exec_driver_sql(self, statement: str, rows: list[tuple[object, ...]]) -> RecordingConnection:
        self.sent.append((statement, rows))
        return self

    rowcount = -1  # what pyodbc answers with fast_executemany

    def execute(self, query: sa.Select[tuple[object]]) -> RecordingConnection:
        self.sent.append((str(query.compile(dialect=DIALECT)), []))
        return self

    def all(self) -> list[object]:
        return []


def test_rows_are_sent_as_native_values() -> None:
    connection = RecordingConnection()
    rows = pa.table({"stream": pa.array(["s"], pa.large_string()), "updated_at": pa.array([pd.Timestamp("2026-09-01")], pa.timestamp("us"))})

    assert GenericWriter(connection).insert(schema.watermark, rows) == 1  # type: ignore[arg-type]

    statement, sent = connection.sent[0]
    assert statement == "INSERT INTO watermark (stream, updated_at) VALUES (?, ?)"
    assert sent == [("s", pd.Timestamp("2026-09-01").to_pydatetime())]


def test_keys_are_removed_by_all_their_columns() -> None:
    connection = RecordingConnection()
    keys = pa.table({"claim_id": pa.array(["C1"], pa.large_string()), "source_system": pa.array(["hesi"], pa.large_string())})

    GenericWriter(connection).delete(schema.commitment, keys)  # type: ignore[arg-type]

    assert connection.sent == [("DELETE FROM commitment WHERE commitment.claim_id = ? AND commitment.source_system = ?", [("C1", "hesi")])]


def test_dates_and_amounts_stay_dates_and_decimals() -> None:
    connection = RecordingConnection()
    table = sa.Table("dated", sa.MetaData(), sa.Column("due_date", sa.Date), sa.Column("debit", amount()))
    rows = pa.table({"due_date": pa.array([date(2026, 9, 1)]), "debit": pa.array([Decimal("1.50")], pa.decimal128(19, 4))})

    GenericWriter(connection).insert(table, rows)  # type: ignore[arg-type]

    assert connection.sent[0][1] == [(date(2026, 9, 1), Decimal("1.5000"))]


def test_the_read_back_compiles() -> None:
    connection = RecordingConnection()

    assert read_back(connection, "batch-1") == ((), 0)  # type: ignore[arg-type]
    assert "SUM(voucher_line.debit)" in connection.sent[0][0]


@pytest.mark.skipif(not os.environ.get("MSSQL_URL"), reason="MSSQL_URL names no SQL Server; the conformance suite runs there when it does")
def test_the_conformance_suite_includes_sql_server() -> None:
    from tests.conformance.conftest import TARGETS

    assert "mssql" in TARGETS
