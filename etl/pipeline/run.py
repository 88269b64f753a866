"""The steps of a run in order, and what a run means: its verdict and its report.

:func:`etl.pipeline.drive.drive` runs them one after the other; the DAGs call the same functions one task each.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from etl.codes import PARTIAL
from etl.errors import CommitUnknown, EtlError
from etl.pipeline.audit import record_end
from etl.pipeline.check import Checked, assert_green, reconcile
from etl.pipeline.context import Run, peak_rss_mb, stored_now
from etl.pipeline.decide import check_budgets, validate_entries
from etl.pipeline.extract import extract
from etl.pipeline.post import load
from etl.pipeline.send import write_back
from etl.pipeline.transform import map_chunks, stage_claims
from etl.report.write import ReportFiles, write_report

log = logging.getLogger("etl")
Verdict = Literal["green", "amber", "red"]


def check_ledger(run: Run) -> Checked:
    """reconcile, and stop before anything is written back when it does not tie out."""
    checked = reconcile(run)
    assert_green(checked)
    return checked


def check_entries(run: Run) -> int:
    """validate; what the run has in hand is decided then, and ready to be posted."""
    refused = validate_entries(run)
    run.sink.in_hand.move(run.run_id, "ready", at=stored_now())
    return refused


STEPS: dict[str, Callable[[Run], Any]] = {
    "extract": extract,
    "stage": stage_claims,
    "map_fields": map_chunks,
    "check_budget": check_budgets,
    "validate": check_entries,
    "load": load,
    "reconcile": check_ledger,
    "write_back": write_back,
}


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    run_id: str
    verdict: Verdict
    cause: str
    report: ReportFiles | None
    counts: dict[str, int]


def close_run(run: Run, stopped: EtlError | None = None) -> Outcome:
    """Stores the verdict, writes the report and removes the hand-over files of a run that ended well."""
    verdict, cause = judge(run, stopped)
    if stopped is not None:
        run.ledger.stop_run(run.run_id, stopped, peak_rss_mb=peak_rss_mb())
        _tell_in_hand(run, stopped)
    else:
        run.ledger.finish_run(run.run_id, verdict, cause_code=None if verdict == "green" else PARTIAL, cause_text=cause or None, peak_rss_mb=peak_rss_mb())
        run.ledger.name_lost_runs(run.run_id)
    report = write_run_report(run)
    if stopped is None:
        run.work.remove()
    return Outcome(run.run_id, verdict, cause, report, _sums(run))


def _tell_in_hand(run: Run, stopped: EtlError) -> None:
    """What the run had in hand failed, or is unknown; a database that does not answer is told by the next run instead."""
    try:
        run.sink.in_hand.move(run.run_id, "unknown" if isinstance(stopped, CommitUnknown) else "failed", cause=stopped.code, at=stored_now())
    except EtlError as error:
        log.warning("claims_in_hand_not_told run_id=%s code=%s", run.run_id, error.code)


def judge(run: Run, stopped: EtlError | None) -> tuple[Verdict, str]:
    """green: everything posted and written back; amber: what was not is named; red: a person must act."""
    if stopped is not None:
        return "red", f"{stopped.code}: {stopped}"
    checked = run.work.read_value("checked", Checked)
    blocked = run.sink.outbox.counts()
    open_numbers = {status: count for status, count in blocked.items() if status not in {"DONE", "PENDING"} and count}
    named = {"rejected": checked.rejected, "held": checked.held, "drift": checked.drifts, "waiting": checked.waiting, **open_numbers}
    causes = [f"{name} {count}" for name, count in named.items() if count]
    return ("amber", ", ".join(causes)) if causes else ("green", "")


def write_run_report(run: Run) -> ReportFiles:
    """The report files of the run; then its end is written into the audit log, so that a broken log cannot cost the report.

    Raises:
        AuditLogAltered, AnchorUnavailable: the report is there, the end is not in the log or not anchored.
    """
    with run.step("report"):
        files = write_report(
            run.ledger,
            run.erp_engine,
            run_id=run.run_id,
            folder=Path(run.home) / "reports",
            language=run.settings.report_language,  # type: ignore[arg-type]
        )
    record_end(run)
    return files


def _sums(run: Run) -> dict[str, int]:
    from etl.store import ledger_schema

    sums: dict[str, int] = {}
    for row in run.ledger.rows(ledger_schema.run_count, run.run_id):
        sums[row["measure"]] = sums.get(row["measure"], 0) + row["value"]
    return sums
