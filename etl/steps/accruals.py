"""Expense vouchers: debits per detail and share, input VAT per rate, credits to whoever is owed.

Pure. Sources: accounting-rules 6-15, 17-19, 21; golden-cases.md common rules.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from etl.frames import BUDGET_LINES, FINDINGS, NO_AMOUNT, NO_INSTANT, VOUCHER_INVOICES, Columns, picked, tuples
from etl.masking import mask_name
from etl.money import MoneyError, allocate_groups, exponent, to_text
from etl.periods import ACCOUNTING_OFFSET_MS, DAY_MS
from etl.steps.credits import book_company_paid, book_payables, book_residual, book_write_offs, sum_by
from etl.steps.failures import Failures
from etl.steps.linebook import ADVANCE, EXPENSE, TAX, LineBook
from etl.steps.lookups import CompanyRules, decide, first_hit, look_up
from etl.steps.shares import SharedLines, share_lines
from etl.steps.staged import StagedColumns
from etl.steps.vat import InvoiceUse, deductible

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Accruals:
    """What the accruals add besides their lines; all frames use entry row numbers until the caller numbers them."""

    labels: dict[int, list[str]]  # entry row -> distinct fee labels in line order
    fx: dict[int, tuple[str, int, str]]  # entry row -> currency, amount, rate, where all lines share one currency
    invoices: pd.DataFrame
    budget_lines: pd.DataFrame
    findings: pd.DataFrame
    distinct_invoices: Array
    employee_credited: Array


def book_accruals(
    book: LineBook, entries: Columns, rows: Array, staged: StagedColumns, rules: CompanyRules, failures: Failures, *, budget_by_approval: bool = False
) -> Accruals:
    """Books the accrual of each entry in ``rows`` and returns what the voucher headers need.

    Args:
        entries: all entries of the company; ``claim`` = row of ``staged.claims``, ``rule_day`` = the voucher day, or one like it to the rules.
        rows: row numbers of the EXPENSE entries to book.
        budget_by_approval: budget periods are chosen by the approval day instead of the expense day.
    """
    claims = entries["claim"]
    entry_of = np.full(len(staged.claims["claim_id"]), -1)
    entry_of[claims[rows]] = rows
    entry = entry_of[staged.lines["claim"]]
    row = np.flatnonzero(entry >= 0)
    lines = {**picked(staged.lines, row), "row": row, "entry": entry[row]}
    _check_amounts(entries, rows, lines, staged, rules, failures)
    fx = _shared_currency(lines, failures, rules.mapping.company.base_currency)
    tax = _tax(lines, entries, staged, rules, failures)
    shared = share_lines(lines, tax.by_line, tax.hesi_by_line, staged, failures)
    shared.department = first_hit([shared.column(path, staged, rules) for path in rules.mapping.fields.department])
    tax = _keep_in_cost(tax, shared, entries, staged, rules)
    labels = _book_debits(book, entries, lines, shared, staged, rules, failures)
    _book_tax(book, tax.parts, staged.lines["detail_id"], rules)
    employee = np.zeros(len(entries["entry_no"]), dtype=bool)
    employee[book_write_offs(book, entries, entry_of, staged, rules, failures, section=ADVANCE)] = True
    book_company_paid(book, entries, rows, staged, rules, failures)
    book_payables(book, entries, entry_of, staged, rules, failures, employee, fx)
    book_residual(book, entries, rows, lines, staged, rules)
    return Accruals(labels, fx, tax.invoices, _budget_lines(entries, shared, staged, by_approval=budget_by_approval), tax.findings, tax.distinct, employee)


def _check_amounts(entries: Columns, rows: Array, lines: Columns, staged: StagedColumns, rules: CompanyRules, failures: Failures) -> None:
    base = rules.mapping.company.base_currency
    claims = entries["claim"][rows]
    total, pay, written_off, company_paid = (staged.claims[name][claims] for name in ("total_minor", "pay_minor", "written_off_minor", "company_paid_minor"))
    size = len(staged.claims["claim_id"])
    detail = sum_by(lines["claim"], lines["amount_minor"], size)[claims]
    owed = staged.payees["amount_minor"] * staged.payees["payable"]
    planned = sum_by(staged.payees["claim"], owed, size)[claims]
    recorded = sum_by(staged.write_offs["claim"], staged.write_offs["amount_minor"], size)[claims]
    foreign_lines = lines["entry"][lines["currency"] != base]  # one that differs from its own claim
    limit = rules.mapping.residual.limit_minor if rules.mapping.residual else 0
    owing = pay + written_off + company_paid
    for row in np.unique(foreign_lines).tolist():
        failures.add(row, "BASE_CURRENCY", f"expected amounts in {base}, the base currency of book {rules.mapping.company.book}")

    def text(minor: int) -> str:
        return to_text(minor, base)

    for i in np.flatnonzero((np.abs(detail - total) > limit) | (owing != total)):
        failures.add(
            int(rows[i]),
            "AMOUNT_IDENTITY",
            f"expected details = expenseMoney = payMoney + writtenOffMoney + companyRealPay; found details {text(detail[i])}, expenseMoney {text(total[i])}, "
            f"payMoney {text(pay[i])}, writtenOffMoney {text(written_off[i])}, companyRealPay {text(company_paid[i])}",
        )
    for i in np.flatnonzero(planned != pay):
        failures.add(int(rows[i]), "PAYPLAN_SUM", f"expected payPlan rows to add up to payMoney {text(pay[i])}, found {text(planned[i])}")
    for i in np.flatnonzero(recorded != written_off):
        failures.add(int(rows[i]), "LOAN_STATE", f"expected writtenOffRecords to add up to writtenOffMoney {text(written_off[i])}, found {text(recorded[i])}")


def _shared_currency(lines: Columns, failures: Failures, base: str) -> dict[int, tuple[str, int, str]]:
    """Currency, foreign total and rate of entries whose lines all carry the same foreign currency; checks each rate (rule 7)."""
    foreign = picked(lines, lines["foreign_currency"] != "")
    if not len(foreign["entry"]):
        return {}
    # A rounding at submission may differ by one minor unit: foreign x rate is a check, never a source.
    columns = [foreign[name].tolist() for name in ("entry", "foreign_minor", "foreign_currency", "rate", "amount_minor")]
    for entry, minor, currency, rate, standard in zip(*columns, strict=True):
        try:
            expected = Decimal(minor).scaleb(exponent(base) - exponent(currency)) * _rate(rate)
        except MoneyError as error:
            failures.add(entry, "FX_MISMATCH", f"rate of {currency}: {error}")
            continue
        if abs(expected - standard) > 1:
            failures.add(
                entry,
                "FX_MISMATCH",
                f"{currency} {to_text(minor, currency)} x {rate} is {to_text(round(expected), base)} {base}, the claim says {to_text(standard, base)}",
            )
    shared: dict[int, tuple[str, int, str]] = {}
    mixed: set[int] = set(lines["entry"][lines["foreign_currency"] == ""].tolist())
    for entry, minor, currency, rate, _ in zip(*columns, strict=True):
        before = shared.get(entry, (currency, 0, rate))
        if before[0] != currency:
            mixed.add(entry)
        shared[entry] = (currency, before[1] + minor, rate if before[2] == rate else "")
    return {entry: found for entry, found in shared.items() if entry not in mixed}


def _rate(text: str) -> Decimal:
    whole, _, fraction = text.partition(".")
    if not text.isascii() or not whole.isdigit() or not (fraction.isdigit() or not fraction) or not text.strip("0."):
        raise MoneyError(f"expected a positive decimal rate, found {text[:20]!r}")
    return Decimal(text)


class _TaxPart(NamedTuple):
    """Tax of one rate that one use of an invoice deducts; ``line`` = row of staged.lines."""

    entry: int
    line: int
    invoice_id: str
    rate: str
    tax: int


@dataclass(frozen=True)
class _Tax:
    by_line: Array  # row of staged.lines -> tax booked
    hesi_by_line: Array  # row of staged.lines -> tax Hesi names, whether booked or not
    parts: list[_TaxPart]
    invoices: pd.DataFrame
    findings: pd.DataFrame
    distinct: Array  # entry row -> distinct invoices


def _tax(lines: Columns, entries: Columns, staged: StagedColumns, rules: CompanyRules, failures: Failures) -> _Tax:
    """Deductible tax of every invoice use; a loop, since a claim has few invoices and each rule reads like its text."""
    size = len(staged.lines["claim"])
    entry_of = np.full(size, -1)
    entry_of[lines["row"]] = lines["entry"]
    entry = entry_of[staged.invoices["line"]]
    uses, entry = picked(staged.invoices, entry >= 0), entry[entry >= 0]
    fee_ms = staged.lines["fee_ms"][uses["line"]]
    fee_days = np.where(fee_ms == NO_INSTANT, entries["event_day"][entry], (fee_ms + ACCOUNTING_OFFSET_MS) // DAY_MS)

    def deducts(fee_type_id: str, day: int) -> bool:
        fee = rules.fee(fee_type_id, day)
        return rules.deducts(day) and (fee is None or fee[1].deduct)

    deducting = look_up(deducts, staged.lines["fee_type_id"][uses["line"]], entries["rule_day"][entry])
    titled = bool(rules.mapping.company.invoice_titles)
    parts: list[_TaxPart] = []
    booked_on: dict[tuple[int, str], int] = {}  # entry row and invoice id -> tax booked
    findings: list[tuple[int, str, str, int]] = []
    columns = (entry, fee_days, deducting, *(uses[name] for name in ("line", "invoice_id", "tax_minor", "rate", "approved_minor", "item_ids")))
    for row, fee_day, deducted, line, invoice_id, tax, rate, approved, items in zip(*(values.tolist() for values in columns), strict=True):
        invoice = rules.reference.invoices.get(invoice_id)
        booked = 0
        if deducted and rules.vat is not None:
            answer = deductible(InvoiceUse(invoice_id, tax, rate, approved, fee_day, frozenset(items.split())), invoice, rules.vat)
            if answer.problem is not None:
                failures.add(row, *answer.problem)
            for part_rate, part in answer.parts:
                parts.append(_TaxPart(row, line, invoice_id, part_rate, part))
                booked += part
            findings += [(row, rule, detail, booked) for rule, detail in answer.findings]
        if booked and invoice is not None and invoice.traveller and not rules.is_employee(invoice.traveller):
            shown = f"invoice {invoice_id}: traveller {mask_name(invoice.traveller)} is no employee in Hesi's staff list"
            findings.append((row, "VAT_TRAVELLER", shown, booked))
        if titled and invoice is not None and (wrong := rules.wrong_title(invoice.buyer_name, invoice.buyer_tax_number, invoice.day(fee_day))):
            findings.append((row, "INVOICE_TITLE", f"invoice {invoice_id}: {wrong}", booked))
            if rules.mapping.company.wrong_title == "hold":
                failures.add(row, "INVOICE_TITLE", f"invoice {invoice_id}: {wrong}")
        if invoice_id:
            booked_on[row, invoice_id] = booked_on.get((row, invoice_id), 0) + booked
    invoices = [rules.reference.invoices.get(invoice_id) for _, invoice_id in booked_on]
    named = uses["tax_minor"] != NO_AMOUNT
    base = rules.mapping.company.base_currency
    return _Tax(
        sum_by(*_lines_and_taxes(parts), size),
        sum_by(uses["line"][named], uses["tax_minor"][named], size),
        parts,
        VOUCHER_INVOICES.frame(
            {
                "entry_no": [row for row, _ in booked_on],
                "invoice_id": [invoice_id for _, invoice_id in booked_on],
                "invoice_kind": [invoice.kind if invoice else "" for invoice in invoices],
                "amount_minor": [(invoice.gross_minor if invoice else None) or 0 for invoice in invoices],
                "tax_minor": list(booked_on.values()),
            }
        ),
        FINDINGS.from_rows([(entries["claim_id"][row], entries["claim_code"][row], *finding, base) for row, *finding in findings]),
        np.bincount(np.array([row for row, _ in booked_on], dtype=np.int64), minlength=len(entries["entry_no"])),
    )


def _lines_and_taxes(parts: list[_TaxPart]) -> tuple[Array, Array]:
    return np.array([part.line for part in parts], dtype=np.int64), np.array([part.tax for part in parts], dtype=np.int64)


def _keep_in_cost(tax: _Tax, shared: SharedLines, entries: Columns, staged: StagedColumns, rules: CompanyRules) -> _Tax:
    """Takes back the tax of shares that deduct none: it becomes part of their cost, and a finding says why (rule 13).

    The other shares keep what they had, and of each invoice a line uses the deducted part shrinks alike (rule 9).
    """
    types = dict.fromkeys(entry.dimension for entry in (rules.mapping.input_vat.not_deducted if rules.mapping.input_vat else ()))
    if not types or not tax.parts:
        return tax
    days = entries["rule_day"][shared.entry]
    values = {name: first_hit([shared.column(path, staged, rules) for path in rules.dimensions[name].from_]) for name in types}
    reasons = first_hit([look_up(partial(rules.not_deducted, name), values[name], days) for name in types])
    at = np.flatnonzero((reasons != "") & (shared.tax != 0))
    if not len(at):
        return tax
    entry, line, amount = shared.entry[at], shared.line[at], shared.tax[at]
    shared.net[at] += amount
    shared.tax[at] = 0
    by_line = tax.by_line - sum_by(line, amount, len(tax.by_line))
    parts = sorted(tax.parts, key=attrgetter("line"))
    lines, taxes = _lines_and_taxes(parts)
    starts = np.flatnonzero(np.append(True, lines[1:] != lines[:-1]))
    left = allocate_groups(by_line[lines[starts]], taxes, starts)
    parts = [part._replace(tax=minor) for part, minor in zip(parts, left.tolist(), strict=True)]
    deducted: Counter[tuple[int, str]] = Counter()
    for part in parts:
        deducted[part.entry, part.invoice_id] += part.tax
    findings = FINDINGS.frame(
        {
            "claim_id": entries["claim_id"][entry],
            "claim_code": entries["claim_code"][entry],
            "rule": np.full(len(at), "VAT_IN_COST", dtype=object),
            "detail": "detail " + staged.lines["detail_id"][line] + ": " + reasons[at],
            "amount_minor": amount,
            "currency": np.full(len(at), rules.mapping.company.base_currency, dtype=object),
        }
    )
    return replace(
        tax,
        by_line=by_line,
        parts=[part for part in parts if part.tax],
        invoices=tax.invoices.assign(tax_minor=np.array([deducted[use] for use in tuples(tax.invoices, "entry_no", "invoice_id")], dtype=np.int64)),
        findings=pd.concat([tax.findings, findings], ignore_index=True),
    )


def _book_debits(
    book: LineBook, entries: Columns, lines: Columns, shared: SharedLines, staged: StagedColumns, rules: CompanyRules, failures: Failures
) -> dict[int, list[str]]:
    """One red or black debit per share, net of its tax (rule 9)."""
    entry = shared.entry
    days = entries["rule_day"][entry]
    department = shared.department
    fee_ids = staged.lines["fee_type_id"][shared.line]
    accounts, problems = decide(rules.expense_account, fee_ids, department, days)
    failures.add_where(entry, look_up(rules.other_department, department))
    failures.add_where(entry, problems)
    shared.account = np.array([answer[0] if answer else "" for answer in accounts], dtype=object)
    fee_ms = staged.lines["fee_ms"][shared.line]
    detail_ids = staged.lines["detail_id"][shared.line]
    handles = book.add(
        dims=share_dimensions(shared, staged, rules, days),
        entry=entry,
        section=EXPENSE,
        order=shared.line,
        suborder=shared.share_no,
        account_code=shared.account,
        currency=rules.mapping.company.base_currency,
        debit_minor=shared.net,
        business_day=np.where(fee_ms == NO_INSTANT, -(2**31), (fee_ms + ACCOUNTING_OFFSET_MS) // DAY_MS),
        source_line_id=detail_ids,
    )
    fee_codes = look_up(lambda fee: getattr(rules.reference.fee_types.get(fee), "code", "") or fee, fee_ids)
    book.add_sources(
        handles,
        source_line_id=detail_ids,
        source_part=shared.share_id,
        amount_minor=shared.money,
        fee_type_code=fee_codes,
        rule=[answer[1] if answer else "" for answer in accounts],
    )
    labels: dict[int, list[str]] = {}
    found = look_up(rules.fee, lines["fee_type_id"], entries["rule_day"][lines["entry"]])
    for row, fee in zip(lines["entry"].tolist(), found, strict=True):
        names = labels.setdefault(row, [])
        if fee is not None and fee[1].label not in names:
            names.append(fee[1].label)
    return labels


def share_dimensions(shared: SharedLines, staged: StagedColumns, rules: CompanyRules, days: Array) -> dict[str, tuple[Array, Array]]:
    """Dimension answers of every share, by type."""
    answers = {}
    for dim_type, dimension in rules.dimensions.items():
        values = first_hit([shared.column(path, staged, rules) for path in dimension.from_])

        def answer(value: str, day: int, dim_type: str = dim_type) -> tuple[Any, Any]:
            return rules.dimension(dim_type, value, day) if value else (None, None)

        answers[dim_type] = decide(answer, values, days)
    return answers


def _book_tax(book: LineBook, parts: list[_TaxPart], detail_ids: Array, rules: CompanyRules) -> None:
    """VAT lines merged per rate and sign, high rate first (rules 15, 21)."""
    if not parts or rules.mapping.input_vat is None:
        return
    merged: Counter[tuple[int, str, bool]] = Counter()  # entry, rate, black -> tax of one line
    used: Counter[tuple[tuple[int, str, bool], int, str]] = Counter()  # key of the line, detail, invoice -> tax of one source
    for part in parts:
        key = (part.entry, part.rate, part.tax > 0)
        merged[key] += part.tax
        used[key, part.line, part.invoice_id] += part.tax
    keys, sources = sorted(merged), sorted(used)
    rates = np.array([rate for _, rate, _ in keys], dtype=object)
    handles = book.add(
        entry=[entry for entry, _, _ in keys],
        section=TAX,
        order=look_up(lambda rate: -round(Decimal(rate) * 10_000), rates),
        suborder=[not black for _, _, black in keys],
        account_code=rules.mapping.input_vat.account,
        currency=rules.mapping.company.base_currency,
        debit_minor=[merged[key] for key in keys],
        tax_rate=rates,
        tax_code=look_up(rules.tax_code, rates),
    )
    handle_of = dict(zip(keys, handles.tolist(), strict=True))
    book.add_sources(
        np.array([handle_of[key] for key, _, _ in sources], dtype=np.int64),
        source_line_id=detail_ids[[line for _, line, _ in sources]],
        source_part=[invoice_id for _, _, invoice_id in sources],
        amount_minor=[used[source] for source in sources],
        rule=f"{rules.place}:input_vat",
    )


def _budget_lines(entries: Columns, shared: SharedLines, staged: StagedColumns, *, by_approval: bool) -> pd.DataFrame:
    entry, line = shared.entry, shared.line
    claims = entries["claim"][entry]
    fee_ms = staged.lines["fee_ms"][line]
    requisition = np.where(
        staged.lines["requisition_id"][line] == "",
        staged.claims["requisition_id"][claims],
        staged.lines["requisition_id"][line],
    )
    return BUDGET_LINES.frame(
        {
            "entry_no": entry,
            "claim_id": entries["claim_id"][entry],
            "claim_code": entries["claim_code"][entry],
            "company_code": entries["company_code"][entry],
            "department_id": shared.department,
            "fee_type_id": staged.lines["fee_type_id"][line],
            "project_id": shared.share_column("share.项目", staged),
            "employee_id": staged.claims["submitter_id"][claims],
            "account_code": shared.account,
            "day": np.where((fee_ms == NO_INSTANT) | by_approval, entries["event_day"][entry], (fee_ms + ACCOUNTING_OFFSET_MS) // DAY_MS),
            "gross_minor": shared.net + shared.tax,
            "net_minor": shared.net,
            "currency": entries["currency"][entry],
            "requisition_id": requisition,
        }
    )
