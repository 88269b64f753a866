"""Rows as the run ledger stores them: complete, masked, amounts as plain text, in batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Table

from etl.masking import mask_name, mask_text
from etl.redaction import redact
from etl.rejects import CATALOGUE

if TYPE_CHECKING:  # half a second that commands without frames need not pay
    import pandas as pd

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = "pd.DataFrame | Iterable[pd.DataFrame | Row | object]"
BATCH = 2_000
_FREE_TEXT = ("reason", "detail")
_UNKNOWN_RULE_DAYS = 2


def records(rows: Rows) -> Iterator[dict[str, Any]]:
    """Plain dictionaries of a frame, of several frames, of mappings or of dataclasses."""
    parts: Iterable[Any] = (rows,) if hasattr(rows, "to_dict") else rows
    for part in parts:
        if hasattr(part, "to_dict"):
            yield from part.to_dict("records")
        elif isinstance(part, Mapping):
            yield dict(part)
        else:
            yield {item.name: getattr(part, item.name) for item in fields(part)}


def stored(table: Table, rows: Iterable[Row], **fixed: object) -> Iterator[dict[str, Any]]:
    """Rows of exactly the table's columns; columns the caller leaves out take their default.

    ``fixed`` overrides; a primary-key column ``n`` nobody gives counts from 1.

    Raises:
        ValueError: a row has a column the table does not know.
    """
    known = {column.name for column in table.columns}
    empty = {column.name: _default(column) for column in table.columns}
    for n, row in enumerate(rows, start=1):
        unknown = row.keys() - known
        if unknown:
            raise ValueError(f"{table.name}: expected columns of {sorted(known)}, found {sorted(unknown)} besides")
        values = {**empty, **row, **fixed}
        if "n" in known and values["n"] is None:
            values["n"] = n
        yield {name: _plain(name, value) for name, value in values.items()}


def aged(rejects: Iterable[Row], first_seen: Mapping[tuple[str, str], date], today: date) -> Iterator[dict[str, Any]]:
    """Rejects with masked claimant, first day seen, due date (rule's days later) and days open.

    ``first_seen`` is keyed by (claim_id, entry_kind); whoever is not in it was first seen today.
    """
    for reject in rejects:
        since = first_seen.get((str(reject["claim_id"]), str(reject["entry_kind"])), today)
        code = CATALOGUE.get(str(reject["rule"]))
        yield {
            **reject,
            "claimant_name": mask_name(str(reject["claimant_name"])),
            "first_seen_on": since,
            "due_date": since + timedelta(days=code.days if code else _UNKNOWN_RULE_DAYS),
            "days_open": (today - since).days,
        }


def _default(column: Any) -> object:
    return column.default.arg if column.default is not None else None


def _plain(name: str, value: object) -> object:
    if isinstance(value, Decimal | float) and math.isnan(value):
        raise ValueError(f"{name}: expected a value, found NaN")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str) and name in _FREE_TEXT:
        return mask_text(redact(value))
    if name == "url":
        return redact(str(value))
    return value
