"""The first sentence says whether the run is all right, with numbers and money in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from etl.report.figures_model import Column, Counts, RunFigures, RunHead, Table, Value
from etl.report.verdict import answers, verdict

HEAD = RunHead(
    run_id="20261014T180000000-abcd",
    kind="nightly",
    status="finished",
    verdict="green",
    cause_code=None,
    cause_text=None,
    started_at=datetime(2026, 10, 14, 18, tzinfo=UTC),
    finished_at=None,
    started_by="airflow",
    business_date=date(2026, 10, 15),
    interval_from=None,
    interval_to=None,
    mapping_sha256="",
    expectations_sha256="",
    package_version="1",
    source_host="h",
    previous_run_id=None,
    previous_verdict=None,
    peak_rss_mb=None,
)


def figures(
    *,
    head: RunHead = HEAD,
    posted: int = 0,
    counts: dict[str, int] | None = None,
    differences: dict[str, str] | None = None,
    owners: tuple[str, ...] = (),
    drift: int = 0,
) -> RunFigures:
    wrong = {"CNY": "0.00"} if differences is None else differences
    totals = [("EXPENSE", currency, Decimal(value)) for currency, value in wrong.items()]
    tables = {
        "totals": _table("totals", "entry_kind currency difference", totals),
        "account_totals": _table("account_totals", "currency difference", []),
        "rejects": _table("rejects", "owner", [(owner,) for owner in owners]),
        "drift": _table("drift", "claim_code", [("B1",)] * drift),
    }
    values = {("expense", name): value for name, value in {"posted": posted, **(counts or {})}.items()}
    return RunFigures(head, Counts(("expense",), values), tables)


def _table(key: str, columns: str, rows: list[tuple[Value, ...]]) -> Table:
    return Table(key, "ledger", tuple(Column(name, "text") for name in columns.split()), tuple(rows), "SELECT 1")


def sentence(given: RunFigures) -> tuple[str, str, str]:
    found = verdict(given)
    return found.tone, "".join(zh for zh, _ in found.clauses), "".join(en for _, en in found.clauses)


def test_a_green_run_says_all_are_posted_and_the_money_ties_out() -> None:
    assert sentence(figures(posted=1286)) == ("ok", "全部 1,286 张已过账，钱对得上", "All 1,286 posted; the money ties out")


def test_a_green_run_without_news_says_nothing_new() -> None:
    assert sentence(figures()) == ("ok", "没有新的单据要过账，钱对得上", "Nothing new to post; the money ties out")


def test_an_amber_run_names_how_many_are_missing() -> None:
    given = figures(head=replace(HEAD, verdict="amber"), posted=9, owners=("财务",) * 22)
    assert sentence(given) == ("warn", "还差 22 张没有过账，钱对得上", "22 not posted; the money ties out")


def test_an_amber_run_with_drift_only_names_the_drift() -> None:
    given = figures(head=replace(HEAD, verdict="amber"), drift=3)
    assert sentence(given)[1] == "3 张过账后有变动，钱对得上"


def test_a_red_run_names_the_difference_and_its_currency() -> None:
    given = figures(head=replace(HEAD, verdict="red", cause_code="CONTROL_TOTAL_MISMATCH"), differences={"CNY": "318.40", "HKD": "0.00"})
    assert sentence(given) == (
        "bad",
        "失败：CONTROL_TOTAL_MISMATCH，差 318.40 CNY",
        "Red: CONTROL_TOTAL_MISMATCH; 318.40 CNY out",
    )


def test_a_negative_difference_is_shown_by_its_size() -> None:
    assert figures(differences={"CNY": "-0.01"}).differences == {"CNY": Decimal("0.01")}


def test_a_stopped_run_names_its_cause_and_says_money_was_not_compared() -> None:
    given = figures(head=replace(HEAD, status="stopped", verdict="red", cause_code="RATE_LIMITED"), differences={})
    assert sentence(given) == ("bad", "运行已停止：RATE_LIMITED，金额未核对", "Run stopped: RATE_LIMITED; money not compared")


def test_a_running_run_is_neither_good_nor_bad() -> None:
    assert sentence(figures(head=replace(HEAD, status="running", verdict=None), posted=5))[0] == "info"


def test_whose_turn_counts_open_entries_by_owner() -> None:
    turn = answers(figures(owners=("总账", "财务", "总账")))[2]
    assert (turn.figure, turn.note, turn.tone) == (("3", "3"), ("总账 2，财务 1", "General ledger 2, Finance 1"), "warn")


def test_nobodys_turn_is_said_in_words() -> None:
    assert answers(figures())[2].note[1] == "Nothing for anybody to do"


def test_counts_that_do_not_add_up_turn_the_first_answer_bad() -> None:
    assert answers(figures(counts={"extracted": 3, "new": 2}))[0].tone == "bad"


@pytest.mark.parametrize(("value", "tone"), [("0.00", "ok"), ("0.01", "bad")])
def test_one_cent_decides_whether_the_money_ties_out(value: str, tone: str) -> None:
    assert answers(figures(differences={"CNY": value}))[1].tone == tone
