"""The flags and sums the suites read, worked out without the code they check."""

from __future__ import annotations

from datetime import date

import pytest

from etl.config.mapping import Account, Chart
from etl.frames import day_number
from etl.steps.posting_rules import AccountWindow, CompanyPromises
from etl.steps.validation_frames import join, slim_entries, slim_lines, slim_totals
from tests.unit.steps.vouchers_to_validate import MARCH_10, Chunk, chunk, promises


def lines_of(c: Chunk, **changes: object):  # type: ignore[no-untyped-def]
    return slim_lines(c.lines, c.vouchers, c.dimensions, rules=promises(**changes))


def entry_of(c: Chunk, **changes: object):  # type: ignore[no-untyped-def]
    return slim_entries(c.entries, c.vouchers, c.lines, rules=promises(**changes)).iloc[0]


def test_march_10_is_what_it_says() -> None:
    assert day_number(date(2026, 3, 10)) == MARCH_10


def test_an_account_is_judged_by_the_window_that_covers_the_voucher_day() -> None:
    windows = (
        AccountWindow(0, MARCH_10 - 1, frozenset()),
        AccountWindow(MARCH_10, MARCH_10 + 9, frozenset({"project"})),
    )
    accounts = {**promises()["C01"].accounts, "6602.01": windows}
    flags = lines_of(chunk(1), accounts=accounts)
    assert list(flags["account_open"]) == [1, 1, 1, 1]
    assert list(flags["dimensions_complete"]) == [0, 0, 1, 1]


def test_an_account_between_two_windows_is_not_open() -> None:
    windows = (AccountWindow(0, MARCH_10 - 1, frozenset()), AccountWindow(MARCH_10 + 1, MARCH_10 + 9, frozenset()))
    accounts = {**promises()["C01"].accounts, "2241.01": windows}
    assert list(lines_of(chunk(1), accounts=accounts)["account_open"]) == [1, 1, 1, 0]


def test_a_dimension_without_a_code_is_no_dimension() -> None:
    c = chunk(2)
    c.dimensions.loc[0, "dim_code"] = ""
    assert list(lines_of(c)["dimensions_complete"]) == [0, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("unit", "limit", "fits"),
    [("gb18030", 4, 1), ("gb18030", 3, 0), ("utf-8", 6, 1), ("utf-8", 5, 0), (None, 2, 1), (None, 1, 0)],
)
def test_a_summary_is_measured_in_the_unit_of_the_target(unit: str | None, limit: int, fits: int) -> None:
    c = chunk(1)
    c.lines["summary"] = "会议"
    assert set(lines_of(c, summary_limit=limit, summary_encoding=unit)["summary_fits"]) == {fits}


def test_a_rare_character_takes_four_bytes_of_gb18030() -> None:
    c = chunk(1)
    c.lines["summary"] = "𠮷"
    assert set(lines_of(c, summary_limit=3, summary_encoding="gb18030")["summary_fits"]) == {0}
    assert set(lines_of(c, summary_limit=4, summary_encoding="gb18030")["summary_fits"]) == {1}


def test_a_foreign_line_with_a_rate_fits_and_a_base_line_with_a_foreign_amount_does_not() -> None:
    c = chunk(2)
    c.change("lines", 0, line_no=4, currency="USD", fx_rate="7.1234", amount_fc_minor=1_488)
    c.change("lines", 1, line_no=4, amount_fc_minor=1_488)
    assert list(lines_of(c)["currency_fits"]) == [1, 1, 1, 1, 1, 1, 1, 0]


def test_a_line_without_a_voucher_keeps_no_promise() -> None:
    c = chunk(2)
    c.vouchers = c.vouchers.iloc[:1]
    flags = lines_of(c).iloc[4:].drop(columns=["entry_no", "debit_minor", "credit_minor", "side_count"])
    assert not flags.to_numpy().any()


def test_a_company_without_a_mapping_keeps_no_promise() -> None:
    c = chunk(1)
    c.vouchers["company_code"] = "C99"
    assert not lines_of(c)[["account_open", "summary_fits", "tax_fits", "currency_fits"]].to_numpy().any()


def test_the_flags_of_a_line_do_not_depend_on_its_place_in_the_chunk() -> None:
    c = chunk(4, kinds=("EXPENSE", "PAYMENT"))
    c.change("lines", 1, line_no=1, account_code="9999")
    c.change("lines", 2, line_no=3, tax_rate="")
    straight = lines_of(c)
    order = list(reversed(range(len(c.lines))))
    c.lines, c.vouchers = c.lines.iloc[order].reset_index(drop=True), c.vouchers.iloc[::-1].reset_index(drop=True)
    assert lines_of(c).iloc[::-1].to_numpy().tolist() == straight.to_numpy().tolist()


@pytest.mark.parametrize(("debit", "credit"), [(1, 0), (0, 1)])
def test_an_allowed_rounding_difference_explains_itself_on_either_side(debit: int, credit: int) -> None:
    c = chunk(1)
    c.change("lines", 0, line_no=4, account_code="6603.99", debit_minor=debit, credit_minor=credit)
    total = 10_600 if debit else 10_599
    c.change("entries", 0, amount_minor=total)
    allowed = entry_of(c, residual_account="6603.99", residual_limit=1)
    assert allowed["voucher_minor"] == total
    if debit:
        assert entry_of(c, residual_account="6603.99", residual_limit=0)["voucher_minor"] == 10_601


def test_a_residual_beyond_its_limit_explains_nothing() -> None:
    c = chunk(1)
    c.change("lines", 0, line_no=4, account_code="6603.99", debit_minor=6, credit_minor=0)
    entry = entry_of(c, residual_account="6603.99", residual_limit=5)
    assert (entry["source_minor"], entry["voucher_minor"], entry["debit_minor"]) == (10_600, 10_606, 10_606)


def test_sums_stay_exact_beyond_what_a_float_can_hold() -> None:
    c = chunk(1)
    big = 2**55 + 1
    c.change("lines", 0, line_no=1, debit_minor=big)
    assert entry_of(c)["debit_minor"] == big + 5_600


def test_totals_are_per_company_currency_and_kind() -> None:
    c = chunk(5, kinds=("EXPENSE", "PAYMENT"))
    totals = slim_totals(slim_entries(c.entries, c.vouchers, c.lines, rules=promises()), lines_of(c))
    columns = [
        "entry_kind",
        "source_minor",
        "voucher_minor",
        "debit_minor",
        "credit_minor",
        "lines_expected",
        "lines_found",
    ]
    assert totals[columns].to_numpy().tolist() == [
        ["EXPENSE", 31_800, 31_800, 31_800, 31_800, 12, 12],
        ["PAYMENT", 21_200, 21_200, 21_200, 21_200, 4, 4],
    ]


def test_joined_chunks_keep_their_dtypes() -> None:
    parts = [slim_entries(c.entries, c.vouchers, c.lines, rules=promises()) for c in (chunk(2), chunk(0), chunk(1, start=2))]
    assert list(join(parts).dtypes) == list(parts[0].dtypes)
    flags = [lines_of(chunk(2)), lines_of(chunk(0))]
    assert list(join(flags).dtypes) == list(flags[0].dtypes)


def test_an_expense_account_needs_a_department_even_where_the_chart_calls_it_optional() -> None:
    accounts = [
        Account(code="6602.01", name="差旅", dimensions={"department": "optional"}),
        Account(code="6602.02", name="招待", dimensions={"department": "optional", "project": "required"}),
        Account(code="1123", name="预付"),
    ]
    company = _company(fee_accounts=["6602.01", "1123"])
    promised = CompanyPromises.of(company, Chart(version="1", name="cas", accounts=accounts))
    assert {code: sorted(windows[0].dimensions) for code, windows in promised.accounts.items()} == {
        "6602.01": ["department"],
        "6602.02": ["project"],
        "1123": [],
    }


def _company(*, fee_accounts: list[str]):  # type: ignore[no-untyped-def]
    from etl.config.mapping import CompanyMapping

    return CompanyMapping.model_validate(
        {
            "version": "1",
            "owner": "finance",
            "company": {
                "code": "C01",
                "name": "A",
                "book": "B",
                "base_currency": "CNY",
                "hesi": {"codes": ["C01"]},
                "taxpayer": [],
            },
            "chart": "cas",
            "dimensions": [],
            "department_classes": [],
            "fee_types": [{"fee": {"codes": ["T"]}, "label": "x", "accounts": {str(i): a for i, a in enumerate(fee_accounts)}}],
            "payables": {"employee": "2241.01", "supplier": "2202.01"},
            "loans": {"employee": "1221.01", "supplier": "1123"},
            "prepayment": "1123",
            "bank_accounts": [],
        }
    )
