"""Live vouchers of some claims, read back with lines and dimensions: what a reversal negates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from etl.erp import schema
from etl.erp.lookup import among
from etl.frames import NO_DAY, day_number
from etl.money import to_minor

Row = dict[str, Any]


def live_vouchers(connection: Connection, claim_ids: Sequence[str]) -> list[tuple[Row, tuple[Row, ...]]]:
    """Headers (VOUCHERS columns and voucher_no) and lines (VOUCHER_LINES columns and ``dims``) of vouchers that stand.

    Reversed vouchers and the red ones that reversed them are left out: together they are nothing.
    """
    voucher, line, dimension = schema.voucher, schema.voucher_line, schema.voucher_line_dimension
    mine = sa.and_(voucher.c.source_system == schema.SOURCE_SYSTEM, among(voucher.c.claim_id, claim_ids, connection.dialect.name))
    live = sa.and_(mine, voucher.c.status == "POSTED", voucher.c.reverses_revision.is_(None))
    headers = [dict(row) for row in connection.execute(sa.select(voucher).where(live)).mappings()]
    wanted = {_key(row) for row in headers}
    lines: dict[tuple[Any, ...], list[Row]] = {}
    for row in connection.execute(_of(line, live).order_by(line.c.line_no)).mappings():
        lines.setdefault(_key(row), []).append(dict(row))
    dims: dict[tuple[Any, ...], dict[str, tuple[str, str]]] = {}
    for row in connection.execute(_of(dimension, live)).mappings():
        dims.setdefault((*_key(row), row["line_no"]), {})[row["dim_type"]] = (row["dim_code"], row["dim_name"] or "")
    found = []
    for header in sorted(headers, key=lambda row: (row["claim_id"], row["entry_kind"], row["part_no"], row["revision"])):
        key = _key(header)
        currency = header["base_currency"]
        found.append((_header(header), tuple(_line(row, currency, dims.get((*key, row["line_no"]), {})) for row in lines.get(key, ()) if key in wanted)))
    return found


def last_revisions(connection: Connection, claim_ids: Sequence[str]) -> dict[tuple[str, str, str, int], int]:
    """Highest revision ever used by (claim, kind, company, part)."""
    table = schema.voucher
    columns = (table.c.claim_id, table.c.entry_kind, table.c.company_code, table.c.part_no)
    query = (
        sa.select(*columns, sa.func.max(table.c.revision))
        .where(table.c.source_system == schema.SOURCE_SYSTEM, among(table.c.claim_id, claim_ids, connection.dialect.name))
        .group_by(*columns)
    )
    return {(row[0], row[1], row[2], row[3]): int(row[4]) for row in connection.execute(query)}


def _of(table: sa.Table, live: sa.ColumnElement[bool]) -> sa.Select[Any]:
    voucher = schema.voucher
    same = sa.and_(*(voucher.c[name] == table.c[name] for name in schema.VOUCHER_KEY))
    return sa.select(table).select_from(table.join(voucher, same)).where(live)


def _key(row: Any) -> tuple[Any, ...]:
    return tuple(row[name] for name in schema.VOUCHER_KEY)


def _header(row: Row) -> Row:
    return {
        **{
            name: row[name]
            for name in (
                "claim_id",
                "claim_code",
                "entry_kind",
                "company_code",
                "book_code",
                "part_no",
                "revision",
                "claim_version",
                "voucher_word",
                "voucher_no",
                "fiscal_year",
                "fiscal_period",
                "attachment_count",
                "maker",
                "summary",
                "base_currency",
            )
        },
        "entry_no": 0,
        "voucher_day": day_number(row["voucher_date"]),
        "original_day": NO_DAY if row["original_date"] is None else day_number(row["original_date"]),
        "total_minor": 0,
        "source_sha256": "",
    }


def _line(row: Row, base: str, dims: dict[str, tuple[str, str]]) -> Row:
    def text(name: str) -> str:
        value = row[name]
        return "" if value is None else f"{value.normalize():f}" if name in {"fx_rate", "tax_rate"} else str(value)

    def day(name: str) -> int:
        return NO_DAY if row[name] is None else day_number(row[name])

    return {
        "entry_no": 0,
        "line_no": row["line_no"],
        "summary": row["summary"],
        "account_code": row["account_code"],
        "currency": row["currency"],
        "fx_rate": text("fx_rate"),
        "amount_fc_minor": 0 if row["amount_fc"] is None else to_minor(f"{row['amount_fc']:f}", row["currency"]),
        "debit_minor": to_minor(f"{row['debit']:f}", base),
        "credit_minor": to_minor(f"{row['credit']:f}", base),
        **{name: text(name) for name in ("tax_code", "tax_rate", "settlement_no", "cash_flow_item", "source_line_id")},
        "due_day": day("due_date"),
        "business_day": day("business_date"),
        "dims": dims,
    }
