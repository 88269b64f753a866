"""The decisions of a run as bodies of log entries: up to a thousand claims an entry, one company an entry.

A company's evidence can then show its own entries and withhold the others without breaking the chain. Amounts are decimal text
in major units; no names, and free text is masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

import pandas as pd

from etl.frames import day_of
from etl.masking import mask_text
from etl.money import exponent
from etl.redaction import redact

ROWS_PER_ENTRY = 1_000
REASON_LIMIT = 2_000  # what claim_reject keeps of a reason
ENTRY = ["claim_id", "entry_kind", "part_no"]
DECISION_COLUMNS = tuple("claim_id claim_code entry_kind part_no decision amount currency event_date source_sha256 rule reason raw_ref".split())
VOUCHER_COLUMNS = tuple("claim_id claim_code entry_kind part_no revision book_code fiscal_period voucher_word voucher_no payload_sha256".split())
NUMBER_COLUMNS = tuple("claim_id voucher_number status reason".split())
# What the load will do with a ready entry; the other dispositions are their own names.
_DECISION = {"ready": "posted"}
OpenRejects = Mapping[tuple[str, str], tuple[str, str]]
Drifts = Mapping[tuple[str, str, int], str]


def news(entries: pd.DataFrame, rejects: pd.DataFrame, known: pd.DataFrame, *, open_rejects: OpenRejects, drifts: Drifts) -> list[tuple[str, list[Any]]]:
    """(company, row of :data:`DECISION_COLUMNS`) of every decision that is not the one taken before.

    Args:
        entries: ENTRIES of whole claims with their final dispositions.
        rejects: REJECTS of these claims.
        known: what the target knew before: key, state and source_sha256.
        open_rejects: (claim_id, entry_kind) -> rule and reason stored in the target.
        drifts: key of a posted entry -> the source amount it was last found with.
    """
    reasons = {(row[0], row[1]): (row[2], row[3]) for row in rejects[["claim_id", "entry_kind", "rule", "reason"]].itertuples(index=False, name=None)}
    before = {(row[0], row[1], row[2]): (row[3], row[4]) for row in known[[*ENTRY, "state", "source_sha256"]].itertuples(index=False, name=None)}
    fresh = entries[entries["disposition"] != "unchanged"]
    names = [*ENTRY, "disposition", "source_sha256", "claim_code", "company_code", "currency", "amount_minor", "event_day", "raw_ref"]
    found: list[tuple[str, list[Any]]] = []
    for claim_id, kind, part, disposition, sha, code, company, currency, minor, day, ref in zip(*(fresh[name].tolist() for name in names), strict=True):
        refused = disposition in {"rejected", "held"}
        rule, reason = reasons.get((claim_id, kind), ("", "")) if refused else ("", "")
        amount = amount_text(minor, currency)
        if disposition == "drift":
            if drifts.get((claim_id, kind, part)) == amount:
                continue
        elif before.get((claim_id, kind, part)) == (disposition, sha) and (not refused or open_rejects.get((claim_id, kind)) == (rule, reason[:REASON_LIMIT])):
            continue
        when = day_of(day)
        told = mask_text(redact(reason)) if reason else ""
        decision = _DECISION.get(disposition, disposition)
        found.append((company, [claim_id, code, kind, part, decision, amount, currency, when.isoformat() if when else "", sha, rule, told, ref]))
    return found


def amount_text(minor: int, currency: str) -> str:
    """Plain decimal text of minor units; empty where the currency is unknown.

    >>> amount_text(-5, "CNY"), amount_text(1250, "JPY"), amount_text(1, "KWD")
    ('-0.05', '1250', '0.001')
    """
    if not currency:
        return ""
    scale = exponent(currency)
    if scale == 0:
        return str(minor)
    digits = str(abs(minor)).zfill(scale + 1)
    return f"{'-' if minor < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def bodies(kind: str, columns: Sequence[str], rows: Iterable[tuple[str, list[Any]]], **fixed: Any) -> Iterator[dict[str, Any]]:
    """Entry bodies of at most a thousand rows, one company each; neighbours of one company share an entry."""
    for company, group in groupby(rows, key=itemgetter(0)):
        part = [row for _, row in islice(group, ROWS_PER_ENTRY)]
        while part:
            yield {"kind": kind, "company": company, **fixed, "columns": list(columns), "rows": part}
            part = [row for _, row in islice(group, ROWS_PER_ENTRY)]
