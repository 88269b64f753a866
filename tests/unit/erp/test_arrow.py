"""Columns of the ERP tables: exact for every amount, honest about what is unknown."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from etl.erp import arrow, schema
from etl.erp.columns import ExactSum
from etl.erp.digest import RECORD, UNIT, payload_digest
from etl.erp.storable import storable
from etl.frames import NO_DAY
from etl.money import MAX_MINOR, to_decimal

minors = st.integers(-MAX_MINOR, MAX_MINOR)
currencies = st.sampled_from(["CNY", "USD", "JPY", "KWD"])


@given(st.lists(st.tuples(minors, currencies), min_size=1, max_size=20))
def test_minor_units_become_the_exact_decimal_of_their_currency(rows: list[tuple[int, str]]) -> None:
    minor, currency = (pd.Series(list(values)) for values in zip(*rows, strict=True))

    found = arrow.amounts(minor, arrow.exponents(currency.astype("str"))).to_pylist()

    assert found == [to_decimal(value, name) for value, name in rows]


@given(st.lists(minors.filter(lambda value: abs(value) < MAX_MINOR), max_size=50))
def test_sqlite_gives_back_every_amount_and_adds_them_exactly(values: list[int]) -> None:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.create_aggregate("exact_sum", 1, ExactSum)  # type: ignore[arg-type]
    connection.execute("CREATE TABLE t (amount DECIMAL(20, 4))")
    connection.executemany("INSERT INTO t VALUES (?)", [(f"{to_decimal(value, 'CNY'):f}",) for value in values])

    stored = [Decimal(str(row[0])) for row in connection.execute("SELECT amount FROM t ORDER BY rowid")]
    total = connection.execute("SELECT exact_sum(amount) FROM t").fetchone()[0]
    connection.close()

    assert stored == [to_decimal(value, "CNY") for value in values]
    assert total is None if not values else Decimal(total) == to_decimal(sum(values), "CNY")


@given(st.lists(st.integers(-10_000, 40_000), min_size=1))
def test_day_numbers_become_their_dates(numbers: list[int]) -> None:
    assert arrow.days(np.array(numbers, dtype=np.int32)).to_pylist() == [date(1970, 1, 1) + timedelta(days=number) for number in numbers]


def test_unknown_days_instants_and_texts_are_null() -> None:
    assert arrow.days(np.array([NO_DAY], dtype=np.int32)).to_pylist() == [None]
    assert arrow.instants(np.array([-1, 1_788_200_000_123])).to_pylist() == [None, datetime(2026, 8, 31, 18, 13, 20, 123_000)]  # noqa: DTZ001
    assert arrow.optional(pd.Series(["", "x"], dtype="str")).to_pylist() == [None, "x"]
    assert arrow.moment(datetime(2026, 9, 1, tzinfo=UTC), 2).to_pylist() == [datetime(2026, 9, 1)] * 2  # noqa: DTZ001


def test_a_frame_the_tables_can_hold_is_left_as_it_is() -> None:
    frame = pd.DataFrame({"claim_id": pd.Series(["x", "𠮷"], dtype="str"), "reason": pd.Series(["a", "b"], dtype="str")})

    assert storable(frame, schema.claim_reject) is frame


def test_no_time_beyond_the_calendar_is_stored() -> None:
    assert arrow.days(np.array([2**31 - 1, -(2**31) + 1], dtype=np.int32)).to_pylist() == [None, None]
    assert arrow.instants(np.array([2**63 - 1, 9_007_199_254_740_991])).to_pylist() == [None, None]


safe = st.text(st.characters(exclude_characters=["\0", UNIT, RECORD], exclude_categories=["Cs"]), max_size=5)


@given(st.lists(st.tuples(safe, safe, safe), min_size=2, max_size=2, unique=True))
def test_different_vouchers_have_different_fingerprints(pair: list[tuple[str, str, str]]) -> None:
    """Moving a character from one field to the next must not give the same text."""
    first, second = (_digest(*texts) for texts in pair)

    assert first != second


def test_the_order_in_which_rows_arrive_does_not_matter() -> None:
    assert _digest("a", "b", "c", order=[0, 1]) == _digest("a", "b", "c", order=[1, 0])


def _digest(maker: str, summary: str, code: str, *, order: list[int] | None = None) -> str:
    from etl.erp.digest import DIMENSION_FIELDS, LINE_FIELDS, VOUCHER_FIELDS

    def table(fields: tuple[str, ...], rows: list[dict[str, object]]) -> pa.Table:
        return pa.table({name: pa.array([row.get(name, "" if name not in {"line_no"} else 1) for row in rows]) for name in fields})

    lines = [{"line_no": 1, "summary": summary}, {"line_no": 2, "summary": code}]
    dimensions = [{"line_no": 1, "dim_type": "department", "dim_code": code}, {"line_no": 1, "dim_type": "employee", "dim_code": maker}]
    order = order or [0, 1]
    owner = np.zeros(2, dtype=np.int64)
    return payload_digest(
        table(VOUCHER_FIELDS, [{"maker": maker, "summary": summary}]),
        lines=table(LINE_FIELDS, [lines[i] for i in order]),
        line_of=owner,
        dimensions=table(DIMENSION_FIELDS, [dimensions[i] for i in order]),
        dimension_of=owner,
    )[0]
