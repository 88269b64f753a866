"""The mapping of one company as look-ups by Hesi id and day, with the reason when there is no answer.

Every answer is ``(value, problem)``: exactly one of them is None, and a problem is ``(rule, reason)`` with the nearest
known values in the reason, so that whoever reads it can repair the mapping (accounting-rules 10, 19, 22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, cached_property
from typing import Any, TypeVar
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import pandas as pd
from rapidfuzz import process

from etl.config.mapping import Account, BankAccount, Chart, CompanyMapping, Dated, Dimension, FeeType, HesiRef, ValueMap, VatRules
from etl.frames import NO_DAY, day_number, day_of
from etl.masking import mask_name
from etl.periods import FiscalPeriod
from etl.reference import ListItem, Payee, Reference

Problem = tuple[str, str]
T = TypeVar("T")
D = TypeVar("D", bound=Dated)


def look_up(answer: Callable[..., T], *columns: pd.Series | npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``answer`` for every row, asked once per distinct combination of values."""
    answers, which = ask(answer, *columns)
    return answers[which]


def decide(answer: Callable[..., tuple[Any, Problem | None]], *columns: pd.Series | npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The value and the problem of every row, for an ``answer`` that gives both; asked like :func:`look_up`."""
    answers, which = ask(answer, *columns)
    values, problems = np.empty(len(answers), dtype=object), np.empty(len(answers), dtype=object)
    for i, (value, problem) in enumerate(answers):
        values[i], problems[i] = value, problem
    return values[which], problems[which]


def ask(answer: Callable[..., T], *columns: pd.Series | npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """``answer`` to each distinct combination of values, and which of these answers every row has."""
    size = len(columns[0])
    which = np.zeros(size, dtype=np.int64)
    for column in columns:
        codes, values = pd.factorize(column)
        which = which * len(values) + codes
    which, distinct = pd.factorize(which)
    first = np.empty(len(distinct), dtype=np.int64)
    first[which[::-1]] = np.arange(size - 1, -1, -1)
    answers = np.empty(len(first), dtype=object)
    for i, row in enumerate(zip(*(np.asarray(column)[first].tolist() for column in columns), strict=True)):
        answers[i] = answer(*row)
    return answers, which


def nearest(value: str, known: Iterable[str]) -> str:
    """The three known values most like ``value``, for a reason text."""
    matches = process.extract(value, [item for item in known if item], limit=3, score_cutoff=40)
    return f"; nearest known: {', '.join(match[0] for match in matches)}" if matches else ""


def in_force(entries: Sequence[D], day: date) -> D | None:
    """The first entry in force on a day."""
    return next((entry for entry in entries if entry.covers(day)), None)


@dataclass(frozen=True, slots=True)
class Counterparty:
    """Who is owed: account of the payable, and what the employee or supplier dimension says."""

    account: str
    employee: bool
    code: str
    name: str


class CompanyRules:
    """Look-ups of one company for one run."""

    def __init__(
        self,
        mapping: CompanyMapping,
        chart: Chart,
        vat: VatRules | None,
        reference: Reference,
        run_day: date,
        other_bank: Callable[..., Problem | None],
        other_department: Callable[[str], Problem | None],
    ) -> None:
        self.mapping, self.vat, self.reference, self.run_day = mapping, vat, reference, run_day
        self.other_bank, self.other_department = other_bank, other_department
        self.chart: dict[str, list[Account]] = {}
        for account in chart.accounts:
            self.chart.setdefault(account.code, []).append(account)
        self.fees: dict[str, list[tuple[int, FeeType]]] = {}
        for index, fee in enumerate(mapping.fee_types):
            for key in _keys(fee.fee):
                self.fees.setdefault(key, []).append((index, fee))
        self.classes = {
            key: [entry for entry in mapping.department_classes if key in _keys(entry.departments)]
            for ref in mapping.department_classes
            for key in _keys(ref.departments)
        }
        self.banks = {bank.hesi: bank for bank in mapping.bank_accounts}
        self.dimensions = {dimension.type: dimension for dimension in mapping.dimensions}
        self.place = f"companies/{mapping.company.code}.yaml"
        self._changes = _change_days(mapping, chart)
        self.wrong_title = cache(self._wrong_title)

    def alike(self, days: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For each day the first one with the same rules in force: look-ups need not tell such days apart."""
        starts = np.concatenate([[NO_DAY, day_number(date.min)], self._changes])
        return starts[np.searchsorted(starts, days, side="right") - 1]

    def account(self, code: str, day: int) -> Account | None:
        """The account if it is open on the day."""
        return in_force(self.chart.get(code, []), day_of(day) or self.run_day)

    def fee(self, fee_type_id: str, day: int) -> tuple[int, FeeType] | None:
        """Index and entry of the fee type in force, by code or id."""
        found = self.reference.fee_types.get(fee_type_id)
        when = day_of(day) or self.run_day
        for key in (fee_type_id, found.code if found else ""):
            for index, fee in self.fees.get(key, []):
                if fee.covers(when):
                    return index, fee
        return None

    def department_class(self, department_id: str, day: int) -> str | None:
        """Class of the nearest department upwards that has one."""
        when, seen = day_of(day) or self.run_day, set()
        while department_id and department_id not in seen:
            seen.add(department_id)
            department = self.reference.departments.get(department_id)
            for key in (department_id, department.code if department else ""):
                entry = in_force(self.classes.get(key, []), when)
                if entry is not None:
                    return entry.class_
            department_id = department.parent_id if department else ""
        return None

    def expense_account(self, fee_type_id: str, department_id: str, day: int) -> tuple[tuple[str, str] | None, Problem | None]:
        """Account and the mapping place that decided it."""
        fee = self.fee(fee_type_id, day)
        known = self.reference.fee_types.get(fee_type_id)
        shown = f"{known.code or known.id} {known.name}" if known else fee_type_id or "(none)"
        if fee is None:
            names = [item for entry in self.mapping.fee_types for item in (*entry.fee.codes, entry.label)]
            return None, ("FEE_TYPE_UNMAPPED", f"fee type {shown} is not in force in fee_types of {self.place} on the voucher date{nearest(shown, names)}")
        index, entry = fee
        class_ = self.department_class(department_id, day)
        if class_ is None and "*" not in entry.accounts:
            department = self.reference.departments.get(department_id)
            label = f"{department.code} {department.name}" if department else department_id or "(none)"
            classes = [code for item in self.mapping.department_classes for code in item.departments.codes]
            return None, ("DEPARTMENT_UNMAPPED", f"department {label} has no class in department_classes of {self.place}{nearest(label, classes)}")
        key = class_ if class_ in entry.accounts else "*"
        account = entry.accounts.get(key)
        if account is None:
            return None, (
                "FEE_TYPE_UNMAPPED",
                f"fee type {shown} has no account for class {class_} in fee_types[{index}] of {self.place}; it has {', '.join(entry.accounts)}",
            )
        return (account, f"{self.place}:fee_types[{index}].accounts.{key}"), None

    def bank(self, account_id: str) -> tuple[BankAccount | None, Problem | None]:
        """Bank account behind a Hesi paying account."""
        known = self.reference.payer_accounts.get(account_id)
        for key in (account_id, known.code if known else ""):
            if key and key in self.banks:
                return self.banks[key], None
        other = self.other_bank(account_id, known.code if known else "")
        if other is not None:
            return None, other
        shown = known.code or known.name if known else account_id
        return None, ("BANK_UNMAPPED", f"paying account {shown} is not in bank_accounts of {self.place}{nearest(shown, self.banks)}")

    def dimension(self, dim_type: str, value: str, day: int) -> tuple[tuple[str, str] | None, Problem | None]:
        """Code and name of a dimension value: the mapped code, else Hesi's code, else Hesi's id."""
        dimension = self.dimensions[dim_type]
        if dimension.source == "text":
            mapped = self._mapped(dimension.values, (value,), day)
            return (mapped.code, mapped.name) if mapped else (value, value), None
        item = self._item(dim_type, value)
        mapped = self._mapped(dimension.values, (value, item.code if item else ""), day)
        if mapped:
            return (mapped.code, mapped.name or (item.name if item else "")), None
        if item is None:
            codes = [entry.hesi for entry in dimension.values]  # noqa: PD011 - no frame
            return None, (
                "DIMENSION_UNMAPPED" if dim_type != "department" else "DEPARTMENT_UNMAPPED",
                f"{dim_type} {value} is neither in Hesi's {dimension.source} list nor in dimensions of {self.place}{nearest(value, codes)}",
            )
        return (item.code or item.id, item.name), None

    def _mapped(self, values: list[ValueMap], keys: tuple[str, ...], day: int) -> ValueMap | None:
        if not values:
            return None
        when = day_of(day) or self.run_day
        return next((entry for key in keys if key for entry in values if entry.hesi == key and entry.covers(when)), None)

    def employee(self, staff_id: str, account: str, day: int) -> Counterparty:
        """An employee as counterparty of an account."""
        staff = self.reference.staffs.get(staff_id)
        dim_type = self.mapping.payables.employee_dimension
        if dim_type in self.dimensions:
            answer, _ = self.dimension(dim_type, staff_id, day)
            if answer is not None:
                return Counterparty(account, True, *answer)
        return Counterparty(account, True, (staff.code if staff else "") or staff_id, staff.name if staff else "")

    def supplier(self, payee: Payee, account: str, day: int) -> Counterparty:
        """A company payee as counterparty of an account."""
        rules = self.mapping.payables
        mapped = self._mapped(rules.suppliers, (payee.id, payee.name), day)
        if mapped:
            return Counterparty(account, False, mapped.code, mapped.name or payee.name)
        code = payee.fields.get(rules.supplier_code_from.partition(".")[2], "") if rules.supplier_code_from else ""
        return Counterparty(account, False, code or payee.id, payee.name)

    def payable(self, payee_id: str, claimant_id: str, day: int) -> tuple[Counterparty | None, Problem | None]:
        """Credit account and counterparty of what is owed to a payee (rule 10); no payee = the claimant."""
        rules = self.mapping.payables
        if not payee_id:
            return self.employee(claimant_id, rules.employee, day), None
        payee = self.reference.payees.get(payee_id)
        if payee is None:
            return None, ("PAYEE_UNKNOWN", f"payee {payee_id} is not in Hesi's payee list")
        if payee.owner == "CORPORATION":
            return self.supplier(payee, rules.supplier, day), None
        if payee.staff_id:
            return self.employee(payee.staff_id, rules.employee, day), None
        if rules.other_individual:
            return Counterparty(rules.other_individual, False, payee.id, payee.name), None
        return None, ("PAYEE_TREATMENT", f"payee {payee_id} is a person without staffId; map payables.other_individual in {self.place} or correct the payee")

    def suspense(self, payee_id: str, claimant_id: str, day: int) -> tuple[Counterparty | None, Problem | None]:
        """Debit account and counterparty of a payment whose claim cannot be posted yet (rule 3)."""
        found, problem = self.payable(payee_id, claimant_id, day)
        return (None if found is None else replace(found, account=self.mapping.payables.suspense or "")), problem

    def advance(self, payee_id: str, claimant_id: str, day: int) -> tuple[Counterparty | None, Problem | None]:
        """Debit account and counterparty of a loan (rule 5)."""
        found, problem = self.payable(payee_id, claimant_id, day)
        if found is None:
            return None, problem
        account = self.mapping.loans.employee if found.employee else self.mapping.loans.supplier
        return Counterparty(account, found.employee, found.code, found.name), None

    def prepayment(self, payee_id: str, claimant_id: str, day: int) -> tuple[Counterparty | None, Problem | None]:
        """Debit account and counterparty of a payment form: the platform's clearing account, else the prepayment (rules 5, 12)."""
        found, problem = self.payable(payee_id, claimant_id, day)
        if found is None:
            return None, problem
        paid = self.mapping.company_paid
        if found.employee:
            return Counterparty(self.mapping.loans.employee, True, found.code, found.name), None
        clearing = paid is not None and found.code == paid.default_supplier
        return Counterparty(paid.account if clearing and paid else self.mapping.prepayment, False, found.code, found.name), None

    def platform(self, value: str, day: int) -> tuple[Counterparty | None, Problem | None]:
        """Clearing account and supplier of the company-paid part; ``value`` is the field's payee id or supplier code."""
        paid = self.mapping.company_paid
        if paid is None:
            return None, ("PLATFORM_UNMAPPED", f"the claim has a company-paid part but {self.place} has no company_paid")
        payee = self.reference.payees.get(value)
        if payee is not None:
            return self.supplier(payee, paid.account, day), None
        code = value or paid.default_supplier
        if not code:
            return None, ("PLATFORM_UNMAPPED", f"no platform on the claim and no company_paid.default_supplier in {self.place}")
        return Counterparty(paid.account, False, code, paid.default_name if code == paid.default_supplier else ""), None

    def posting_day(self, entry_kind: str, event: int) -> tuple[int | None, Problem | None]:
        """Voucher day of an event under the period policy (rule 22): the day itself, or the first open day after."""
        day = day_of(event)
        if day is None:
            return None, ("APPROVAL_DATE_MISSING", "neither timeToEnterPendingPayment, flowEndTime nor an approval in the log gives a date")
        policies = self.mapping.periods.policy
        policy = policies.get(entry_kind, policies.get("*", "next_open"))  # type: ignore[call-overload]
        period = FiscalPeriod.of(day)
        if not self._closed(period):
            return event, None
        if policy != "next_open":
            return None, (
                "PERIOD_CLOSED",
                f"{period} is closed for {self.mapping.company.code} and the policy for {entry_kind} is {policy}; the event is dated {day}",
            )
        return self.open_day(event), None

    def open_day(self, event: int) -> int:
        """The day itself if its period is open, else the first day of the first open period after it."""
        period = FiscalPeriod.of(day_of(event) or self.run_day)
        if not self._closed(period):
            return event
        while self._closed(period):
            period = period.next()
        return day_number(period.first_day)

    def period_disposition(self, entry_kind: str) -> str:
        """What PERIOD_CLOSED means under the policy: held or rejected."""
        policies = self.mapping.periods.policy
        return "rejected" if policies.get(entry_kind, policies.get("*")) == "reject" else "held"  # type: ignore[call-overload]

    def _closed(self, period: FiscalPeriod) -> bool:
        return any(
            entry.period == str(period) and entry.closed_on <= self.run_day and not (entry.reopened_on and entry.reopened_on <= self.run_day)
            for entry in self.mapping.periods.closed
        )

    def deducts(self, day: int) -> bool:
        """Whether the company is a general taxpayer on the day and has VAT rules."""
        status = in_force(self.mapping.company.taxpayer, day_of(day) or self.run_day)
        return self.vat is not None and status is not None and status.kind == "general"

    def not_deducted(self, dim_type: str, value: str, day: int) -> str:
        """Why shares with this value of a dimension deduct no input VAT, empty where they do (rule 13)."""
        item = self._item(dim_type, value)
        for index, entry in enumerate(self.mapping.input_vat.not_deducted if self.mapping.input_vat else ()):
            key = next((key for key in (value, item.code if item else "") if key in _keys(entry.hesi)), "")
            if key and entry.dimension == dim_type and entry.covers(day_of(day) or self.run_day):
                return f"{dim_type} {key}, {entry.reason} ({self.place}:input_vat.not_deducted[{index}])"
        return ""

    def _item(self, dim_type: str, value: str) -> Any:
        """Entry of the Hesi list that a dimension's values come from, None for one nobody knows."""
        lists = {"department": self.reference.departments, "staff": self.reference.staffs, "dimension_item": self.reference.dimension_items}
        known: Mapping[str, Any] = lists.get(self.dimensions[dim_type].source, {})
        return known.get(value)

    def is_employee(self, name: str) -> bool:
        """Whether Hesi knows an employee of this name (rule 13: only own travellers' tickets deduct)."""
        return _joined(name) in self._staff_names

    @cached_property
    def _staff_names(self) -> frozenset[str]:
        return frozenset(_joined(staff.name) for staff in self.reference.staffs.values())

    def _wrong_title(self, name: str, tax_number: str, day: int) -> str | None:
        """What is wrong with the buyer an invoice of the day names, None for nothing; what the invoice leaves out is not compared (rule 13)."""
        titles, when = self.mapping.company.invoice_titles, day_of(day) or self.run_day
        if not titles or any(_same(name, title.name) and _same(tax_number, title.tax_number or "") for title in titles if title.covers(when)):
            return None
        # Without a tax number the buyer is most likely a person.
        shown = f"{name} {tax_number}".strip() if tax_number else mask_name(name)
        known = [f"{title.name} {title.tax_number or ''}".strip() for title in titles]
        return f"made out to {shown}, no title in company.invoice_titles of {self.place} on {when}{nearest(shown, known)}"

    def tax_code(self, rate: str) -> str:
        """Tax code printed for a rate."""
        codes = self.mapping.input_vat.tax_codes if self.mapping.input_vat else []
        return next((entry.code for entry in codes if f"{entry.rate.normalize():f}" == rate), "")


def _change_days(mapping: CompanyMapping, chart: Chart) -> npt.NDArray[np.int64]:
    """Days on which an entry of the mapping or chart comes into force, or is no longer in force."""
    values = [value for dimension in mapping.dimensions for value in dimension.values]  # noqa: PD011 - no frame
    dated: list[Dated] = [*chart.accounts, *mapping.company.taxpayer, *mapping.department_classes, *mapping.fee_types, *values, *mapping.payables.suppliers]
    dated += mapping.input_vat.not_deducted if mapping.input_vat else ()
    days = {day_number(entry.from_) for entry in dated if entry.from_} | {day_number(entry.to) + 1 for entry in dated if entry.to}
    return np.array(sorted(days), dtype=np.int64)


def _joined(text: str) -> str:
    return "".join(text.split())


def _same(found: str, expected: str) -> bool:
    """Whether two texts say the same, whatever their width, case and blanks; an empty one says nothing."""
    left, right = (_joined(normalize("NFKC", text)).casefold() for text in (found, expected))
    return not left or not right or left == right


def _keys(ref: HesiRef) -> tuple[str, ...]:
    return (*ref.ids, *ref.codes)


def dimension_paths(mapping: CompanyMapping) -> tuple[str, ...]:
    """Every custom field path a mapping reads."""
    paths = [*mapping.fields.company, *mapping.fields.department]
    for dimension in mapping.dimensions:
        paths += dimension.from_
    if mapping.company_paid:
        paths += mapping.company_paid.supplier_from
    return tuple(dict.fromkeys(path for path in paths if path.partition(".")[0] in {"form", "line", "share"}))


def first_hit(frame_columns: Sequence[pd.Series | npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The first non-empty text of several columns, row by row."""
    result = np.asarray(frame_columns[0], dtype=object)
    for column in frame_columns[1:]:
        empty = result == ""
        if not empty.any():
            break
        result = np.where(empty, np.asarray(column, dtype=object), result)
    return result


def item_name(item: ListItem | None) -> str:
    """Name of a list item, empty when it is unknown."""
    return item.name if item else ""


__all__ = [
    "CompanyRules",
    "Counterparty",
    "Dimension",
    "Problem",
    "ask",
    "decide",
    "dimension_paths",
    "first_hit",
    "in_force",
    "item_name",
    "look_up",
    "nearest",
]
