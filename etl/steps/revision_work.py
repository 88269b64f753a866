"""The revisions of one chunk taken together: what is known of its claims, and the frames with what was added, changed and dropped.

Pure. :mod:`etl.steps.revise` decides claim by claim and writes down here what follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from etl.frames import LINE_DIMENSIONS, LINE_SOURCES, VOUCHER_LINES, VOUCHERS, records
from etl.steps.lookups import CompanyRules
from etl.steps.mapped import MappedClaims
from etl.steps.revision_lines import BookedVouchers, Line, lines_by_entry

RevisionKey: TypeAlias = tuple[str, str, str, int]  # claim, kind, company, part
STANDS = ("ready", "corrected", "unchanged", "drift")  # dispositions of an accrual that is in the ledger after this run


@dataclass(frozen=True)
class PostedVoucher:
    """A live voucher of the ledger, read back: header and lines as frame rows, dimensions inside the lines."""

    header: Mapping[str, Any]  # VOUCHERS columns and voucher_no
    lines: tuple[Line, ...]  # VOUCHER_LINES columns and dims: {dim_type: (code, name)}

    @property
    def company(self) -> str:
        """Company whose book it stands in."""
        return str(self.header["company_code"])


class RevisionWork:
    """The revisions of one chunk: what is known of it, and what is added and changed."""

    def __init__(
        self,
        mapped: MappedClaims,
        by_claim: dict[str, list[PostedVoucher]],
        last: dict[RevisionKey, int],
        rules: Mapping[str, CompanyRules],
        booked: BookedVouchers,
    ) -> None:
        self.mapped, self.by_claim, self.last, self.rules, self.booked = mapped, by_claim, last, rules, booked
        self.headers = {row["entry_no"]: row for row in records(mapped.vouchers[mapped.vouchers["claim_id"].isin(list(by_claim))])}
        self.drifting = set(mapped.entries.loc[mapped.entries["disposition"] == "drift", "entry_no"])
        self.new_lines = lines_by_entry(mapped, self.drifting | set(self.headers))
        self.rejected = {(row["claim_id"], row["entry_kind"]): row for row in records(mapped.rejects)}
        self.dispositions: dict[int, str] = {}
        self.blue: dict[int, dict[str, Any]] = {}  # entry -> header changes of its new voucher
        self.dropped: set[int] = set()
        self.led: dict[int, int] = {}  # entry -> its voucher that leads the posted one to the new version
        self.held_rejects: set[tuple[str, str]] = set()

    def next_revision(self, claim: str, kind: str, company: str, part: int) -> int:
        key = (claim, kind, company, part)
        self.last[key] = self.last.get(key, -1) + 1
        return self.last[key]

    def finish(self) -> MappedClaims:
        """The frames with new vouchers, changed headers and dispositions; blue vouchers come after their red ones."""
        mapped, booked = self.mapped, self.booked
        renumber = {}
        for entry_no in self.blue:
            renumber[entry_no] = booked.next_entry
            booked.next_entry += 1
        numbers, before = mapped.entries["entry_no"].tolist(), mapped.entries["disposition"]
        entries = mapped.entries.assign(disposition=[self.dispositions.get(number, what) for number, what in zip(numbers, before, strict=True)])
        entries["disposition"] = entries["disposition"].astype("str")
        entries = _settled(entries)
        vouchers = [self._header(row) for row in records(mapped.vouchers) if self._kept(row["entry_no"])]
        rejects = mapped.rejects.copy()
        held = [key in self.held_rejects for key in zip(rejects["claim_id"], rejects["entry_kind"], strict=True)]
        rejects.loc[held, "disposition"] = "held"
        changed = {
            "entries": _renumbered(entries, renumber),
            "vouchers": _renumbered(VOUCHERS.from_rows([tuple(row[name] for name in VOUCHERS.columns) for row in [*vouchers, *booked.vouchers]]), renumber),
            "rejects": rejects,
        }
        extra = {
            "voucher_lines": (VOUCHER_LINES, booked.lines),
            "line_dimensions": (LINE_DIMENSIONS, booked.dims),
            "line_sources": (LINE_SOURCES, booked.sources),
        }
        for name, (spec, added_rows) in extra.items():
            kept = self._own(getattr(mapped, name))
            added = spec.from_rows([tuple(row[column] for column in spec.columns) for row in added_rows])
            changed[name] = _renumbered(pd.concat([kept, added], ignore_index=True) if added_rows else kept, renumber)
        changed["budget_lines"] = _renumbered(self._own(mapped.budget_lines), renumber)
        led = mapped.voucher_invoices[mapped.voucher_invoices["entry_no"].isin(list(self.led))]
        invoices = pd.concat([self._own(mapped.voucher_invoices), _renumbered(led, self.led)], ignore_index=True)
        changed["voucher_invoices"] = _renumbered(invoices, renumber)
        return replace(mapped, **changed)

    def _header(self, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, **self.blue.get(row["entry_no"], {})}

    def _own(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[np.array([self._kept(number) for number in frame["entry_no"].tolist()], dtype=bool)]

    def _kept(self, entry_no: int) -> bool:
        """Whether an entry's own voucher is posted: not where only the difference is, or where the change waits."""
        return entry_no not in self.dropped and not (entry_no in self.drifting and entry_no not in self.blue)


def _settled(entries: pd.DataFrame) -> pd.DataFrame:
    """Payments wait again where their accrual was taken back; what is reversed has no amount left."""
    kind, what = entries["entry_kind"], entries["disposition"]
    taken_back = entries.loc[(kind == "EXPENSE") & ~what.isin(STANDS), "claim_id"]
    waits = (kind == "PAYMENT") & (entries["form_type"] == "expense") & (what == "ready") & entries["claim_id"].isin(taken_back)
    return entries.assign(disposition=what.mask(waits, "waiting"), amount_minor=entries["amount_minor"].mask(what == "reversed", 0))


def _renumbered(frame: pd.DataFrame, numbers: Mapping[int, int]) -> pd.DataFrame:
    if not numbers:
        return frame.reset_index(drop=True)
    return frame.assign(entry_no=[numbers.get(number, number) for number in frame["entry_no"].tolist()]).reset_index(drop=True)
