"""Deductible input VAT of each invoice on a claim, with the findings a tax accountant wants to see.

Pure. Sources: accounting-rules 13-15; the dated rules themselves are data (``mappings/vat``). Findings warn and never
change the tax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from etl.config.mapping import VatKind, VatRules
from etl.frames import NO_AMOUNT, day_of
from etl.money import allocate, half_up, tax_included
from etl.periods import ACCOUNTING_OFFSET_MS, DAY_MS
from etl.reference import Invoice


@dataclass(frozen=True, slots=True)
class InvoiceUse:
    """One use of an invoice by a claim line; ``fallback_day`` is the expense day, no ``item_ids`` means all items."""

    invoice_id: str
    tax_minor: int
    rate: str
    approved_minor: int
    fallback_day: int
    item_ids: frozenset[str] = frozenset()


@dataclass(slots=True)
class VatAnswer:
    """Tax by rate, and what to tell; ``problem`` holds the claim."""

    parts: list[tuple[str, int]] = field(default_factory=list)
    findings: list[tuple[str, str]] = field(default_factory=list)
    problem: tuple[str, str] | None = None
    kind: str = ""


def deductible(use: InvoiceUse, invoice: Invoice | None, rules: VatRules) -> VatAnswer:
    """Tax parts ``(rate, minor units)`` of one invoice use in a company and fee type that may deduct."""
    answer = VatAnswer(kind=invoice.kind if invoice else "")
    if invoice is None:
        rule, tax = None, _unknown_kind(use, rules, answer)
    else:
        rule = kind_rule(invoice, use.fallback_day, rules)
        tax = _known_kind(use, invoice, rule, rules, answer)
    if tax and answer.problem is None:
        _split_by_rate(use, invoice, rule, tax, answer)
    return answer


def _unknown_kind(use: InvoiceUse, rules: VatRules, answer: VatAnswer) -> int:
    tax = 0 if use.tax_minor == NO_AMOUNT else use.tax_minor
    if tax == 0:
        return 0
    answer.findings.append(("VAT_KIND_UNKNOWN", f"invoice {use.invoice_id or '(on the line)'} could not be read; unknown_kind is {rules.unknown_kind}"))
    if rules.unknown_kind == "hold":
        answer.problem = ("VAT_RATE_UNKNOWN", f"invoice {use.invoice_id} could not be read and unknown_kind is hold")
    return tax if rules.unknown_kind == "deduct" else 0


def _known_kind(use: InvoiceUse, invoice: Invoice, rule: VatKind | None, rules: VatRules, answer: VatAnswer) -> int:
    if invoice.verified is False:
        answer.findings.append(("VAT_UNVERIFIED", f"invoice {invoice.id} is not verified"))
    if rule is not None and rule.flag:
        answer.findings.append(("VAT_FLAG", f"invoice {invoice.id}: {rule.flag}"))
    if rule is None or rule.method == "none":
        if use.tax_minor not in (NO_AMOUNT, 0):
            answer.findings.append(
                ("VAT_NOT_ELIGIBLE", f"Hesi names {use.tax_minor} minor units deductible, but invoice kind {invoice.kind} carries no deductible tax")
            )
        return 0
    tax = listed_tax(use, invoice, rule)
    # A detail that uses some of the items is approved below the face without anything being refused.
    whole = len(used_items(use, invoice)) == len(invoice.items)
    if whole and use.approved_minor != NO_AMOUNT and invoice.gross_minor and abs(use.approved_minor) < abs(invoice.gross_minor):
        if rules.below_face == "hold":
            answer.problem = ("VAT_PRORATED", f"invoice {invoice.id}: approved {use.approved_minor} of {invoice.gross_minor} minor units")
        tax = half_up(Decimal(tax) * use.approved_minor / invoice.gross_minor)
    return tax


def kind_rule(invoice: Invoice, fallback_day: int, rules: VatRules) -> VatKind | None:
    """The dated entry for an invoice, chosen by its own day, never by the voucher's (rule 14)."""
    for entry in rules.kinds:
        if invoice.kind not in entry.kinds:
            continue
        instant = invoice.travel_ms if entry.by == "travel_date" else invoice.invoice_ms
        day = fallback_day if instant is None else (instant + ACCOUNTING_OFFSET_MS) // DAY_MS
        when = day_of(day)
        if when is not None and entry.covers(when):
            return entry
    return None


def used_items(use: InvoiceUse, invoice: Invoice) -> Sequence[tuple[str, str, int]]:
    """Items (id, rate, tax) of the invoice that the detail uses; all where it names none of them."""
    named = [item for item in invoice.items if item[0] in use.item_ids] if use.item_ids else []
    return named or invoice.items


def listed_tax(use: InvoiceUse, invoice: Invoice, rule: VatKind) -> int:
    """Tax before prorating: what Hesi deducts, else what the invoice lists, else the formula (rule 14)."""
    if use.tax_minor != NO_AMOUNT:
        return use.tax_minor
    items = used_items(use, invoice)
    if len(items) < len(invoice.items):
        return sum(tax for *_, tax in items)
    if invoice.tax_minor is not None and (invoice.tax_minor or rule.method == "face"):
        return invoice.tax_minor
    if rule.method != "formula" or rule.rate is None:
        return 0
    parts = {"gross": invoice.gross_minor, "fare": invoice.fare_minor, "fuel": invoice.fuel_minor}
    return tax_included(sum(parts[name] or 0 for name in rule.base), rule.rate)


def _split_by_rate(use: InvoiceUse, invoice: Invoice | None, rule: VatKind | None, tax: int, answer: VatAnswer) -> None:
    by_rate: dict[str, int] = {}
    for _, rate, item_tax in used_items(use, invoice) if invoice else ():
        if rate and item_tax:
            by_rate[rate] = by_rate.get(rate, 0) + item_tax
    if len(by_rate) > 1 and sum(by_rate.values()) != 0:
        answer.parts = [part for part in zip(by_rate, allocate(tax, list(by_rate.values())), strict=True) if part[1]]
        return
    rate = next(iter(by_rate), "") or use.rate or (f"{rule.rate.normalize():f}" if rule and rule.rate is not None else "")
    if rate:
        answer.parts = [(rate, tax)]
    else:
        answer.problem = ("VAT_RATE_UNKNOWN", f"invoice {use.invoice_id or '(on the line)'} has deductible tax but neither its items nor the claim name a rate")
