"""Vouchers for money that moved: payments of claims, loans paid out, payment forms, receipts.

Pure. Sources: accounting-rules 2, 5, 7 (foreign payables), 12, 20; golden cases G05, G07, G09.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from etl.frames import NO_INSTANT, Columns, picked
from etl.money import to_text
from etl.periods import ACCOUNTING_OFFSET_MS, DAY_MS
from etl.steps.credits import book_write_offs, claim_dimensions, counterparty_dimensions
from etl.steps.failures import Failures
from etl.steps.linebook import ADVANCE, BANK, PAYABLE, LineBook
from etl.steps.lookups import CompanyRules, Counterparty, decide
from etl.steps.staged import StagedColumns

Array = npt.NDArray[Any]


def book_settlements(
    book: LineBook,
    entries: Columns,
    rows: Array,
    staged: StagedColumns,
    rules: CompanyRules,
    failures: Failures,
    foreign_claims: Array,
    *,
    suspended: Array,
) -> Array:
    """Books payment and loan entries: debit what was owed or advanced, credit the bank. Returns the payee of each row.

    Args:
        rows: row numbers of PAYMENT and LOAN entries; ``payee`` = row of ``staged.payees``.
        foreign_claims: True for rows of ``staged.claims`` whose payable is in a foreign currency.
        suspended: True for entries whose payment goes to the suspense account: nothing is owed yet.
    """
    payees = picked(staged.payees, entries["payee"][rows])
    claims = entries["claim"][rows]
    days = entries["rule_day"][rows]
    forms = staged.claims["form_type"][claims]
    finders = np.where(suspended[rows], "suspense", forms).astype(object)
    submitters = staged.claims["submitter_id"][claims]

    def party(what: str, payee_id: str, claimant: str, day: int) -> tuple[Counterparty | None, tuple[str, str] | None]:
        finder = {"loan": rules.advance, "payment": rules.prepayment, "suspense": rules.suspense}.get(what, rules.payable)
        return finder(payee_id, claimant, day)

    parties, problems = decide(party, finders, payees["payee_id"], submitters, days)
    failures.add_where(rows, problems)
    _hold_foreign(rows, claims, parties, payees, foreign_claims, failures)
    amounts = payees["amount_minor"]
    accounts = np.array([found.account if found else "" for found in parties], dtype=object)
    due = staged.claims["due_ms"][claims]
    base = rules.mapping.company.base_currency
    handles = book.add(
        dims=counterparty_dimensions(parties, claim_dimensions(claims, staged, rules, days, rules.mapping.payables.supplier), rules),
        entry=rows,
        section=np.where(forms == "expense", PAYABLE, ADVANCE),
        account_code=accounts,
        currency=base,
        debit_minor=amounts,
        due_day=np.where((due == NO_INSTANT) | (forms != "loan"), -(2**31), (due + ACCOUNTING_OFFSET_MS) // DAY_MS),
        source_line_id=payees["payee_id"],
    )
    book.add_sources(handles, source_line_id="payPlan", source_part=payees["part_no"].astype(str), amount_minor=amounts, rule=f"{rules.place}:payables")
    _book_bank(book, entries, rows, staged, rules, failures, credit=amounts, trade_no=payees["trade_no"])
    return parties


def _hold_foreign(rows: Array, claims: Array, parties: Array, payees: Columns, foreign_claims: Array, failures: Failures) -> None:
    """A supplier's foreign payable settles at another rate: held until exchange differences are built (rule 7)."""
    supplier = np.array([found is not None and not found.employee for found in parties], dtype=bool)
    foreign = foreign_claims[claims] | (payees["foreign_currency"] != "")
    for row in rows[supplier & foreign].tolist():
        failures.add(row, "FX_SETTLEMENT", "the payable is in a foreign currency; its payment may bring an exchange difference")


def _book_bank(
    book: LineBook,
    entries: Columns,
    rows: Array,
    staged: StagedColumns,
    rules: CompanyRules,
    failures: Failures,
    *,
    trade_no: Array,
    credit: Array | int = 0,
    debit: Array | int = 0,
) -> None:
    claims = entries["claim"][rows]
    days = entries["rule_day"][rows]
    base = rules.mapping.company.base_currency
    banks, problems = decide(rules.bank, staged.claims["payment_account_id"][claims])
    failures.add_where(rows, problems)
    for i, bank in enumerate(banks):
        if bank is not None and bank.currency != base:
            failures.add(int(rows[i]), "FX_SETTLEMENT", f"paid from {bank.account}, a {bank.currency} account, while the payable is in {base}")
    accounts = np.array([bank.account if bank else "" for bank in banks], dtype=object)
    first = next((account for account in accounts if account), "")
    handles = book.add(
        dims=claim_dimensions(claims, staged, rules, days, first),
        entry=rows,
        section=BANK,
        account_code=accounts,
        currency=base,
        credit_minor=credit,
        debit_minor=debit,
        settlement_no=trade_no,
    )
    amounts = np.asarray(credit if isinstance(credit, np.ndarray) else debit)
    book.add_sources(handles, source_line_id="paymentAccountId", source_part=trade_no, amount_minor=amounts, rule=f"{rules.place}:bank_accounts")


def book_receipts(book: LineBook, entries: Columns, rows: Array, staged: StagedColumns, rules: CompanyRules, failures: Failures) -> None:
    """Books receipt entries: debit the bank, credit the loans they settle (rules 5, 11)."""
    claims = entries["claim"][rows]
    totals = staged.claims["total_minor"][claims]
    row_of = np.full(len(staged.claims["claim_id"]), -1)
    row_of[claims] = rows
    base = rules.mapping.company.base_currency
    settled = np.zeros(len(staged.claims["claim_id"]), dtype=np.int64)
    np.add.at(settled, staged.write_offs["claim"], staged.write_offs["amount_minor"])
    for i in np.flatnonzero(settled[claims] != totals):
        failures.add(
            int(rows[i]),
            "RECEIPT_UNSETTLED",
            f"expected writtenOffRecords to settle the receipt of {to_text(totals[i], base)}, found {to_text(settled[claims[i]], base)}",
        )
    trade_no = staged.claims["trade_no"][claims]
    _book_bank(book, entries, rows, staged, rules, failures, debit=totals, trade_no=trade_no)
    book_write_offs(book, entries, row_of, staged, rules, failures, section=BANK)
