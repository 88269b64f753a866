"""Bulk writes on PostgreSQL: Arrow writes CSV, COPY reads it straight into the final table."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from psycopg import sql
from pyarrow import csv
from sqlalchemy.engine import Connection

# Arrow quotes every text and leaves NULL bare, which is exactly what COPY's CSV format reads as text and NULL.
_CSV = csv.WriteOptions(include_header=False)
_KEY_TYPES = {pa.int64(): "bigint", pa.int32(): "bigint", pa.large_string(): "text", pa.string(): "text"}


class PostgresWriter:
    """COPY and set-wise DELETE of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._driver: Any = connection.connection.driver_connection

    def insert(self, table: sa.Table, rows: pa.Table) -> int:
        """Rows the server says it copied."""
        if not len(rows):
            return 0
        command = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, rows.column_names)))
        text = pa.BufferOutputStream()
        csv.write_csv(rows, text, _CSV)
        with self._driver.cursor() as cursor:
            with cursor.copy(command) as copy:
                copy.write(memoryview(text.getvalue()))
            return int(cursor.rowcount)

    def delete(self, table: sa.Table, keys: pa.Table) -> int:
        """Rows removed whose columns equal those of a key."""
        if not len(keys):
            return 0
        names = keys.column_names
        arrays = sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(_KEY_TYPES[column.type])) for column in keys.itercolumns())
        pairs = sql.SQL(" AND ").join(sql.SQL("t.{0} = k.{0}").format(sql.Identifier(name)) for name in names)
        command = sql.SQL("DELETE FROM {} AS t USING unnest({}) AS k ({}) WHERE {}").format(
            sql.Identifier(table.name), arrays, sql.SQL(", ").join(map(sql.Identifier, names)), pairs
        )
        with self._driver.cursor() as cursor:
            cursor.execute(command, [column.to_pylist() for column in keys.itercolumns()])
            return int(cursor.rowcount)
