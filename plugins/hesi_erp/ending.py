"""How a run of the DAGs ended: the tasks are processes of their own, so what each left behind decides, not exceptions."""

from __future__ import annotations

from pathlib import Path

from etl.errors import TaskLost
from etl.pipeline.context import Run, peak_rss_mb
from etl.pipeline.drive import Steps
from etl.pipeline.run import close_run, write_run_report
from etl.pipeline.snapshot import close_snapshot


def begin_step(run: Run, step: str) -> None:
    """Takes back what an earlier try of the step may have said."""
    _mark(run, step).unlink(missing_ok=True)


def end_step(run: Run, step: str) -> None:
    """The step did all it has to: its record in the ledger alone does not say so, a check may follow it."""
    run.work.write_value(_mark(run, step).stem, run.attempt)


def conclude(run: Run, steps: Steps) -> str:
    """The verdict, stored in the ledger, with the report files written.

    A run is good only when every step said it ended: one that was killed leaves no exception to catch.
    """
    missing = [name for name in steps if not _mark(run, name).exists()]
    if not missing:
        if run.identity.kind == "reference":
            close_snapshot(run)
            return "green"
        return close_run(run).verdict
    if run.ledger.run(run.run_id).status != "stopped":
        lost = TaskLost(
            f"expected step {missing[0]} of run {run.run_id} to have ended, found no word of it: its task was killed, timed out or never started. "
            "Clear that task in Airflow and the run continues"
        )
        run.ledger.stop_run(run.run_id, lost, peak_rss_mb=peak_rss_mb())
    write_run_report(run)
    return "red"


def _mark(run: Run, step: str) -> Path:
    return run.work.folder / f"ended-{step}.msgpack"
