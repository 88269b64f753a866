"""What is true of every DAG, whoever adds the next one."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FILES = sorted((PROJECT / "dags").glob("*.py"))
POSTING = ["begin", "extract", "stage", "map_fields", "check_budget", "validate", "load", "reconcile", "write_back", "report"]
GRAPHS = {
    "claims_nightly": POSTING,
    "claims_incremental": POSTING,
    "claims_sweep": POSTING,
    "replay_quarantine": POSTING,
    "reference_data": ["begin", "read_lists", "report"],
    "ledger_reconciliation": ["begin", "reconcile", "report"],
}
POSTS_OR_WRITES = {"load", "write_back"}


def test_every_file_of_the_folder_is_one_dag_of_its_own_name(dag_bag: Any) -> None:
    assert dag_bag.import_errors == {}
    assert sorted(dag_bag.dags) == sorted(GRAPHS) == [path.stem for path in FILES]


def test_every_dag_has_exactly_the_tasks_and_edges_that_are_written_down(dag_bag: Any) -> None:
    for dag_id, tasks in GRAPHS.items():
        found = {task.task_id: sorted(task.downstream_task_ids) for task in dag_bag.dags[dag_id].tasks}
        edges = {before: [after] for before, after in zip(tasks, [*tasks[1:], None], strict=True)}
        assert found == {before: [after for after in edge if after] for before, edge in edges.items()}, dag_id


def test_every_task_that_is_defined_is_used_by_a_dag(dag_bag: Any) -> None:
    from hesi_erp import tasks

    defined = {name for name, value in vars(tasks).items() if hasattr(value, "expand") and hasattr(value, "override")}
    assert len(defined) > len(POSTING)
    assert defined == {task.task_id for dag in dag_bag.dags.values() for task in dag.tasks}


def test_every_dag_says_what_it_is_for_and_whose_it_is(dag_bag: Any) -> None:
    for dag in dag_bag.dags.values():
        assert dag.doc_md.strip().startswith("### "), dag.dag_id
        assert "source:hesi" in dag.tags, dag.dag_id
        assert any(tag.startswith("target:") for tag in dag.tags), dag.dag_id
        assert {task.owner for task in dag.tasks} == {"finance-systems"}, dag.dag_id


def test_every_dag_runs_once_at_a_time_and_catches_nothing_up(dag_bag: Any) -> None:
    for dag in dag_bag.dags.values():
        assert dag.max_active_runs == 1, dag.dag_id
        assert dag.catchup is False, dag.dag_id


def test_every_schedule_is_in_the_accounting_zone(dag_bag: Any) -> None:
    from etl.periods import ACCOUNTING_ZONE

    zones = {}
    for dag in dag_bag.dags.values():
        assert str(dag.timezone) == "Asia/Shanghai" == str(ACCOUNTING_ZONE), dag.dag_id
        timetable = getattr(dag.timetable, "timetable", dag.timetable)
        zones[dag.dag_id] = str(getattr(timetable, "timezone", getattr(timetable, "_timezone", "")))
    assert {dag_id for dag_id, zone in zones.items() if zone == "Asia/Shanghai"} == set(GRAPHS) - {"replay_quarantine"}


def test_every_task_retries_by_error_family_tells_failures_and_ends_some_time(dag_bag: Any) -> None:
    from hesi_erp.notify import report_failure
    from hesi_erp.retry import BY_ERROR_FAMILY

    for dag in dag_bag.dags.values():
        for task in dag.tasks:
            assert task.retry_policy is BY_ERROR_FAMILY, task
            assert task.retries == (1 if task.task_id == "report" else 4), task
            assert list(task.on_failure_callback) == [report_failure], task
            assert task.execution_timeout is not None, task


def test_every_task_that_posts_or_writes_back_takes_the_one_slot(dag_bag: Any) -> None:
    for dag in dag_bag.dags.values():
        for task in dag.tasks:
            assert (task.pool == "hesi_posting") == (task.task_id in POSTS_OR_WRITES), task
            assert task.pool_slots == 1, task


def test_every_report_is_a_teardown_that_leaves_the_run_as_red_as_it_is(dag_bag: Any) -> None:
    for dag in dag_bag.dags.values():
        report = dag.get_task("report")
        assert (report.is_teardown, report.on_failure_fail_dagrun) == (True, False), dag.dag_id
        assert not any(task.is_setup for task in dag.tasks), dag.dag_id


def test_assets_tie_the_dags_together(dag_bag: Any) -> None:
    from hesi_erp.schedule import ERP_VOUCHERS, HESI_REFERENCE
    from hesi_erp.tasks import POSTED

    for dag_id in ("claims_nightly", "claims_incremental", "claims_sweep", "replay_quarantine"):
        assert dag_bag.dags[dag_id].get_task("load").outlets == [POSTED]
    assert dag_bag.dags["reference_data"].get_task("read_lists").outlets == [HESI_REFERENCE]
    condition = dag_bag.dags["ledger_reconciliation"].timetable.asset_condition
    assert [asset.name for asset in condition.objects] == [ERP_VOUCHERS.name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_dag_files_are_wiring_only(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 50
    modules = {str(node.module) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in modules} == {"airflow", "hesi_erp"}
    assert {name for name in modules if name.startswith("airflow")} == {"airflow.sdk"}
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import)]
