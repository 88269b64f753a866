"""What map_fields is given besides the claims, and what it makes of a chunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from etl.config.mapping import Mappings
from etl.frames import (
    BUDGET_LINES,
    ENTRIES,
    FINDINGS,
    LINE_DIMENSIONS,
    LINE_SOURCES,
    REJECTS,
    VOUCHER_INVOICES,
    VOUCHER_LINES,
    VOUCHERS,
    FrameSpec,
)
from etl.reference import Reference


@dataclass(frozen=True)
class MappedClaims:
    """The frames of one chunk after mapping; see ``etl.frames`` for each."""

    entries: pd.DataFrame
    vouchers: pd.DataFrame
    voucher_lines: pd.DataFrame
    line_dimensions: pd.DataFrame
    line_sources: pd.DataFrame
    voucher_invoices: pd.DataFrame
    rejects: pd.DataFrame
    findings: pd.DataFrame
    budget_lines: pd.DataFrame


@dataclass(frozen=True)
class Known:
    """What the ERP already knows about one entry."""

    state: str
    source_sha256: str
    claim_code: str = ""
    company_code: str = ""
    currency: str = ""
    amount_minor: int = 0
    own_number: str = ""  # what we wrote, or will write, to Hesi


@dataclass(frozen=True)
class MappingContext:
    """Everything a mapping needs besides the claims."""

    mappings: Mappings
    reference: Reference
    known: Mapping[tuple[str, str, int], Known]  # (claim_id, entry_kind, part_no)
    run_day: date
    start_ms: int | None = None
    revise: bool = False  # also map the new version of posted accruals whose source moved
    suspense: frozenset[str] = frozenset()  # claims whose payments finance accepted to the suspense account (rule 3)


FRAMES: dict[str, FrameSpec] = {
    "entries": ENTRIES,
    "vouchers": VOUCHERS,
    "voucher_lines": VOUCHER_LINES,
    "line_dimensions": LINE_DIMENSIONS,
    "line_sources": LINE_SOURCES,
    "voucher_invoices": VOUCHER_INVOICES,
    "rejects": REJECTS,
    "findings": FINDINGS,
    "budget_lines": BUDGET_LINES,
}


def without_vouchers(entries: list[tuple[Any, ...]], rejects: list[tuple[Any, ...]]) -> MappedClaims:
    filled = {"entries": ENTRIES.from_rows(entries), "rejects": REJECTS.from_rows(rejects)}
    return MappedClaims(**{name: filled.get(name, spec.empty()) for name, spec in FRAMES.items()})
