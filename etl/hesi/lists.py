"""Hesi's lists as the plain values of ``etl.reference``, ready for the pure steps.

Sources: hesi-openapi 11 (invoice headers: the type name inside the keys changes with the kind, so keys are matched by
their suffix) and 12 (master data: map on id, codes may be empty or repeated).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from etl.errors import NotAllowed, SourceRefused
from etl.hesi import invoices as invoice_calls
from etl.hesi import loans as loan_calls
from etl.hesi import reference as calls
from etl.hesi.client import HesiClient
from etl.money import MoneyError, to_minor
from etl.payload import Money
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
                lines.setdefault(_text(row.get("masterId")), []).append(_item(row))
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


def _value(raw: Raw | None) -> Any:
    """A member's value; None where it is absent or unreadable (a finding of the VAT step, not a crash)."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw)
    except msgspec.MsgspecError:
        return None


def _text(raw: Raw | None) -> str:
    value = _value(raw)
    return value if isinstance(value, str) else ""


_MONEY = msgspec.json.Decoder(Money | None)


def _minor(raw: Raw | None) -> int | None:
    """Minor units of a money object, exactly; None where there is none or it is unreadable."""
    if raw is None:
        return None
    try:
        money = _MONEY.decode(raw)
        if money is None or money.standard is UNSET or bytes(money.standard) == b"null":
            return None
        return to_minor(bytes(money.standard).decode().strip('" '), money.standardStrCode or "CNY")
    except (msgspec.MsgspecError, MoneyError):
        return None


def _instant(raw: Raw | None) -> int | None:
    value = _value(raw)
    return value if isinstance(value, int) and value > 0 else None


def _rate(raw: Raw | None) -> str:
    text = str(_value(raw) or "").strip().removesuffix("%")
    return text if text.replace(".", "", 1).isdigit() and text.strip("0.") else ""


class _Keys(NamedTuple):
    """Where a row keeps what an invoice needs; empty where it has no such member."""

    category: str
    gross: str
    tax: str
    rate: str
    fare: str
    fuel: str
    issued: str
    travelled: str
    buyer_number: str
    buyer_name: str
    verified: str
    medium: str
    traveller: str


_FIELDS = _Keys(
    category="发票类别",
    gross="价税合计 金额",
    tax="税额",
    rate="税率",
    fare="票价",
    fuel="燃油附加费",
    issued="发票日期 填开日期",
    travelled="乘机时间 乘车时间 上车时间",
    buyer_number="购买方纳税人识别号",
    buyer_name="购买方名称",
    verified="验真",
    medium="介质",
    traveller="乘机人姓名 乘车人姓名",
)


@lru_cache(maxsize=256)
def _keys(members: tuple[str, ...]) -> _Keys:
    """The ``E_system_<type name>_<field>`` members of a row; the type name changes with the kind of invoice, and with it every key."""
    own = {member.rpartition("_")[2]: member for member in members if member.startswith("E_system_")}
    return _Keys(*(next((own[field] for field in fields.split() if field in own), "") for fields in _FIELDS))


def _item(row: Mapping[str, Raw]) -> tuple[str, str, int]:
    keys, get = _keys(tuple(row)), row.get
    return _text(get("id")), _rate(get(keys.rate)), _minor(get(keys.tax)) or 0


def _invoice(object_type: str, row: Mapping[str, Raw]) -> Invoice:
    """The invoice of a header; its one item is the header's own rate, until lines tell more."""
    keys, get = _keys(tuple(row)), row.get
    category = _text(get(keys.category))
    tax, face = _minor(get("E_税额")), _minor(get(keys.tax))
    rate = _rate(get("E_税率"))
    verified = _value(get(keys.verified))
    kind = category if object_type == invoice_calls.VAT_INVOICE and category else object_type
    if _text(get(keys.medium)) == "纸质":
        kind = f"{kind}:paper"
    return Invoice(
        id=_text(get("id")),
        kind=kind,
        gross_minor=_minor(get(keys.gross)),
        tax_minor=tax if tax is not None else face,
        fare_minor=_minor(get(keys.fare)),
        fuel_minor=_minor(get(keys.fuel)),
        invoice_ms=_instant(get(keys.issued)),
        travel_ms=_instant(get(keys.travelled)),
        buyer_tax_number=_text(get(keys.buyer_number)),
        buyer_name=_text(get(keys.buyer_name)),
        verified=verified if isinstance(verified, bool) else None,
        items=(("", rate, tax or face or 0),) if rate else (),
        traveller=_text(get(keys.traveller)),
    )
