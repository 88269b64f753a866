"""What the target already knows about some claims, in one indexed query per table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from etl.erp import schema
from etl.erp.columns import SQL_SERVER_BINARY
from etl.erp.port import KNOWN_STATES, OPEN_ENTRIES
from etl.erp.storable import stored_ids
from etl.frames import NO_DAY, NO_INSTANT, FrameSpec, day_number
from etl.money import to_minor


def among(column: sa.ColumnElement[str], values: Sequence[str], dialect: str) -> sa.ColumnElement[bool]:
    """``column`` is one of ``values``: one bound parameter whatever their number, one plan for every chunk."""
    listed = json.dumps(stored_ids(values), ensure_ascii=False)
    if dialect == "postgresql":
        # An ARRAY sub-select is evaluated once and then searched by index, like an array parameter but cheaper to send.
        opened = sa.func.json_array_elements_text(sa.cast(sa.literal(listed, sa.Text), postgresql.JSON)).table_valued("value")
        return column == sa.any_(sa.func.array(sa.select(opened.c.value).scalar_subquery()))
    if dialect == "mssql":
        rows = sa.func.openjson(sa.literal(listed, sa.UnicodeText)).table_valued(sa.column("value", sa.Unicode))
        return column.in_(sa.select(rows.c.value.collate(SQL_SERVER_BINARY)))
    return column.in_(sa.select(sa.func.json_each(listed).table_valued("value").c.value))


def carried() -> sa.ColumnElement[str]:
    """The number Hesi carries as far as we know, of a row of claim_state joined with its row of writeback_outbox, if it has one.

    A number that was written is not noted with every entry of its claim as well: the outbox knows it.
    """
    outbox = schema.writeback_outbox
    return sa.case((sa.and_(outbox.c.status == "DONE", outbox.c.reason == ""), outbox.c.voucher_number), else_=schema.claim_state.c.hesi_voucher_no)


def known_states(connection: Connection, claim_ids: Sequence[str]) -> pd.DataFrame:
    """:data:`~etl.erp.port.KNOWN_STATES` of these claims."""
    state, outbox = schema.claim_state, schema.writeback_outbox
    together = state.outerjoin(outbox, sa.and_(state.c.claim_id == outbox.c.claim_id, state.c.source_system == outbox.c.source_system))
    names = ("claim_id claim_code entry_kind part_no state source_sha256 amount currency company_code hesi_state raw_ref").split()
    query = (
        sa.select(*(state.c[name] for name in names), carried(), outbox.c.voucher_number, outbox.c.status)
        .select_from(together)
        .where(state.c.source_system == schema.SOURCE_SYSTEM, among(state.c.claim_id, claim_ids, connection.dialect.name))
    )
    columns = _columns(connection.execute(query), (*names, "hesi_voucher_no", "outbox_number", "outbox_status"))
    columns["amount_minor"] = _minor(columns["amount"], columns["currency"])
    columns["posted"] = [value == "posted" for value in columns["state"]]
    for name in ("outbox_number", "outbox_status"):
        columns[name] = [value or "" for value in columns[name]]
    return KNOWN_STATES.frame(columns)


def open_entries(connection: Connection) -> pd.DataFrame:
    """:data:`~etl.erp.port.OPEN_ENTRIES`: everything that is held, rejected or waiting."""
    state = schema.claim_state
    names = [name for name in OPEN_ENTRIES.columns if name != "amount_minor"]
    query = (
        sa.select(*(state.c[name] for name in names), state.c.amount)
        .where(state.c.state.in_(("held", "rejected", "waiting")))
        .order_by(state.c.claim_id, state.c.entry_kind, state.c.part_no)
    )
    columns = _columns(connection.execute(query), (*names, "amount"))
    columns["amount_minor"] = _minor(columns["amount"], columns["currency"])
    return OPEN_ENTRIES.frame(columns)


def outbox_facts(connection: Connection, claim_ids: Sequence[str]) -> pd.DataFrame:
    """claim_id, reason, hesi_state and run_id of these claims' outbox rows."""
    table = schema.writeback_outbox
    names = ("claim_id", "reason", "hesi_state", "run_id")
    query = sa.select(*(table.c[name] for name in names)).where(
        table.c.source_system == schema.SOURCE_SYSTEM, among(table.c.claim_id, claim_ids, connection.dialect.name)
    )
    return pd.DataFrame(_columns(connection.execute(query), names), dtype="str")


def stored(connection: Connection, table: sa.Table, spec: FrameSpec, *, claim_ids: Sequence[str]) -> pd.DataFrame:
    """Rows of a state table for these claims, as the frame that would write them.

    Names ending in ``_minor``, ``_day`` and ``_ms`` are read from the column without it, ``_on``/``_date`` or ``_at``.
    """
    sources = {name: table.c[stored_column(name, table)] for name in spec.columns}
    currency = table.c.currency if "currency" in table.c else sa.literal("")
    query = sa.select(*(source.label(name) for name, source in sources.items()), currency.label("_currency")).where(
        table.c.source_system == schema.SOURCE_SYSTEM, among(table.c.claim_id, claim_ids, connection.dialect.name)
    )
    columns = _columns(connection.execute(query), (*spec.columns, "_currency"))
    for name in spec.columns:
        if name.endswith("_minor"):
            columns[name] = _minor(columns[name], columns["_currency"])
        elif name.endswith("_day"):
            columns[name] = [_day(value) for value in columns[name]]
        elif name.endswith("_ms"):
            columns[name] = [milliseconds(value) for value in columns[name]]
    return spec.frame(columns)


def stored_column(name: str, table: sa.Table) -> str:
    """Column of ``table`` behind a frame column."""
    stem, _, unit = name.rpartition("_")
    candidates = {"minor": (stem,), "day": (f"{stem}_on", f"{stem}_date"), "ms": (f"{stem}_at",)}.get(unit, ())
    return next((candidate for candidate in candidates if candidate in table.c), name)


def milliseconds(value: datetime | int | None) -> int:
    """Epoch milliseconds of a stored UTC instant; ``NO_INSTANT`` for NULL."""
    if isinstance(value, datetime):
        return round(value.replace(tzinfo=UTC).timestamp() * 1000)
    return NO_INSTANT if value is None else value


def _day(value: date | None) -> int:
    return NO_DAY if value is None else day_number(value)


def _minor(values: Iterable[Decimal], currencies: Iterable[str]) -> list[int]:
    return [to_minor(f"{value:f}", currency) for value, currency in zip(values, currencies, strict=True)]


def _columns(result: sa.CursorResult[Any], names: Sequence[str]) -> dict[str, list[Any]]:
    rows = result.all()
    return dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True)) if rows else {name: [] for name in names}
