"""One entry per voucher a company's claims give rise to, and what is to become of it: ready, unchanged, drift, skipped, returned.

Pure. Sources: accounting-rules 1-4, 26.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from etl.config.mapping import CompanyMapping
from etl.frames import NO_DAY, NO_INSTANT, Columns
from etl.periods import ACCOUNTING_OFFSET_MS, DAY_MS
from etl.steps.lookups import look_up
from etl.steps.mapped import MappingContext
from etl.steps.staged import StagedColumns

Array = npt.NDArray[Any]


def days_of(instants: Array) -> Array:
    return np.where(instants == NO_INSTANT, NO_DAY, (instants + ACCOUNTING_OFFSET_MS) // DAY_MS)


def _first_payments(staged: StagedColumns) -> Array:
    """When each claim counts as paid: payDate, else its first paid settlement; with nothing to pay the approval."""
    claims = staged.claims
    paid = claims["pay_ms"]
    settled = staged.payees["paid_ms"] != NO_INSTANT
    earliest = pd.Series(staged.payees["paid_ms"][settled]).groupby(staged.payees["claim"][settled]).min()
    first = earliest.reindex(np.arange(len(paid)), fill_value=NO_INSTANT).to_numpy()
    paid = np.where(paid == NO_INSTANT, first, paid)
    return np.where((paid == NO_INSTANT) & (claims["pay_minor"] == 0), claims["event_ms"], paid)


_CLAIM_COLUMNS = (
    "claim_id",
    "claim_code",
    "form_type",
    "hesi_state",
    "hesi_voucher_no",
    "claim_version",
    "source_updated_ms",
    "currency",
    "event_ms",
    "pay_ms",
    "total_minor",
    "submitter_id",
    "department_id",
    "source_sha256",
    "raw_ref",
)


def entries_of(staged: StagedColumns, claims: Array, company: CompanyMapping, context: MappingContext, first: int) -> Columns:
    """One row per voucher the claims of a company give rise to (accounting-rules 1, 2, 4), with claim and payee rows."""
    due, settled, form, account, event = (staged.claims[name][claims] for name in ("due", "settled", "form_type", "payment_account_id", "event_ms"))
    paid = _first_payments(staged) if company.accrual == "on_payment" else staged.claims["pay_ms"]
    accrual = claims[due & (form == "expense") & ((company.accrual == "on_approval") | ((paid[claims] != NO_INSTANT) & settled))]
    receipt = claims[due & (form == "receipt")]
    payees = staged.payees
    owner = payees["claim"]
    pays = np.zeros(len(staged.claims["claim_id"]), dtype=bool)
    pays[claims] = due & settled & (form != "receipt") & (account != "")
    moved = np.flatnonzero(pays[owner] & (payees["paid_ms"] != NO_INSTANT) & (payees["amount_minor"] != 0)) if len(owner) else np.empty(0, dtype=np.int64)
    claim = np.concatenate([accrual, receipt, owner[moved]]).astype(np.int64)
    payee = np.concatenate([np.full(len(accrual) + len(receipt), -1), moved]).astype(np.int64)
    take = {name: staged.claims[name][claim] for name in _CLAIM_COLUMNS}
    moved_kind = np.where(take["form_type"][len(accrual) + len(receipt) :] == "loan", "LOAN", "PAYMENT")
    kind = np.concatenate([np.full(len(accrual), "EXPENSE"), np.full(len(receipt), "RECEIPT"), moved_kind]).astype(object)
    part = np.where(payee >= 0, payees["part_no"][np.maximum(payee, 0)] if len(owner) else 0, np.where(kind == "EXPENSE", 0, 1))
    at = np.maximum(payee, 0)
    instant = take["event_ms"]
    if company.accrual == "on_payment":
        instant = np.where(kind == "EXPENSE", paid[claim], instant)
    if len(owner):
        instant = np.where(payee >= 0, payees["paid_ms"][at], instant)
    sha = np.where(payee >= 0, payees["source_sha256"][at] if len(owner) else "", take["source_sha256"])
    amount = np.where(payee >= 0, payees["amount_minor"][at] if len(owner) else 0, take["total_minor"])
    staffs = context.reference.staffs
    departments = context.reference.departments
    entries = {
        "entry_no": np.arange(first, first + len(claim)),
        "claim_id": take["claim_id"],
        "claim_code": take["claim_code"],
        "form_type": take["form_type"],
        "hesi_state": take["hesi_state"],
        "hesi_voucher_no": take["hesi_voucher_no"],
        "claim_version": take["claim_version"],
        "source_updated_ms": take["source_updated_ms"],
        "entry_kind": kind,
        "part_no": part,
        "company_code": np.full(len(claim), company.company.code, dtype=object),
        "currency": take["currency"],
        "amount_minor": amount,
        "event_day": days_of(instant).astype("int32"),
        "claimant_id": take["submitter_id"],
        "claimant_name": look_up(lambda id_: staffs[id_].name if id_ in staffs else "", take["submitter_id"]),
        "department_code": look_up(lambda id_: departments[id_].code or id_ if id_ in departments else id_, take["department_id"]),
        "source_sha256": sha,
        "raw_ref": take["raw_ref"],
        "claim": claim,
        "payee": payee,
    }
    return _dispositions(entries, event, claims, staged, company, context)


def _dispositions(entries: Columns, event: Array, claims: Array, staged: StagedColumns, company: CompanyMapping, context: MappingContext) -> Columns:
    """Marks what the ERP already has (unchanged, drift), what the cut-over skips, and what may be posted now (ready).

    Where finance accepted a payment before its claim, the refused accrual stays as it is listed.
    """
    known = [context.known.get(key) for key in zip(*(entries[name].tolist() for name in ("claim_id", "entry_kind", "part_no")), strict=True)]
    posted = np.array([found is not None and found.state == "posted" for found in known], dtype=bool)
    same = np.array([found is not None and found.source_sha256 == sha for found, sha in zip(known, entries["source_sha256"], strict=True)], dtype=bool)
    disposition = np.full(len(known), "ready", dtype=object)
    if context.start_ms is not None:
        before = np.zeros(len(staged.claims["claim_id"]), dtype=bool)
        before[claims] = (event != NO_INSTANT) & (event < context.start_ms)
        disposition[before[entries["claim"]]] = "skipped"
    disposition[posted & same] = "unchanged"
    disposition[posted & ~same] = "drift"
    suspended = np.zeros(len(known), dtype=bool)
    if context.suspense and company.payables.suspense:
        refused = [found is not None and found.state in {"held", "rejected"} for found in known]
        accepted = np.array([claim in context.suspense for claim in entries["claim_id"]], dtype=bool)
        listed = accepted & (entries["entry_kind"] == "EXPENSE") & np.array(refused, dtype=bool)
        disposition[listed] = "unchanged"
        paid = (entries["entry_kind"] == "PAYMENT") & (entries["form_type"] == "expense")
        waiting = set(entries["claim_id"][listed])
        suspended = paid & np.array([claim in waiting for claim in entries["claim_id"]], dtype=bool)
    entries = _sent_back(entries, disposition, posted, staged)
    own = np.array([found.own_number if found else "" for found in known], dtype=object)
    return {**entries, "disposition": disposition, "own_number": own, "suspended": suspended}


def _sent_back(entries: Columns, disposition: Array, posted: Array, staged: StagedColumns) -> Columns:
    """Marks payments the bank sent back, dated the day they came back; one never posted leaves nothing to undo (rule 26)."""
    payee = entries["payee"]
    if not len(staged.payees["claim"]):
        return entries
    back = np.where(payee >= 0, staged.payees["returned_ms"][np.maximum(payee, 0)], NO_INSTANT)
    returned = back != NO_INSTANT
    disposition[returned] = np.where(posted[returned], "returned", "reversed")
    return {
        **entries,
        "event_day": np.where(returned, days_of(back), entries["event_day"]).astype("int32"),
        "amount_minor": np.where(returned & ~posted, 0, entries["amount_minor"]),
    }
