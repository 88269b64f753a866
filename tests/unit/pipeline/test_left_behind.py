"""Hand-over files may name people: those of a killed or stopped run go when the next run begins, those of a live one never."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from etl.config.settings import Settings, load_settings
from etl.errors import SourceUnavailable
from etl.pipeline.context import Run, begin, resume

START = datetime(2026, 10, 14, 18, 0, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(HESI_ERP_HOME=tmp_path / "home", ERP_URL=f"sqlite:///{tmp_path / 'erp.db'}")


@pytest.fixture
def opened() -> Iterator[list[Run]]:
    runs: list[Run] = []
    yield runs
    for run in runs:
        run.close()


def start(settings: Settings, opened: list[Run], started_by: str = "cli") -> Run:
    run = begin(settings, kind="reconcile", started_by=started_by, now=START + timedelta(minutes=len(opened)))
    opened.append(run)
    return run


def folders(settings: Settings) -> set[str]:
    return {path.name for path in (settings.home / "work").iterdir()}


def test_the_next_run_removes_what_a_killed_run_left_and_says_how_many(settings: Settings, opened: list[Run], caplog: pytest.LogCaptureFixture) -> None:
    killed = start(settings, opened)
    killed.close()  # what a dead process no longer holds
    with caplog.at_level(logging.INFO, "etl"):
        later = start(settings, opened)
    assert folders(settings) == {later.run_id}
    assert "work_removed" in caplog.text
    assert "folders=1" in caplog.text


def test_a_stopped_run_leaves_nothing_for_longer_than_until_the_next_run(settings: Settings, opened: list[Run]) -> None:
    stopped = start(settings, opened)
    stopped.ledger.stop_run(stopped.run_id, SourceUnavailable("Hesi does not answer"))
    stopped.close()
    later = start(settings, opened)
    assert folders(settings) == {later.run_id}


def test_a_run_that_a_process_still_works_on_keeps_its_files(settings: Settings, opened: list[Run]) -> None:
    alive, later = start(settings, opened), start(settings, opened)
    assert folders(settings) == {alive.run_id, later.run_id}


def test_a_run_of_another_dag_may_wait_for_its_next_task_and_keeps_its_files(settings: Settings, opened: list[Run]) -> None:
    waiting = start(settings, opened, "airflow:claims_nightly:scheduled__2026-10-14T18:00:00+00:00")
    waiting.close()
    later = start(settings, opened, "airflow:claims_incremental:scheduled__2026-10-14T18:15:00+00:00")
    assert folders(settings) == {waiting.run_id, later.run_id}


def test_the_next_run_of_the_same_dag_removes_the_files_of_the_last_one(settings: Settings, opened: list[Run]) -> None:
    start(settings, opened, "airflow:claims_nightly:scheduled__2026-10-14T18:00:00+00:00").close()
    later = start(settings, opened, "airflow:claims_nightly:scheduled__2026-10-15T18:00:00+00:00")
    assert folders(settings) == {later.run_id}


def test_a_task_of_a_run_holds_the_files_of_the_run(settings: Settings, opened: list[Run]) -> None:
    begun = start(settings, opened)
    begun.close()
    opened.append(resume(settings, begun.run_id))
    later = start(settings, opened)
    assert folders(settings) == {begun.run_id, later.run_id}
