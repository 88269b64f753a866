"""Whether the files of a mapping folder fit together: what no single file can know about itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from etl.config.account_check import check_accounts, check_chart, check_dimension_types
from etl.config.budget_policy import BudgetPolicy, CsvBudgets
from etl.config.mapping import Chart, CompanyMapping, HesiRef, ValueMap, VatRules
from etl.config.placed import Claimed, Placed, claimed_twice
from etl.config.yaml_file import Place
from etl.periods import FiscalPeriod


@dataclass(frozen=True)
class Folder:
    """What could be read of a mapping folder; ``unreadable`` names the folders and files with mistakes of their own."""

    path: Path
    charts: Sequence[Placed[Chart]]
    vat: Sequence[Placed[VatRules]]
    companies: Sequence[Placed[CompanyMapping]]
    budget: Placed[BudgetPolicy] | None
    unreadable: frozenset[str]


def cross_check(folder: Folder) -> Iterator[str]:
    """Every mistake between the files, as ``file:line: key path: expected ..., found ...``."""
    if not folder.companies and "companies" not in folder.unreadable:
        yield "companies/:1: expected at least one company file, found none"
    yield from _unique_names(folder)
    yield from claimed_twice(_group_claims(folder.companies))
    for chart in folder.charts:
        yield from check_chart(chart)
        users = [company for company in folder.companies if company.model.chart == chart.model.name]
        yield from check_dimension_types(chart, users)
    for rules in folder.vat:
        yield from claimed_twice(
            Claimed(f"kind {kind!r}", kind, entry, rules, ("kinds", i, "kinds", n))
            for i, entry in enumerate(rules.model.kinds)
            for n, kind in enumerate(entry.kinds)
        )
    for company in folder.companies:
        yield from claimed_twice(_company_claims(company))
        yield from _chart(company, folder)
        yield from _vat(company, folder)
        yield from _classes(company)
        yield from _closed_periods(company)
    if folder.budget:
        yield from _budget(folder.budget, folder)


def _unique_names(folder: Folder) -> Iterator[str]:
    yield from claimed_twice(Claimed(f"chart {chart.model.name!r}", chart.model.name, None, chart, ("name",)) for chart in folder.charts)
    yield from claimed_twice(Claimed(f"VAT rules {rules.model.name!r}", rules.model.name, None, rules, ("name",)) for rules in folder.vat)


def _references(reference: HesiRef, place: Place) -> Iterator[tuple[str, str, Place]]:
    for kind, values in (("code", reference.codes), ("id", reference.ids)):
        for i, value in enumerate(values):
            yield kind, value, (*place, f"{kind}s", i)


def _group_claims(companies: Iterable[Placed[CompanyMapping]]) -> Iterator[Claimed]:
    """What only one company of the group may claim: its code, its legal entities, its bank accounts."""
    for owner in companies:
        company = owner.model.company
        yield Claimed(f"company {company.code!r}", ("company", company.code), None, owner, ("company", "code"))
        for kind, value, place in _references(company.hesi, ("company", "hesi")):
            yield Claimed(f"legal entity {kind} {value!r}", ("entity", kind, value), None, owner, place)
        for i, bank in enumerate(owner.model.bank_accounts):
            what = f"paying account {bank.hesi!r}"
            yield Claimed(what, ("bank", bank.hesi), None, owner, ("bank_accounts", i, "hesi"))


def _company_claims(owner: Placed[CompanyMapping]) -> Iterator[Claimed]:
    """What only one entry of a company may claim on a day."""
    company = owner.model
    for i, status in enumerate(company.company.taxpayer):
        yield Claimed("one taxpayer status", "taxpayer", status, owner, ("company", "taxpayer", i))
    for i, title in enumerate(company.company.invoice_titles):
        yield Claimed(f"invoice title {title.name!r}", ("title", title.name), title, owner, ("company", "invoice_titles", i))
    for i, prior in enumerate(company.prior_year):
        yield Claimed("one account of prior-year adjustments", "prior_year", prior, owner, ("prior_year", i))
    for i, fee in enumerate(company.fee_types):
        for kind, value, place in _references(fee.fee, ("fee_types", i, "fee")):
            yield Claimed(f"fee type {kind} {value!r}", ("fee", kind, value), fee, owner, place)
    for i, class_ in enumerate(company.department_classes):
        for kind, value, place in _references(class_.departments, ("department_classes", i, "departments")):
            yield Claimed(f"department {kind} {value!r}", ("department", kind, value), class_, owner, place)
    for i, dimension in enumerate(company.dimensions):
        what = f"dimension type {dimension.type!r}"
        yield Claimed(what, ("dimension", dimension.type), None, owner, ("dimensions", i, "type"))
        yield from _value_claims(dimension.values, owner, ("dimensions", i, "values"))
    yield from _value_claims(company.payables.suppliers, owner, ("payables", "suppliers"))
    for i, entry in enumerate(company.input_vat.not_deducted if company.input_vat else ()):
        for kind, value, place in _references(entry.hesi, ("input_vat", "not_deducted", i, "hesi")):
            yield Claimed(f"{entry.dimension} {kind} {value!r}", ("not_deducted", entry.dimension, kind, value), entry, owner, place)
    for i, tax_code in enumerate(company.input_vat.tax_codes if company.input_vat else ()):
        what = f"rate {tax_code.rate.normalize():f}"
        yield Claimed(what, ("rate", tax_code.rate), None, owner, ("input_vat", "tax_codes", i, "rate"))


def _value_claims(values: Iterable[ValueMap], owner: Placed[BaseModel], place: Place) -> Iterator[Claimed]:
    for i, value in enumerate(values):
        yield Claimed(f"value {value.hesi!r}", (place, value.hesi), value, owner, (*place, i, "hesi"))


def _chart(company: Placed[CompanyMapping], folder: Folder) -> Iterator[str]:
    by_name = {chart.model.name: chart for chart in folder.charts}
    chart = by_name.get(company.model.chart)
    if chart is not None:
        yield from check_accounts(company, chart)
    elif "charts" not in folder.unreadable:
        yield company.problem(("chart",), _no_such("a chart", company.model.chart, by_name))


def _vat(company: Placed[CompanyMapping], folder: Folder) -> Iterator[str]:
    vat = company.model.input_vat
    if vat is None:
        for i, status in enumerate(company.model.company.taxpayer):
            if status.kind == "general":
                yield company.problem(
                    ("company", "taxpayer", i, "kind"),
                    "expected input_vat in this file, because a general taxpayer deducts",
                )
        return
    types = {dimension.type for dimension in company.model.dimensions}
    for i, entry in enumerate(vat.not_deducted):
        if entry.dimension not in types:
            yield company.problem(("input_vat", "not_deducted", i, "dimension"), _no_such("a type of dimensions", entry.dimension, types))
    by_name = {rules.model.name: rules for rules in folder.vat}
    rules = by_name.get(vat.rules)
    if rules is None:
        if "vat" not in folder.unreadable:
            yield company.problem(("input_vat", "rules"), _no_such("VAT rules", vat.rules, by_name))
        return
    codes = {tax_code.rate for tax_code in vat.tax_codes}
    needed = {kind.rate: i for i, kind in enumerate(rules.model.kinds) if kind.method == "formula" and kind.rate}
    for rate, i in needed.items():
        if codes and rate not in codes:
            yield company.problem(
                ("input_vat", "tax_codes"),
                f"expected a tax code for the rate {rate.normalize():f} of {rules.document.where(('kinds', i))}, found none",
            )


def _classes(company: Placed[CompanyMapping]) -> Iterator[str]:
    known = {class_.class_: class_ for class_ in company.model.department_classes}
    for i, fee in enumerate(company.model.fee_types):
        for class_ in fee.accounts:
            if class_ != "*" and class_ not in known:
                yield company.problem(("fee_types", i, "accounts", class_), _no_such("a class of department_classes or *", class_, known))


def _closed_periods(company: Placed[CompanyMapping]) -> Iterator[str]:
    previous: FiscalPeriod | None = None
    for i, closed in enumerate(company.model.periods.closed):
        place: Place = ("periods", "closed", i)
        period = FiscalPeriod.parse(closed.period)
        if previous is not None and period <= previous:
            yield company.problem(
                (*place, "period"),
                f"expected each month once, in order, found {closed.period!r} after {str(previous)!r}",
            )
        if closed.reopened_on is not None and closed.reopened_on < closed.closed_on:
            yield company.problem((*place, "reopened_on"), f"expected a day from {closed.closed_on} on, found {str(closed.reopened_on)!r}")
        previous = period


def _budget(budget: Placed[BudgetPolicy], folder: Folder) -> Iterator[str]:
    source = budget.model.source
    if isinstance(source, CsvBudgets) and not (folder.path / source.file).is_file():
        yield budget.problem(("source", "file"), f"expected a file below the mappings folder, found none at {source.file!r}")
    if "companies" in folder.unreadable:
        return
    codes = {company.model.company.code: company for company in folder.companies}
    for code in budget.model.companies:
        if code not in codes:
            yield budget.problem(("companies", code), _no_such("a company code", code, codes))


def _no_such(what: str, name: str, known: Iterable[str]) -> str:
    return f"expected {what} ({', '.join(sorted(known)) or 'there is none'}), found {name!r}"
