"""The rows of an import file: a posted batch read back from the ledger, one row per voucher line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from etl.config.layouts import Layout
from etl.erp import schema
from etl.erp.engine import reading
from etl.erp.lookup import among
from etl.money import exponent

Cell = str | int | Decimal | date | None
_PAGE = 2_000
_RENAMED = {"voucher_summary": (schema.voucher, "summary"), "line_summary": (schema.voucher_line, "summary")}
_FOREIGN = {"amount_fc"}


@dataclass(frozen=True)
class FileRow:
    """One line of a voucher in the order of the layout's columns."""

    cells: tuple[Cell, ...]
    first_of_voucher: bool


def file_rows(engine: Engine, layout: Layout, batch_id: str) -> Iterator[FileRow]:
    """Rows of a batch, vouchers in order of series and number, lines in print order; bounded memory."""
    # Two connections: SQL Server answers one query at a time on each.
    with reading(engine) as lines, reading(engine) as dimensions:
        yield from _rows(lines, dimensions, layout, batch_id)


def _rows(lines: Connection, details: Connection, layout: Layout, batch_id: str) -> Iterator[FileRow]:
    voucher, line = schema.voucher, schema.voucher_line
    same = sa.and_(*(voucher.c[name] == line.c[name] for name in schema.VOUCHER_KEY))
    plain = [_column(item.from_) for item in layout.columns if item.dimension is None]
    key = [voucher.c[name] for name in schema.VOUCHER_KEY]
    query = (
        sa.select(*key, line.c.line_no, voucher.c.base_currency, line.c.currency, *(column.label(f"c{i}") for i, column in enumerate(plain)))
        .select_from(voucher.join(line, same))
        .where(voucher.c.batch_id == batch_id)
        .order_by(
            *(voucher.c[name] for name in ("company_code", "book_code", "fiscal_year", "fiscal_period", "voucher_word", "voucher_no")),
            line.c.line_no,
        )
    )
    previous: tuple[Any, ...] | None = None
    for page in lines.execute(query.execution_options(yield_per=_PAGE)).partitions():
        dimensions = _dimensions(details, layout, page)
        for row in page:
            identity = tuple(row[: len(key)])
            yield FileRow(tuple(_cells(layout, row, dimensions.get((*identity, row.line_no), {}))), identity != previous)
            previous = identity


def _column(name: str) -> sa.Column[Any]:
    table, column = _RENAMED.get(name, (schema.voucher if name in schema.voucher.c else schema.voucher_line, name))
    return table.c[column]


def _cells(layout: Layout, row: Any, dimensions: dict[tuple[str, str], str]) -> Iterator[Cell]:
    position = 0
    for item in layout.columns:
        if item.dimension is not None:
            yield dimensions.get(item.dimension)
            continue
        value = getattr(row, f"c{position}")
        position += 1
        if item.from_ == "voucher_no" and layout.numbers == "target":
            yield None
        elif item.from_ in {"debit", "credit", "amount_fc"} and value is not None:
            yield value.quantize(Decimal(1).scaleb(-exponent(row.currency if item.from_ in _FOREIGN else row.base_currency)))
        elif isinstance(value, Decimal):
            yield _shortest(value)
        else:
            yield value


def _shortest(value: Decimal) -> Decimal:
    """A rate without the zeros its column adds."""
    short = value.normalize()
    return short.quantize(Decimal(1)) if short.as_tuple().exponent > 0 else short  # type: ignore[operator]  # finite


def _dimensions(connection: Connection, layout: Layout, page: Sequence[Any]) -> dict[tuple[Any, ...], dict[tuple[str, str], str]]:
    wanted = sorted({item.dimension[0] for item in layout.columns if item.dimension})
    found: dict[tuple[Any, ...], dict[tuple[str, str], str]] = {}
    if not wanted:
        return found
    table = schema.voucher_line_dimension
    claims = list(dict.fromkeys(row.claim_id for row in page))
    query = sa.select(table).where(
        table.c.source_system == schema.SOURCE_SYSTEM,
        among(table.c.claim_id, claims, connection.dialect.name),
        table.c.dim_type.in_(wanted),
    )
    for row in connection.execute(query):
        cells = found.setdefault((*(getattr(row, name) for name in schema.VOUCHER_KEY), row.line_no), {})
        cells[row.dim_type, "dim_code"] = row.dim_code
        cells[row.dim_type, "dim_name"] = row.dim_name or ""
    return found
