"""Voucher numbers: continuous per company, book, year, period and word, given only inside the posting transaction.

Accounting law wants no gaps (accounting-rules 23), so a number exists exactly when its voucher is committed: the posting lock
keeps every other poster out between reading the last number and the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from etl.erp.arrow import Ints
from etl.erp.port import NumberRange

SERIES = ("company_code", "book_code", "fiscal_year", "fiscal_period", "voucher_word")
_ORDER = ("voucher_day", "claim_code", "entry_kind", "part_no")
Series = tuple[str, str, int, int, str]


class Numbering:
    """Gives the next numbers of each series; the last one of a series is looked up once per batch.

    Args:
        last_number: the highest number a series has in the target, 0 for a new one.
    """

    def __init__(self, last_number: Callable[[Series], int]) -> None:
        self._last_number = last_number
        self._last: dict[Series, int] = {}
        self._first: dict[Series, int] = {}

    def assign(self, vouchers: pd.DataFrame) -> Ints:
        """One number per voucher, by voucher date, then claim number, kind and part."""
        ordered = vouchers.sort_values(list(_ORDER), kind="stable")
        groups = ordered.groupby(list(SERIES), sort=False)
        numbers = np.empty(len(vouchers), dtype=np.int64)
        sizes = groups.size().reset_index(name="count").itertuples(index=False, name=None)
        base = np.array([self._reserve(_series(*key), int(count)) for *key, count in sizes], dtype=np.int64)
        places = ordered.index.to_numpy()
        numbers[places] = base[groups.ngroup().to_numpy()] + groups.cumcount().to_numpy()
        return numbers

    def ranges(self) -> tuple[NumberRange, ...]:
        """What each series got in this batch."""
        return tuple(sorted(NumberRange(*key, first, self._last[key]) for key, first in self._first.items()))

    def _reserve(self, key: Series, count: int) -> int:
        if key not in self._last:
            self._last[key] = self._last_number(key)
            self._first[key] = self._last[key] + 1
        start = self._last[key] + 1
        self._last[key] += count
        return start


def _series(company: Any, book: Any, year: Any, period: Any, word: Any) -> Series:
    return str(company), str(book), int(year), int(period), str(word)
