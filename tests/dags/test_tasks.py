"""Tasks can be tried again: a second try of `begin` finds the run of the first, a new start begins a new one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from etl.errors import SourceUnavailable

Begin = Callable[[], str]


@pytest.fixture
def begin(airflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Runs the `begin` task of one DAG run, as often as it is called; gives the run id it hands on."""
    from airflow.sdk.execution_time.context import set_current_context

    from hesi_erp import tasks

    monkeypatch.setenv("HESI_ERP_HOME", str(tmp_path))
    monkeypatch.setenv("ERP_URL", f"sqlite:///{tmp_path / 'erp.db'}")
    context: Any = {"dag": SimpleNamespace(dag_id="ledger_reconciliation"), "run_id": "manual__1", "params": {}}

    def call() -> str:
        with set_current_context(context):
            return str(tasks.begin.function("reconcile")["run_id"])

    return call


def test_a_second_try_of_begin_hands_on_the_run_of_the_first(begin: Begin) -> None:
    assert begin() == begin()


def test_a_cleared_dag_run_begins_a_new_run_once_the_first_has_stopped(begin: Begin, tmp_path: Path) -> None:
    from etl.store.ledger import Ledger

    first = begin()
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        ledger.stop_run(first, SourceUnavailable("Hesi does not answer"))
        second = begin()
        assert second != first
        assert ledger.run(second).started_by == ledger.run(first).started_by == "airflow:ledger_reconciliation:manual__1"


def test_a_run_that_never_wrote_its_identity_is_not_taken_up(begin: Begin, tmp_path: Path) -> None:
    first = begin()
    for path in (tmp_path / "work" / first).iterdir():
        path.unlink()
    assert begin() != first


def test_a_run_under_other_rules_is_not_taken_up(begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    from etl.config.settings import PROJECT

    first = begin()
    shutil.copytree(PROJECT / "mappings", tmp_path / "mappings")
    changed = sorted((tmp_path / "mappings").rglob("*.yaml"))[0]
    changed.write_text(changed.read_text(encoding="utf-8") + "\n# another version\n", encoding="utf-8")
    monkeypatch.setenv("HESI_ERP_MAPPINGS", str(tmp_path / "mappings"))
    assert begin() != first
