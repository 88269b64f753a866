"""The days a budget amount is for."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.frames import day_number, day_of
from etl.model_budget import BudgetPeriod


@pytest.mark.parametrize(
    ("kind", "number", "label", "first", "last"),
    [
        ("YEAR", 1, "2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("HALF_YEAR", 2, "2026-H2", date(2026, 7, 1), date(2026, 12, 31)),
        ("SEASON", 1, "2026-Q1", date(2026, 1, 1), date(2026, 3, 31)),
        ("MONTH", 2, "2026-02", date(2026, 2, 1), date(2026, 2, 28)),
    ],
)
def test_a_numbered_period_has_its_days(kind: Any, number: int, label: str, first: date, last: date) -> None:
    period = BudgetPeriod.numbered(kind, 2026, number)
    assert (period.label, day_of(period.first_day), day_of(period.last_day)) == (label, first, last)


@given(st.sampled_from(["YEAR", "HALF_YEAR", "SEASON", "MONTH"]), st.integers(2000, 2100))
def test_the_periods_of_a_year_follow_each_other_without_gap(kind: Any, year: int) -> None:
    count = {"YEAR": 1, "HALF_YEAR": 2, "SEASON": 4, "MONTH": 12}[kind]
    periods = [BudgetPeriod.numbered(kind, year, number) for number in range(1, count + 1)]
    assert periods[0].first_day == day_number(date(year, 1, 1))
    assert periods[-1].last_day == day_number(date(year, 12, 31))
    assert all(a.last_day + 1 == b.first_day for a, b in pairwise(periods))


def test_a_period_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a period that ends after it starts"):
        BudgetPeriod.between(2 * 86_400_000, 0)


def test_a_period_between_two_instants_is_counted_in_shanghai_days() -> None:
    period = BudgetPeriod.between(1_774_972_800_000, 1_806_508_799_000)  # 2026-04-01T00:00+08:00, 2027-03-31T23:59:59+08:00
    assert (day_of(period.first_day), day_of(period.last_day)) == (date(2026, 4, 1), date(2027, 3, 31))
    assert period.label == "2026-04-01..2027-03-31"


@pytest.mark.parametrize(("kind", "number"), [("YEAR", 2), ("HALF_YEAR", 3), ("SEASON", 0), ("MONTH", 13)])
def test_a_number_the_year_does_not_have_is_refused(kind: Any, number: int) -> None:
    with pytest.raises(ValueError, match=f"expected periodTime 1 to .* of a {kind} budget, found {number}"):
        BudgetPeriod.numbered(kind, 2026, number)
