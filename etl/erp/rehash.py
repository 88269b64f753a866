"""Whether posted vouchers are still what was posted: read again by SQL, hashed again, compared with payload_sha256."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from etl.erp import schema
from etl.erp.arrow import TEXT, Ints
from etl.erp.columns import ExactDecimal
from etl.erp.digest import DIMENSION_FIELDS, LINE_FIELDS, VOUCHER_FIELDS, payload_digest
from etl.erp.engine import reading
from etl.erp.lookup import among
from etl.frames import FrameSpec
from etl.periods import FiscalPeriod

PAGE = 5_000
ALTERED = FrameSpec(
    "altered_vouchers",
    "one posted voucher that is no longer what was posted",
    ("claim_id", "entry_kind", "part_no", "revision"),
    {
        "claim_id": "str",
        "claim_code": "str",
        "entry_kind": "str",
        "part_no": "int64",
        "revision": "int64",
        "company_code": "str",
        "voucher_word": "str",
        "voucher_no": "int64",
        "posted_sha256": "str",
        "found_sha256": "str",
    },
    {"found_sha256": "hash of what the tables hold now"},
)


def altered_vouchers(engine: Engine, period: FiscalPeriod | None = None, *, except_batch: str = "") -> pd.DataFrame:
    """:data:`ALTERED`: vouchers of a fiscal period (default: all) of which a figure, text, line or dimension was changed.

    ``except_batch`` leaves out a batch that was read back a moment ago.

    Reads five thousand vouchers at a time, in order of their key.
    """
    with reading(engine) as connection:
        found = [_altered(connection, page) for page in _pages(connection, period, except_batch)]
    return pd.concat([ALTERED.empty(), *found], ignore_index=True) if found else ALTERED.empty()


def _pages(connection: Connection, period: FiscalPeriod | None, except_batch: str) -> Iterator[list[Any]]:
    """Vouchers page by page, resumed after the last claim, so that no page splits a claim or is read twice."""
    table = schema.voucher
    query = sa.select(table).order_by(*(table.c[name] for name in schema.VOUCHER_KEY))
    if period is not None:
        query = query.where(table.c.fiscal_year == period.year, table.c.fiscal_period == period.month)
    if except_batch:
        query = query.where(table.c.batch_id != except_batch)
    after = ""
    while page := connection.execute(query.where(table.c.claim_id > after).limit(PAGE)).all():
        last = page[-1].claim_id
        if len(page) == PAGE:
            whole = [row for row in page if row.claim_id != last]
            page = whole or connection.execute(query.where(table.c.claim_id == last)).all()
        after = page[-1].claim_id
        yield list(page)


def _altered(connection: Connection, page: Sequence[Any]) -> pd.DataFrame:
    owner = {_key(row): position for position, row in enumerate(page)}
    lines, line_of = _details(connection, schema.voucher_line, LINE_FIELDS, owner)
    dimensions, dimension_of = _details(connection, schema.voucher_line_dimension, DIMENSION_FIELDS, owner)
    digests = payload_digest(_table(schema.voucher, VOUCHER_FIELDS, page), lines=lines, line_of=line_of, dimensions=dimensions, dimension_of=dimension_of)
    changed = [(row, digest) for row, digest in zip(page, digests, strict=True) if row.payload_sha256 != digest]
    names = [name for name in ALTERED.columns if not name.endswith("_sha256")]
    return ALTERED.frame(
        {
            **{name: [getattr(row, name) for row, _ in changed] for name in names},
            "posted_sha256": [row.payload_sha256 for row, _ in changed],
            "found_sha256": [digest for _, digest in changed],
        }
    )


def _details(connection: Connection, table: sa.Table, fields: Sequence[str], owner: dict[tuple[Any, ...], int]) -> tuple[pa.Table, Ints]:
    """Rows of a table that belong to the page, sorted by their voucher's position, and that position."""
    claims = list(dict.fromkeys(key[0] for key in owner))
    query = sa.select(table).where(table.c.source_system == schema.SOURCE_SYSTEM, among(table.c.claim_id, claims, connection.dialect.name))
    placed = [(owner[key], row) for row in connection.execute(query) if (key := _key(row)) in owner]
    placed.sort(key=lambda item: (item[0], item[1].line_no))
    return _table(table, fields, [row for _, row in placed]), np.array([position for position, _ in placed], dtype=np.int64)


def _key(row: Any) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in schema.VOUCHER_KEY)


def _table(table: sa.Table, fields: Sequence[str], rows: Sequence[Any]) -> pa.Table:
    return pa.table({name: pa.array([getattr(row, name) for row in rows], _type(table.c[name])) for name in fields})


def _type(column: sa.Column[Any]) -> pa.DataType:
    if isinstance(column.type, ExactDecimal):
        return pa.decimal128(column.type.precision, column.type.scale)
    if isinstance(column.type, sa.Date):
        return pa.date32()
    return pa.int64() if isinstance(column.type, sa.Integer) else TEXT
