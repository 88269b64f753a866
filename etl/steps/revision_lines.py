"""Voucher lines that undo, correct or move what other voucher lines said: the arithmetic of :mod:`etl.steps.revise`.

Pure. A line is a row of VOUCHER_LINES with its dimensions inside: ``dims`` = {dim_type: (code, name)}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from etl.config.mapping import CompanyMapping
from etl.frames import NO_DAY, VOUCHER_LINES, day_of, records
from etl.steps.lookups import CompanyRules, in_force
from etl.steps.mapped import MappedClaims

Line = dict[str, Any]
Party = tuple[str, str, str, str]  # account, dimension, code, name

_AMOUNTS = ("debit_minor", "credit_minor", "amount_fc_minor")
# What a reader of the voucher sees of a line.
_SHOWN = ("account_code", "currency", "fx_rate", "amount_fc_minor", "debit_minor", "credit_minor", "tax_code", "tax_rate", "business_day", "due_day", "dims")


@dataclass
class BookedVouchers:
    """Vouchers a revision adds, as rows of their frames."""

    next_entry: int
    vouchers: list[dict[str, Any]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    dims: list[dict[str, Any]] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)

    def add(self, header: Mapping[str, Any], lines: Iterable[Line], *, reverses: int, rule: str) -> None:
        """Books one voucher under the next entry number; lines of nothing are left out."""
        number = self.next_entry
        self.next_entry += 1
        kept = [line for line in lines if line["debit_minor"] or line["credit_minor"]]
        self.vouchers.append({**header, "entry_no": number, "reverses_revision": reverses, "total_minor": sum(line["debit_minor"] for line in kept)})
        for place, line in enumerate(kept, start=1):
            at = {"entry_no": number, "line_no": place}
            self.lines.append({name: line[name] for name in VOUCHER_LINES.columns if name in line} | at | {"summary": header["summary"]})
            self.dims += [{**at, "dim_type": dim_type, "dim_code": code, "dim_name": name} for dim_type, (code, name) in line["dims"].items()]
            self.sources.append(
                {
                    **at,
                    "source_line_id": "voucher",
                    "source_part": f"{header['entry_kind']}-{header['revision']}",
                    "amount_minor": line["debit_minor"] + line["credit_minor"],
                    "fee_type_code": "",
                    "rule": rule,
                }
            )


def lines_by_entry(mapped: MappedClaims, entry_nos: set[int]) -> dict[int, list[Line]]:
    """Voucher lines with their dimensions inside, by entry."""
    found: dict[int, list[Line]] = {}
    dims: dict[tuple[int, int], dict[str, tuple[str, str]]] = {}
    for row in records(mapped.line_dimensions[mapped.line_dimensions["entry_no"].isin(entry_nos)]):
        dims.setdefault((row["entry_no"], row["line_no"]), {})[row["dim_type"]] = (row["dim_code"], row["dim_name"])
    for line in records(mapped.voucher_lines[mapped.voucher_lines["entry_no"].isin(entry_nos)]):
        found.setdefault(line["entry_no"], []).append({**line, "dims": dims.get((line["entry_no"], line["line_no"]), {})})
    return found


def same_lines(before: Iterable[Line], after: Iterable[Line]) -> bool:
    """Whether two vouchers say the same, line by line."""
    return [[line[name] for name in _SHOWN] for line in before] == [[line[name] for name in _SHOWN] for line in after]


def negated(line: Line) -> Line:
    """The line of a red voucher: same side, negative (rule 25)."""
    return {**line, "debit_minor": -line["debit_minor"], "credit_minor": -line["credit_minor"], "amount_fc_minor": -line["amount_fc_minor"]}


def blank_line(rules: CompanyRules) -> Line:
    """A line of nothing in the book's base currency."""
    text = dict.fromkeys(("fx_rate", "tax_code", "tax_rate", "settlement_no", "cash_flow_item", "source_line_id"), "")
    amounts = dict.fromkeys(("amount_fc_minor", "debit_minor", "credit_minor"), 0)
    return {**text, **amounts, "currency": rules.mapping.company.base_currency, "due_day": NO_DAY, "business_day": NO_DAY, "dims": {}}


def owed(lines: Iterable[Line], rules: CompanyRules) -> dict[Party, int]:
    """Credits less debits of the payables, by counterparty: what the lines say is owed, negative for what was paid."""
    payables = rules.mapping.payables
    found: dict[Party, int] = {}
    for line in lines:
        if line["account_code"] not in (payables.employee, payables.supplier, payables.other_individual):
            continue
        for dim_type, (code, name) in line["dims"].items():
            if dim_type in (payables.employee_dimension, payables.supplier_dimension):
                party = (line["account_code"], dim_type, code, name)
                found[party] = found.get(party, 0) + line["credit_minor"] - line["debit_minor"]
    return found


def on_account(account: str, lines: Iterable[Line], rules: CompanyRules) -> dict[tuple[str, str, str], int]:
    """Debits less credits of one account by the dimension, code and name of the counterparty; nothing that is zero."""
    payables = rules.mapping.payables
    found: dict[tuple[str, str, str], int] = {}
    for line in lines:
        for dim_type, (code, name) in line["dims"].items() if line["account_code"] == account else ():
            if dim_type in (payables.employee_dimension, payables.supplier_dimension):
                found[dim_type, code, name] = found.get((dim_type, code, name), 0) + line["debit_minor"] - line["credit_minor"]
    return {party: net for party, net in found.items() if net}


def amounts_moved(before: Iterable[Line], after: Iterable[Line]) -> list[Line] | None:
    """Lines that lead from what stands to the new version, each on its own side, a smaller amount in red; None where more than amounts moved.

    More moved where an account, side, dimension, currency, rate of exchange or tax is not on both (rule 25, golden case G08).
    """
    sums: list[dict[tuple[Any, ...], Line]] = [{}, {}]
    for found, lines in zip(sums, (before, after), strict=True):
        for line in lines:
            text = (line[name] for name in ("account_code", "currency", "fx_rate", "tax_code", "tax_rate"))
            key = (*text, bool(line["debit_minor"]), tuple(sorted(line["dims"].items())))
            sum_ = found.get(key)
            found[key] = {**line, **{name: line[name] + (sum_[name] if sum_ else 0) for name in _AMOUNTS}}
    old, new = sums
    if old.keys() != new.keys():
        return None
    return [{**line, **{name: line[name] - old[key][name] for name in _AMOUNTS}} for key, line in new.items()]


def through_prior_year(lines: list[Line], before: Iterable[Line], rules: CompanyRules, day: int) -> list[Line]:
    """A correction of an earlier year with its profit or loss on the account of prior-year adjustments, where that is material (rule 25).

    A claim that stands on that account already goes on there, however small its next change is.
    """
    entry = in_force(rules.mapping.prior_year, day_of(day) or rules.run_day)
    if entry is None:
        return lines
    accounts = {account for fee in rules.mapping.fee_types for account in fee.accounts.values()} | {entry.account}
    profit = [line for line in lines if line["account_code"] in accounts]
    change = sum(line["debit_minor"] - line["credit_minor"] for line in profit)
    if abs(change) < entry.material_from_minor and all(line["account_code"] != entry.account for line in before):
        return lines
    known = rules.account(entry.account, day)
    carried = {dim_type for dim_type, rule in known.dimensions.items() if rule != "forbidden"} if known else set()
    nets: dict[tuple[tuple[str, tuple[str, str]], ...], int] = {}
    for line in profit:
        dims = tuple(sorted((dim_type, value) for dim_type, value in line["dims"].items() if dim_type in carried))
        nets[dims] = nets.get(dims, 0) + line["debit_minor"] - line["credit_minor"]
    moved = [
        {**blank_line(rules), "account_code": entry.account, "dims": dict(dims), "debit_minor": max(net, 0), "credit_minor": max(-net, 0)}
        for dims, net in nets.items()
        if net
    ]
    return sorted([*moved, *(line for line in lines if line["account_code"] not in accounts)], key=lambda line: line["debit_minor"] == 0)


def difference(before: Iterable[Line], after: Iterable[Line], mapping: CompanyMapping) -> list[Line]:
    """Lines that lead from what stands to the new version, blue: a smaller debit becomes a credit and so on. Debits stand first.

    Amounts of one currency and rate are netted; another rate gets lines of its own, so that foreign balances stay exact.
    Deducted tax that shrinks is transferred out (进项税额转出); tax that grows again first takes back what was transferred out.
    """
    nets: dict[tuple[Any, ...], tuple[int, int]] = {}
    shape: dict[tuple[Any, ...], Line] = {}
    transferred: dict[tuple[Any, ...], int] = {}
    vat = mapping.input_vat
    for sign, lines in ((-1, before), (1, after)):
        for line in lines:
            out = vat is not None and bool(vat.transfer_out) and line["account_code"] == vat.transfer_out
            account = vat.account if vat is not None and out else line["account_code"]
            key = (account, line["currency"], line["fx_rate"], line["tax_rate"], tuple(sorted(line["dims"].items())))
            net, foreign = nets.get(key, (0, 0))
            amount = line["debit_minor"] - line["credit_minor"]
            fc = line["amount_fc_minor"] if line["debit_minor"] else -line["amount_fc_minor"]
            nets[key] = net + sign * amount, foreign + sign * fc
            shape.setdefault(key, {**line, "account_code": account})
            transferred[key] = transferred.get(key, 0) - (amount if out and sign < 0 else 0)
    found: list[Line] = []
    for key, (net, foreign) in nets.items():
        line = {**shape[key], "amount_fc_minor": abs(foreign)}
        for account, part in _accounts(line["account_code"], net, transferred[key], mapping):
            found.append({**line, "account_code": account, "debit_minor": max(part, 0), "credit_minor": max(-part, 0)})
    return sorted(found, key=lambda line: line["debit_minor"] == 0)


def _accounts(account: str, net: int, transferred: int, mapping: CompanyMapping) -> list[tuple[str, int]]:
    """Accounts a net change goes to, with the part of each; nothing for no change."""
    vat = mapping.input_vat
    if vat is None or account != vat.account or not vat.transfer_out:
        return [(account, net)] if net else []
    out = net if net < 0 else min(net, transferred)
    return [(place, part) for place, part in ((vat.transfer_out, out), (account, net - out)) if part]
