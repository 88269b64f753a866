"""What became of a run is decided by what its tasks left behind, for each of them is a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etl.config.settings import load_settings
from etl.errors import ControlTotalMismatch, SourceUnavailable
from etl.pipeline.context import Run, begin, resume
from etl.pipeline.ledger_check import LEDGER_STEPS


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A reconciliation that was begun and has not done anything yet."""
    settings = load_settings(HESI_ERP_HOME=tmp_path, ERP_URL=f"sqlite:///{tmp_path / 'erp.db'}")
    begun = begin(settings, kind="reconcile", started_by="airflow:ledger_reconciliation:manual", now=datetime(2026, 11, 24, tzinfo=UTC))
    yield begun
    begun.close()


def ended(run: Run) -> tuple[str, str, str | None]:
    """Verdict of the report, then status and cause in the ledger."""
    from hesi_erp.ending import conclude

    verdict = conclude(run, LEDGER_STEPS)
    record = run.ledger.run(run.run_id)
    return verdict, record.status, record.cause_code


def attempt(run: Run, *, number: int) -> None:
    """One try of the reconcile task that goes well."""
    from hesi_erp.ending import begin_step, end_step

    again = resume(run.settings, run.run_id, attempt=number)
    begin_step(again, "reconcile")
    LEDGER_STEPS["reconcile"](again)
    end_step(again, "reconcile")
    again.close()


def test_a_run_whose_steps_all_ended_is_good(run: Run) -> None:
    attempt(run, number=1)
    assert ended(run) == ("green", "finished", None)


def test_a_run_whose_task_was_killed_is_red_and_says_what_to_do(run: Run) -> None:
    assert ended(run) == ("red", "stopped", "TASK_LOST")
    assert "Clear that task in Airflow" in (run.ledger.run(run.run_id).cause_text or "")
    assert (run.home / "reports" / run.run_id / "run-report.html").is_file()


def test_a_failed_try_that_a_later_try_made_good_leaves_no_trace_in_the_verdict(run: Run) -> None:
    run.ledger.stop_run(run.run_id, SourceUnavailable("Hesi does not answer"))
    attempt(run, number=2)
    assert ended(run) == ("green", "finished", None)


def test_a_step_that_recorded_itself_and_then_refused_its_result_stays_red(run: Run) -> None:
    with run.step("reconcile"):
        pass
    run.ledger.stop_run(run.run_id, ControlTotalMismatch("one cent"))
    assert ended(run) == ("red", "stopped", "CONTROL_TOTAL_MISMATCH")


def test_a_step_that_is_tried_again_and_killed_is_not_taken_for_its_earlier_success(run: Run) -> None:
    from hesi_erp.ending import begin_step

    attempt(run, number=1)
    begin_step(run, "reconcile")
    assert ended(run) == ("red", "stopped", "TASK_LOST")
