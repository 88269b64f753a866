"""The first load of a database: what finds rows is built once they are there, not row by row.

The indexes nobody but readers needs cost PostgreSQL as much as the rows themselves when they grow with every row, and a few
seconds of sorting when they are built over all rows at the end (measured: a fifth of the server's time for a first load). Later
loads are small beside what is there already and leave the indexes where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import Connection

from etl.erp import schema

# Somebody reads right now, or this user may post but does not own the tables: both matter more than a quicker first load.
_NOT_NOW = {"55P03", "42501"}


@contextmanager
def look_ups_built_afterwards(connection: Connection) -> Iterator[None]:
    """On PostgreSQL, while no voucher is there: the block's transaction builds its look-ups when the block has ended well.

    Keys stay in force. Readers wait until the transaction ends; one that came first is not waited for, then nothing changes.
    """
    taken = _take_down(connection)
    yield
    for index in taken:
        index.create(connection)


def _take_down(connection: Connection) -> list[sa.Index]:
    if connection.dialect.name != "postgresql" or connection.execute(sa.select(sa.exists().select_from(schema.voucher))).scalar_one():
        return []
    tables = [schema.metadata.tables[name] for name in schema.BATCH_TABLES]
    names = ", ".join(connection.dialect.identifier_preparer.format_table(table) for table in tables)
    look_ups = [index for table in tables for index in sorted(table.indexes, key=lambda index: str(index.name)) if not index.unique]
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE NOWAIT")
            for index in look_ups:
                index.drop(connection)
    except exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in _NOT_NOW:
            raise
        return []
    return look_ups
