"""Planner statistics after a large load: PostgreSQL learns about new rows only when it is told.

Right after a first or large load the tables look empty to the planner, so that it joins hundreds of thousands of rows one by
one (measured: every question of the run report took three times as long). Autovacuum would notice within minutes; the run
itself asks within the second.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

# 300 rows per unit: joins need the number of rows and of different keys, not fine histograms.
_TARGET = 10
_GROWN_BY = 0.1  # autovacuum's own default


def refresh_statistics(connection: Connection, written: Mapping[str, int]) -> tuple[str, ...]:
    """Tables analysed: those that grew by a tenth or were never looked at. Only on PostgreSQL, inside the transaction.

    Args:
        connection: an open transaction.
        written: table name -> rows it took in this transaction.
    """
    if connection.dialect.name != "postgresql":
        return ()
    query = sa.text("SELECT relname, reltuples FROM pg_class WHERE oid = ANY(SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) AS name)")
    known = {row.relname: row.reltuples for row in connection.execute(query, {"names": list(written)})}
    stale = tuple(name for name, rows in written.items() if rows and rows >= _GROWN_BY * max(known.get(name, -1), 0))
    if stale:
        connection.exec_driver_sql(f"SET LOCAL default_statistics_target = {_TARGET}")
        names = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in stale)
        connection.exec_driver_sql(f"ANALYZE {names}")
    return stale
