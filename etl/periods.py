"""Dates as accountants mean them: Asia/Shanghai days, fiscal periods, open and closed months."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

# China has had no daylight saving since 1991, so a fixed offset is the accounting zone and vectorises.
ACCOUNTING_ZONE = timezone(timedelta(hours=8), "Asia/Shanghai")
ACCOUNTING_OFFSET_MS = 8 * 3600 * 1000
DAY_MS = 24 * 3600 * 1000
LAST_MS = 253_370_764_800_000  # start of the year 9999 in UTC: later instants are no dates
NO_DUE_DATE_MS = 9007199254740991  # Hesi writes 2**53 - 1 for "no due date" (trap 11)


def local_day(ms: int) -> date:
    """The accounting day of an epoch-millisecond instant.

    >>> local_day(1788183600000)
    datetime.date(2026, 8, 31)
    """
    return datetime.fromtimestamp(ms // 1000, ACCOUNTING_ZONE).date()


def instant(ms: int) -> datetime:
    """Aware UTC datetime of an epoch-millisecond instant."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


@dataclass(frozen=True, order=True, slots=True)
class FiscalPeriod:
    """A calendar month of the book; prints as ``2026-08``."""

    year: int
    month: int

    @classmethod
    def of(cls, day: date) -> FiscalPeriod:
        """The period a day falls into."""
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> FiscalPeriod:
        """The period written as ``YYYY-MM``; ValueError otherwise."""
        parsed = datetime.strptime(text, "%Y-%m")  # noqa: DTZ007 - a month, not an instant
        return cls(parsed.year, parsed.month)

    def next(self) -> FiscalPeriod:
        """The following month."""
        return FiscalPeriod(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def first_day(self) -> date:
        """First day of the month."""
        return date(self.year, self.month, 1)

    @property
    def last_day(self) -> date:
        """Last day of the month."""
        return date(self.year, self.month, calendar.monthrange(self.year, self.month)[1])

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"
