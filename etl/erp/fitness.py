"""Which values a relational target cannot hold: named per entry before anything is posted, never cut or rounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from etl.erp import arrow, schema
from etl.erp.digest import RECORD, UNIT
from etl.erp.port import UNFIT, PostingChunk
from etl.errors import BatchRefused
from etl.frames import NO_DAY
from etl.money import MAX_MINOR

# NUL ends a string in most databases; the other two keep the fingerprint unambiguous (etl.erp.digest).
FORBIDDEN = f"[\\x00{UNIT}{RECORD}]"
_FORBIDDEN_BYTES = (b"\0", UNIT.encode(), RECORD.encode())
_DECIMAL = r"^-?\d{1,10}(\.\d{1,10})?$"
_PERCENT = r"^\d{1,3}(\.\d{1,4})?$"
_SIGNIFICANT = 15
Mask = npt.NDArray[np.bool_]


def unfit(chunk: PostingChunk) -> pd.DataFrame:
    """:data:`~etl.erp.port.UNFIT`: one row per ready entry with a value the tables cannot hold, first reason only."""
    found = [pd.DataFrame({"entry_no": numbers, "reason": reason}) for numbers, reason in _problems(chunk)]
    if not found:
        return UNFIT.empty()
    ready = chunk.entries.loc[chunk.entries["disposition"] == "ready", ["entry_no", "claim_id", "entry_kind"]]
    first = pd.concat(found, ignore_index=True).drop_duplicates("entry_no")
    merged = ready.merge(first, on="entry_no").sort_values("entry_no")
    return UNFIT.frame({name: merged[name] for name in UNFIT.columns})


def refuse_unfit(chunk: PostingChunk) -> None:
    """Nothing when every ready entry can be held.

    Raises:
        BatchRefused: names the first entry that cannot; :meth:`VoucherSink.unfit` lists them all beforehand.
    """
    problems = unfit(chunk)
    if len(problems):
        first = problems.iloc[0]
        raise BatchRefused(f"{first['entry_kind']} of claim {first['claim_id']}: {first['reason']}; ask unfit() before posting and reject what it names")


def _problems(chunk: PostingChunk) -> Iterator[tuple[npt.NDArray[np.int64], str]]:
    tables = (
        (chunk.vouchers, schema.voucher),
        (chunk.voucher_lines, schema.voucher_line),
        (chunk.line_dimensions, schema.voucher_line_dimension),
        (chunk.line_sources, schema.voucher_line_source),
        (chunk.voucher_invoices, schema.voucher_invoice),
    )
    for frame, table in tables:
        if len(frame):
            yield from _text_problems(frame, table)
            yield from _amount_problems(frame, table)
    yield from _number_problems(chunk)


def _text_problems(frame: pd.DataFrame, table: sa.Table) -> Iterator[tuple[npt.NDArray[np.int64], str]]:
    for name in frame.columns:
        column = table.c.get(name)
        if column is None or not isinstance(column.type, sa.String) or column.type.length is None:
            continue
        values = arrow.text(frame[name])
        if _harmless(values, column.type.length):
            continue
        for bad, reason in (
            (pc.greater(pc.utf8_length(values), column.type.length), f"expected at most {column.type.length} characters"),
            (pc.match_substring_regex(values, FORBIDDEN), "expected text without control characters U+0000, U+001E, U+001F"),
        ):
            if pc.any(bad).as_py():
                yield _numbers(frame, bad.to_numpy(zero_copy_only=False)), f"{table.name}.{name}: {reason}"


def _harmless(values: pa.Array, limit: int) -> bool:
    longest = pc.max(pc.binary_length(values)).as_py() or 0  # bytes, never fewer than characters
    return longest <= limit and not arrow.holds(values, *_FORBIDDEN_BYTES)


def _amount_problems(frame: pd.DataFrame, table: sa.Table) -> Iterator[tuple[npt.NDArray[np.int64], str]]:
    for name in frame.columns:
        if name.endswith("_minor"):
            values = frame[name].to_numpy()
            bad = (values > MAX_MINOR) | (values < -MAX_MINOR)  # 15 digits: exact in SQLite's REAL, and in int64 with four more decimals
            if bad.any():
                yield _numbers(frame, bad), f"{table.name}.{name.removesuffix('_minor')}: expected at most {MAX_MINOR:,} minor units"


def _number_problems(chunk: PostingChunk) -> Iterator[tuple[npt.NDArray[np.int64], str]]:
    lines, vouchers = chunk.voucher_lines, chunk.vouchers
    for name, pattern, told in (("fx_rate", _DECIMAL, "at most 10 decimals and 15 digits"), ("tax_rate", _PERCENT, "at most 4 decimals")):
        given = lines.loc[lines[name] != "", ["entry_no", name]]
        if len(given):
            digits = given[name].str.replace(r"\D", "", regex=True).str.lstrip("0").str.len()
            bad = ~given[name].str.match(pattern).to_numpy(dtype=bool) | (digits > _SIGNIFICANT).to_numpy(dtype=bool)
            if bad.any():
                yield _numbers(given, bad), f"voucher_line.{name}: expected plain decimal text with {told}"
    for frame, name in ((vouchers, "voucher_day"), (vouchers, "original_day"), (lines, "due_day"), (lines, "business_day")):
        values = frame[name].to_numpy()
        bad = ((values < arrow.FIRST_DAY) | (values > arrow.LAST_DAY)) & ((values != NO_DAY) | (name == "voucher_day"))
        if bad.any():
            yield _numbers(frame, bad), f"{name}: expected a date of the years 1 to 9999"


def _numbers(frame: pd.DataFrame, mask: Mask) -> npt.NDArray[np.int64]:
    return frame["entry_no"].to_numpy()[mask]
