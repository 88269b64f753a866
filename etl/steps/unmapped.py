"""Entries without a voucher: claims of no mapped company, claims nobody could read, and what the source no longer gives rise to.

Pure. Nothing disappears: each is an entry with its disposition, and a reject where somebody has to act.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from etl.frames import NO_DAY, NO_INSTANT, rows, tuples
from etl.masking import mask_name
from etl.steps.entries import days_of
from etl.steps.failures import Failures
from etl.steps.lookups import nearest
from etl.steps.mapped import Known, MappedClaims, MappingContext, without_vouchers
from etl.steps.staged import StagedClaims

Array = npt.NDArray[Any]


_MAIN_KIND = {"expense": ("EXPENSE", 0), "loan": ("LOAN", 1), "payment": ("PAYMENT", 1), "receipt": ("RECEIPT", 1)}


def reject_unmapped(staged: StagedClaims, company_of: Array, values: Array, context: MappingContext, first: int) -> MappedClaims:
    """Claims of legal entities no company mapping knows: rejected, never dropped."""
    known = [key for company in context.mappings.companies for key in (*company.company.hesi.codes, company.company.name)]
    staffs, items = context.reference.staffs, context.reference.dimension_items
    entries: list[tuple[Any, ...]] = []
    rejects: list[tuple[Any, ...]] = []
    for claim in np.flatnonzero((company_of < 0) & staged.claims["due"].to_numpy()).tolist():
        row = staged.claims.iloc[claim]
        kind, part = _MAIN_KIND[row["form_type"]]
        name = staffs[row["submitter_id"]].name if row["submitter_id"] in staffs else ""
        item = items.get(values[claim])
        shown = f"{item.code} {item.name}" if item else values[claim] or "(none)"
        posted = _is_posted(context, row["claim_id"], kind, part)
        early = context.start_ms is not None and NO_INSTANT != row["event_ms"] < context.start_ms
        disposition = "drift" if posted else "skipped" if early else "rejected"
        entries.append(
            (
                first + len(entries),
                row["claim_id"],
                row["claim_code"],
                row["form_type"],
                row["hesi_state"],
                row["hesi_voucher_no"],
                int(row["claim_version"]),
                int(row["source_updated_ms"]),
                kind,
                part,
                "",
                row["currency"],
                int(row["total_minor"]),
                int(days_of(np.array([row["event_ms"]]))[0]),
                row["submitter_id"],
                name,
                row["department_id"],
                row["source_sha256"],
                disposition,
                row["raw_ref"],
            )
        )
        if disposition == "rejected" or (context.revise and posted and kind == "EXPENSE"):
            rejects.append(
                (
                    row["claim_id"],
                    row["claim_code"],
                    row["form_type"],
                    kind,
                    "rejected",
                    "map_fields",
                    "COMPANY_UNMAPPED",
                    f"legal entity {shown} is no company of the mappings{nearest(shown, known)}",
                    Failures().owner("COMPANY_UNMAPPED"),
                    "",
                    row["currency"],
                    int(row["total_minor"]),
                    mask_name(name),
                    row["department_id"],
                    row["raw_ref"],
                )
            )
    return without_vouchers(entries, rejects)


def carry_unreadable(staged: StagedClaims, context: MappingContext, first: int) -> MappedClaims:
    """Claims stage could not read: a rejected entry each, or drift where an earlier version is posted already."""
    entries: list[tuple[Any, ...]] = []
    rejects: list[tuple[Any, ...]] = []
    for row in rows(staged.rejects):
        kind, part = _MAIN_KIND.get(row.form_type, ("EXPENSE", 0))
        posted = _is_posted(context, row.claim_id, kind, part)
        # What was posted is all that is known of its amount; the drift list shows it as changed by an unknown amount.
        found = context.known.get((row.claim_id, kind, part), Known("", ""))
        entries.append(
            (
                first + len(entries),
                row.claim_id,
                row.claim_code,
                row.form_type,
                "unreadable",
                "",
                0,
                NO_INSTANT,
                kind,
                part,
                found.company_code,
                found.currency,
                found.amount_minor if posted else 0,
                NO_DAY,
                "",
                "",
                row.department_code,
                "",
                "drift" if posted else "rejected",
                row.raw_ref,
            )
        )
        if not posted:
            rejects.append(tuple(row))
    return without_vouchers(entries, rejects)


def _is_posted(context: MappingContext, claim_id: str, kind: str, part: int) -> bool:
    found = context.known.get((claim_id, kind, part))
    return found is not None and found.state == "posted"


def mark_gone(staged: StagedClaims, parts: list[MappedClaims], context: MappingContext, first: int) -> MappedClaims:
    """Entries the ERP knows of these claims and the source no longer gives rise to: deleted, nullified, sent back.

    A posted one drifts down to nothing; an open one is gone.
    """
    if not context.known:
        return without_vouchers([], [])
    current = {key for part in parts for key in tuples(part.entries, "claim_id", "entry_kind", "part_no")}
    claims = staged.claims.set_index("claim_id")[["form_type", "hesi_state", "source_updated_ms", "raw_ref"]]
    unreadable = set(staged.rejects["claim_id"])
    entries: list[tuple[Any, ...]] = []
    for (claim_id, kind, part_no), found in context.known.items():
        if (claim_id, kind, part_no) in current or claim_id not in claims.index or claim_id in unreadable:
            continue
        row: Any = claims.loc[claim_id]
        entries.append(
            (
                first + len(entries),
                claim_id,
                found.claim_code,
                row["form_type"],
                row["hesi_state"],
                "",
                0,
                int(row["source_updated_ms"]),
                kind,
                part_no,
                found.company_code,
                found.currency,
                0,
                NO_DAY,
                "",
                "",
                "",
                "",
                {"posted": "drift", "reversed": "reversed"}.get(found.state, "gone"),
                row["raw_ref"],
            )
        )
    return without_vouchers(entries, [])
