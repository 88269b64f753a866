"""Who is owed and what pays for it: credits of an accrual to advances, the platform, payees, and the rounding difference.

Pure. Sources: accounting-rules 7, 9-12, 19; golden-cases.md common rules.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from etl.frames import Columns, picked
from etl.money import exponent
from etl.steps.failures import Failures
from etl.steps.linebook import COMPANY_PAID, PAYABLE, RESIDUAL, LineBook
from etl.steps.lookups import CompanyRules, Counterparty, decide, first_hit
from etl.steps.staged import StagedColumns

Array = npt.NDArray[Any]


def sum_by(keys: Array, values: Array, size: int) -> Array:
    total = np.zeros(size, dtype=np.int64)
    np.add.at(total, keys, values)
    return total


def claim_dimensions(claims: Array, staged: StagedColumns, rules: CompanyRules, days: Array, account: str) -> dict[str, tuple[Array, Array]]:
    """Dimensions a credit or bank account carries besides its counterparty, read from the form."""
    known = rules.chart.get(account, [])
    answers = {}
    for dim_type in sorted({name for entry in known for name, rule in entry.dimensions.items() if rule != "forbidden"} & set(rules.dimensions)):
        columns = [staged.claims[path][claims] for path in rules.dimensions[dim_type].from_ if path in staged.claims]
        values = first_hit(columns) if columns else np.full(len(claims), "", dtype=object)

        def answer(value: str, day: int, dim_type: str = dim_type) -> tuple[Any, Any]:
            return rules.dimension(dim_type, value, day) if value else (None, None)

        answers[dim_type] = decide(answer, values, days)
    return answers


def counterparty_dimensions(parties: Array, base: dict[str, tuple[Array, Array]], rules: CompanyRules) -> dict[str, tuple[Array, Array]]:
    """``base`` with the employee and supplier dimensions taken from the counterparties."""
    nothing = np.full(len(parties), None, dtype=object)
    result = dict(base)
    payables = rules.mapping.payables
    for dim_type, employee in ((payables.employee_dimension, True), (payables.supplier_dimension, False)):
        values = np.empty(len(parties), dtype=object)
        for i, party in enumerate(parties):
            values[i] = (party.code, party.name) if party is not None and party.employee is employee else None
        result[dim_type] = (values, nothing)
    return result


def book_write_offs(
    book: LineBook, entries: Columns, entry_of: Array, staged: StagedColumns, rules: CompanyRules, failures: Failures, *, section: int
) -> Array:
    """Credits advances on the loan's owner, not on the claimant (rule 11). Returns the entry rows that have one."""
    entry = entry_of[staged.write_offs["claim"]]
    booked = (entry >= 0) & (staged.write_offs["amount_minor"] != 0)
    offs, entry = picked(staged.write_offs, booked), entry[booked]
    account = rules.mapping.loans.employee
    days = entries["rule_day"][entry]

    def owner(package: str, day: int) -> tuple[Counterparty | None, tuple[str, str] | None]:
        staff = rules.reference.loan_owners.get(package)
        if not staff:
            return None, ("LOAN_UNKNOWN", f"loan package {package} or its owner is not known to Hesi")
        return rules.employee(staff, account, day), None

    parties, problems = decide(owner, offs["package_id"], days)
    failures.add_where(entry, problems)
    amounts = offs["amount_minor"]
    handles = book.add(
        dims=counterparty_dimensions(parties, claim_dimensions(offs["claim"], staged, rules, days, account), rules),
        entry=entry,
        section=section,
        order=offs["record_no"] + 1,
        account_code=account,
        currency=rules.mapping.company.base_currency,
        credit_minor=amounts,
        source_line_id=offs["package_id"],
    )
    book.add_sources(handles, source_line_id="writtenOffRecords", source_part=offs["package_id"], amount_minor=amounts, rule=f"{rules.place}:loans.employee")
    return np.asarray(entry)


def book_company_paid(book: LineBook, entries: Columns, rows: Array, staged: StagedColumns, rules: CompanyRules, failures: Failures) -> None:
    """Credits the clearing account of the platform for what the company paid directly (rule 12)."""
    claims = entries["claim"][rows]
    amounts = staged.claims["company_paid_minor"][claims]
    rows, claims, amounts = rows[amounts != 0], claims[amounts != 0], amounts[amounts != 0]
    if not len(rows):
        return
    paths = rules.mapping.company_paid.supplier_from if rules.mapping.company_paid else []
    columns = [staged.claims[path][claims] for path in paths if path in staged.claims]
    values = first_hit(columns) if columns else np.full(len(rows), "", dtype=object)
    days = entries["rule_day"][rows]
    parties, problems = decide(rules.platform, values, days)
    failures.add_where(rows, problems)
    account = rules.mapping.company_paid.account if rules.mapping.company_paid else ""
    handles = book.add(
        dims=counterparty_dimensions(parties, claim_dimensions(claims, staged, rules, days, account), rules),
        entry=rows,
        section=COMPANY_PAID,
        account_code=account,
        currency=rules.mapping.company.base_currency,
        credit_minor=amounts,
    )
    book.add_sources(handles, source_line_id="companyRealPay", amount_minor=amounts, rule=f"{rules.place}:company_paid.account")


def book_payables(
    book: LineBook,
    entries: Columns,
    entry_of: Array,
    staged: StagedColumns,
    rules: CompanyRules,
    failures: Failures,
    employee: Array,
    fx: dict[int, tuple[str, int, str]],
) -> None:
    """Credits each payPlan row's payee; a supplier's payable keeps the lines' foreign currency (rules 7, 10)."""
    entry = entry_of[staged.payees["claim"]]
    payable = (entry >= 0) & (staged.payees["amount_minor"] != 0) & staged.payees["payable"]
    if not payable.any():
        return
    owed, entry = picked(staged.payees, payable), entry[payable]
    claims = owed["claim"]
    days = entries["rule_day"][entry]
    parties, problems = decide(rules.payable, owed["payee_id"], staged.claims["submitter_id"][claims], days)
    failures.add_where(entry, problems)
    employee[entry[[party is not None and party.employee for party in parties]]] = True
    base = rules.mapping.company.base_currency
    amounts, totals = owed["amount_minor"], staged.claims["total_minor"][claims]
    currency, rate, foreign = np.full(len(entry), base, dtype=object), np.full(len(entry), "", dtype=object), np.zeros(len(entry), dtype=np.int64)
    for i, party in enumerate(parties if fx else ()):
        shared = fx.get(int(entry[i]))
        if shared is None or party is None or party.employee:
            continue
        if amounts[i] == totals[i]:
            currency[i], foreign[i], rate[i] = shared
        elif owed["foreign_currency"][i] == shared[0]:
            currency[i], foreign[i], rate[i] = shared[0], owed["foreign_minor"][i], owed["rate"][i]
        else:
            failures.add(
                int(entry[i]),
                "FX_PAYABLE",
                f"payee {owed['payee_id'][i]} is owed part of a {shared[0]} claim and the payPlan row names no {shared[0]} amount",
            )
        if foreign[i] and not rate[i]:
            ratio = Decimal(int(amounts[i])).scaleb(-exponent(base)) / Decimal(int(foreign[i])).scaleb(-exponent(shared[0]))
            rate[i] = f"{ratio.quantize(Decimal('1e-10')).normalize():f}"
    accounts = np.array([party.account if party else "" for party in parties], dtype=object)
    handles = book.add(
        dims=counterparty_dimensions(parties, claim_dimensions(claims, staged, rules, days, rules.mapping.payables.supplier), rules),
        entry=entry,
        section=PAYABLE,
        order=owed["part_no"],
        account_code=accounts,
        currency=currency,
        fx_rate=rate,
        amount_fc_minor=foreign,
        credit_minor=amounts,
        source_line_id=owed["payee_id"],
    )
    book.add_sources(handles, source_line_id="payPlan", source_part=owed["part_no"].astype(str), amount_minor=amounts, rule=f"{rules.place}:payables")


def book_residual(book: LineBook, entries: Columns, rows: Array, lines: Columns, staged: StagedColumns, rules: CompanyRules) -> None:
    """One line for the small difference the mapping allows between details and claim; none by default.

    A red debit where the details are too much: the debits of a voucher are the amount of its claim (rules 9, 29).
    """
    if rules.mapping.residual is None:
        return
    claims = entries["claim"][rows]
    owing = sum(staged.claims[name][claims] for name in ("pay_minor", "written_off_minor", "company_paid_minor"))
    difference = owing - sum_by(lines["claim"], lines["amount_minor"], len(staged.claims["claim_id"]))[claims]
    off = (difference != 0) & (np.abs(difference) <= rules.mapping.residual.limit_minor)
    handles = book.add(
        dims=claim_dimensions(claims[off], staged, rules, entries["rule_day"][rows[off]], rules.mapping.residual.account),
        entry=rows[off],
        section=RESIDUAL,
        account_code=rules.mapping.residual.account,
        currency=rules.mapping.company.base_currency,
        debit_minor=difference[off],
    )
    book.add_sources(handles, source_line_id="residual", amount_minor=difference[off], rule=f"{rules.place}:residual")
