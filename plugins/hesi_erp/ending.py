"""How a run of the DAGs ended: the tasks are processes of their own, so the ledger's records decide, not exceptions."""

from __future__ import annotations

from etl.errors import TransientError
from etl.pipeline.context import Run, peak_rss_mb
from etl.pipeline.drive import Steps
from etl.pipeline.run import close_run, write_run_report
from etl.pipeline.snapshot import close_snapshot
from etl.store.ledger_schema import run_step


class TaskLost(TransientError):
    """A task of the run was killed or never started; clear it in Airflow, and the run continues from there."""


def conclude(run: Run, steps: Steps) -> str:
    """The verdict, stored in the ledger, with the report files written.

    A run is good only when every step has its record there: a step that was killed leaves no exception to catch.
    """
    done = {row["step"] for row in run.ledger.rows(run_step, run.run_id)}
    missing = [name for name in steps if name not in done]
    if not missing:
        if run.identity.kind == "reference":
            close_snapshot(run)
            return "green"
        return close_run(run).verdict
    if run.ledger.run(run.run_id).status != "stopped":
        lost = TaskLost(
            f"expected a record of step {missing[0]} in run {run.run_id}, found none: its task was killed, timed out or never started. "
            "Clear that task in Airflow and the run continues"
        )
        run.ledger.stop_run(run.run_id, lost, peak_rss_mb=peak_rss_mb())
    write_run_report(run)
    return "red"
