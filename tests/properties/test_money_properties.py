"""Money is exact in every form: text, numbers, splits; judged against Decimal and Fraction, which share no code with it."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from etl.money import MAX_MINOR, MoneyError, allocate, allocate_groups, exponent, half_up, tax_included, to_decimal, to_minor, to_text
from etl.steps.claim_values import parse_amount

CURRENCIES = st.sampled_from(["CNY", "USD", "JPY", "KWD", "VND", "HKD"])
MINOR = st.integers(-MAX_MINOR, MAX_MINOR)
PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@given(MINOR, CURRENCIES)
def test_an_amount_printed_and_read_again_is_the_same(minor: int, currency: str) -> None:
    assert to_minor(to_text(minor, currency), currency) == minor
    assert to_minor(to_decimal(minor, currency), currency) == minor
    assert parse_amount(Raw(to_text(minor, currency)), currency, "here") == minor
    assert parse_amount(Raw(f'"{to_text(minor, currency)}"'), currency, "here") == minor


@given(MINOR, CURRENCIES)
def test_printed_amounts_have_exactly_the_decimals_of_their_currency(minor: int, currency: str) -> None:
    text = to_text(minor, currency)
    assert len(text.partition(".")[2]) == exponent(currency)
    assert Decimal(text) == Decimal(minor).scaleb(-exponent(currency))


JSON_NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(-(10**12), 10**12, places=2).map(lambda value: f"{value:f}"),
    st.decimals(-(10**6), 10**6, places=5).map(lambda value: f"{value:f}"),
    st.from_regex(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,8})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)
JSON_TEXTS = st.one_of(JSON_NUMBERS, st.text("0123456789.-+, eE", max_size=12), st.from_regex(r" {0,3}-?[0-9]{0,18}\.?[0-9]{0,6} {0,3}", fullmatch=True))


def reference_amount(text: str, currency: str) -> int | None:
    """Minor units by Decimal; None where the text is no exact plain amount."""
    plain = text.strip(" ")
    if not PLAIN.fullmatch(plain):
        return None
    minor = Decimal(plain).scaleb(exponent(currency))
    return int(minor) if minor == int(minor) and abs(minor) <= MAX_MINOR else None


def parsed(raw: str, currency: str) -> int | None:
    """Minor units as staging reads them; None where it refuses by name and place."""
    try:
        return parse_amount(Raw(raw), currency, "here")
    except Exception as error:
        if error.args[0] == "MONEY_INVALID" and "here" in error.args[1]:
            return None
        raise


@given(JSON_NUMBERS, CURRENCIES)
@example("1e400", "CNY")
@example("1000000000000000", "CNY")
@example("-0.00", "CNY")
@example("12.10000", "CNY")
@settings(max_examples=300)
def test_a_json_number_is_read_as_decimal_reads_it_or_refused(text: str, currency: str) -> None:
    assert parsed(text, currency) == reference_amount(text, currency)


@given(JSON_TEXTS, CURRENCIES)
@example("1,234.50", "CNY")
@example("", "CNY")
@example(" 33.00 ", "CNY")
@example("33.", "CNY")
@example(".5", "CNY")
@settings(max_examples=300)
def test_a_json_text_is_read_as_decimal_reads_it_or_refused(text: str, currency: str) -> None:
    assert parsed(f'"{text}"', currency) == reference_amount(text, currency)


@given(st.text(max_size=20), CURRENCIES)
@example("１２３", "CNY")
@example("٣", "CNY")
@example("²", "CNY")
@example("1_000", "CNY")
@example("NaN", "CNY")
@example("Infinity", "CNY")
@settings(max_examples=300)
def test_any_other_text_is_refused_by_name(text: str, currency: str) -> None:
    plain = text.strip()
    exact = PLAIN.fullmatch(plain) is not None and plain.isascii()
    try:
        minor = to_minor(text, currency)
    except MoneyError:
        assert reference_amount(plain, currency) is None or not exact
    else:
        assert Decimal(minor).scaleb(-exponent(currency)) == Decimal(plain.removesuffix("."))


def slow_shares(total: int, weights: list[int]) -> list[int]:
    """Rule 9 word by word, with fractions."""
    whole = sum(weights)
    exact = [Fraction(total * weight, whole) for weight in weights]
    shares = [floor(part) for part in exact]
    order = sorted(range(len(weights)), key=lambda i: (-(exact[i] - shares[i]), i))
    for i in order[: total - sum(shares)]:
        shares[i] += 1
    return shares


WEIGHTS = st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=8).filter(lambda weights: sum(weights) != 0)
HUGE = st.lists(st.integers(-MAX_MINOR, MAX_MINOR), min_size=1, max_size=5).filter(lambda weights: sum(weights) != 0)


@given(st.integers(-(10**9), 10**9), WEIGHTS)
@example(5660, [33333, 33333, 33334])
@example(5660, [73333, 40001, -13334])
@example(1, [1, 1])
@example(-1, [1, 1])
@settings(max_examples=300)
def test_allocation_is_the_largest_remainder_of_rule_nine(total: int, weights: list[int]) -> None:
    shares = allocate(total, weights)
    assert shares == slow_shares(total, weights)
    assert sum(shares) == total


@given(st.lists(st.tuples(st.integers(-MAX_MINOR, MAX_MINOR), st.one_of(WEIGHTS, HUGE)), min_size=1, max_size=6))
@settings(max_examples=200)
def test_allocating_many_groups_at_once_is_allocating_each(groups: list[tuple[int, list[int]]]) -> None:
    totals = np.array([total for total, _ in groups], dtype=np.int64)
    weights = np.array([weight for _, group in groups for weight in group], dtype=np.int64)
    starts = np.cumsum([0, *(len(group) for _, group in groups[:-1])])
    expected = [share for total, group in groups for share in slow_shares(total, group)]
    assert allocate_groups(totals, weights, starts).tolist() == expected


@given(st.integers(-(10**9), 10**9).filter(bool), st.integers(1, 10**6))
def test_weights_of_zero_in_sum_carry_nothing(total: int, weight: int) -> None:
    for weights in ([weight, -weight], [0], [0, 0]):
        assert allocate(0, weights) == [0] * len(weights)
        with pytest.raises(MoneyError):
            allocate(total, weights)
        with pytest.raises(MoneyError):
            allocate_groups(np.array([total]), np.array(weights), np.array([0]))


@given(st.integers(-(10**10), 10**10), st.sampled_from([Decimal(rate) for rate in ("13", "9", "6", "5", "3", "1", "0.5")]))
def test_tax_in_a_gross_amount_is_rounded_half_up_away_from_zero(gross: int, rate: Decimal) -> None:
    exact = Fraction(gross) * Fraction(rate) / (100 + Fraction(rate))
    tax = tax_included(gross, rate)
    assert abs(tax - exact) <= Fraction(1, 2)
    if abs(tax - exact) == Fraction(1, 2):
        assert abs(tax) > abs(exact)
    assert tax == -tax_included(-gross, rate)


@pytest.mark.parametrize(("value", "expected"), [("0.5", 1), ("1.5", 2), ("2.5", 3), ("-0.5", -1), ("-2.5", -3), ("2.4999", 2)])
def test_halves_go_away_from_zero_never_to_even(value: str, expected: int) -> None:
    assert half_up(Decimal(value)) == expected
