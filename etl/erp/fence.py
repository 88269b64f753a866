"""The fence: a run that began to read before a newer one posted may not post any more.

The posting lock keeps two runs from posting at once; it does not keep a run that was paused (a stopped machine, a task cleared and
started again) from posting yesterday's claims after a newer run has posted today's. So a run takes a fence before it reads
anything, and the posting transaction lets only a fence pass that is not older than the newest one that has passed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from etl.erp import schema
from etl.errors import AnotherRunActive, ControlTotalMismatch

_TICK = timedelta(microseconds=1)


def take_posting_lock(connection: Connection) -> None:
    """Nothing, once no other transaction can post until this one ends.

    Raises:
        ControlTotalMismatch: the row that is locked is gone.
    """
    lock = schema.posting_lock
    query = sa.select(lock.c.id).with_for_update().with_hint(lock, "WITH (UPDLOCK, HOLDLOCK)", "mssql")
    if connection.execute(query).scalar_one_or_none() is None:
        raise ControlTotalMismatch("posting_lock: expected its one row, found none; insert the row (1) before posting again")


def new_fence(connection: Connection) -> datetime:
    """A fence later than every one that has passed: this moment by the database's clock, UTC without zone."""
    now: datetime
    newest: datetime | None
    now, newest = connection.execute(sa.select(_now(connection.dialect.name), schema.posting_lock.c.updated_at)).one()
    return max(now, newest + _TICK) if newest is not None else now


def pass_fence(connection: Connection, fence: datetime) -> None:
    """Nothing, and the fence is the newest; the posting lock is held.

    Raises:
        AnotherRunActive: a run that began to read later has posted.
    """
    lock = schema.posting_lock
    newest = connection.execute(sa.select(lock.c.updated_at)).scalar_one()
    if newest is not None and newest > fence:
        raise AnotherRunActive(
            f"expected no newer run to have posted, found one that began to read at {newest:%Y-%m-%d %H:%M:%S} UTC, this one at "
            f"{fence:%Y-%m-%d %H:%M:%S}; nothing was posted here, the newer run has done it"
        )
    if newest != fence:
        connection.execute(lock.update().values(updated_at=fence))


def _now(dialect: str) -> sa.ColumnElement[Any]:
    """The database's own clock: the machines of two runs may disagree on the time."""
    clocks: dict[str, sa.ColumnElement[Any]] = {
        "sqlite": sa.func.strftime("%Y-%m-%d %H:%M:%f", "now", type_=sa.DateTime()),
        "postgresql": sa.func.timezone("UTC", sa.func.clock_timestamp(), type_=sa.DateTime()),
        "mssql": sa.func.sysutcdatetime(type_=sa.DateTime()),
    }
    return clocks[dialect]
