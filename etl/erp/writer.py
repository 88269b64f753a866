"""How rows reach the tables of an open transaction: the one thing that differs between databases."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection


class TableWriter(Protocol):
    """Bulk writes inside one transaction."""

    def insert(self, table: sa.Table, rows: pa.Table) -> int:
        """Rows the database says it took."""

    def delete(self, table: sa.Table, keys: pa.Table) -> int:
        """Rows removed whose columns equal those of a key."""


def writer_for(connection: Connection) -> TableWriter:
    """COPY on PostgreSQL, ``executemany`` elsewhere."""
    if connection.dialect.name == "postgresql":
        from etl.erp.postgres import PostgresWriter  # needs psycopg, which a SQLite installation may lack

        return PostgresWriter(connection)
    from etl.erp.generic import GenericWriter

    return GenericWriter(connection)
