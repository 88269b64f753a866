"""Staged claims become entries, balanced vouchers and rejects, company by company.

Pure: frames, mappings, reference lists and what is already posted go in, frames come out. Sources: accounting-rules
marked [C]; ``etl.frames`` describes every frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from etl.config.mapping import CompanyMapping, Mappings
from etl.frames import (
    BUDGET_LINES,
    ENTRIES,
    FINDINGS,
    LINE_DIMENSIONS,
    LINE_SOURCES,
    NO_DAY,
    NO_INSTANT,
    REJECTS,
    VOUCHER_INVOICES,
    VOUCHER_LINES,
    VOUCHERS,
    FrameSpec,
    day_of,
    rows,
)
from etl.masking import mask_name
from etl.money import to_text
from etl.periods import ACCOUNTING_OFFSET_MS, DAY_MS
from etl.reference import Reference
from etl.steps.accruals import Accruals, book_accruals
from etl.steps.companies import Companies
from etl.steps.failures import Failures
from etl.steps.linebook import LineBook
from etl.steps.lookups import CompanyRules, dimension_paths, look_up, nearest
from etl.steps.settlements import book_receipts, book_settlements
from etl.steps.stage import StagedClaims
from etl.steps.summaries import summary

Array = npt.NDArray[Any]


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


def custom_paths(mappings: Mappings) -> tuple[str, ...]:
    """Every custom field the stage step must read for these mappings."""
    return tuple(dict.fromkeys(path for company in mappings.companies for path in dimension_paths(company)))


def map_fields(staged: StagedClaims, context: MappingContext, *, first_entry_no: int = 1) -> MappedClaims:
    """Entries, vouchers and rejects of one chunk; conservation is the caller's assertion over the entries frame."""
    companies = Companies(context.mappings, context.reference)
    company_of, unmapped = companies.of_claims(staged)
    parts = []
    number = first_entry_no
    for index, rules in enumerate(company_rules(context, companies)):
        entries = _entries(staged, np.flatnonzero(company_of == index), rules.mapping, context, number)
        number += len(entries)
        parts.append(_map_company(staged, entries, rules, context))
    parts.append(_reject_unmapped(staged, company_of, unmapped, context, number))
    number += len(parts[-1].entries)
    parts.append(_carry_unreadable(staged, context, number))
    number += len(parts[-1].entries)
    parts.append(_mark_gone(staged, parts, context, number))
    return MappedClaims(*(_stack(spec, [getattr(part, name) for part in parts]) for name, spec in _FRAMES.items()))


_FRAMES: dict[str, FrameSpec] = {
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


def _stack(spec: FrameSpec, frames: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return spec.empty()
    return filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)


def _days(instants: Array) -> Array:
    return np.where(instants == NO_INSTANT, NO_DAY, (instants + ACCOUNTING_OFFSET_MS) // DAY_MS)


def _first_payments(staged: StagedClaims) -> Array:
    """When each claim counts as paid: payDate, else its first paid settlement; with nothing to pay the approval."""
    claims = staged.claims
    paid = claims["pay_ms"].to_numpy().copy()
    settled = staged.payees[staged.payees["paid_ms"].to_numpy() != NO_INSTANT].groupby("claim")["paid_ms"].min()
    first = settled.reindex(np.arange(len(claims)), fill_value=NO_INSTANT).to_numpy()
    paid = np.where(paid == NO_INSTANT, first, paid)
    return np.where((paid == NO_INSTANT) & (claims["pay_minor"].to_numpy() == 0), claims["event_ms"].to_numpy(), paid)


_ENTRY_COLUMNS = [
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
]


def _entries(staged: StagedClaims, claims: Array, company: CompanyMapping, context: MappingContext, first: int) -> pd.DataFrame:
    """One row per voucher the claims of a company give rise to (accounting-rules 1, 2, 4), with claim and payee rows."""
    due, settled, form, account, event = (staged.claims[name].to_numpy()[claims] for name in ("due", "settled", "form_type", "payment_account_id", "event_ms"))
    paid = _first_payments(staged) if company.accrual == "on_payment" else staged.claims["pay_ms"].to_numpy()
    accrual = claims[due & (form == "expense") & ((company.accrual == "on_approval") | ((paid[claims] != NO_INSTANT) & settled))]
    receipt = claims[due & (form == "receipt")]
    payees = staged.payees
    owner = payees["claim"].to_numpy()
    pays = np.zeros(len(staged.claims), dtype=bool)
    pays[claims] = due & settled & (form != "receipt") & (account != "")
    moved = (
        np.flatnonzero(pays[owner] & (payees["paid_ms"].to_numpy() != NO_INSTANT) & (payees["amount_minor"].to_numpy() != 0))
        if len(owner)
        else np.empty(0, dtype=np.int64)
    )
    claim = np.concatenate([accrual, receipt, owner[moved]]).astype(np.int64)
    payee = np.concatenate([np.full(len(accrual) + len(receipt), -1), moved]).astype(np.int64)
    take = staged.claims[_ENTRY_COLUMNS].iloc[claim]
    moved_kind = np.where(take["form_type"].to_numpy()[len(accrual) + len(receipt) :] == "loan", "LOAN", "PAYMENT")
    kind = np.concatenate([np.full(len(accrual), "EXPENSE"), np.full(len(receipt), "RECEIPT"), moved_kind]).astype(object)
    part = np.where(payee >= 0, payees["part_no"].to_numpy()[np.maximum(payee, 0)] if len(payees) else 0, np.where(kind == "EXPENSE", 0, 1))
    at = np.maximum(payee, 0)
    instant = take["event_ms"].to_numpy().copy()
    if company.accrual == "on_payment":
        instant = np.where(kind == "EXPENSE", paid[claim], instant)
    if len(payees):
        instant = np.where(payee >= 0, payees["paid_ms"].to_numpy()[at], instant)
    sha = np.where(payee >= 0, np.asarray(payees["source_sha256"], dtype=object)[at] if len(payees) else "", np.asarray(take["source_sha256"], dtype=object))
    amount = np.where(payee >= 0, payees["amount_minor"].to_numpy()[at] if len(payees) else 0, take["total_minor"].to_numpy())
    staffs = context.reference.staffs
    departments = context.reference.departments
    frame = pd.DataFrame(
        {
            "entry_no": np.arange(first, first + len(claim)),
            "claim_id": take["claim_id"].to_numpy(),
            "claim_code": take["claim_code"].to_numpy(),
            "form_type": take["form_type"].to_numpy(),
            "hesi_state": take["hesi_state"].to_numpy(),
            "hesi_voucher_no": take["hesi_voucher_no"].to_numpy(),
            "claim_version": take["claim_version"].to_numpy(),
            "source_updated_ms": take["source_updated_ms"].to_numpy(),
            "entry_kind": kind,
            "part_no": part,
            "company_code": company.company.code,
            "currency": take["currency"].to_numpy(),
            "amount_minor": amount,
            "event_day": _days(instant).astype("int32"),
            "claimant_id": take["submitter_id"].to_numpy(),
            "claimant_name": look_up(lambda id_: staffs[id_].name if id_ in staffs else "", take["submitter_id"]),
            "department_code": look_up(lambda id_: departments[id_].code or id_ if id_ in departments else id_, take["department_id"]),
            "source_sha256": sha,
            "disposition": "ready",
            "raw_ref": take["raw_ref"].to_numpy(),
            "claim": claim,
            "payee": payee,
        }
    )
    return _dispositions(frame, event, claims, staged, context)


def _dispositions(entries: pd.DataFrame, event: Array, claims: Array, staged: StagedClaims, context: MappingContext) -> pd.DataFrame:
    """Marks what the ERP already has (unchanged, drift), what the cut-over skips, and what may be posted now (ready)."""
    known = [context.known.get(key) for key in zip(entries["claim_id"], entries["entry_kind"], entries["part_no"].tolist(), strict=True)]
    posted = np.array([found is not None and found.state == "posted" for found in known], dtype=bool)
    same = np.array([found is not None and found.source_sha256 == sha for found, sha in zip(known, entries["source_sha256"], strict=True)], dtype=bool)
    disposition = np.full(len(entries), "ready", dtype=object)
    if context.start_ms is not None:
        before = np.zeros(len(staged.claims), dtype=bool)
        before[claims] = (event != NO_INSTANT) & (event < context.start_ms)
        disposition[before[entries["claim"].to_numpy()]] = "skipped"
    disposition[posted & same] = "unchanged"
    disposition[posted & ~same] = "drift"
    entries = _sent_back(entries, disposition, posted, known, staged)
    own = np.array([found.own_number if found else "" for found in known], dtype=object)
    return entries.assign(disposition=disposition, own_number=own)


def _sent_back(entries: pd.DataFrame, disposition: Array, posted: Array, known: list[Known | None], staged: StagedClaims) -> pd.DataFrame:
    """Marks payments the bank sent back, dated the day they came back; one never posted leaves nothing to undo (rule 26)."""
    payee = entries["payee"].to_numpy()
    if not len(staged.payees) or not len(entries):
        return entries
    back = np.where(payee >= 0, staged.payees["returned_ms"].to_numpy()[np.maximum(payee, 0)], NO_INSTANT)
    returned = back != NO_INSTANT
    disposition[returned] = np.where(posted[returned], "returned", "reversed")
    return entries.assign(
        event_day=np.where(returned, _days(back), entries["event_day"]).astype("int32"), amount_minor=entries["amount_minor"].mask(returned & ~posted, 0)
    )


def company_rules(context: MappingContext, companies: Companies | None = None) -> list[CompanyRules]:
    """The look-ups of every company, in the order of the mappings."""
    companies = companies or Companies(context.mappings, context.reference)
    return [
        CompanyRules(
            company,
            context.mappings.charts[company.chart],
            context.mappings.vat[company.input_vat.rules] if company.input_vat else None,
            context.reference,
            context.run_day,
            partial(companies.other_bank, index),
            partial(companies.other_department, index),
        )
        for index, company in enumerate(context.mappings.companies)
    ]


def _map_company(staged: StagedClaims, entries: pd.DataFrame, rules: CompanyRules, context: MappingContext) -> MappedClaims:
    failures = Failures(rules.mapping.owner)
    kind = entries["entry_kind"].to_numpy()
    ready = entries["disposition"].to_numpy() == "ready"
    if context.revise:  # the new version of a posted accrual is mapped like any other; etl.steps.revise decides what becomes of it
        ready = ready | ((entries["disposition"].to_numpy() == "drift") & (kind == "EXPENSE"))
    _hold_other_currencies(entries, ready, rules, failures)
    _hold_foreign_numbers(entries, ready & (entries["disposition"].to_numpy() == "ready"), failures)
    entries = _posting_days(entries, ready, rules, failures)
    book = LineBook(rules)
    accruals = book_accruals(
        book, entries, np.flatnonzero(ready & (kind == "EXPENSE")), staged, rules, failures, budget_by_approval=context.mappings.budget.date == "approval"
    )
    foreign = np.zeros(len(staged.claims), dtype=bool)
    lines = staged.lines
    local = lines["claim"].to_numpy()[lines["foreign_currency"].to_numpy() == ""]
    foreign[lines["claim"].to_numpy()] = True
    foreign[local] = False
    moved = np.flatnonzero(ready & np.isin(kind, ["PAYMENT", "LOAN"]))
    parties = book_settlements(book, entries, moved, staged, rules, failures, foreign)
    book_receipts(book, entries, np.flatnonzero(ready & (kind == "RECEIPT")), staged, rules, failures)
    summaries = _summaries(entries, ready, staged, rules, accruals, dict(zip(moved.tolist(), parties, strict=True)))
    attachments = _attachments(entries, staged, accruals, rules, ready, failures)
    numbers, days = entries["entry_no"].to_numpy(), entries["rule_day"].to_numpy()
    voucher_lines, dimensions, sources = book.close(entry_no=numbers, summaries=summaries, days=days, failures=failures)
    entries = _settle(entries, ready, failures, context)
    kept = ready & failures.mask(len(entries)) & (entries["disposition"].to_numpy() != "waiting")
    vouchers = _vouchers(entries, kept, summaries, attachments, voucher_lines, rules)
    keep = numbers[kept]
    return MappedClaims(
        entries=ENTRIES.frame({name: entries[name] for name in ENTRIES.columns}),
        vouchers=vouchers,
        voucher_lines=_only(voucher_lines, keep),
        line_dimensions=_only(dimensions, keep),
        line_sources=_only(sources, keep),
        voucher_invoices=_only(_numbered(accruals.invoices, numbers), keep),
        rejects=_rejects(entries, failures),
        findings=accruals.findings,
        budget_lines=_only(_numbered(accruals.budget_lines, numbers), keep),
    )


def _numbered(frame: pd.DataFrame, numbers: Array) -> pd.DataFrame:
    return frame.assign(entry_no=numbers[frame["entry_no"].to_numpy()]) if len(frame) else frame


def _only(frame: pd.DataFrame, entry_nos: Array) -> pd.DataFrame:
    kept = np.isin(frame["entry_no"].to_numpy(), entry_nos)
    if kept.all():
        return frame
    return frame[kept].reset_index(drop=True)


def _hold_other_currencies(entries: pd.DataFrame, ready: Array, rules: CompanyRules, failures: Failures) -> None:
    """Amounts that Hesi does not state in the book's base currency (rule 7)."""
    base = rules.mapping.company.base_currency
    for row in np.flatnonzero(ready & (entries["currency"].to_numpy() != base)):
        failures.add(int(row), "BASE_CURRENCY", f"expected amounts in {base}, the base currency of book {rules.mapping.company.book}")


def _hold_foreign_numbers(entries: pd.DataFrame, ready: Array, failures: Failures) -> None:
    """A number that is not ours on a claim we have not posted means somebody else booked it."""
    numbers = entries["hesi_voucher_no"].to_numpy()
    first = entries["form_type"].to_numpy() != "expense"
    for row in np.flatnonzero(
        ready & (numbers != "") & (numbers != entries["own_number"].to_numpy()) & (first | (entries["entry_kind"].to_numpy() == "EXPENSE"))
    ):
        failures.add(int(row), "FOREIGN_NUMBER", f"Hesi already shows voucher number {numbers[row]} on this claim, and it is not ours")


def _posting_days(entries: pd.DataFrame, ready: Array, rules: CompanyRules, failures: Failures) -> pd.DataFrame:
    kinds, events = entries["entry_kind"].to_numpy(), entries["event_day"].to_numpy()
    answers = look_up(rules.posting_day, kinds, events)
    days = np.full(len(entries), NO_DAY, dtype=np.int64)
    for row, (day, problem) in enumerate(answers):
        days[row] = events[row] if day is None else day
        if problem is not None and ready[row]:
            rule, reason = problem
            failures.add(row, rule, reason, disposition=rules.period_disposition(kinds[row]) if rule == "PERIOD_CLOSED" else None)
    return entries.assign(voucher_day=days, rule_day=rules.alike(days))


def _summaries(entries: pd.DataFrame, ready: Array, staged: StagedClaims, rules: CompanyRules, accruals: Accruals, parties: dict[int, Any]) -> Array:
    style = rules.mapping.voucher
    texts = style.summaries
    base = rules.mapping.company.base_currency
    titles, names = staged.claims["title"].to_numpy(), entries["claimant_name"].to_numpy()
    offset = staged.claims["written_off_minor"].to_numpy() != 0
    plan_sizes = np.bincount(staged.payees["claim"].to_numpy(), minlength=len(staged.claims)) if len(staged.payees) else np.zeros(len(staged.claims))
    result = np.full(len(entries), "", dtype=object)
    for row, kind, form, claim, code in zip(
        range(len(entries)), entries["entry_kind"], entries["form_type"], entries["claim"].tolist(), entries["claim_code"], strict=True
    ):
        if not ready[row]:
            continue
        party = parties.get(row)
        values = {"code": code, "claimant": names[row], "title": titles[claim], "payee": party.name if party else ""}
        if kind == "EXPENSE":
            labels = accruals.labels.get(row, [""])
            shared = accruals.fx.get(row)
            values |= {
                "fee": labels[0] if labels else "",
                "more": texts.more if len(labels) > 1 else "",
                "offset": texts.offset if offset[claim] else "",
                "fx": f"{shared[0]}{to_text(shared[1], shared[0])}" if shared and shared[0] != base else "",
            }
            template = texts.accrual_employee if accruals.employee_credited[row] or not values["title"] else texts.accrual_supplier
        elif kind == "RECEIPT":
            template = texts.receipt
        elif kind == "LOAN":
            template = texts.loan
        elif form == "payment":
            template = texts.payment_form if values["title"] else texts.payment_one_of_many
        elif plan_sizes[claim] > 1:
            template = texts.payment_one_of_many
        else:
            supplier = texts.payment_supplier if values["title"] else texts.payment_one_of_many
            template = texts.payment_employee if party is not None and party.employee else supplier
        result[row] = summary(style, template, **values)
    return result


def _attachments(entries: pd.DataFrame, staged: StagedClaims, accruals: Accruals, rules: CompanyRules, ready: Array, failures: Failures) -> Array:
    """Attached originals: form + invoices + others for accruals, bank slip for the rest (rule 18, golden cases)."""
    kind = entries["entry_kind"].to_numpy()
    form = entries["form_type"].to_numpy()
    originals = staged.claims["originals"].to_numpy()[entries["claim"].to_numpy()]
    counts = np.where(
        kind == "EXPENSE", 1 + accruals.distinct_invoices + originals, np.where((kind == "PAYMENT") & (form == "expense"), 1, np.where(kind == "PAYMENT", 1, 2))
    )
    limit = rules.mapping.voucher.attachment_limit
    for row in np.flatnonzero(ready & (counts > limit)):
        failures.add(int(row), "ATTACHMENT_LIMIT", f"{counts[row]} attachments, the target prints at most {limit}")
    return counts


def _settle(entries: pd.DataFrame, ready: Array, failures: Failures, context: MappingContext) -> pd.DataFrame:
    """Final dispositions: failures become held or rejected, payments without a posted accrual wait (rule 3)."""
    disposition = entries["disposition"].to_numpy().copy()
    for row, (_, what, _) in failures.found.items():
        disposition[row] = what if disposition[row] == "ready" else disposition[row]
    kind, ids = entries["entry_kind"].to_numpy(), entries["claim_id"].to_numpy()
    has_accrual = set(ids[(kind == "EXPENSE") & np.isin(disposition, ["ready", "unchanged", "drift"])].tolist())
    payments = np.flatnonzero((kind == "PAYMENT") & (entries["form_type"].to_numpy() == "expense") & ready)
    for row in payments.tolist():
        if ids[row] not in has_accrual:
            disposition[row] = "waiting"
            failures.found.pop(row, None)
    return entries.assign(disposition=disposition)


def _vouchers(entries: pd.DataFrame, kept: Array, summaries: Array, attachments: Array, lines: pd.DataFrame, rules: CompanyRules) -> pd.DataFrame:
    frame = entries[kept]
    totals = lines.groupby("entry_no")["debit_minor"].sum()
    periods = look_up(lambda day: (day_of(day) or rules.run_day).timetuple()[:2], frame["voucher_day"])
    company, style = rules.mapping.company, rules.mapping.voucher
    return VOUCHERS.frame(
        {
            **{name: frame[name] for name in ("entry_no", "claim_id", "claim_code", "entry_kind", "company_code", "part_no", "claim_version", "source_sha256")},
            "book_code": [company.book] * len(frame),
            "revision": [0] * len(frame),
            "reverses_revision": [-1] * len(frame),
            "voucher_word": [style.word] * len(frame),
            "voucher_day": frame["voucher_day"],
            "original_day": frame["event_day"],
            "fiscal_year": [period[0] for period in periods],
            "fiscal_period": [period[1] for period in periods],
            "attachment_count": attachments[kept],
            "maker": [style.maker] * len(frame),
            "summary": summaries[kept],
            "base_currency": [company.base_currency] * len(frame),
            "total_minor": totals.reindex(frame["entry_no"], fill_value=0).to_numpy(),
        }
    )


def _rejects(entries: pd.DataFrame, failures: Failures) -> pd.DataFrame:
    """One row per claim and entry kind: of several parts the first is shown with their sum."""
    rows: dict[tuple[str, str], list[Any]] = {}
    columns = {name: entries[name].to_numpy() for name in ENTRIES.columns}
    for row, (rule, disposition, reason) in sorted(failures.found.items()):
        key = (columns["claim_id"][row], columns["entry_kind"][row])
        if key in rows:
            rows[key][11] += int(columns["amount_minor"][row])
            continue
        rows[key] = [
            key[0],
            columns["claim_code"][row],
            columns["form_type"][row],
            key[1],
            disposition,
            "map_fields",
            rule,
            reason,
            failures.owner(rule),
            columns["company_code"][row],
            columns["currency"][row],
            int(columns["amount_minor"][row]),
            mask_name(columns["claimant_name"][row]),
            columns["department_code"][row],
            columns["raw_ref"][row],
        ]
    return REJECTS.from_rows([tuple(values) for values in rows.values()])


_MAIN_KIND = {"expense": ("EXPENSE", 0), "loan": ("LOAN", 1), "payment": ("PAYMENT", 1), "receipt": ("RECEIPT", 1)}


def _reject_unmapped(staged: StagedClaims, company_of: Array, values: Array, context: MappingContext, first: int) -> MappedClaims:
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
                int(_days(np.array([row["event_ms"]]))[0]),
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
    return _without_vouchers(entries, rejects)


def _carry_unreadable(staged: StagedClaims, context: MappingContext, first: int) -> MappedClaims:
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
    return _without_vouchers(entries, rejects)


def _is_posted(context: MappingContext, claim_id: str, kind: str, part: int) -> bool:
    found = context.known.get((claim_id, kind, part))
    return found is not None and found.state == "posted"


def _mark_gone(staged: StagedClaims, parts: list[MappedClaims], context: MappingContext, first: int) -> MappedClaims:
    """Entries the ERP knows of these claims and the source no longer gives rise to: deleted, nullified, sent back.

    A posted one drifts down to nothing; an open one is gone.
    """
    if not context.known:
        return _without_vouchers([], [])
    current = {key for part in parts for key in zip(part.entries["claim_id"], part.entries["entry_kind"], part.entries["part_no"].tolist(), strict=True)}
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
    return _without_vouchers(entries, [])


def _without_vouchers(entries: list[tuple[Any, ...]], rejects: list[tuple[Any, ...]]) -> MappedClaims:
    filled = {"entries": ENTRIES.from_rows(entries), "rejects": REJECTS.from_rows(rejects)}
    return MappedClaims(**{name: filled.get(name, spec.empty()) for name, spec in _FRAMES.items()})
