"""What a chunk changes in the tables that decide posting: pure comparisons of what is stored with what is true now.

A row is written only when something in it differs that people or the next run would read; on a run that brings nothing new
every plan here is empty, so the database stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from etl.erp.port import KNOWN_STATES
from etl.frames import COMMITMENTS, ENTRIES, REJECTS, FrameSpec
from etl.masking import mask_name, mask_text
from etl.rejects import CATALOGUE

ENTRY = ["claim_id", "entry_kind", "part_no"]
KIND = ["claim_id", "entry_kind"]
GONE = ("deleted", "nullify", "")
REASON_LIMIT = 2000

_NOT_STORED = ("entry_no", "claimant_id", "disposition", "source_updated_ms")


def _rows(name: str, key: Sequence[str], columns: Mapping[str, str]) -> FrameSpec:
    return FrameSpec(name, f"one row of {name}", tuple(key), columns, {})


STATE_ROWS = _rows(
    "claim_state",
    ENTRY,
    {**{name: dtype for name, dtype in ENTRIES.columns.items() if name not in _NOT_STORED}, "state": "str", "updated_ms": "int64"},
)
REJECT_ROWS = _rows("claim_reject", KIND, {**REJECTS.columns, "first_seen_day": "int32", "due_day": "int32"})
DRIFT_ROWS = _rows(
    "claim_drift",
    ENTRY,
    {
        **{name: ENTRIES.columns[name] for name in (*ENTRY, "claim_code", "company_code", "currency")},
        "posted_amount_minor": "int64",
        "source_amount_minor": "int64",
        "cause": "str",
        "found_day": "int32",
        "raw_ref": "str",
        "updated_ms": "int64",
    },
)
COMMITMENT_ROWS = _rows("commitment", ["claim_id"], {name.replace("source_updated", "updated"): dtype for name, dtype in COMMITMENTS.columns.items()})


@dataclass(frozen=True)
class Changes:
    """Rows to write, and keys to remove before that: those replaced and those gone."""

    write: pd.DataFrame
    remove: pd.DataFrame
    gone: int

    @property
    def count(self) -> int:
        """Rows that end up different."""
        return len(self.write) + self.gone


def state_changes(entries: pd.DataFrame, known: pd.DataFrame, standing: pd.DataFrame) -> Changes:
    """claim_state rows of entries that are new or stand elsewhere than before; posted rows are never touched here.

    Args:
        entries: ENTRIES of whole claims, ready entries being posted in this transaction.
        known: what is stored for these claims.
        standing: the posted ones among them that this transaction does not reverse.
    """
    dispositions = entries["disposition"].map({"ready": "posted", "corrected": "posted"}).fillna(entries["disposition"]).astype("str")
    rows = STATE_ROWS.frame(
        {
            **{name: entries[name] for name in STATE_ROWS.columns if name in entries},
            "claimant_name": _masked(entries["claimant_name"], mask_name),
            "state": dispositions,
            "updated_ms": entries["source_updated_ms"],
        }
    )
    corrected = (entries["disposition"] == "corrected").to_numpy()
    settled = rows["state"].isin(["unchanged", "drift", "returned"]) | (member(rows, standing, ENTRY) & ~corrected)
    rows = rows[~settled]
    compared = ["state", "source_sha256", "hesi_state", "hesi_voucher_no", "amount_minor", "currency", "company_code"]
    stale = known[~known["posted"] & ~member(known, entries, ENTRY)]
    return _changes(_differing(rows, known, key=ENTRY, compared=compared), stored=known, gone=stale, key=ENTRY)


def moved_in_hesi(entries: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Known entries whose source stays the same while Hesi's state or voucher number moved: key, both values, updated_ms."""
    merged = entries.merge(known[[*ENTRY, "posted", "hesi_state", "hesi_voucher_no"]], on=ENTRY, suffixes=("", "_known"))
    kept = merged["posted"] | merged["disposition"].isin(["unchanged", "drift"])
    moved = (merged["hesi_state"] != merged["hesi_state_known"]) | (merged["hesi_voucher_no"] != merged["hesi_voucher_no_known"])
    return merged.loc[kept & moved, [*ENTRY, "hesi_state", "hesi_voucher_no", "source_updated_ms"]]


def reject_changes(entries: pd.DataFrame, rejects: pd.DataFrame, stored: pd.DataFrame, *, today: int) -> Changes:
    """claim_reject rows that are new or say something else, and those whose entry posts or is no longer due.

    The first day a reject was seen stays while it is open, so its due date does not run away.
    """
    first_seen = rejects[KIND].merge(stored[[*KIND, "first_seen_day"]], on=KIND, how="left")["first_seen_day"].fillna(today)
    days = rejects["rule"].map({code: item.days for code, item in CATALOGUE.items()}).fillna(2)
    rows = REJECT_ROWS.frame(
        {
            **{name: rejects[name] for name in REJECTS.columns},
            "claimant_name": _masked(rejects["claimant_name"], mask_name),
            "reason": _masked(rejects["reason"], mask_text).str.slice(0, REASON_LIMIT),  # it may quote what somebody typed
            "first_seen_day": first_seen.to_numpy(dtype=np.int32),
            "due_day": (first_seen.to_numpy() + days.to_numpy()).astype(np.int32),
        }
    )
    compared = "form_type disposition step rule reason owner company_code currency amount_minor department_code due_day".split()
    unchanged = entries[entries["disposition"] == "unchanged"]
    gone = stored[~member(stored, rejects, KIND) & ~member(stored, unchanged, KIND)]
    return _changes(_differing(rows, stored, key=KIND, compared=compared), stored=stored, gone=gone, key=KIND)


def drift_changes(entries: pd.DataFrame, known: pd.DataFrame, stored: pd.DataFrame, *, today: int) -> Changes:
    """claim_drift rows of posted entries whose source differs now, and those that tie again.

    An entry has vanished when its claim is deleted or void, or when nothing of its amount is left.
    """
    drifting = entries[entries["disposition"] == "drift"]
    posted = known.loc[known["posted"], [*ENTRY, "amount_minor"]].rename(columns={"amount_minor": "posted_amount_minor"})
    merged = drifting.merge(posted, on=ENTRY).merge(stored[[*ENTRY, "found_day"]], on=ENTRY, how="left")
    vanished = merged["hesi_state"].isin(GONE) | (merged["amount_minor"] == 0)
    rows = DRIFT_ROWS.frame(
        {
            **{name: merged[name] for name in (*ENTRY, "claim_code", "company_code", "currency", "posted_amount_minor")},
            "source_amount_minor": merged["amount_minor"].where(~vanished, 0),
            "cause": np.where(vanished, "vanished", "changed"),
            "found_day": merged["found_day"].fillna(today).to_numpy(dtype=np.int32),
            "raw_ref": merged["raw_ref"],
            "updated_ms": merged["source_updated_ms"],
        }
    )
    ties = stored[member(stored, entries[entries["disposition"] != "drift"], ENTRY)]
    compared = ["posted_amount_minor", "source_amount_minor", "cause", "currency"]
    return _changes(_differing(rows, stored, key=ENTRY, compared=compared), stored=stored, gone=ties, key=ENTRY)


def commitment_changes(commitments: pd.DataFrame, stored: pd.DataFrame) -> Changes:
    """commitment rows that are new or differ."""
    rows = commitments.rename(columns={"source_updated_ms": "updated_ms"})
    compared = ["claim_code", "hesi_state", "company_code", "department_id", "currency", "amount_minor"]
    return _changes(_differing(rows, stored, key=["claim_id"], compared=compared), stored=stored, gone=stored.iloc[:0], key=["claim_id"])


def nothing_known() -> pd.DataFrame:
    """KNOWN_STATES of claims never seen."""
    return KNOWN_STATES.empty()


def _changes(write: pd.DataFrame, *, stored: pd.DataFrame, gone: pd.DataFrame, key: list[str]) -> Changes:
    replaced = write.loc[member(write, stored, key), key]
    return Changes(write, pd.concat([gone[key], replaced], ignore_index=True), len(gone))


def _differing(rows: pd.DataFrame, stored: pd.DataFrame, *, key: Sequence[str], compared: Sequence[str]) -> pd.DataFrame:
    """Rows that are not stored, or stored with another value in a compared column."""
    if not len(stored) or not len(rows):
        return rows
    merged = rows[[*key, *compared]].merge(stored[[*key, *compared]], on=list(key), how="left", suffixes=("", "_stored"), indicator=True)
    differs = (merged["_merge"] == "left_only").to_numpy()
    for name in compared:
        differs = differs | (merged[name] != merged[f"{name}_stored"]).to_numpy(dtype=bool)
    return rows[differs]


def member(rows: pd.DataFrame, others: pd.DataFrame, key: Sequence[str]) -> pd.Series:
    """Whether each row's key is among the others."""
    if not len(rows) or not len(others):
        return pd.Series(data=False, index=rows.index)
    names = list(key)
    found = rows[names].merge(others[names].drop_duplicates(), on=names, how="left", indicator=True)["_merge"] == "both"
    return pd.Series(found.to_numpy(), index=rows.index)


def _masked(texts: pd.Series, mask: Callable[[str], str]) -> pd.Series:
    codes, unique = pd.factorize(texts)
    return pd.Series(unique).map(mask).astype("str").take(codes).set_axis(texts.index) if len(unique) else texts
