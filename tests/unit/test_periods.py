"""Days and months as accountants in Shanghai mean them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from etl.periods import LAST_MS, NO_DUE_DATE_MS, FiscalPeriod, instant, local_day


def milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-08-31T23:59:59+08:00", date(2026, 8, 31)),
        ("2026-09-01T00:00:00+08:00", date(2026, 9, 1)),
        ("2026-08-31T15:59:59+00:00", date(2026, 8, 31)),
        ("2026-08-31T16:00:00+00:00", date(2026, 9, 1)),
        ("2028-02-29T12:00:00+08:00", date(2028, 2, 29)),
        ("1970-01-01T08:00:00+08:00", date(1970, 1, 1)),
    ],
)
def test_an_instant_falls_on_the_day_it_is_in_shanghai(moment: str, day: date) -> None:
    assert local_day(milliseconds(moment)) == day


def test_the_milliseconds_of_an_instant_are_kept() -> None:
    assert instant(1_788_183_600_123) == datetime(2026, 8, 31, 13, 40, 0, 123_000, tzinfo=UTC)


def test_the_last_instant_read_from_hesi_is_still_a_day_and_no_due_date_is_far_beyond() -> None:
    assert local_day(LAST_MS).year == 9999
    assert NO_DUE_DATE_MS == 2**53 - 1 > LAST_MS


def test_december_is_followed_by_january_of_the_next_year() -> None:
    assert FiscalPeriod(2026, 12).next() == FiscalPeriod(2027, 1)
    assert FiscalPeriod(2026, 1).next() == FiscalPeriod(2026, 2)


@pytest.mark.parametrize(("text", "first", "last"), [("2026-02", date(2026, 2, 1), date(2026, 2, 28)), ("2028-02", date(2028, 2, 1), date(2028, 2, 29))])
def test_a_period_prints_as_it_is_written_and_knows_its_days(text: str, first: date, last: date) -> None:
    period = FiscalPeriod.parse(text)
    assert (str(period), period.first_day, period.last_day) == (text, first, last)
    assert FiscalPeriod.of(first) == FiscalPeriod.of(last) == period


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026-00", "26-01-01", "", "二〇二六-01"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not match|unconverted|time data"):
        FiscalPeriod.parse(text)


def test_periods_are_ordered_by_year_before_month() -> None:
    assert sorted([FiscalPeriod(2027, 1), FiscalPeriod(2026, 12), FiscalPeriod(2026, 2)])[0] == FiscalPeriod(2026, 2)
