"""Blocks of debits and credits become numbered lines with the dimensions their accounts allow."""

from __future__ import annotations

from datetime import date

import numpy as np

from etl.frames import day_number
from etl.steps.failures import Failures
from etl.steps.linebook import BANK, EXPENSE, PAYABLE, TAX, LineBook
from etl.steps.lookups import CompanyRules
from tests.cases.situation import shipped_mappings
from tests.support.claims import reference

DAY = day_number(date(2026, 3, 10))


def new_book() -> LineBook:
    mappings = shipped_mappings()
    run_day = date(2026, 4, 15)
    return LineBook(CompanyRules(mappings.companies[0], mappings.charts["cas"], None, reference(), run_day, lambda *keys: None, lambda department: None))


def closed(book: LineBook, failures: Failures, entries: int = 2) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]], list[tuple[object, ...]]]:
    summaries = np.array([f"summary {n}" for n in range(entries)], dtype=object)
    frames = book.close(entry_no=np.arange(entries) + 7, summaries=summaries, days=np.full(entries, DAY), failures=failures)
    lines, dimensions, sources = frames
    return (
        list(lines[["entry_no", "line_no", "account_code", "debit_minor", "credit_minor", "summary"]].itertuples(index=False, name=None)),
        list(dimensions[["entry_no", "line_no", "dim_type", "dim_code"]].itertuples(index=False, name=None)),
        list(sources[["entry_no", "line_no", "source_line_id", "amount_minor"]].itertuples(index=False, name=None)),
    )


def dims(*codes: str | None) -> tuple[np.ndarray, np.ndarray]:
    values = np.empty(len(codes), dtype=object)
    values[:] = [(code, f"name of {code}") if code else None for code in codes]
    return values, np.full(len(codes), None, dtype=object)


def test_lines_are_printed_by_section_order_and_suborder_whatever_was_added_first() -> None:
    book = new_book()
    book.add(entry=np.array([1, 0]), section=BANK, account_code="1002.01", credit_minor=np.array([5, 3]))
    book.add(
        entry=np.array([0, 0, 1]),
        section=EXPENSE,
        order=np.array([2, 1, 0]),
        account_code="6602.01",
        debit_minor=np.array([2, 1, 5]),
        dims={"department": dims("D10", "D10", "D10")},
    )
    failures = Failures()
    lines, *_ = closed(book, failures)
    assert lines == [
        (7, 1, "6602.01", 1, 0, "summary 0"),
        (7, 2, "6602.01", 2, 0, "summary 0"),
        (7, 3, "1002.01", 0, 3, "summary 0"),
        (8, 1, "6602.01", 5, 0, "summary 1"),
        (8, 2, "1002.01", 0, 5, "summary 1"),
    ]
    assert not failures.found


def test_a_line_of_nothing_is_left_out_with_its_sources_and_the_numbers_close_up() -> None:
    book = new_book()
    handles = book.add(entry=np.array([0, 0]), section=TAX, order=np.array([0, 1]), account_code="2221.01.01", debit_minor=np.array([0, 6]))
    book.add_sources(handles, source_line_id=["a", "b"], amount_minor=np.array([0, 6]))
    lines, _, sources = closed(book, Failures(), entries=1)
    assert [line[1:5] for line in lines] == [(1, "2221.01.01", 6, 0)]
    assert sources == [(7, 1, "b", 6)]


def test_several_source_lines_of_one_merged_line_are_all_linked() -> None:
    book = new_book()
    handles = book.add(entry=np.array([0]), section=TAX, account_code="2221.01.01", debit_minor=9)
    book.add_sources(np.repeat(handles, 2), source_line_id=["a", "b"], amount_minor=np.array([6, 3]))
    assert closed(book, Failures(), entries=1)[2] == [(7, 1, "a", 6), (7, 1, "b", 3)]


def test_an_account_carries_the_dimensions_it_names_and_no_other() -> None:
    book = new_book()
    both = {"department": dims("D10"), "employee": dims("E001")}
    book.add(entry=np.array([0]), section=EXPENSE, account_code="6602.01", debit_minor=1, dims=both)
    book.add(entry=np.array([0]), section=PAYABLE, account_code="2241.01", credit_minor=1, dims=both)
    assert closed(book, Failures(), entries=1)[1] == [(7, 1, "department", "D10"), (7, 2, "employee", "E001")]


def test_a_required_dimension_that_is_missing_is_a_reason_and_a_forbidden_one_is_none() -> None:
    book = new_book()
    book.add(entry=np.array([0]), section=EXPENSE, account_code="6602.01", debit_minor=1)
    book.add(entry=np.array([1]), section=BANK, account_code="1002.01", debit_minor=1, dims={"department": dims("D10")})
    failures = Failures()
    closed(book, failures)
    assert {row: found[0] for row, found in failures.found.items()} == {0: "DIMENSION_MISSING"}


def test_a_dimension_that_could_not_be_resolved_keeps_its_own_reason() -> None:
    book = new_book()
    problems = np.full(1, None, dtype=object)
    problems[0] = ("DEPARTMENT_UNMAPPED", "department X is in no list")
    book.add(entry=np.array([0]), section=EXPENSE, account_code="6602.01", debit_minor=1, dims={"department": (np.full(1, None, dtype=object), problems)})
    failures = Failures()
    closed(book, failures, entries=1)
    assert failures.found == {0: ("DEPARTMENT_UNMAPPED", "rejected", "department X is in no list")}


def test_an_account_outside_the_chart_is_named_and_a_missing_one_has_its_own_reason_elsewhere() -> None:
    book = new_book()
    book.add(entry=np.array([0, 1]), section=EXPENSE, account_code=np.array(["9999", ""], dtype=object), debit_minor=1)
    failures = Failures("owner")
    closed(book, failures)
    assert [(row, found[0]) for row, found in failures.found.items()] == [(0, "ACCOUNT_UNKNOWN")]
    assert failures.owner("ACCOUNT_UNKNOWN") == "owner"
    assert failures.owner("FX_MISMATCH") == "财务"


def test_an_empty_book_closes_into_empty_frames() -> None:
    assert closed(new_book(), Failures(), entries=0) == ([], [], [])
