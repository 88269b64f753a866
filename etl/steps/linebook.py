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

from etl.frames import LINE_DIMENSIONS, LINE_SOURCES, NO_DAY, VOUCHER_LINES
from etl.steps.failures import Failures
from etl.steps.lookups import CompanyRules, Problem, look_up

# Print order inside a voucher.
EXPENSE, TAX, ADVANCE, COMPANY_PAID, PAYABLE, BANK, RESIDUAL = range(7)
_TEXT = ("account_code", "currency", "fx_rate", "tax_code", "tax_rate", "settlement_no", "source_line_id")
_NUMBERS = ("entry", "section", "order", "suborder", "amount_fc_minor", "debit_minor", "credit_minor", "due_day", "business_day")
Array = npt.NDArray[Any]


@dataclass
class LineBook:
    """Lines of many vouchers; ``entry`` is the row number in the entries frame."""

    rules: CompanyRules
    blocks: list[dict[str, Array]] = field(default_factory=list)
    dims: list[dict[str, tuple[Array, Array]]] = field(default_factory=list)
    sources: list[pd.DataFrame] = field(default_factory=list)
    size: int = 0

    def add(self, *, dims: Mapping[str, tuple[Array, Array]] | None = None, **columns: Array | Sequence[Any] | int | str) -> Array:
        """Adds a block; scalars are broadcast. Returns the block's line handles for :meth:`add_sources`."""
        length = len(columns["entry"])  # type: ignore[arg-type]
        block: dict[str, Array] = {}
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
        frame = {"handle": handles}
        for name in ("source_line_id", "source_part", "fee_type_code", "rule"):
            frame[name] = np.broadcast_to(np.asarray(columns.get(name, ""), dtype=object), (len(handles),))
        frame["amount_minor"] = np.broadcast_to(np.asarray(columns["amount_minor"], dtype=np.int64), (len(handles),))
        self.sources.append(pd.DataFrame(frame))

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
        columns = {name: np.concatenate([block[name] for block in self.blocks]) for name in (*_NUMBERS, *_TEXT)}
        keep = np.flatnonzero((columns["debit_minor"] != 0) | (columns["credit_minor"] != 0))
        order = keep[np.lexsort((columns["suborder"][keep], columns["order"][keep], columns["section"][keep], columns["entry"][keep]))]
        entry = columns["entry"][order]
        starts = np.flatnonzero(np.append(True, entry[1:] != entry[:-1])) if len(entry) else np.empty(0, dtype=np.int64)
        line_no = np.arange(1, len(entry) + 1) - np.repeat(starts, np.diff(np.append(starts, len(entry))))
        accounts = look_up(self.rules.account, columns["account_code"][order], days[entry])
        failures.add_where(
            entry,
            [
                None
                if account is not None or not code
                else ("ACCOUNT_UNKNOWN", f"account {code} is not in chart {self.rules.mapping.chart} on the voucher date")
                for account, code in zip(accounts, columns["account_code"][order], strict=True)
            ],
        )
        lines = VOUCHER_LINES.frame(
            {
                **{name: columns[name][order] for name in (*_TEXT, *_NUMBERS) if name in VOUCHER_LINES.columns},
                "entry_no": entry_no[entry],
                "line_no": line_no,
                "summary": summaries[entry],
                "cash_flow_item": [account.cash_flow_item if account else "" for account in accounts],
            }
        )
        place = np.full(self.size, -1)
        place[order] = np.arange(len(order))
        return lines, self._dimensions(order, lines, accounts, entry, failures), self._sources(place, lines)

    def _dimensions(self, order: Array, lines: pd.DataFrame, accounts: Array, entry: Array, failures: Failures) -> pd.DataFrame:
        types = sorted({name for account in accounts if account is not None for name in account.dimensions})
        frames = []
        for dim_type in types:
            rule = np.array([account.dimensions.get(dim_type, "forbidden") if account else "forbidden" for account in accounts], dtype=object)
            codes, names, problems = self._values(dim_type, order)
            wanted = rule != "forbidden"
            failures.add_where(entry[wanted], problems[wanted])
            missing = (rule == "required") & (codes == "") & np.array([problem is None for problem in problems])
            failures.add_where(
                entry[missing], [("DIMENSION_MISSING", f"account {code} requires {dim_type}") for code in lines["account_code"].to_numpy()[missing]]
            )
            used = np.flatnonzero(wanted & (codes != ""))
            frames.append(
                pd.DataFrame(
                    {
                        "entry_no": lines["entry_no"].to_numpy()[used],
                        "line_no": lines["line_no"].to_numpy()[used],
                        "dim_type": dim_type,
                        "dim_code": codes[used],
                        "dim_name": names[used],
                    }
                )
            )
        if not frames:
            return LINE_DIMENSIONS.empty()
        table = pd.concat(frames, ignore_index=True)
        return LINE_DIMENSIONS.frame({name: table[name] for name in LINE_DIMENSIONS.columns})

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

    def _sources(self, place: Array, lines: pd.DataFrame) -> pd.DataFrame:
        if not self.sources:
            return LINE_SOURCES.empty()
        table = pd.concat(self.sources, ignore_index=True)
        position = place[table["handle"].to_numpy()]
        table, position = table[position >= 0], position[position >= 0]
        table = table.assign(entry_no=lines["entry_no"].to_numpy()[position], line_no=lines["line_no"].to_numpy()[position])
        return LINE_SOURCES.frame({name: table[name] for name in LINE_SOURCES.columns})


def split_answers(answers: Array) -> tuple[Array, Array]:
    """``(value, problem)`` answers as two arrays."""
    values = np.empty(len(answers), dtype=object)
    problems = np.empty(len(answers), dtype=object)
    for i, (value, problem) in enumerate(answers):
        values[i], problems[i] = value, problem
    return values, problems


__all__ = ["ADVANCE", "BANK", "COMPANY_PAID", "EXPENSE", "PAYABLE", "RESIDUAL", "TAX", "LineBook", "Problem", "split_answers"]
