"""Expense vouchers: debits per detail and share, input VAT per rate, credits to whoever is owed.

Pure. Sources: accounting-rules 6-15, 17-19, 21; golden-cases.md common rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from etl.frames import BUDGET_LINES, FINDINGS, NO_AMOUNT, NO_INSTANT, VOUCHER_INVOICES, Columns
from etl.masking import mask_name
from etl.money import MoneyError, allocate_groups, exponent, to_text
from etl.periods import ACCOUNTING_OFFSET_MS, DAY_MS
from etl.steps.credits import book_company_paid, book_payables, book_residual, book_write_offs, sum_by
from etl.steps.failures import Failures
from etl.steps.linebook import ADVANCE, EXPENSE, TAX, LineBook
from etl.steps.lookups import CompanyRules, decide, first_hit, look_up
from etl.steps.shares import SharedLines, share_lines
from etl.steps.stage import StagedClaims
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
    book: LineBook, entries: Columns, rows: Array, staged: StagedClaims, rules: CompanyRules, failures: Failures, *, budget_by_approval: bool = False
) -> Accruals:
    """Books the accrual of each entry in ``rows`` and returns what the voucher headers need.

    Args:
        entries: all entries of the company; ``claim`` = row of ``staged.claims``, ``rule_day`` = the voucher day, or one like it to the rules.
        rows: row numbers of the EXPENSE entries to book.
        budget_by_approval: budget periods are chosen by the approval day instead of the expense day.
    """
    claims = entries["claim"]
    entry_of = np.full(len(staged.claims), -1)
    entry_of[claims[rows]] = rows
    lines = staged.lines.assign(entry=entry_of[staged.lines["claim"].to_numpy()])
    lines = lines.assign(row=np.arange(len(lines)))[lines["entry"].to_numpy() >= 0]
    _check_amounts(entries, rows, lines, staged, rules, failures)
    fx = _shared_currency(lines, failures, rules.mapping.company.base_currency)
    tax = _tax(lines, entries, staged, rules, failures)
    shared = share_lines(lines, tax.by_line, tax.hesi_by_line, staged, failures)
    shared.department = first_hit([shared.column(path, staged, rules) for path in rules.mapping.fields.department])
    tax = _keep_in_cost(tax, shared, entries, staged, rules)
    labels = _book_debits(book, entries, lines, shared, staged, rules, failures)
    _book_tax(book, tax.parts, np.asarray(staged.lines["detail_id"], dtype=object), rules)
    employee = np.zeros(len(entries["entry_no"]), dtype=bool)
    employee[book_write_offs(book, entries, entry_of, staged, rules, failures, section=ADVANCE)] = True
    book_company_paid(book, entries, rows, staged, rules, failures)
    book_payables(book, entries, entry_of, staged, rules, failures, employee, fx)
    book_residual(book, entries, rows, lines, staged, rules)
    return Accruals(labels, fx, tax.invoices, _budget_lines(entries, shared, staged, by_approval=budget_by_approval), tax.findings, tax.distinct, employee)


def _check_amounts(entries: Columns, rows: Array, lines: pd.DataFrame, staged: StagedClaims, rules: CompanyRules, failures: Failures) -> None:
    base = rules.mapping.company.base_currency
    claims = entries["claim"][rows]
    columns = staged.claims[["total_minor", "pay_minor", "written_off_minor", "company_paid_minor"]].to_numpy()[claims]
    total, pay, written_off, company_paid = columns.T
    size = len(staged.claims)
    detail = sum_by(lines["claim"].to_numpy(), lines["amount_minor"].to_numpy(), size)[claims]
    owed = staged.payees["amount_minor"].to_numpy() * staged.payees["payable"].to_numpy()
    planned = sum_by(staged.payees["claim"].to_numpy(), owed, size)[claims]
    recorded = sum_by(staged.write_offs["claim"].to_numpy(), staged.write_offs["amount_minor"].to_numpy(), size)[claims]
    foreign_lines = lines["entry"].to_numpy()[lines["currency"].to_numpy() != base]  # one that differs from its own claim
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


def _shared_currency(lines: pd.DataFrame, failures: Failures, base: str) -> dict[int, tuple[str, int, str]]:
    """Currency, foreign total and rate of entries whose lines all carry the same foreign currency; checks each rate (rule 7)."""
    foreign = lines[lines["foreign_currency"].to_numpy() != ""]
    if foreign.empty:
        return {}
    # A rounding at submission may differ by one minor unit: foreign x rate is a check, never a source.
    for entry, minor, standard, currency, rate in zip(
        foreign["entry"], foreign["foreign_minor"], foreign["amount_minor"], foreign["foreign_currency"], foreign["rate"], strict=True
    ):
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
    mixed: set[int] = set(lines["entry"].to_numpy()[lines["foreign_currency"].to_numpy() == ""].tolist())
    for entry, minor, currency, rate in zip(
        foreign["entry"].tolist(), foreign["foreign_minor"].tolist(), foreign["foreign_currency"], foreign["rate"], strict=True
    ):
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


@dataclass(frozen=True)
class _Tax:
    by_line: Array  # row of staged.lines -> tax booked
    hesi_by_line: Array  # row of staged.lines -> tax Hesi names, whether booked or not
    parts: pd.DataFrame  # entry, line row, detail_id, invoice_id, rate, tax
    invoices: pd.DataFrame
    findings: pd.DataFrame
    distinct: Array  # entry row -> distinct invoices


def _tax(lines: pd.DataFrame, entries: Columns, staged: StagedClaims, rules: CompanyRules, failures: Failures) -> _Tax:
    """Deductible tax of every invoice use; a loop, since a claim has few invoices and each rule reads like its text."""
    size = len(staged.lines)
    by_line, hesi_by_line = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    position = np.full(size, -1)
    position[lines["row"].to_numpy()] = np.arange(len(lines))
    at = position[staged.invoices["line"].to_numpy()]
    uses = staged.invoices[at >= 0]
    at = at[at >= 0]
    entry = lines["entry"].to_numpy()[at]
    days = entries["rule_day"]
    events = entries["event_day"]
    fee_days = np.where(
        lines["fee_ms"].to_numpy() == NO_INSTANT, events[lines["entry"].to_numpy()], (lines["fee_ms"].to_numpy() + ACCOUNTING_OFFSET_MS) // DAY_MS
    )
    fees = look_up(rules.fee, lines["fee_type_id"], days[lines["entry"].to_numpy()])
    codes, names = entries["claim_code"], entries["claim_id"]
    deducts = {int(day): rules.deducts(int(day)) for day in np.unique(days[entry])} if len(entry) else {}
    titled = bool(rules.mapping.company.invoice_titles)
    parts: list[tuple[Any, ...]] = []
    found: dict[tuple[int, str], tuple[str, int, int]] = {}
    findings: list[tuple[Any, ...]] = []
    for line, row, use_entry, invoice_id, tax, rate, approved, items in zip(
        at.tolist(),
        uses["line"].tolist(),
        entry.tolist(),
        uses["invoice_id"],
        uses["tax_minor"].tolist(),
        uses["rate"],
        uses["approved_minor"].tolist(),
        uses["item_ids"],
        strict=True,
    ):
        invoice = rules.reference.invoices.get(invoice_id)
        if tax != NO_AMOUNT:
            hesi_by_line[row] += tax
        booked = 0
        fee = fees[line]
        if rules.vat is not None and deducts[int(days[use_entry])] and (fee is None or fee[1].deduct):
            answer = deductible(InvoiceUse(invoice_id, tax, rate, approved, int(fee_days[line]), frozenset(items.split())), invoice, rules.vat)
            if answer.problem is not None:
                failures.add(use_entry, *answer.problem)
            parts += [(use_entry, row, invoice_id, part_rate, part) for part_rate, part in answer.parts]
            booked = sum(part for _, part in answer.parts)
            findings += [(names[use_entry], codes[use_entry], rule, detail, booked) for rule, detail in answer.findings]
        by_line[row] += booked
        if booked and invoice is not None and invoice.traveller and not rules.is_employee(invoice.traveller):
            shown = f"invoice {invoice_id}: traveller {mask_name(invoice.traveller)} is no employee in Hesi's staff list"
            findings.append((names[use_entry], codes[use_entry], "VAT_TRAVELLER", shown, booked))
        if titled and invoice is not None and (wrong := rules.wrong_title(invoice.buyer_name, invoice.buyer_tax_number, invoice.day(int(fee_days[line])))):
            findings.append((names[use_entry], codes[use_entry], "INVOICE_TITLE", f"invoice {invoice_id}: {wrong}", booked))
            if rules.mapping.company.wrong_title == "hold":
                failures.add(use_entry, "INVOICE_TITLE", f"invoice {invoice_id}: {wrong}")
        if invoice_id:
            kind, gross, before = found.get((use_entry, invoice_id), (invoice.kind if invoice else "", (invoice.gross_minor if invoice else None) or 0, 0))
            found[use_entry, invoice_id] = (kind, gross, before + booked)
    base = rules.mapping.company.base_currency
    distinct = np.bincount(np.array([key[0] for key in found], dtype=np.int64), minlength=len(days))
    return _Tax(
        by_line,
        hesi_by_line,
        pd.DataFrame(parts, columns=["entry", "line", "invoice_id", "rate", "tax"]),
        VOUCHER_INVOICES.from_rows([(key[0], key[1], *value) for key, value in found.items()]),
        FINDINGS.from_rows([(*row, base) for row in findings]),
        distinct,
    )


def _keep_in_cost(tax: _Tax, shared: SharedLines, entries: Columns, staged: StagedClaims, rules: CompanyRules) -> _Tax:
    """Takes back the tax of shares that deduct none: it becomes part of their cost, and a finding says why (rule 13).

    The other shares keep what they had, and of each invoice a line uses the deducted part shrinks alike (rule 9).
    """
    types = dict.fromkeys(entry.dimension for entry in (rules.mapping.input_vat.not_deducted if rules.mapping.input_vat else ()))
    if not types or tax.parts.empty:
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
    parts = tax.parts.sort_values("line", kind="stable", ignore_index=True)
    lines = parts["line"].to_numpy()
    starts = np.flatnonzero(np.append(True, lines[1:] != lines[:-1]))
    parts = parts.assign(tax=allocate_groups(by_line[lines[starts]], parts["tax"].to_numpy(), starts))
    deducted = parts.groupby(["entry", "invoice_id"])["tax"].sum()
    used = pd.MultiIndex.from_frame(tax.invoices[["entry_no", "invoice_id"]])
    findings = FINDINGS.frame(
        {
            "claim_id": entries["claim_id"][entry],
            "claim_code": entries["claim_code"][entry],
            "rule": np.full(len(at), "VAT_IN_COST", dtype=object),
            "detail": "detail " + staged.lines["detail_id"].to_numpy()[line].astype(object) + ": " + reasons[at],
            "amount_minor": amount,
            "currency": np.full(len(at), rules.mapping.company.base_currency, dtype=object),
        }
    )
    return replace(
        tax,
        by_line=by_line,
        parts=parts[parts["tax"].to_numpy() != 0].reset_index(drop=True),
        invoices=tax.invoices.assign(tax_minor=deducted.reindex(used, fill_value=0).to_numpy()),
        findings=pd.concat([tax.findings, findings], ignore_index=True),
    )


def _book_debits(
    book: LineBook, entries: Columns, lines: pd.DataFrame, shared: SharedLines, staged: StagedClaims, rules: CompanyRules, failures: Failures
) -> dict[int, list[str]]:
    """One red or black debit per share, net of its tax (rule 9)."""
    entry = shared.entry
    days = entries["rule_day"][entry]
    department = shared.department
    fee_ids = staged.lines["fee_type_id"].to_numpy()[shared.line]
    accounts, problems = decide(rules.expense_account, fee_ids, department, days)
    failures.add_where(entry, look_up(rules.other_department, department))
    failures.add_where(entry, problems)
    shared.account = np.array([answer[0] if answer else "" for answer in accounts], dtype=object)
    fee_ms = staged.lines["fee_ms"].to_numpy()[shared.line]
    detail_ids = staged.lines["detail_id"].to_numpy()[shared.line]
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
    found = look_up(rules.fee, lines["fee_type_id"], entries["rule_day"][lines["entry"].to_numpy()])
    for row, fee in zip(lines["entry"].tolist(), found, strict=True):
        names = labels.setdefault(row, [])
        if fee is not None and fee[1].label not in names:
            names.append(fee[1].label)
    return labels


def share_dimensions(shared: SharedLines, staged: StagedClaims, rules: CompanyRules, days: Array) -> dict[str, tuple[Array, Array]]:
    """Dimension answers of every share, by type."""
    answers = {}
    for dim_type, dimension in rules.dimensions.items():
        values = first_hit([shared.column(path, staged, rules) for path in dimension.from_])

        def answer(value: str, day: int, dim_type: str = dim_type) -> tuple[Any, Any]:
            return rules.dimension(dim_type, value, day) if value else (None, None)

        answers[dim_type] = decide(answer, values, days)
    return answers


def _book_tax(book: LineBook, parts: pd.DataFrame, detail_ids: Array, rules: CompanyRules) -> None:
    """VAT lines merged per rate and sign, high rate first (rules 15, 21)."""
    if parts.empty or rules.mapping.input_vat is None:
        return
    parts = parts.assign(sign=np.sign(parts["tax"]))
    merged = parts.groupby(["entry", "rate", "sign"], as_index=False, sort=True)["tax"].sum()
    rates = merged["rate"].to_numpy()
    order = [-round(Decimal(rate) * 10_000) for rate in rates]
    handles = book.add(
        entry=merged["entry"].to_numpy(),
        section=TAX,
        order=order,
        suborder=-merged["sign"].to_numpy(),
        account_code=rules.mapping.input_vat.account,
        currency=rules.mapping.company.base_currency,
        debit_minor=merged["tax"].to_numpy(),
        tax_rate=rates,
        tax_code=[rules.tax_code(rate) for rate in rates],
    )
    numbered = parts.merge(merged.assign(handle=handles)[["entry", "rate", "sign", "handle"]], on=["entry", "rate", "sign"], validate="many_to_one")
    by_invoice = numbered.groupby(["handle", "line", "invoice_id"], as_index=False)["tax"].sum()
    book.add_sources(
        by_invoice["handle"].to_numpy(),
        source_line_id=detail_ids[by_invoice["line"].to_numpy()],
        source_part=by_invoice["invoice_id"],
        amount_minor=by_invoice["tax"].to_numpy(),
        rule=f"{rules.place}:input_vat",
    )


def _budget_lines(entries: Columns, shared: SharedLines, staged: StagedClaims, *, by_approval: bool) -> pd.DataFrame:
    entry, line = shared.entry, shared.line
    claims = entries["claim"][entry]
    fee_ms = staged.lines["fee_ms"].to_numpy()[line]
    project = staged.shares.columns.intersection(["share.项目"])
    requisition = np.where(
        staged.lines["requisition_id"].to_numpy()[line] == "",
        staged.claims["requisition_id"].to_numpy()[claims],
        staged.lines["requisition_id"].to_numpy()[line],
    )
    return BUDGET_LINES.frame(
        {
            "entry_no": entry,
            "claim_id": entries["claim_id"][entry],
            "claim_code": entries["claim_code"][entry],
            "company_code": entries["company_code"][entry],
            "department_id": shared.department,
            "fee_type_id": staged.lines["fee_type_id"].to_numpy()[line],
            "project_id": shared.share_column(project[0], staged) if len(project) else np.full(len(entry), "", dtype=object),
            "employee_id": staged.claims["submitter_id"].to_numpy()[claims],
            "account_code": shared.account,
            "day": np.where((fee_ms == NO_INSTANT) | by_approval, entries["event_day"][entry], (fee_ms + ACCOUNTING_OFFSET_MS) // DAY_MS),
            "gross_minor": shared.net + shared.tax,
            "net_minor": shared.net,
            "currency": entries["currency"][entry],
            "requisition_id": requisition,
        }
    )
