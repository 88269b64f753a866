"""The rows of the five voucher tables from the frames of a chunk, column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from etl.erp import arrow
from etl.erp.arrow import Ints
from etl.erp.digest import payload_digest
from etl.erp.port import PostingChunk
from etl.erp.schema import SOURCE_SYSTEM
from etl.errors import BatchRefused
from etl.frames import LINE_DIMENSIONS, LINE_SOURCES, VOUCHER_INVOICES, VOUCHER_LINES, FrameSpec

_KEY = ("source_system", "claim_id", "entry_kind", "company_code", "book_code", "part_no", "revision")
_ORDER = ("claim_id", "entry_kind", "part_no")
SLICE = 2_000  # vouchers turned into rows and sent at a time


@dataclass(frozen=True)
class Part:
    """Rows that belong to vouchers, in their order, and the position of each row's voucher."""

    rows: pd.DataFrame
    owner: Ints

    def of(self, first: int, end: int) -> Part:
        """The rows of the vouchers from ``first`` to before ``end``, counted from the first of them."""
        start, stop = np.searchsorted(self.owner, (first, end))
        return Part(self.rows.iloc[start:stop], self.owner[start:stop] - first)


@dataclass(frozen=True)
class Selection:
    """What a chunk holds about the entries that are posted now; vouchers in order of their key."""

    vouchers: pd.DataFrame
    lines: Part
    dimensions: Part
    sources: Part
    invoices: Part

    def slices(self) -> Iterator[tuple[slice, Selection]]:
        """The same vouchers, :data:`SLICE` at a time: their rows as the tables hold them are several times larger than the frames."""
        parts = (self.lines, self.dimensions, self.sources, self.invoices)
        for first in range(0, len(self.vouchers), SLICE):
            end = first + SLICE
            yield slice(first, end), Selection(self.vouchers.iloc[first:end], *(part.of(first, end) for part in parts))


def select(chunk: PostingChunk, entry_numbers: Ints) -> Selection:
    """The voucher frames narrowed to these entries, in order of the voucher key.

    Rows that follow the key reach neighbouring places of the primary key's index: a bulk load costs a third less (measured).

    Raises:
        BatchRefused: an entry has no voucher, two vouchers, or a voucher without lines; or a line, dimension, source or invoice stands twice.
    """
    wanted = np.sort(entry_numbers)
    vouchers = _narrow(chunk.vouchers, wanted).rows.sort_values("entry_no", ignore_index=True)
    found = vouchers["entry_no"].to_numpy()
    lines = _narrow(chunk.voucher_lines, wanted)
    without_lines = np.setdiff1d(np.arange(len(wanted)), lines.owner)
    if not np.array_equal(found, wanted):
        differs = sorted({*found.tolist()} ^ {*wanted.tolist()}) or pd.Series(found)[pd.Series(found).duplicated()].tolist()
        raise BatchRefused(f"expected exactly one voucher for each ready entry; entry_no {differs[0]} has none or two; report this as a defect")
    if len(without_lines):
        claim = vouchers["claim_code"].iloc[without_lines[0]]
        raise BatchRefused(f"expected lines for every voucher; claim {claim} has none; report this as a defect")
    order = _key_order(vouchers)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    others = (chunk.line_dimensions, chunk.line_sources, chunk.voucher_invoices)
    parts = (lines, *(_narrow(frame, wanted) for frame in others))
    for part, spec in zip(parts, (VOUCHER_LINES, LINE_DIMENSIONS, LINE_SOURCES, VOUCHER_INVOICES), strict=True):
        _refuse_repeated(part.rows, spec)
    return Selection(vouchers.take(order).reset_index(drop=True), *(_ordered(part, place) for part in parts))


def _refuse_repeated(rows: pd.DataFrame, spec: FrameSpec) -> None:
    repeated = rows.duplicated(list(spec.key)).to_numpy()
    if repeated.any():
        key = rows.loc[repeated, list(spec.key)].iloc[0].to_dict()
        raise BatchRefused(f"{spec.name}: expected each {spec.grain} once, found {key} twice; report this as a defect")


def _key_order(vouchers: pd.DataFrame) -> Ints:
    """Positions of the vouchers in order of their key; text compares byte by byte, as in the tables."""
    columns = {name: arrow.text_or_number(pa.array(vouchers[name])) for name in _ORDER}
    return np.asarray(pc.sort_indices(pa.table(columns), sort_keys=[(name, "ascending") for name in _ORDER])).astype(np.int64)


def _ordered(part: Part, place: Ints) -> Part:
    """The part in the new order of its vouchers; rows of one voucher stay as they were."""
    owner = place[part.owner]
    order = np.argsort(owner, kind="stable")
    return Part(part.rows.take(order), owner[order])


def _narrow(frame: pd.DataFrame, wanted: Ints) -> Part:
    numbers = frame["entry_no"].to_numpy()
    owner = np.searchsorted(wanted, numbers)
    inside = owner < len(wanted)
    inside[inside] = wanted[owner[inside]] == numbers[inside]
    return Part(frame, owner) if inside.all() else Part(frame[inside], owner[inside])


def voucher_tables(selection: Selection, *, numbers: Ints, batch_id: str) -> dict[str, pa.Table]:
    """Table name -> its rows, ready to write."""
    vouchers = _vouchers(selection.vouchers, numbers, batch_id)
    decimals = arrow.exponents(selection.vouchers["base_currency"])
    lines = _lines(selection.lines, vouchers, decimals)
    dimensions = _dimensions(selection.dimensions, vouchers)
    digests = payload_digest(vouchers, lines=lines, line_of=selection.lines.owner, dimensions=dimensions, dimension_of=selection.dimensions.owner)
    return {
        "voucher": with_digests(vouchers, digests),
        "voucher_line": lines,
        "voucher_line_dimension": dimensions,
        "voucher_line_source": _sources(selection.sources, vouchers, decimals),
        "voucher_invoice": _invoices(selection.invoices, vouchers, decimals),
    }


def with_digests(vouchers: pa.Table, digests: Sequence[str]) -> pa.Table:
    """The vouchers with their fingerprints."""
    return vouchers.append_column("payload_sha256", pa.array(digests, arrow.TEXT))


def _vouchers(frame: pd.DataFrame, numbers: Ints, batch_id: str) -> pa.Table:
    size = len(frame)
    texts = ("claim_id", "entry_kind", "company_code", "book_code", "claim_code", "voucher_word", "maker", "summary", "base_currency")
    counts = ("part_no", "revision", "claim_version", "fiscal_year", "fiscal_period", "attachment_count")
    return arrow.table(
        {
            "source_system": arrow.constant(SOURCE_SYSTEM, size),
            **{name: arrow.text(frame[name]) for name in texts},
            **{name: pa.array(frame[name].to_numpy()) for name in counts},
            "voucher_no": pa.array(numbers),
            "voucher_date": arrow.days(frame["voucher_day"]),
            "original_date": arrow.days(frame["original_day"]),
            "reverses_revision": pa.array(frame["reverses_revision"].to_numpy(), mask=(frame["reverses_revision"] < 0).to_numpy()),
            "status": arrow.constant("POSTED", size),
            "batch_id": arrow.constant(batch_id, size),
        }
    )


def _lines(part: Part, vouchers: pa.Table, base_decimals: Ints) -> pa.Table:
    frame = part.rows
    decimals = base_decimals[part.owner]
    return arrow.table(
        {
            **arrow.taken(vouchers, _KEY, part.owner),
            "line_no": pa.array(frame["line_no"].to_numpy()),
            "summary": arrow.text(frame["summary"]),
            "account_code": arrow.text(frame["account_code"]),
            "currency": arrow.text(frame["currency"]),
            "fx_rate": arrow.decimals(frame["fx_rate"], 20, 10),
            "amount_fc": arrow.amounts(frame["amount_fc_minor"], arrow.exponents(frame["currency"]), known=(frame["fx_rate"] != "").to_numpy(dtype=bool)),
            "debit": arrow.amounts(frame["debit_minor"], decimals),
            "credit": arrow.amounts(frame["credit_minor"], decimals),
            "tax_code": arrow.optional(frame["tax_code"]),
            "tax_rate": arrow.decimals(frame["tax_rate"], 7, 4),
            "settlement_no": arrow.optional(frame["settlement_no"]),
            "cash_flow_item": arrow.optional(frame["cash_flow_item"]),
            "due_date": arrow.days(frame["due_day"]),
            "business_date": arrow.days(frame["business_day"]),
            "source_line_id": arrow.optional(frame["source_line_id"]),
        }
    )


def _dimensions(part: Part, vouchers: pa.Table) -> pa.Table:
    return arrow.table(
        {
            **arrow.taken(vouchers, _KEY, part.owner),
            "line_no": pa.array(part.rows["line_no"].to_numpy()),
            "dim_type": arrow.text(part.rows["dim_type"]),
            "dim_code": arrow.text(part.rows["dim_code"]),
            "dim_name": arrow.optional(part.rows["dim_name"]),
        }
    )


def _sources(part: Part, vouchers: pa.Table, base_decimals: Ints) -> pa.Table:
    return arrow.table(
        {
            **arrow.taken(vouchers, _KEY, part.owner),
            "line_no": pa.array(part.rows["line_no"].to_numpy()),
            "source_line_id": arrow.text(part.rows["source_line_id"]),
            "source_part": arrow.text(part.rows["source_part"]),
            "amount": arrow.amounts(part.rows["amount_minor"], base_decimals[part.owner]),
            "fee_type_code": arrow.optional(part.rows["fee_type_code"]),
            "rule": arrow.text(part.rows["rule"]),
        }
    )


def _invoices(part: Part, vouchers: pa.Table, base_decimals: Ints) -> pa.Table:
    return arrow.table(
        {
            **arrow.taken(vouchers, _KEY, part.owner),
            "invoice_id": arrow.text(part.rows["invoice_id"]),
            "invoice_kind": arrow.optional(part.rows["invoice_kind"]),
            "amount": arrow.amounts(part.rows["amount_minor"], base_decimals[part.owner]),
            "tax": arrow.amounts(part.rows["tax_minor"], base_decimals[part.owner]),
        }
    )
