"""The DAGs really run: against a sandbox over HTTP, into SQLite, by ``dag.test()``; green, again, and with a load that breaks."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.dags.conftest import CANARY_SECRET, World

STEPS = ["extract", "stage", "map_fields", "check_budget", "validate", "load", "reconcile", "write_back"]


@dataclass(frozen=True)
class DagRun:
    """How a DAG run ended."""

    state: str
    run_id: str
    tasks: dict[str, str]


def run_dag(bag: Any, dag_id: str, **conf: Any) -> DagRun:
    ended = bag.dags[dag_id].test(run_conf=conf or None)
    return DagRun(str(ended.state), ended.run_id, {ti.task_id: str(ti.state) for ti in ended.get_task_instances()})


def ledger_run(world: World, dag_id: str, run: DagRun) -> Any:
    from etl.store.ledger import Ledger
    from hesi_erp.runs import newest_run

    with Ledger.open(world.ledger_url) as ledger:
        found = newest_run(ledger, dag_id, run.run_id)
        assert found is not None
        return found


def database(path: Path) -> dict[str, list[str]]:
    """Every table but the instants that may move."""
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        content = {}
        for name in names:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})") if row[1] not in {"updated_at", "loaded_at"}]
            content[name] = sorted(map(repr, connection.execute(f"SELECT {', '.join(columns)} FROM {name}")))  # noqa: S608 - names of the schema
    connection.close()
    return content


@pytest.fixture(scope="module")
def world(make_world: Callable[..., World]) -> World:
    """The world of the good runs."""
    return make_world()


@pytest.fixture(scope="module")
def nightly(world: World, dag_bag: Any) -> DagRun:
    """The first nightly run of that world; what follows means nothing without it."""
    run = run_dag(dag_bag, "claims_nightly")
    assert run.state == "success", run
    return run


def xcoms(run: DagRun) -> dict[str, str]:
    """Task id -> what it handed on, as it is stored."""
    from airflow import settings
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    with settings.Session() as session:
        rows = session.execute(select(XComModel.task_id, XComModel.value).where(XComModel.run_id == run.run_id)).all()
    return {task_id: json.dumps(value, ensure_ascii=False) for task_id, value in rows}


def asset_events(dag_id: str, run: DagRun) -> list[tuple[str, dict[str, Any]]]:
    """Name and extra of the asset events a DAG run made."""
    from airflow import settings
    from airflow.models.asset import AssetEvent, AssetModel
    from sqlalchemy import select

    query = select(AssetModel.name, AssetEvent.extra).join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
    with settings.Session() as session:
        return [(name, extra) for name, extra in session.execute(query.where(AssetEvent.source_dag_id == dag_id, AssetEvent.source_run_id == run.run_id))]


def test_the_nightly_run_posts_the_claims_and_writes_a_report(world: World, nightly: DagRun) -> None:
    assert nightly.state == "success"
    assert set(nightly.tasks.values()) == {"success"}
    run = ledger_run(world, "claims_nightly", nightly)
    assert (run.kind, run.status) == ("nightly", "finished")
    assert run.verdict in {"green", "amber"}
    assert (world.home / "reports" / run.run_id / "run-report.html").is_file()
    assert len(database(world.erp)["voucher"]) > 100
    assert not (world.home / "work" / run.run_id).exists()


def test_only_manifests_travel_between_tasks(nightly: DagRun) -> None:
    found = xcoms(nightly)
    assert set(found) == {"begin", *STEPS, "report"}
    assert max(len(text.encode()) for text in found.values()) < 1024
    assert json.loads(found["load"])["rows_out"] > 100


def test_neither_the_secret_nor_a_token_is_in_any_xcom_log_database_or_report(
    airflow: Path, world: World, nightly: DagRun, dag_bag: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    again = run_dag(dag_bag, "claims_incremental")
    printed = caplog.text + "".join(capfd.readouterr())
    assert "step_finished" in printed
    assert "token_issued" in printed
    tokens = {call.query["accessToken"] for call in world.hesi.requests if "accessToken" in call.query}
    assert tokens
    for secret in [CANARY_SECRET, *tokens]:
        for needle in {secret, quote(secret, safe="")}:
            assert needle not in printed
            assert not [text for run in (nightly, again) for text in xcoms(run).values() if needle in text]
            for folder in (airflow, world.erp.parent):
                assert [path for path in folder.rglob("*") if path.is_file() and needle.encode() in path.read_bytes()] == []


def test_posting_wakes_the_reconciliation_and_an_empty_run_does_not(world: World, nightly: DagRun, dag_bag: Any) -> None:
    run = ledger_run(world, "claims_nightly", nightly)
    [(name, extra)] = asset_events("claims_nightly", nightly)
    assert (name, extra["run_id"]) == ("erp_vouchers", run.run_id)
    assert extra["vouchers"] == len(database(world.erp)["voucher"])

    before = database(world.erp)
    again = run_dag(dag_bag, "claims_incremental")
    assert again.state == "success"
    assert asset_events("claims_incremental", again) == []
    assert database(world.erp) == before


def test_the_weekly_sweep_reads_everything_again_and_changes_nothing_that_is_right(world: World, nightly: DagRun, dag_bag: Any) -> None:
    before = database(world.erp)
    sweep = run_dag(dag_bag, "claims_sweep")
    told = ledger_run(world, "claims_sweep", sweep)
    assert (told.kind, told.verdict) == ("full", "amber")
    read, again = (json.loads(xcoms(run)["extract"])["rows_in"] for run in (nightly, sweep))
    assert again >= read > 100
    assert database(world.erp) == before


def test_the_reconciliation_ties_out_the_whole_ledger_and_posts_nothing(world: World, nightly: DagRun, dag_bag: Any) -> None:
    before = database(world.erp)
    ended = run_dag(dag_bag, "ledger_reconciliation")
    run = ledger_run(world, "ledger_reconciliation", ended)
    assert (ended.state, run.kind) == ("success", "reconcile")
    assert run.verdict in {"green", "amber"}
    assert database(world.erp) == before


def test_one_altered_cent_makes_the_reconciliation_red_while_its_report_is_written(world: World, nightly: DagRun, dag_bag: Any) -> None:
    with sqlite3.connect(world.erp) as connection:
        [(rowid, amount)] = connection.execute("SELECT rowid, amount FROM claim_state WHERE state = 'posted' ORDER BY rowid LIMIT 1")
        connection.execute("UPDATE claim_state SET amount = amount + 1 WHERE rowid = ?", (rowid,))
    connection.close()
    ended = run_dag(dag_bag, "ledger_reconciliation")
    with sqlite3.connect(world.erp) as connection:
        connection.execute("UPDATE claim_state SET amount = ? WHERE rowid = ?", (amount, rowid))
    connection.close()
    assert (ended.state, ended.tasks) == ("failed", {"begin": "success", "reconcile": "failed", "report": "success"})
    run = ledger_run(world, "ledger_reconciliation", ended)
    assert (run.verdict, run.cause_code) == ("red", "CONTROL_TOTAL_MISMATCH")
    assert (world.home / "reports" / run.run_id / "run-report.html").is_file()


def test_the_lists_are_kept_as_a_snapshot_with_hashes(world: World, nightly: DagRun, dag_bag: Any) -> None:
    from etl.store.raw import RawStore

    ended = run_dag(dag_bag, "reference_data")
    run = ledger_run(world, "reference_data", ended)
    assert (ended.state, run.kind, run.verdict) == ("success", "reference", "green")
    pages = RawStore(world.home).index(run.run_id)
    assert {page.form_type for page in pages} >= {"list:departments", "list:staffs", "list:fee-types"}
    assert all(RawStore(world.home).read(run.run_id, page) for page in pages)
    assert [name for name, _ in asset_events("reference_data", ended)] == ["hesi_reference"]


def test_a_replay_of_one_claim_reads_that_claim_and_posts_nothing_twice(world: World, nightly: DagRun, dag_bag: Any) -> None:
    with sqlite3.connect(world.erp) as connection:
        [(code,)] = connection.execute("SELECT claim_code FROM claim_state WHERE state = 'rejected' AND claim_code <> '' LIMIT 1")
    connection.close()
    before = database(world.erp)
    ended = run_dag(dag_bag, "replay_quarantine", claim_codes=[code])
    run = ledger_run(world, "replay_quarantine", ended)
    assert (ended.state, run.kind) == ("success", "replay")
    assert json.loads(xcoms(ended)["extract"])["rows_out"] == 1
    assert database(world.erp)["voucher"] == before["voucher"]


def test_a_broken_load_is_red_in_airflow_and_in_the_ledger_and_still_reported(make_world: Callable[..., World], dag_bag: Any) -> None:
    from etl.erp.database import DatabaseSink

    world = make_world()
    DatabaseSink.open(f"sqlite:///{world.erp}").close()
    with sqlite3.connect(world.erp) as connection:  # a database that quietly loses the first line of each voucher
        connection.execute(
            "CREATE TRIGGER forgetful AFTER INSERT ON voucher_line WHEN NEW.line_no = 1 BEGIN DELETE FROM voucher_line WHERE rowid = NEW.rowid; END"
        )
    connection.close()

    ended = run_dag(dag_bag, "claims_nightly")

    assert ended.state == "failed"
    assert ended.tasks == {
        **dict.fromkeys(["begin", "extract", "stage", "map_fields", "check_budget", "validate", "report"], "success"),
        "load": "failed", "reconcile": "upstream_failed", "write_back": "upstream_failed",
    }  # fmt: skip
    run = ledger_run(world, "claims_nightly", ended)
    assert (run.status, run.verdict, run.cause_code) == ("stopped", "red", "CONTROL_TOTAL_MISMATCH")
    assert (world.home / "reports" / run.run_id / "run-report.html").is_file()
    content = database(world.erp)
    assert content["voucher"] == content["claim_state"] == content["posting_batch"] == []
    [incident] = [json.loads(path.read_text()) for path in (world.home / "incidents").glob("*.json")]
    assert (incident["dag_id"], incident["code"], incident["audience"]) == ("claims_nightly", "CONTROL_TOTAL_MISMATCH", "finance")


def test_wrong_settings_fail_the_first_task_at_once_and_nothing_is_begun(
    make_world: Callable[..., World], dag_bag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    monkeypatch.setenv("AIRFLOW_CONN_ERP", json.dumps({"conn_type": "fax"}))
    ended = run_dag(dag_bag, "reference_data")
    assert (ended.state, ended.tasks["begin"], ended.tasks["read_lists"]) == ("failed", "failed", "upstream_failed")
    assert not (world.home / "ledger.db").exists()
