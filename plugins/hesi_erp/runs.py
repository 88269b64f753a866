"""Which run of the ledger a DAG run stands for: the ledger's ``started_by`` names the DAG run that began it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl.store.ledger import Ledger, Run

_LONGEST = 200


def started_by(dag_id: str, dag_run_id: str) -> str:
    """``airflow:<dag_id>:<dag run id>``, shortened by a hash where the ledger's column would not hold it."""
    text = f"airflow:{dag_id}:{dag_run_id}"
    if len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{text[: _LONGEST - 17]}~{digest}"


def newest_run(ledger: Ledger, dag_id: str, dag_run_id: str) -> Run | None:
    """The last run a DAG run began; a cleared DAG run begins another one."""
    from sqlalchemy import select

    from etl.store.ledger_schema import run

    statement = select(run.c.run_id).where(run.c.started_by == started_by(dag_id, dag_run_id)).order_by(run.c.started_at.desc(), run.c.run_id.desc()).limit(1)
    with ledger.engine.connect() as connection:
        found = connection.execute(statement).scalar_one_or_none()
    return None if found is None else ledger.run(found)
