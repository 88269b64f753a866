"""The edges of money that a property would not name."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from etl.money import MAX_MINOR, MoneyError, allocate, allocate_groups, exponent, tax_included, to_decimal, to_minor, to_text


@pytest.mark.parametrize(("currency", "decimals"), [("CNY", 2), ("USD", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("ZZZ", 2)])
def test_a_currency_has_the_decimals_of_iso_4217(currency: str, decimals: int) -> None:
    assert exponent(currency) == decimals


@pytest.mark.parametrize("text", ["", "-", ".", "-.5", "1e2", "1,234.50", "１", "²", "1 000", "+1", "0x10", "1_000", "NaN", "--1", "1.2.3", "٣.٣"])
def test_what_is_no_plain_decimal_text_is_refused(text: str) -> None:
    with pytest.raises(MoneyError, match="plain decimal text"):
        to_minor(text, "CNY")


def test_more_decimals_than_the_currency_has_are_refused_unless_they_are_zeros() -> None:
    assert to_minor("1.50000", "CNY") == 150
    assert to_minor("12000.00", "JPY") == 12_000
    for text, currency in (("1.505", "CNY"), ("12000.5", "JPY"), ("1.0001", "KWD")):
        with pytest.raises(MoneyError, match="more than"):
            to_minor(text, currency)


def test_an_amount_beyond_any_claim_is_refused_on_both_sides_of_zero() -> None:
    most = to_text(MAX_MINOR, "CNY")
    assert to_minor(most, "CNY") == MAX_MINOR
    assert to_minor(f"-{most}", "CNY") == -MAX_MINOR
    for sign in ("", "-"):
        with pytest.raises(MoneyError, match="beyond any claim"):
            to_minor(f"{sign}1000000000000.01", "CNY")


def test_ninety_thousand_of_the_largest_amounts_still_fit_an_int64() -> None:
    assert np.iinfo(np.int64).max > 90_000 * MAX_MINOR


def test_minus_nothing_is_nothing() -> None:
    assert to_minor("-0.00", "CNY") == 0
    assert to_text(0, "CNY") == "0.00"
    assert to_text(-5, "CNY") == "-0.05"
    assert to_decimal(7, "JPY") == Decimal(7)


def test_the_worked_examples_of_finance_come_out_to_the_cent() -> None:
    assert allocate(5660, [33333, 33333, 33334]) == [1887, 1886, 1887]  # G01
    assert allocate(5660, [73333, 40001, -13334]) == [4151, 2264, -755]  # G10
    assert tax_included(163_000, Decimal(9)) == 13_459  # G07: fare and fuel
    assert tax_included(109_000, Decimal(9)) == 9_000  # G06


def test_a_single_cent_goes_to_the_earlier_of_two_equal_shares() -> None:
    assert allocate(1, [5, 5]) == [1, 0]
    assert allocate(-1, [5, 5]) == [0, -1]
    assert allocate(3, [1, 1]) == [2, 1]


def test_weights_that_add_up_to_a_negative_number_share_like_positive_ones() -> None:
    assert allocate(100, [-1, -3]) == allocate(100, [1, 3]) == [25, 75]


def test_groups_that_would_overflow_an_int64_are_still_exact() -> None:
    total, weights = 3 * 10**13 + 1, [10**14, 10**14, 10**14 - 1]
    found = allocate_groups(np.array([total]), np.array(weights), np.array([0])).tolist()
    assert found == allocate(total, weights)
    assert sum(found) == total


def test_no_groups_give_no_shares() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert allocate_groups(nothing, nothing, nothing).tolist() == []
