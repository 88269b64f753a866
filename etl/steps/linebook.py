"""Turns blocks of debits and credits into voucher lines with numbers, dimensions and sources.

Pure. Line order and dimension rules: golden-cases.md common rules, accounting-rules 19-21.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from etl.frames import LINE_DIMENSIONS, LINE_SOURCES, NO_DAY, VOUCHER_LINES, Columns, picked, stacked
from etl.steps.failures import Failures
from etl.steps.lookups import CompanyRules, Problem, ask

# Print order inside a voucher.
EXPENSE, TAX, ADVANCE, COMPANY_PAID, PAYABLE, BANK, RESIDUAL = range(7)
_TEXT = ("account_code", "currency", "fx_rate", "tax_code", "tax_rate", "settlement_no", "source_line_id")
_NUMBERS = ("entry", "section", "order", "suborder", "amount_fc_minor", "debit_minor", "credit_minor", "due_day", "business_day")
Array = npt.NDArray[Any]


@dataclass
class LineBook:
    """Lines of many vouchers; ``entry`` is the row number in the entries frame."""

    rules: CompanyRules
    blocks: list[Columns] = field(default_factory=list)
    dims: list[dict[str, tuple[Array, Array]]] = field(default_factory=list)
    sources: list[Columns] = field(default_factory=list)
    size: int = 0

    def add(self, *, dims: Mapping[str, tuple[Array, Array]] | None = None, **columns: Array | Sequence[Any] | int | str) -> Array:
        """Adds a block; scalars are broadcast. Returns the block's line handles for :meth:`add_sources`."""
        length = len(columns["entry"])  # type: ignore[arg-type]
        block: Columns = {}
        for name in _NUMBERS:
            value = columns.get(name, NO_DAY if name.endswith("_day") else 0)
            block[name] = np.broadcast_to(np.asarray(value, dtype=np.int64), (length,))
        for name in _TEXT:
            block[name] = np.broadcast_to(np.asarray(columns.get(name, ""), dtype=object), (length,))
        self.blocks.append(block)
        self.dims.append(dict(dims or {}))
        handles = np.arange(self.size, self.size + length)
        self.size += length
        return handles

    def add_sources(self, handles: Array, **columns: Array | Sequence[Any] | str) -> None:
        """Links lines (by handle, n:m) to source lines: source_line_id, source_part, amount_minor, fee_type_code, rule."""
        block: Columns = {"handle": handles}
        for name in ("source_line_id", "source_part", "fee_type_code", "rule"):
            block[name] = np.broadcast_to(np.asarray(columns.get(name, ""), dtype=object), (len(handles),))
        block["amount_minor"] = np.broadcast_to(np.asarray(columns["amount_minor"], dtype=np.int64), (len(handles),))
        self.sources.append(block)

    def close(self, *, entry_no: Array, summaries: Array, days: Array, failures: Failures) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Voucher lines, their dimensions and their sources; lines of 0.00 are left out.

        Args:
            entry_no: entry number of each entries row.
            summaries: voucher summary of each entries row.
            days: voucher day of each entries row, or one like it to the rules.
            failures: receives accounts and dimensions that do not fit (the entry is dropped by the caller).
        """
        if not self.size:
            return VOUCHER_LINES.empty(), LINE_DIMENSIONS.empty(), LINE_SOURCES.empty()
        columns = stacked(self.blocks)
        keep = np.flatnonzero((columns["debit_minor"] != 0) | (columns["credit_minor"] != 0))
        order = keep[np.lexsort((columns["suborder"][keep], columns["order"][keep], columns["section"][keep], columns["entry"][keep]))]
        lines = picked(columns, order)
        entry, codes = lines["entry"], lines["account_code"]
        starts = np.flatnonzero(np.append(True, entry[1:] != entry[:-1])) if len(entry) else np.empty(0, dtype=np.int64)
        accounts, which = ask(self.rules.account, codes, days[entry])
        unknown = np.flatnonzero(pd.isna(accounts)[which] & (codes != ""))
        for row in unknown.tolist():
            failures.add(int(entry[row]), "ACCOUNT_UNKNOWN", f"account {codes[row]} is not in chart {self.rules.mapping.chart} on the voucher date")
        lines |= {
            "entry_no": entry_no[entry],
            "line_no": np.arange(1, len(entry) + 1) - np.repeat(starts, np.diff(np.append(starts, len(entry)))),
            "summary": summaries[entry],
            "cash_flow_item": np.array([account.cash_flow_item if account else "" for account in accounts], dtype=object)[which],
        }
        place = np.full(self.size, -1)
        place[order] = np.arange(len(order))
        return VOUCHER_LINES.frame(lines), self._dimensions(order, lines, accounts, which, failures), self._sources(place, lines)

    def _dimensions(self, order: Array, lines: Columns, accounts: Array, which: Array, failures: Failures) -> pd.DataFrame:
        """Dimensions of the lines, type by type; a line's account is ``accounts[which]``."""
        found: list[Columns] = []
        for dim_type in sorted({name for account in accounts if account is not None for name in account.dimensions}):
            rules = [account.dimensions.get(dim_type, "forbidden") if account else "forbidden" for account in accounts]
            wanted = np.array([rule != "forbidden" for rule in rules], dtype=bool)[which]
            required = np.array([rule == "required" for rule in rules], dtype=bool)[which]
            codes, names, problems = self._values(dim_type, order)
            failures.add_where(lines["entry"][wanted], problems[wanted])
            for row in np.flatnonzero(required & (codes == "") & pd.isna(problems)).tolist():
                failures.add(int(lines["entry"][row]), "DIMENSION_MISSING", f"account {lines['account_code'][row]} requires {dim_type}")
            used = np.flatnonzero(wanted & (codes != ""))
            found.append(
                {
                    "entry_no": lines["entry_no"][used],
                    "line_no": lines["line_no"][used],
                    "dim_type": np.full(len(used), dim_type, dtype=object),
                    "dim_code": codes[used],
                    "dim_name": names[used],
                }
            )
        return LINE_DIMENSIONS.frame(stacked(found)) if found else LINE_DIMENSIONS.empty()

    def _values(self, dim_type: str, order: Array) -> tuple[Array, Array, Array]:
        codes = np.full(self.size, "", dtype=object)
        names = np.full(self.size, "", dtype=object)
        problems = np.full(self.size, None, dtype=object)
        at = 0
        for block, dims in zip(self.blocks, self.dims, strict=True):
            length = len(block["entry"])
            if dim_type in dims:
                answers, found = dims[dim_type]
                codes[at : at + length] = [answer[0] if answer else "" for answer in answers]
                names[at : at + length] = [answer[1] if answer else "" for answer in answers]
                problems[at : at + length] = found
            at += length
        return codes[order], names[order], problems[order]

    def _sources(self, place: Array, lines: Columns) -> pd.DataFrame:
        if not self.sources:
            return LINE_SOURCES.empty()
        table = stacked(self.sources)
        position = place[table["handle"]]
        kept = position >= 0
        position = position[kept]
        return LINE_SOURCES.frame({**picked(table, kept), "entry_no": lines["entry_no"][position], "line_no": lines["line_no"][position]})


__all__ = ["ADVANCE", "BANK", "COMPANY_PAID", "EXPENSE", "PAYABLE", "RESIDUAL", "TAX", "LineBook", "Problem"]
