"""What is past its time is listed for sign-off and never deleted."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from etl.evidence.contents.retention import class_of, expired
from tests.evidence.conftest import History


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("raw/20260105T010000000-ab12/1.json", "raw/20270105T010000000-ab12/1.json", "reports/20260105T010000000-ab12/run-report.html",
                 "reports/latest.html", "logs/2026-01-05.log", "logs/airflow.log", "work/20260105T010000000-ab12/x"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    return tmp_path


def listed(home: Path, before: date) -> list[tuple[str, str, date]]:
    return [(item.path, item.retention, item.kept_until) for item in expired(home, before)]


def test_nothing_is_listed_on_the_last_day_it_has_to_be_kept(home: Path) -> None:
    assert listed(home, date(2036, 12, 31)) == []


def test_reports_are_kept_ten_years_and_raw_claims_thirty(home: Path) -> None:
    ten = [("logs/2026-01-05.log", "B10", date(2036, 12, 31)), ("reports/20260105T010000000-ab12", "B10", date(2036, 12, 31))]
    assert listed(home, date(2037, 1, 1)) == ten
    assert listed(home, date(2057, 1, 1)) == [*ten, ("raw/20260105T010000000-ab12", "A30", date(2056, 12, 31))]


def test_only_what_carries_its_date_is_ever_listed(home: Path) -> None:
    assert {path for path, _, _ in listed(home, date(2999, 1, 1))}.isdisjoint({"reports/latest.html", "logs/airflow.log"})


def test_the_command_lists_for_sign_off_and_deletes_nothing(own: History) -> None:
    before = sorted(path for path in own.home.rglob("*") if path.is_file() and path.parent.name != "logs")
    told = own.command("evidence", "destruction-list", "--before", "2999-01-01")
    assert told.status == 0
    assert "nothing was deleted" in told.out
    assert "会计主管 finance" in told.out
    assert sorted(path for path in own.home.rglob("*") if path.is_file() and path.parent.name != "logs") == before


def test_a_day_that_is_none_is_a_wrong_argument(own: History) -> None:
    assert own.command("evidence", "destruction-list", "--before", "soon").status == 2


def test_vouchers_and_what_proves_them_are_class_a() -> None:
    names = ("1-population/vouchers.csv", "9-audit-log/log.jsonl", "4-validation/results.csv", "retention.csv")
    assert [class_of(name) for name in names] == ["A30", "A30", "B10", "B10"]
