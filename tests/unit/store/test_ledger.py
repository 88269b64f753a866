"""The run ledger keeps what every run did, once, whatever is repeated."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from etl.errors import ConfigError, RateLimited, SinkUnavailable, StorageUnavailable
from etl.frames import FINDINGS, REJECTS
from etl.store import ledger_schema as tables
from etl.store.ledger import Ledger, Verdict

TODAY = date(2026, 10, 15)
START = datetime(2026, 10, 14, 18, 0, 0, 123_456, tzinfo=UTC)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "home" / "ledger.db"
    Ledger.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def ledger(tmp_path: Path, migrated: Path) -> Iterator[Ledger]:
    moments = (START + timedelta(minutes=n) for n in range(1000))
    shutil.copytree(migrated.parent, tmp_path / "home")
    with Ledger.open(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}", now=lambda: next(moments)) as opened:
        yield opened


def start(ledger: Ledger, kind: Any = "nightly") -> str:
    return ledger.start_run(kind=kind, started_by="cron", business_date=TODAY, mapping_sha256="a" * 64, package_version="1.0", source_host="app.ekuaibao.com")


def finish(ledger: Ledger, kind: Any = "nightly", verdict: Verdict = "green") -> str:
    run_id = start(ledger, kind)
    ledger.finish_run(run_id, verdict)
    return run_id


def reject(**changes: Any) -> dict[str, Any]:
    row = dict.fromkeys(REJECTS.columns, "")
    row |= {"claim_id": "f1", "claim_code": "B1", "entry_kind": "EXPENSE", "rule": "PERIOD_CLOSED", "step": "map_fields"}
    return {**row, "amount_minor": 3300, "currency": "CNY", "claimant_name": "张三", **changes}


def test_a_run_id_is_its_start_in_utc_to_the_millisecond(ledger: Ledger) -> None:
    run_id = start(ledger)
    assert run_id[:18] == "20261014T180000123"
    assert (len(run_id), run_id[18]) == (23, "-")


def test_a_started_run_is_running_without_verdict(ledger: Ledger) -> None:
    run = ledger.run(start(ledger))
    assert (run.status, run.verdict, run.finished_at, run.started_at) == ("running", None, None, START)


def test_a_finished_run_keeps_verdict_cause_and_memory(ledger: Ledger) -> None:
    run_id = start(ledger)
    ledger.finish_run(run_id, "amber", cause_code="OPEN_ENTRIES", cause_text="22 held", peak_rss_mb=312)
    run = ledger.run(run_id)
    assert (run.status, run.verdict, run.cause_code, run.cause_text, run.peak_rss_mb) == ("finished", "amber", "OPEN_ENTRIES", "22 held", 312)
    assert run.finished_at == START + timedelta(minutes=1)


def test_a_stopped_run_is_red_and_names_the_error_without_its_secrets(ledger: Ledger) -> None:
    run_id = start(ledger)
    ledger.stop_run(run_id, RateLimited("GET https://app.ekuaibao.com/x?accessToken=s3cret for 13812345678"))
    run = ledger.run(run_id)
    assert (run.status, run.verdict, run.cause_code) == ("stopped", "red", "RATE_LIMITED")
    assert run.cause_text == "GET https://app.ekuaibao.com/x?accessToken=*** for 138****5678"


def test_a_foreign_exception_is_unexpected_and_says_its_class(ledger: Ledger) -> None:
    run_id = start(ledger)
    ledger.stop_run(run_id, KeyError("a bug"))
    assert (ledger.run(run_id).cause_code, ledger.run(run_id).cause_text) == ("UNEXPECTED", "KeyError: 'a bug'")


def test_a_stopped_run_may_finish_after_its_task_was_retried(ledger: Ledger) -> None:
    run_id = start(ledger)
    ledger.stop_run(run_id, RateLimited("later"))
    ledger.finish_run(run_id, "green")
    assert (ledger.run(run_id).status, ledger.run(run_id).cause_code) == ("finished", None)


@pytest.mark.parametrize("act", ["run", "finish", "stop"])
def test_an_unknown_run_is_a_clear_error(ledger: Ledger, act: str) -> None:
    acts = {
        "run": lambda: ledger.run("nope"),
        "finish": lambda: ledger.finish_run("nope", "green"),
        "stop": lambda: ledger.stop_run("nope", RateLimited("x")),
    }
    with pytest.raises(ConfigError, match="expected a run id of this ledger, found 'nope'"):
        acts[act]()


def test_the_previous_run_is_the_newest_finished_one_of_the_kind(ledger: Ledger) -> None:
    nightly = finish(ledger)
    incremental = finish(ledger, "incremental")
    start(ledger)
    assert [run.run_id if run else None for run in (ledger.previous_run("nightly"), ledger.previous_run())] == [nightly, incremental]
    assert ledger.run(start(ledger)).previous_run_id == nightly


def test_there_is_no_run_before_the_first(ledger: Ledger) -> None:
    assert ledger.previous_run() is None
    assert ledger.run(start(ledger)).previous_run_id is None


def test_recent_runs_come_newest_first_and_limited(ledger: Ledger) -> None:
    ids = [finish(ledger) for _ in range(5)]
    assert [run.run_id for run in ledger.recent_runs(3)] == ids[:1:-1]


def test_a_step_recorded_again_replaces_its_attempt_and_keeps_others(ledger: Ledger) -> None:
    run_id = start(ledger)
    for attempt, seconds in ((1, 1.0), (2, 2.0), (2, 3.0)):
        ledger.record_step(run_id, "load", attempt=attempt, started_at=START, seconds=seconds, cpu_seconds=0.5)
    assert [(row["attempt"], row["seconds"]) for row in ledger.rows(tables.run_step, run_id)] == [(1, 1.0), (2, 3.0)]


def test_counts_given_again_replace_their_measure_only(ledger: Ledger) -> None:
    run_id = start(ledger)
    ledger.record_counts(run_id, {("expense", "new"): 5, ("loan", "new"): 2, ("expense", "posted"): 4})
    ledger.record_counts(run_id, {("expense", "new"): 6})
    stored = {(row["form_type"], row["measure"]): row["value"] for row in ledger.rows(tables.run_count, run_id)}
    assert stored == {("expense", "new"): 6, ("expense", "posted"): 4}


def test_no_counts_remove_nothing(ledger: Ledger) -> None:
    run_id = start(ledger)
    ledger.record_counts(run_id, {("expense", "new"): 5})
    ledger.record_counts(run_id, {})
    assert len(ledger.rows(tables.run_count, run_id)) == 1


def test_totals_are_stored_as_plain_decimal_text(ledger: Ledger) -> None:
    run_id = start(ledger)
    for _ in range(2):
        ledger.add_totals(run_id, [{"entry_kind": "EXPENSE", "company_code": "C01", "currency": "CNY", "source": Decimal("1E+3"), "posted": "1000.00"}])
    (row,) = ledger.rows(tables.run_total, run_id)
    assert (row["source"], row["posted"], row["held"]) == ("1000", "1000.00", "0")


def test_rejects_are_masked_and_aged(ledger: Ledger) -> None:
    run_id = start(ledger)
    rows = [reject(reason="call 13812345678"), reject(claim_id="f2", rule="PAYEE_UNKNOWN")]
    ledger.add_rejects(run_id, rows, business_date=TODAY, first_seen={("f2", "EXPENSE"): date(2026, 10, 10)})
    first, second = ledger.rows(tables.run_reject, run_id)
    assert (first["claimant_name"], first["reason"], first["amount_minor"]) == ("张*", "call 138****5678", 3300)
    assert (first["first_seen_on"], first["due_date"], first["days_open"]) == (TODAY, date(2026, 10, 17), 0)
    assert (second["first_seen_on"], second["due_date"], second["days_open"]) == (date(2026, 10, 10), date(2026, 10, 13), 5)


def test_rejects_come_as_frames_and_a_retried_step_replaces_only_its_own(ledger: Ledger) -> None:
    run_id = start(ledger)
    mapped, validated = (REJECTS.frame({name: [value] for name, value in reject(step=step).items()}) for step in ("map_fields", "validate"))
    ledger.add_rejects(run_id, [mapped], business_date=TODAY, steps=["map_fields"])
    for _ in range(2):
        ledger.add_rejects(run_id, validated, business_date=TODAY, steps=["validate"])
    assert [row["step"] for row in ledger.rows(tables.run_reject, run_id)] == ["map_fields", "validate"]
    ledger.add_rejects(run_id, validated, business_date=TODAY)
    assert [row["step"] for row in ledger.rows(tables.run_reject, run_id)] == ["validate"]


def test_findings_of_one_step_are_numbered_and_replaced_together(ledger: Ledger) -> None:
    run_id = start(ledger)
    frame = FINDINGS.frame(
        {"claim_id": ["f1", "f1"], "claim_code": ["B1", "B1"], "rule": ["X", "X"], "detail": ["a", "b"], "amount_minor": [1, 2], "currency": ["CNY", "CNY"]}
    )
    ledger.add_findings(run_id, frame, step="map_fields")
    ledger.add_findings(run_id, frame, step="validate")
    ledger.add_findings(run_id, frame.head(1), step="validate")
    stored = [(row["step"], row["n"], row["detail"]) for row in ledger.rows(tables.run_finding, run_id)]
    assert stored == [("map_fields", 1, "a"), ("map_fields", 2, "b"), ("validate", 1, "a")]


@dataclass(frozen=True)
class _Result:
    suite: str = "voucher_lines"
    rule: str = "balances"
    success: bool = False
    failing_keys: str = '["6222021234567890123"]'


def test_dataclass_rows_are_stored_and_failing_keys_stay_exact(ledger: Ledger) -> None:
    run_id = start(ledger)
    ledger.add_validation(run_id, [_Result()])
    (row,) = ledger.rows(tables.run_validation, run_id)
    assert (row["rule"], row["success"], row["failing_keys"]) == ("balances", False, '["6222021234567890123"]')


def test_a_pages_address_never_carries_the_token(ledger: Ledger) -> None:
    run_id = start(ledger)
    page = {"form_type": "expense", "active": True, "url": "https://h/x?accessToken=abc&start=0", "fetched_at": START, "path": "p1.json"}
    ledger.add_pages(run_id, [page])
    (row,) = ledger.rows(tables.run_page, run_id)
    assert (row["url"], row["fetched_at"], row["n"]) == ("https://h/x?accessToken=***&start=0", START, 1)


def test_an_unknown_column_is_refused_and_nothing_is_lost(ledger: Ledger) -> None:
    run_id = start(ledger)
    ledger.add_budget(run_id, [{"source": "hesi"}])
    with pytest.raises(ValueError, match=r"run_budget: expected columns of .* found \['nodes'\] besides"):
        ledger.add_budget(run_id, [{"nodes": 1}])
    assert len(ledger.rows(tables.run_budget, run_id)) == 1


def test_a_missing_amount_is_refused(ledger: Ledger) -> None:
    run_id = start(ledger)
    with pytest.raises(ValueError, match="budget: expected a value, found NaN"):
        ledger.add_budget(run_id, pd.DataFrame({"source": ["hesi"], "budget": [Decimal("NaN")]}))


def test_rows_of_a_run_that_never_started_are_refused(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="FOREIGN KEY"):
        ledger.add_budget("20260101T000000000-0000", [{"source": "hesi"}])


def test_many_thousand_rejects_are_stored_in_batches(ledger: Ledger) -> None:
    run_id = start(ledger)
    ledger.add_rejects(run_id, (reject(claim_id=f"f{n}") for n in range(4_500)), business_date=TODAY)
    assert len(ledger.rows(tables.run_reject, run_id)) == 4_500


def test_a_naive_instant_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="expected an aware instant"):
        ledger.record_step(start(ledger), "load", started_at=datetime(2026, 1, 1), seconds=1.0, cpu_seconds=1.0)  # noqa: DTZ001


def test_the_file_is_readable_by_its_owner_only(ledger: Ledger, tmp_path: Path) -> None:
    start(ledger)
    assert (tmp_path / "home" / "ledger.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_no_name_or_number_reaches_the_file_unmasked(ledger: Ledger, tmp_path: Path) -> None:
    run_id = start(ledger)
    ledger.add_rejects(run_id, [reject(claimant_name="司马相如", reason="13812345678")], business_date=TODAY)
    ledger.close()
    content = (tmp_path / "home" / "ledger.db").read_bytes()
    assert "司***".encode() in content
    assert "司马".encode() not in content
    assert b"13812345678" not in content


def test_a_ledger_that_cannot_be_reached_is_a_transient_error_without_password(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="expected to write it"):
        Ledger.open(f"sqlite:///{tmp_path}")
    with pytest.raises(SinkUnavailable) as caught:
        Ledger.open("postgresql+psycopg://user:hunter22@127.0.0.1:1/ledger")
    assert "hunter22" not in str(caught.value)
    assert "HESI_ERP_LEDGER_URL" in str(caught.value)


def test_plain_sqlite_reads_what_was_written(ledger: Ledger, tmp_path: Path) -> None:
    run_id = finish(ledger)
    with closing(sqlite3.connect(tmp_path / "home" / "ledger.db")) as connection:
        assert connection.execute("SELECT run_id, verdict FROM run").fetchall() == [(run_id, "green")]
