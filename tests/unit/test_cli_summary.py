"""What is printed at the end of a run."""

from __future__ import annotations

import msgspec
import pytest

from etl.commands.summary import MoneyTotal, RunDocument, run_lines

TOTAL = MoneyTotal("EXPENSE", "C01", "CNY", "1234567.80", "1234000.00", "500.00", "67.80", "0.00", "0.00", "0.00", "0.00")
DOCUMENT = RunDocument(
    run_id="20261124T073345400-3c1e",
    kind="nightly",
    verdict="amber",
    cause_code="PARTIAL",
    cause="rejected 1, held 1",
    posted=7,
    counts={"expense": {"extracted": 9, "new": 9, "posted": 7, "rejected": 1, "held": 1, "duplicate": 0}, "loan": {"extracted": 0}},
    totals=[TOTAL],
    differences=0,
    report={"html": "/home/reports/x/run-report.html"},
)


def test_the_summary_begins_with_the_verdict_and_ends_with_what_was_posted_and_the_report() -> None:
    lines = list(run_lines(DOCUMENT))
    assert lines[0] == "AMBER nightly run 20261124T073345400-3c1e: rejected 1, held 1"
    assert lines[-2:] == ["posted 7", "report /home/reports/x/run-report.html"]


def test_counts_leave_out_what_nobody_counted() -> None:
    table = [line.split() for line in run_lines(DOCUMENT) if line.strip()]
    header = next(line for line in table if line[:1] == ["form"])
    assert header == ["form", "extracted", "new", "held", "rejected", "posted"]
    assert ["expense", "9", "9", "1", "1", "7"] in table
    assert ["total", "9", "9", "1", "1", "7"] in table
    assert [line for line in table if line[0] == "loan"] == []


def test_money_is_shown_per_kind_company_and_currency() -> None:
    rows = [line.split() for line in run_lines(DOCUMENT) if line.startswith("  EXPENSE")]
    assert rows == [["EXPENSE", "C01", "CNY", "1,234,567.80", "1,234,000.00", "500.00", "67.80", "0.00", "0.00", "0.00", "0.00"]]
    assert "  difference 0.00: everything is explained" in list(run_lines(DOCUMENT))


def test_a_difference_is_not_hidden_in_a_column() -> None:
    wrong = msgspec.structs.replace(DOCUMENT, verdict="red", totals=[msgspec.structs.replace(TOTAL, difference="0.01")], differences=1)
    lines = list(run_lines(wrong))
    assert lines[0].startswith("RED ")
    assert "  1 DIFFERENCES: the report lists them" in lines
    assert [line for line in lines if "everything is explained" in line] == []


@pytest.mark.parametrize("report", [{}, {"html": "/r.html"}], ids=["none", "written"])
def test_a_run_that_stopped_early_still_says_how_much_was_posted(report: dict[str, str]) -> None:
    stopped = msgspec.structs.replace(DOCUMENT, verdict="red", cause="SOURCE_UNAVAILABLE: x", counts={}, totals=[], posted=0, report=report)
    lines = list(run_lines(stopped))
    assert "posted 0" in lines
    assert "money: nothing is known yet" in lines
    assert [line for line in lines if line.startswith("report ")] == [f"report {path}" for path in report.values()]
