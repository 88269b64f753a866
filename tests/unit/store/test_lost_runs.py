"""A run whose process was killed says so in the ledger, as soon as a later run has ended well."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from etl.store.ledger import Ledger

START = datetime(2026, 10, 14, 18, 0, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    moments = (START + timedelta(minutes=n) for n in range(1000))
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", now=lambda: next(moments)) as opened:
        yield opened


def start(ledger: Ledger, kind: Any = "nightly") -> str:
    return ledger.start_run(
        kind=kind, started_by="cron", business_date=date(2026, 10, 15), mapping_sha256="a" * 64, package_version="1.0", source_host="app.ekuaibao.com"
    )


def test_a_killed_run_is_named_by_the_next_one_that_ends_well(ledger: Ledger) -> None:
    killed, later = start(ledger), start(ledger, "incremental")
    ledger.finish_run(later, "green")

    assert ledger.name_lost_runs(later) == 1

    run = ledger.run(killed)
    assert (run.status, run.verdict, run.cause_code) == ("stopped", "red", "RUN_LOST")
    assert run.finished_at is not None
    assert later in (run.cause_text or "")


def test_a_run_that_began_later_is_still_running(ledger: Ledger) -> None:
    first, second = start(ledger), start(ledger)
    ledger.finish_run(first, "green")

    assert ledger.name_lost_runs(first) == 0
    assert ledger.run(second).status == "running"


def test_a_run_that_lives_after_all_writes_its_own_end(ledger: Ledger) -> None:
    slow, later = start(ledger), start(ledger)
    ledger.finish_run(later, "green")
    ledger.name_lost_runs(later)

    ledger.finish_run(slow, "amber", cause_code="PARTIAL", cause_text="waiting 1")

    assert (ledger.run(slow).status, ledger.run(slow).cause_code) == ("finished", "PARTIAL")


@pytest.mark.parametrize(("running", "ended"), [("reconcile", "nightly"), ("nightly", "reconcile")])
def test_runs_that_post_nothing_neither_name_others_nor_are_named(ledger: Ledger, running: str, ended: str) -> None:
    other, later = start(ledger, running), start(ledger, ended)
    ledger.finish_run(later, "green")

    assert ledger.name_lost_runs(later) == 0
    assert ledger.run(other).status == "running"
