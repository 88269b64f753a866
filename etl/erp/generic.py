"""Bulk writes on SQLite and SQL Server: ``executemany`` of plain tuples, without per-value work in SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection


class GenericWriter:
    """``executemany`` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._as_text = connection.dialect.name == "sqlite"

    def insert(self, table: sa.Table, rows: pa.Table) -> int:
        """Rows the database says it took."""
        statement = sa.insert(table).compile(dialect=self._connection.dialect, column_keys=rows.column_names)
        return self._run(str(statement), self._tuples(rows, statement.positiontup))

    def delete(self, table: sa.Table, keys: pa.Table) -> int:
        """Rows removed whose columns equal those of a key."""
        matches = [table.c[name] == sa.bindparam(name) for name in keys.column_names]
        statement = sa.delete(table).where(*matches).compile(dialect=self._connection.dialect)
        return self._run(str(statement), self._tuples(keys, statement.positiontup))

    def _run(self, statement: str, rows: list[tuple[Any, ...]]) -> int:
        if not rows:
            return 0
        count = self._connection.exec_driver_sql(statement, rows).rowcount
        return len(rows) if count < 0 else count  # pyodbc does not count with fast_executemany

    def _tuples(self, rows: pa.Table, order: Sequence[str] | None) -> list[tuple[Any, ...]]:
        names = order or rows.column_names
        return list(zip(*(self._values(rows.column(name)) for name in names), strict=True))

    def _values(self, column: pa.ChunkedArray) -> list[Any]:
        # SQLite has neither dates nor decimals: their ISO and decimal texts are what it stores or converts exactly.
        plain = pa.types.is_integer(column.type) or pa.types.is_large_string(column.type)
        values: list[Any] = (column if plain or not self._as_text else column.cast(pa.large_string())).to_pylist()
        return values
