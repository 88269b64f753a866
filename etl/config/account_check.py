"""Whether every account a company uses exists in its chart, is in force, and can get the dimensions it requires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from etl.config.mapping import Account, Chart, CompanyMapping, Dated
from etl.config.placed import Claimed, Placed, claimed_twice, days
from etl.config.yaml_file import Place


@dataclass(frozen=True)
class AccountUse:
    """One place of a company's file that names an account, and the dated entry around it."""

    account: str
    place: Place
    entry: Dated | None = None


def account_uses(company: CompanyMapping) -> Iterator[AccountUse]:
    """Every place of the file that names an account."""
    for i, fee in enumerate(company.fee_types):
        for class_, account in fee.accounts.items():
            yield AccountUse(account, ("fee_types", i, "accounts", class_), fee)
    for i, bank in enumerate(company.bank_accounts):
        yield AccountUse(bank.account, ("bank_accounts", i, "account"))
    for name in ("employee", "supplier", "other_individual", "overpaid_employee", "overpaid_supplier", "suspense"):
        if account := getattr(company.payables, name):
            yield AccountUse(account, ("payables", name))
    yield AccountUse(company.loans.employee, ("loans", "employee"))
    yield AccountUse(company.loans.supplier, ("loans", "supplier"))
    yield AccountUse(company.prepayment, ("prepayment",))
    if company.company_paid:
        yield AccountUse(company.company_paid.account, ("company_paid", "account"))
    if company.input_vat:
        yield AccountUse(company.input_vat.account, ("input_vat", "account"))
    if company.input_vat and company.input_vat.transfer_out:
        yield AccountUse(company.input_vat.transfer_out, ("input_vat", "transfer_out"))
    for i, entry in enumerate(company.prior_year):
        yield AccountUse(entry.account, ("prior_year", i, "account"), entry)
    if company.residual:
        yield AccountUse(company.residual.account, ("residual", "account"))


def check_chart(chart: Placed[Chart]) -> Iterator[str]:
    """Problems of one chart: overlapping entries of a code, accounts that are not leaves."""
    accounts = chart.model.accounts
    yield from claimed_twice(Claimed(f"account {account.code}", account.code, account, chart, ("accounts", i)) for i, account in enumerate(accounts))
    parents = {account.code.rpartition(".")[0]: account.code for account in accounts if "." in account.code}
    for i, account in enumerate(accounts):
        if account.code in parents:
            yield chart.problem(
                ("accounts", i, "code"),
                f"expected leaf accounts only, found {account.code!r} above {parents[account.code]!r}",
            )


def check_accounts(company: Placed[CompanyMapping], chart: Placed[Chart]) -> Iterator[str]:
    """Problems of the accounts one company uses."""
    entries: dict[str, list[Account]] = {}
    for account in chart.model.accounts:
        entries.setdefault(account.code, []).append(account)
    declared = _declared(company.model)
    for use in account_uses(company.model):
        if use.account not in entries:
            yield company.problem(use.place, _unknown_account(use.account, chart.model))
            continue
        yield from _not_in_force(company, use, entries[use.account])
        yield from _impossible_dimensions(company, use, entries[use.account], declared)
    yield from _unnamed_suspense(company, entries)


def _unnamed_suspense(company: Placed[CompanyMapping], entries: Mapping[str, list[Account]]) -> Iterator[str]:
    """A suspense account that is also a payable, or cannot say of everybody whose money waits there: it could never be cleared."""
    payables = company.model.payables
    place = ("payables", "suspense")
    if payables.suspense is None:
        return
    if payables.suspense in {payables.employee, payables.supplier, payables.other_individual, payables.overpaid_employee, payables.overpaid_supplier}:
        yield company.problem(place, f"expected an account of its own, found {payables.suspense!r}, which payables names for something else too")
    parties = {payables.employee_dimension, payables.supplier_dimension}
    for account in entries.get(payables.suspense, ()):
        rules = {type_: account.dimensions.get(type_, "forbidden") for type_ in sorted(parties)}
        if "forbidden" in rules.values() or (len(parties) > 1 and "required" in rules.values()):
            found = ", ".join(f"{type_} {rule}" for type_, rule in rules.items())
            yield company.problem(place, f"expected an account that takes {' and '.join(rules)} as optional, found {account.code!r} with {found}")


def check_dimension_types(chart: Placed[Chart], users: list[Placed[CompanyMapping]]) -> Iterator[str]:
    """Dimension types of a chart that none of the companies using it declares: most likely a slip of the pen."""
    declared = {type_ for user in users for type_ in _declared(user.model)}
    for i, account in enumerate(chart.model.accounts):
        for type_ in account.dimensions:
            if users and type_ not in declared:
                yield chart.problem(
                    ("accounts", i, "dimensions", type_),
                    f"expected a dimension type of a company that uses this chart ({', '.join(sorted(declared))}), found {type_!r}",
                )


def _declared(company: CompanyMapping) -> set[str]:
    """Dimension types a company can fill: its own, and the two that come from payee or loan owner (rules 10, 11)."""
    counterparties = {company.payables.employee_dimension, company.payables.supplier_dimension}
    return {dimension.type for dimension in company.dimensions} | counterparties


def _unknown_account(code: str, chart: Chart) -> str:
    from rapidfuzz import fuzz, process  # only a wrong file needs it

    names: Mapping[str, str] = {account.code: account.name for account in chart.accounts}
    close = process.extract(code, list(names), scorer=fuzz.ratio, limit=3, score_cutoff=50)
    nearest = ", ".join(f"{found} {names[found]}" for found, _, _ in close)
    return f"expected an account of chart {chart.name}, found {code!r}" + (f"; nearest: {nearest}" if nearest else "")


def _not_in_force(company: Placed[CompanyMapping], use: AccountUse, entries: list[Account]) -> Iterator[str]:
    """An explicit day outside the account's life; open ends are judged claim by claim, on the voucher date."""
    start, end = days(use.entry)
    lives = [days(entry) for entry in entries]
    in_force = any(start <= last and first <= end for first, last in lives)
    for day in (use.entry.from_, use.entry.to) if use.entry else ():
        in_force = in_force and (day is None or any(first <= day <= last for first, last in lives))
    if not in_force:
        account_days = ", ".join(f"{entry.from_ or '...'} to {entry.to or '...'}" for entry in entries)
        used = f"{use.entry.from_ or '...'} to {use.entry.to or '...'}" if use.entry else "always"
        yield company.problem(use.place, f"expected an account in force, found {use.account!r} in force {account_days} but used {used}")


def _impossible_dimensions(company: Placed[CompanyMapping], use: AccountUse, entries: list[Account], declared: set[str]) -> Iterator[str]:
    required = {type_ for entry in entries for type_, rule in entry.dimensions.items() if rule == "required"}
    for type_ in sorted(required - declared):
        yield company.problem(
            use.place,
            f"expected an entry under dimensions for type {type_!r}, which account {use.account} requires; found only {', '.join(sorted(declared))}",
        )
