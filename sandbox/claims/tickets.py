"""Invoices and tickets behind a claim line, and what the claim says of them (section 11; VAT as of 2026).

A ticket is a dict of facts kept beside its claim: `id`, `type` (the objectId of the invoice call), `category`, `date`,
`gross`, `net`, `tax` in cents, `rate` in percent, `deductible`, `items`, and for flights `fare`, `fuel`, `fund`.
"""

from collections.abc import Callable

from sandbox.ids import Kind, electronic_invoice, line_number, opaque, paper_invoice
from sandbox.money import Json, half_up, line_money, tax_money

_SELLERS = ("某会务公司", "锦程酒店管理有限公司", "环宇办公用品有限公司", "嘉和餐饮有限公司", "华信咨询有限公司")
_AIRPORT_FUND = 5000


def vat_invoice(
    claim: int,
    line: int,
    *,
    gross: int,
    rate: int,
    deductible: bool,
    date: int,
    buyer: str,
    random: Callable[[], float],
) -> Json:
    """An ordinary (`deductible` false) or special VAT invoice over `gross` cents."""
    tax = half_up(gross * rate, 100 + rate)
    old = random() < 0.10
    identifier = paper_invoice(claim, line) if old else electronic_invoice(claim, line)
    digital = "FULL_DIGITAl_SPECIAL" if deductible else "FULL_DIGITAl_NORMAL"
    paper = "PAPER_SPECIAL" if deductible else "DIGITAL_NORMAL"
    net = gross - tax
    parts = 2 if net > 20_000 and random() < 0.25 else 1
    first_net, first_tax = (net // 2, tax // 2) if parts == 2 else (net, tax)
    items = [{"n": line * 8, "net": first_net, "tax": first_tax}]
    if parts == 2:
        items.append({"n": line * 8 + 1, "net": net - first_net, "tax": tax - first_tax})
    return {
        "id": identifier, "type": "invoice", "category": paper if old else digital, "date": date, "gross": gross,
        "net": net, "tax": tax, "rate": rate, "deductible": deductible, "buyer": buyer, "claim": claim,
        "seller": _SELLERS[int(random() * len(_SELLERS))], "items": items,
    }  # fmt: skip


def rail_ticket(claim: int, line: int, *, gross: int, date: int, buyer: str, person: str) -> Json:
    """A rail e-ticket: 9 % contained in the fare."""
    tax = half_up(gross * 9, 109)
    return _ticket("train", claim, line=line, gross=gross, tax=tax, date=date, buyer=buyer, person=person)


def flight_itinerary(claim: int, line: int, *, gross: int, date: int, buyer: str, person: str) -> Json:
    """An air itinerary: 9 % on fare and fuel surcharge, nothing on the airport fund."""
    taxed = gross - _AIRPORT_FUND
    fuel = taxed // 20 // 1000 * 1000
    facts = _ticket(
        "flightItinerary",
        claim,
        line=line,
        gross=gross,
        tax=half_up(taxed * 9, 109),
        date=date,
        buyer=buyer,
        person=person,
    )
    return {**facts, "fare": taxed - fuel, "fuel": fuel, "fund": _AIRPORT_FUND}


def taxi_slip(claim: int, line: int, *, gross: int, date: int, buyer: str, person: str) -> Json:
    """A taxi slip: nothing to deduct."""
    return {**_ticket("taxi", claim, line=line, gross=gross, tax=0, date=date, buyer=buyer, person=person), "rate": 0}


def _ticket(kind: str, claim: int, *, line: int, gross: int, tax: int, date: int, buyer: str, person: str) -> Json:
    return {
        "id": opaque(Kind.TICKET, line_number(claim, line)), "type": kind, "category": "", "date": date,
        "gross": gross, "net": gross - tax, "tax": tax, "rate": 9, "deductible": tax > 0, "buyer": buyer,
        "claim": claim, "seller": "", "items": [], "person": person,
    }  # fmt: skip


def invoice_reference(facts: Json, currency: str, *, approved: int | None, random: Callable[[], float]) -> Json:
    """The entry of `invoiceForm.invoices[]` for a ticket; `approved` cents when less than its face was granted."""
    deductible = facts["tax"] if facts["deductible"] else 0
    items = [opaque(Kind.INVOICE_ITEM, line_number(facts["claim"], 0) * 8 + item["n"]) for item in facts["items"]]
    entry: Json = {
        "itemIds": items,
        "invoiceId": facts["id"],
        "taxAmount": tax_money(deductible, currency, random),
    }
    # Tickets have no items to ask for the rate, so theirs is always on the claim; of VAT invoices about half.
    if facts["deductible"] and (not items or random() < 0.55):
        entry["taxRate"] = str(facts["rate"])
    if approved is not None:
        entry["approveAmount"] = line_money(approved, currency, random)
    return entry
