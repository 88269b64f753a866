"""The steps of ``etl.pipeline`` as tasks. Rows travel in files of the run; between tasks go a run id and counts.

Everything heavy is imported when a task runs: the scheduler parses the files that use this module all day.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict

from airflow.sdk import AssetAlias, get_current_context, task

from etl.codes import code_of
from etl.errors import ConfigError, RulesChanged
from etl.files import on_disk
from hesi_erp.notify import report_recovery
from hesi_erp.runs import newest_run, started_by
from hesi_erp.schedule import ERP_VOUCHERS, HESI_REFERENCE, POSTING_POOL
from hesi_erp.settings import airflow_settings

if TYPE_CHECKING:
    from etl.pipeline.context import Run
    from etl.pipeline.drive import Steps
    from etl.store.ledger import Run as LedgerRun

log = logging.getLogger("etl")

# Filled only when something was posted, so that nothing downstream wakes up for an empty run.
POSTED = AssetAlias("posted_vouchers")


class Manifest(TypedDict):
    """All that travels between tasks."""

    run_id: str
    step: str
    rows_in: int
    rows_out: int
    rejected: int
    held: int


@task(task_id="begin")
def begin(kind: str) -> Manifest:
    """A new run of the ledger. A retried begin finds the run its first try left."""
    from etl.pipeline.context import begin as begin_run

    context = get_current_context()
    full, origin = kind == "full" or bool(context["params"].get("full")), started_by(context["dag"].dag_id, context["run_id"])
    run = _left_behind() or begin_run(airflow_settings(), kind="full" if full else kind, started_by=origin, full=full)  # type: ignore[arg-type]
    run.close()
    return _manifest(run.run_id, "begin")


def _step(name: str, **options: Any) -> Callable[[Manifest], Any]:
    @task(task_id=name, **options)
    def run_step(before: Manifest) -> Manifest:
        from hesi_erp.ending import begin_step, end_step

        with _resumed(before["run_id"], step=name) as run:
            begin_step(run, name)
            _steps(run.identity.kind)[name](run)
            end_step(run, name)
            counted = _counted(run, name)
        if name == "load" and counted["rows_out"]:
            get_current_context()["outlet_events"][POSTED].add(ERP_VOUCHERS, extra={"run_id": counted["run_id"], "vouchers": counted["rows_out"]})
        return counted

    return run_step


extract = _step("extract")
stage = _step("stage")
map_fields = _step("map_fields")
check_budget = _step("check_budget")
validate = _step("validate")
load = _step("load", pool=POSTING_POOL, outlets=[POSTED])
reconcile = _step("reconcile")
write_back = _step("write_back", pool=POSTING_POOL)
read_lists = _step("read_lists", outlets=[HESI_REFERENCE])


@task(task_id="report", retries=1)
def report() -> dict[str, str]:
    """The verdict in the ledger and the report files, whatever happened before; then the end of the DAG's open incidents."""
    from hesi_erp.ending import conclude

    found = _own_run()
    if found is None:
        return {"run_id": "", "verdict": "red"}
    verdict = found.verdict or "red"
    if found.status != "finished":
        with _resumed(found.run_id) as run:
            verdict = conclude(run, _steps(run.identity.kind))
    if verdict != "red":
        report_recovery(get_current_context()["dag"].dag_id, found.run_id)
    return {"run_id": found.run_id, "verdict": verdict}


@contextmanager
def _resumed(run_id: str, *, step: str = "") -> Iterator[Run]:
    """The run in this process; what stops a step is in the ledger and the log before Airflow hears of it."""
    from etl.pipeline.context import peak_rss_mb, resume

    run = resume(airflow_settings(), run_id, attempt=get_current_context()["ti"].try_number)
    try:
        with on_disk(run.home):
            yield run
    except Exception as error:
        if step:
            log.error("step_failed run_id=%s step=%s code=%s", run_id, step, code_of(error))
            run.ledger.stop_run(run_id, error, peak_rss_mb=peak_rss_mb())
        raise
    finally:
        run.close()


def _steps(kind: str) -> Steps:
    from etl.pipeline.ledger_check import LEDGER_STEPS
    from etl.pipeline.replay import replay_steps
    from etl.pipeline.run import STEPS
    from etl.pipeline.snapshot import SNAPSHOT_STEPS

    if kind == "replay":
        return replay_steps(get_current_context()["params"].get("claim_codes") or ())
    return {"reconcile": LEDGER_STEPS, "reference": SNAPSHOT_STEPS}.get(kind, STEPS)


def _own_run() -> LedgerRun | None:
    from etl.store.ledger import Ledger

    context = get_current_context()
    with Ledger.open(airflow_settings().ledger_url.get_secret_value()) as ledger:
        return newest_run(ledger, context["dag"].dag_id, context["run_id"])


def _left_behind() -> Run | None:
    """The run an earlier try of this ``begin`` started and did not hand over, if its rules still hold."""
    from etl.pipeline.context import resume

    found = _own_run()
    if found is None or found.status != "running":
        return None
    try:
        run = resume(airflow_settings(), found.run_id)
        run.mappings, run.suites  # noqa: B018 - proved to be those it was started with
    except (ConfigError, RulesChanged):
        return None
    return run


def _counted(run: Run, step: str) -> Manifest:
    from etl.store.ledger_schema import run_step

    row = next((row for row in run.ledger.rows(run_step, run.run_id) if row["step"] == step and row["attempt"] == run.attempt), {})
    return _manifest(run.run_id, step, **{name: int(row.get(name, 0)) for name in ("rows_in", "rows_out", "rejected", "held")})


def _manifest(run_id: str, step: str, *, rows_in: int = 0, rows_out: int = 0, rejected: int = 0, held: int = 0) -> Manifest:
    return {"run_id": run_id, "step": step, "rows_in": rows_in, "rows_out": rows_out, "rejected": rejected, "held": held}
