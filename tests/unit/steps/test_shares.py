"""How a detail is split: gross or net shares, tax by rule 9, red shares."""

from __future__ import annotations

from typing import Any

import pytest

from etl.steps.mapped import MappedClaims
from tests.support.claims import detail, expense, invoice, map_flows, money, reference, share


def mapped_from(amount: str, tax: str, shares: list[str], *, fee: str = "TRAVEL") -> MappedClaims:
    """A claim of one detail with these shares and this tax."""
    uses: list[dict[str, Any]] = [{"invoiceId": "I1", "taxAmount": money(tax), "taxRate": "6"}] if tax else []
    line = detail(amount, fee=fee, department="D10", shares=[share(part, "D10") for part in shares], invoices=uses)
    return map_flows([expense(amount, details=[line], paid=None)], lists=reference(invoices=[invoice("I1", rate="6", tax=0)]))


def debits(amount: str, tax: str, shares: list[str], *, fee: str = "TRAVEL") -> list[int]:
    """Debits of the shares, without the VAT line, in share order; a share of 0.00 has none."""
    lines = mapped_from(amount, tax, shares, fee=fee).voucher_lines
    return [int(minor) for minor in lines.loc[(lines["debit_minor"] != 0) & (lines["tax_rate"] == ""), "debit_minor"]]


@pytest.mark.parametrize(
    ("amount", "tax", "shares", "found"),
    [
        ("106.00", "6.00", [], [10_000]),
        ("106.00", "", ["53.00", "53.00"], [5_300, 5_300]),
        ("106.00", "6.00", ["53.00", "53.00"], [5_000, 5_000]),
        ("106.00", "6.00", ["50.00", "50.00"], [5_000, 5_000]),
        ("0.03", "0.02", ["0.01", "0.01", "0.01"], [1]),  # the two cents of tax go to the first two shares, which then bear nothing
        ("1000.00", "56.60", ["733.33", "400.01", "-133.34"], [69_182, 37_737, -12_579]),  # G10
        ("848.00", "48.00", ["480.00", "320.00"], [48_000, 32_000]),  # G02, on the net amount
        ("100.00", "6.00", ["200.00", "-100.00"], [18_800, -9_400]),
        ("-106.00", "-6.00", ["-53.00", "-53.00"], [-5_000, -5_000]),
    ],
)
def test_a_share_bears_its_part_without_its_part_of_the_tax(amount: str, tax: str, shares: list[str], found: list[int]) -> None:
    assert debits(amount, tax, shares) == found


def test_net_shares_of_a_fee_type_that_does_not_deduct_get_the_tax_as_cost() -> None:
    assert debits("106.00", "6.00", ["60.00", "40.00"], fee="ENTERTAIN") == [6_360, 4_240]
    assert debits("106.00", "6.00", ["63.60", "42.40"], fee="ENTERTAIN") == [6_360, 4_240]


@pytest.mark.parametrize(
    ("amount", "tax", "shares", "rule"),
    [
        ("106.00", "6.00", ["50.00", "49.99"], "APPORTION_SUM"),
        ("106.00", "6.00", ["106.01"], "APPORTION_SUM"),
        ("6.00", "6.00", ["1.00", "-1.00"], "APPORTION_ZERO"),
        ("106.00", "", ["50.00", "50.00"], "APPORTION_SUM"),
    ],
)
def test_shares_that_fit_neither_amount_are_refused(amount: str, tax: str, shares: list[str], rule: str) -> None:
    mapped = mapped_from(amount, tax, shares)
    assert mapped.rejects["rule"].tolist() == [rule]
    assert mapped.voucher_lines.empty
