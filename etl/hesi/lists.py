"""Hesi's lists as the plain values of ``etl.reference``, ready for the pure steps.

Sources: hesi-openapi 11 (invoices) and 12 (master data: map on id, codes may be empty or repeated).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import UnsetType
from msgspec.structs import replace

from etl.errors import NotAllowed, SourceRefused
from etl.hesi import invoices as invoice_calls
from etl.hesi import loans as loan_calls
from etl.hesi import reference as calls
from etl.hesi.client import HesiClient
from etl.hesi.invoices import Amount, AmountMember, InvoiceRow
from etl.money import MoneyError, to_minor
from etl.reference import Department, Invoice, ListItem, Payee, Reference

Rows = Mapping[str, Mapping[str, Any]]
Keep = Callable[[str, bytes], None]  # name of the list, raw page


def read_reference(client: HesiClient, keep: Keep) -> Reference:
    """Every list a mapping may join, disabled entries included; each raw page is handed to ``keep``."""

    def rows(name: str, pages: Iterable[calls.ReferencePage]) -> Rows:
        def kept() -> Iterable[calls.ReferencePage]:
            for page in pages:
                keep(name, page.body)
                yield page

        return calls.rows_by_id(kept())

    dimensions = rows("dimensions", calls.dimensions(client))
    items: dict[str, ListItem] = {}
    for dimension_id in dimensions:
        items |= _list_items(rows("dimension-items", calls.dimension_items(client, dimension_id)))
    return Reference(
        departments=_departments(rows("departments", calls.departments(client))),
        staffs=_list_items(rows("staffs", calls.staffs(client))),
        fee_types=_list_items(rows("fee-types", calls.fee_types(client))),
        dimension_items=items,
        payees=_payees(rows("payees", calls.payees(client))),
        payer_accounts=_list_items(rows("payer-accounts", calls.payer_accounts(client))),
    )


def read_payees(client: HesiClient, ids: Iterable[str], keep: Keep) -> dict[str, Payee]:
    """Payees by id: the disabled ones are found only this way."""
    found: dict[str, Mapping[str, Any]] = {}
    for page in calls.payees_by_id(client, ids):
        keep("payees", page.body)
        found |= {row["id"]: row for row in page.rows if isinstance(row, dict) and isinstance(row.get("id"), str)}
    return _payees(found)


def read_loan_owners(client: HesiClient, package_ids: Iterable[str], keep: Keep) -> dict[str, str]:
    """Owner (staff id) of each loan package; packages Hesi does not know are missing."""
    owners = {}
    for package in loan_calls.loan_packages(client, package_ids):
        if package.answer is not None and isinstance(package.answer.value, dict):
            keep("loan-packages", package.answer.reply.body)
            owners[package.package_id] = str(package.answer.value.get("ownerId") or "")
    return owners


def read_invoices(
    client: HesiClient, flow_ids: Iterable[str], keep: Keep, *, needs_header: Callable[[str], bool], needs_items: Callable[[str], bool]
) -> dict[str, Invoice]:
    """Invoices of claims by id; headers and item lines (rates) only where they decide something.

    A tenant without the invoice feature has none to read; the claims then carry Hesi's own tax and a finding.
    """
    invoices: dict[str, Invoice] = {}
    wanted: list[str] = []
    lines: dict[str, list[tuple[str, str, int]]] = {}
    try:
        refs = []
        for answer, some in invoice_calls.invoice_refs(client, flow_ids):
            keep("invoice-refs", answer.reply.body)
            refs += [ref for ref in some if needs_header(ref.invoice_id)]
        for batch in invoice_calls.invoice_headers(client, refs):
            keep("invoice-headers", batch.body)
            read = {invoice.id: invoice for invoice in (_invoice(batch.object_type, row) for row in batch.rows)}
            invoices |= read
            if batch.object_type == invoice_calls.VAT_INVOICE:
                wanted += filter(needs_items, read)
        for batch in invoice_calls.invoice_lines(client, wanted):
            keep("invoice-lines", batch.body)
            for row in batch.rows:
                lines.setdefault(_text(row.master_id), []).append((_text(row.id), _rate(row.rate), _minor(row.tax) or 0))
    except (NotAllowed, SourceRefused):
        return {}
    return invoices | {id_: replace(invoices[id_], items=tuple(items)) for id_, items in lines.items() if id_ in invoices}


def _unique_code(row: Mapping[str, Any], counts: Counter[str]) -> str:
    code = str(row.get("code") or "").strip()
    return code if counts[code] == 1 else ""


def _codes(rows: Rows) -> Counter[str]:
    return Counter(str(row.get("code") or "").strip() for row in rows.values())


def _list_items(rows: Rows) -> dict[str, ListItem]:
    counts = _codes(rows)
    return {id_: ListItem(id_, _unique_code(row, counts), str(row.get("name") or ""), str(row.get("parentId") or "")) for id_, row in rows.items()}


def _departments(rows: Rows) -> dict[str, Department]:
    counts = _codes(rows)
    return {
        id_: Department(id_, _unique_code(row, counts), str(row.get("name") or ""), str(row.get("parentId") or ""), _texts(row.get("form")))
        for id_, row in rows.items()
    }


def _payees(rows: Rows) -> dict[str, Payee]:
    return {
        id_: Payee(id_, str(row.get("name") or ""), str(row.get("owner") or ""), str(row.get("staffId") or ""), _texts(row.get("customFields")))
        for id_, row in rows.items()
    }


def _texts(value: Any) -> dict[str, str]:
    return {key: item for key, item in value.items() if isinstance(item, str) and item} if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _minor(money: AmountMember) -> int | None:
    """Minor units of a money object, exactly; None where there is none or it is unreadable (a finding of the VAT step, not a crash)."""
    if not isinstance(money, Amount) or isinstance(money.standard, UnsetType):
        return None
    text = bytes(money.standard).decode().strip('" ')
    if text == "null":
        return None
    try:
        return to_minor(text, _text(money.standardStrCode) or "CNY")
    except MoneyError:
        return None


def _instant(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _rate(value: Any) -> str:
    text = str(value or "").strip().removesuffix("%")
    return text if text.replace(".", "", 1).isdigit() and text.strip("0.") else ""


def _invoice(object_type: str, row: InvoiceRow) -> Invoice:
    """The invoice of a header; its one item is the header's own rate, until lines tell more. Kinds call one thing by different names."""
    category = _text(row.category)
    tax, face = _minor(row.deductible), _minor(row.tax)
    rate = _rate(row.deductible_rate)
    kind = category if object_type == invoice_calls.VAT_INVOICE and category else object_type
    if row.medium == "纸质":
        kind = f"{kind}:paper"
    return Invoice(
        id=_text(row.id),
        kind=kind,
        gross_minor=_minor(row.total or row.amount),
        tax_minor=tax if tax is not None else face,
        fare_minor=_minor(row.fare),
        fuel_minor=_minor(row.fuel),
        invoice_ms=_instant(row.issued or row.filled_in),
        travel_ms=_instant(row.flown or row.ridden or row.boarded),
        buyer_tax_number=_text(row.buyer_number),
        buyer_name=_text(row.buyer_name),
        verified=row.verified if isinstance(row.verified, bool) else None,
        items=(("", rate, tax or face or 0),) if rate else (),
        traveller=_text(row.flyer or row.rider),
    )
