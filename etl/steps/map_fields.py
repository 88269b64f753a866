"""Staged claims become entries, balanced vouchers and rejects, company by company.

Pure: frames, mappings, reference lists and what is already posted go in, frames come out. Sources: accounting-rules
marked [C]; ``etl.frames`` describes every frame.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from etl.config.mapping import Mappings
from etl.frames import (
    ENTRIES,
    REJECTS,
    VOUCHERS,
    Columns,
    FrameSpec,
    day_of,
    picked,
)
from etl.masking import mask_name
from etl.money import to_text
from etl.steps.accruals import Accruals, book_accruals
from etl.steps.companies import Companies
from etl.steps.entries import entries_of
from etl.steps.failures import Failures
from etl.steps.linebook import LineBook
from etl.steps.lookups import CompanyRules, decide, dimension_paths, look_up
from etl.steps.mapped import FRAMES, MappedClaims, MappingContext
from etl.steps.settlements import book_receipts, book_settlements
from etl.steps.staged import StagedClaims, StagedColumns
from etl.steps.summaries import summary
from etl.steps.unmapped import carry_unreadable, mark_gone, reject_unmapped

Array = npt.NDArray[Any]


def custom_paths(mappings: Mappings) -> tuple[str, ...]:
    """Every custom field the stage step must read for these mappings."""
    return tuple(dict.fromkeys(path for company in mappings.companies for path in dimension_paths(company)))


def map_fields(staged: StagedClaims, context: MappingContext, *, first_entry_no: int = 1) -> MappedClaims:
    """Entries, vouchers and rejects of one chunk; conservation is the caller's assertion over the entries frame."""
    columns = StagedColumns.of(staged)
    companies = Companies(context.mappings, context.reference)
    company_of, unmapped = companies.of_claims(columns)
    parts = []
    number = first_entry_no
    for index, rules in enumerate(company_rules(context, companies)):
        entries = entries_of(columns, np.flatnonzero(company_of == index), rules.mapping, context, number)
        number += len(entries["entry_no"])
        parts.append(_map_company(columns, entries, rules, context))
    parts.append(reject_unmapped(staged, company_of, unmapped, context, number))
    number += len(parts[-1].entries)
    parts.append(carry_unreadable(staged, context, number))
    number += len(parts[-1].entries)
    parts.append(mark_gone(staged, parts, context, number))
    return MappedClaims(*(_stack(spec, [getattr(part, name) for part in parts]) for name, spec in FRAMES.items()))


def _stack(spec: FrameSpec, frames: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return spec.empty()
    return filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)


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


def _map_company(staged: StagedColumns, entries: Columns, rules: CompanyRules, context: MappingContext) -> MappedClaims:
    failures = Failures(rules.mapping.owner)
    kind = entries["entry_kind"]
    ready = entries["disposition"] == "ready"
    if context.revise:  # the new version of a posted accrual is mapped like any other; etl.steps.revise decides what becomes of it
        ready = ready | ((entries["disposition"] == "drift") & (kind == "EXPENSE"))
    _hold_other_currencies(entries, ready, rules, failures)
    _hold_foreign_numbers(entries, ready & (entries["disposition"] == "ready"), failures)
    entries = _posting_days(entries, ready, rules, failures)
    book = LineBook(rules)
    accruals = book_accruals(
        book, entries, np.flatnonzero(ready & (kind == "EXPENSE")), staged, rules, failures, budget_by_approval=context.mappings.budget.date == "approval"
    )
    foreign = np.zeros(len(staged.claims["claim_id"]), dtype=bool)
    lines = staged.lines
    local = lines["claim"][lines["foreign_currency"] == ""]
    foreign[lines["claim"]] = True
    foreign[local] = False
    moved = np.flatnonzero(ready & np.isin(kind, ["PAYMENT", "LOAN"]))
    parties = book_settlements(book, entries, moved, staged, rules, failures, foreign, suspended=entries["suspended"])
    book_receipts(book, entries, np.flatnonzero(ready & (kind == "RECEIPT")), staged, rules, failures)
    summaries = _summaries(entries, ready, staged, rules, accruals, dict(zip(moved.tolist(), parties, strict=True)))
    attachments = _attachments(entries, staged, accruals, rules, ready, failures)
    numbers, days = entries["entry_no"], entries["rule_day"]
    voucher_lines, dimensions, sources = book.close(entry_no=numbers, summaries=summaries, days=days, failures=failures)
    entries = _settle(entries, ready, failures)
    kept = ready & failures.mask(len(entries["entry_no"])) & (entries["disposition"] != "waiting")
    vouchers = _vouchers(entries, kept, summaries, attachments, voucher_lines, rules)
    keep = numbers[kept]
    return MappedClaims(
        entries=ENTRIES.frame(entries),
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
    # Column by column: a mask keeps runs of rows, where pandas would pick the rows of a frame one by one.
    return pd.DataFrame({name: frame[name].array[kept] for name in frame}, copy=False)


def _hold_other_currencies(entries: Columns, ready: Array, rules: CompanyRules, failures: Failures) -> None:
    """Amounts that Hesi does not state in the book's base currency (rule 7)."""
    base = rules.mapping.company.base_currency
    for row in np.flatnonzero(ready & (entries["currency"] != base)):
        failures.add(int(row), "BASE_CURRENCY", f"expected amounts in {base}, the base currency of book {rules.mapping.company.book}")


def _hold_foreign_numbers(entries: Columns, ready: Array, failures: Failures) -> None:
    """A number that is not ours on a claim we have not posted means somebody else booked it."""
    numbers = entries["hesi_voucher_no"]
    first = entries["form_type"] != "expense"
    for row in np.flatnonzero(ready & (numbers != "") & (numbers != entries["own_number"]) & (first | (entries["entry_kind"] == "EXPENSE"))):
        failures.add(int(row), "FOREIGN_NUMBER", f"Hesi already shows voucher number {numbers[row]} on this claim, and it is not ours")


def _posting_days(entries: Columns, ready: Array, rules: CompanyRules, failures: Failures) -> Columns:
    kinds, events = entries["entry_kind"], entries["event_day"]
    found, problems = decide(rules.posting_day, kinds, events)
    for row in np.flatnonzero(ready & pd.notna(problems)).tolist():
        rule, reason = problems[row]
        failures.add(row, rule, reason, disposition=rules.period_disposition(kinds[row]) if rule == "PERIOD_CLOSED" else None)
    days = np.where(pd.isna(found), events, found).astype(np.int64)
    return {**entries, "voucher_day": days, "rule_day": rules.alike(days)}


def _summaries(entries: Columns, ready: Array, staged: StagedColumns, rules: CompanyRules, accruals: Accruals, parties: dict[int, Any]) -> Array:
    style = rules.mapping.voucher
    texts = style.summaries
    base = rules.mapping.company.base_currency
    titles, names = staged.claims["title"], entries["claimant_name"]
    offset = staged.claims["written_off_minor"] != 0
    plan_sizes = np.bincount(staged.payees["claim"], minlength=len(titles))
    result = np.full(len(names), "", dtype=object)
    suspended = entries["suspended"]
    for row, kind, form, claim, code in zip(
        range(len(names)), entries["entry_kind"], entries["form_type"], entries["claim"].tolist(), entries["claim_code"], strict=True
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
        elif suspended[row]:
            template = texts.payment_suspense
        elif form == "payment":
            template = texts.payment_form if values["title"] else texts.payment_one_of_many
        elif plan_sizes[claim] > 1:
            template = texts.payment_one_of_many
        else:
            supplier = texts.payment_supplier if values["title"] else texts.payment_one_of_many
            template = texts.payment_employee if party is not None and party.employee else supplier
        result[row] = summary(style, template, **values)
    return result


def _attachments(entries: Columns, staged: StagedColumns, accruals: Accruals, rules: CompanyRules, ready: Array, failures: Failures) -> Array:
    """Attached originals: form + invoices + others for accruals, bank slip for the rest (rule 18, golden cases)."""
    kind = entries["entry_kind"]
    form = entries["form_type"]
    originals = staged.claims["originals"][entries["claim"]]
    counts = np.where(
        kind == "EXPENSE", 1 + accruals.distinct_invoices + originals, np.where((kind == "PAYMENT") & (form == "expense"), 1, np.where(kind == "PAYMENT", 1, 2))
    )
    limit = rules.mapping.voucher.attachment_limit
    for row in np.flatnonzero(ready & (counts > limit)):
        failures.add(int(row), "ATTACHMENT_LIMIT", f"{counts[row]} attachments, the target prints at most {limit}")
    return counts


def _settle(entries: Columns, ready: Array, failures: Failures) -> Columns:
    """Final dispositions: failures become held or rejected, payments without a posted accrual wait (rule 3)."""
    disposition = entries["disposition"].copy()
    for row, (_, what, _) in failures.found.items():
        disposition[row] = what if disposition[row] == "ready" else disposition[row]
    kind, ids = entries["entry_kind"], entries["claim_id"]
    has_accrual = set(ids[(kind == "EXPENSE") & np.isin(disposition, ["ready", "unchanged", "drift"])].tolist())
    payments = np.flatnonzero((kind == "PAYMENT") & (entries["form_type"] == "expense") & ready)
    for row in payments.tolist():
        if ids[row] not in has_accrual:
            disposition[row] = "waiting"
            failures.found.pop(row, None)
    return {**entries, "disposition": disposition}


def _vouchers(entries: Columns, kept: Array, summaries: Array, attachments: Array, lines: pd.DataFrame, rules: CompanyRules) -> pd.DataFrame:
    frame = picked(entries, kept)
    totals = lines.groupby("entry_no")["debit_minor"].sum()
    periods = look_up(lambda day: (day_of(day) or rules.run_day).timetuple()[:2], frame["voucher_day"])
    company, style, size = rules.mapping.company, rules.mapping.voucher, len(frame["entry_no"])
    return VOUCHERS.frame(
        {
            **{name: frame[name] for name in ("entry_no", "claim_id", "claim_code", "entry_kind", "company_code", "part_no", "claim_version", "source_sha256")},
            "book_code": [company.book] * size,
            "revision": np.zeros(size, dtype=np.int64),
            "reverses_revision": np.full(size, -1),
            "voucher_word": [style.word] * size,
            "voucher_day": frame["voucher_day"],
            "original_day": frame["event_day"],
            "fiscal_year": [period[0] for period in periods],
            "fiscal_period": [period[1] for period in periods],
            "attachment_count": attachments[kept],
            "maker": [style.maker] * size,
            "summary": summaries[kept],
            "base_currency": [company.base_currency] * size,
            "total_minor": totals.reindex(frame["entry_no"], fill_value=0).to_numpy(),
        }
    )


def _rejects(entries: Columns, failures: Failures) -> pd.DataFrame:
    """One row per claim and entry kind: of several parts the first is shown with their sum."""
    rows: dict[tuple[str, str], list[Any]] = {}
    for row, (rule, disposition, reason) in sorted(failures.found.items()):
        key = (entries["claim_id"][row], entries["entry_kind"][row])
        if key in rows:
            rows[key][11] += int(entries["amount_minor"][row])
            continue
        rows[key] = [
            key[0],
            entries["claim_code"][row],
            entries["form_type"][row],
            key[1],
            disposition,
            "map_fields",
            rule,
            reason,
            failures.owner(rule),
            entries["company_code"][row],
            entries["currency"][row],
            int(entries["amount_minor"][row]),
            mask_name(entries["claimant_name"][row]),
            entries["department_code"][row],
            entries["raw_ref"][row],
        ]
    return REJECTS.from_rows([tuple(values) for values in rows.values()])
