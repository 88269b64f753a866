"""Arrow columns of the ERP tables from the frames' dtypes: text, days, instants and exact amounts, without a Python loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from etl.erp.columns import AMOUNT_SCALE
from etl.frames import day_number
from etl.money import exponent
from etl.periods import DAY_MS

Ints = npt.NDArray[np.int64]
TEXT = pa.large_string()
FIRST_DAY, LAST_DAY = day_number(date.min), day_number(date.max)
LAST_INSTANT_MS = (LAST_DAY + 1) * DAY_MS - 1
_AMOUNT = pa.decimal128(19, AMOUNT_SCALE)


def text(values: pd.Series | pa.Array) -> pa.Array:
    """Text as it is."""
    array = pa.array(values) if isinstance(values, pd.Series) else values
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array if array.type == TEXT else array.cast(TEXT)


def optional(values: pd.Series | pa.Array) -> pa.Array:
    """Text where empty means unknown: NULL in the tables."""
    array = text(values)
    return pc.if_else(pc.equal(array, ""), pa.scalar(None, TEXT), array)


def constant(value: str | int | None, size: int) -> pa.Array:
    """``size`` times the same value."""
    return pa.nulls(size, TEXT) if value is None else pa.repeat(pa.scalar(value, TEXT if isinstance(value, str) else pa.int64()), size)


def days(numbers: pd.Series | npt.NDArray[np.int32]) -> pa.Array:
    """Dates of day numbers; ``NO_DAY``, and what no calendar of four-digit years has, is NULL."""
    values = np.asarray(numbers, dtype=np.int32)
    return pa.array(values, mask=(values < FIRST_DAY) | (values > LAST_DAY)).cast(pa.date32())


def instants(milliseconds: pd.Series | Ints) -> pa.Array:
    """UTC timestamps of epoch milliseconds; negative, and beyond the year 9999, is NULL."""
    values = np.asarray(milliseconds, dtype=np.int64)
    unknown = (values < 0) | (values > LAST_INSTANT_MS)
    return pa.array(np.where(unknown, 0, values) * 1000, mask=unknown).cast(pa.timestamp("us"))


def moment(at: datetime, size: int) -> pa.Array:
    """``size`` times the same aware instant, as naive UTC."""
    return pa.repeat(pa.scalar(at.astimezone(UTC).replace(tzinfo=None), pa.timestamp("us")), size)


def exponents(currencies: pd.Series) -> Ints:
    """Decimals of each row's currency."""
    codes, names = pd.factorize(currencies)
    table = np.array([exponent(str(name)) for name in names], dtype=np.int64)
    return table[codes] if len(table) else np.empty(0, dtype=np.int64)


def amounts(minor: pd.Series | Ints, decimals: Ints, *, known: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Exact decimals in major units with four places.

    Args:
        minor: minor units, at most ``money.MAX_MINOR`` so that the scaled value fits int64.
        decimals: decimals of each row's currency.
        known: rows that have an amount; the others are NULL.
    """
    scaled = np.asarray(minor, dtype=np.int64) * 10 ** (AMOUNT_SCALE - decimals)
    words = np.empty((len(scaled), 2), dtype=np.int64)
    words[:, 0] = scaled
    words[:, 1] = scaled >> 63  # sign extension: a decimal128 is a little-endian 128-bit integer
    array = pa.Array.from_buffers(_AMOUNT, len(scaled), [None, pa.py_buffer(words)])
    return array if known is None else pc.if_else(pa.array(known), array, pa.scalar(None, _AMOUNT))


def decimals(values: pd.Series, precision: int, scale: int) -> pa.Array:
    """Decimals of plain decimal text; empty is NULL.

    Raises:
        pyarrow.ArrowInvalid: more decimals than ``scale``.
    """
    return optional(values).cast(pa.decimal128(precision, scale))


def isin(values: pd.Series, others: pd.Series) -> npt.NDArray[np.bool_]:
    """Whether each value is among the others, without making Python strings of them."""
    return np.asarray(pc.is_in(text(values), value_set=text(others)))


def distinct(*columns: pd.Series) -> list[str]:
    """The different values of some text columns, in order of appearance."""
    return list(dict.fromkeys(value for column in columns for value in text(column).unique().to_pylist()))


def holds(values: pa.Array, *parts: bytes) -> bool:
    """Whether any of the byte sequences may occur: one look at the whole buffer instead of one per value."""
    data = values.buffers()[2]
    content = data.to_pybytes() if data is not None else b""
    return any(part in content for part in parts)


def table(columns: Mapping[str, pa.Array]) -> pa.Table:
    """A table of these columns."""
    return pa.table(dict(columns))


def taken(rows: pa.Table, names: Iterable[str], positions: Ints) -> dict[str, pa.Array]:
    """Columns of ``rows`` repeated for each position, e.g. a voucher's key for its lines."""
    index = pa.array(positions)
    return {name: text_or_number(rows.column(name)).take(index) for name in names}


def text_or_number(column: Any) -> pa.Array:
    """One contiguous array of a table's column."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
