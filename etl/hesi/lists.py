"""Hesi's lists as the plain values of ``etl.reference``, ready for the pure steps.

Sources: hesi-openapi 11 (invoice headers: the type name inside the keys changes with the kind, so keys are matched by
their suffix) and 12 (master data: map on id, codes may be empty or repeated).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from etl.errors import NotAllowed
from etl.hesi import invoices as invoice_calls
from etl.hesi import loans as loan_calls
from etl.hesi import reference as calls
from etl.hesi.client import HesiClient
from etl.hesi.envelope import SourceRefused
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


def read_invoices(client: HesiClient, flow_ids: Iterable[str], needs_items: Callable[[str], bool], keep: Keep) -> dict[str, Invoice]:
    """Invoices of claims by id. ``needs_items`` says for which the item lines (rates) are worth a call.

    A tenant without the invoice feature has none to read; the claims then carry Hesi's own tax and a finding.
    """
    headers: dict[str, tuple[str, Mapping[str, Any]]] = {}
    try:
        refs = []
        for answer, some in invoice_calls.invoice_refs(client, flow_ids):
            keep("invoice-refs", answer.reply.body)
            refs += some
        for batch in invoice_calls.invoice_headers(client, refs):
            keep("invoice-headers", batch.answer.reply.body)
            headers |= {str(row.get("id")): (batch.object_type, row) for row in batch.rows}
        wanted = [id_ for id_, (kind, _) in headers.items() if kind == invoice_calls.VAT_INVOICE and needs_items(id_)]
        items: dict[str, list[tuple[str, str, int]]] = {}
        for batch in invoice_calls.invoice_lines(client, wanted):
            keep("invoice-lines", batch.answer.reply.body)
            for row in batch.rows:
                items.setdefault(str(row.get("masterId")), []).append(_item(row))
    except (NotAllowed, SourceRefused):
        return {}
    return {id_: _invoice(id_, kind, row, items.get(id_, [])) for id_, (kind, row) in headers.items()}


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


def _find(row: Mapping[str, Any], *suffixes: str) -> Any:
    """The first value whose key ends in one of the suffixes, in their order."""
    for suffix in suffixes:
        for key, value in row.items():
            if key.endswith(f"_{suffix}") and value is not None:
                return value
    return None


def _minor(value: Any) -> int | None:
    """Minor units of a money object; None when there is none or it is unreadable (a finding of the VAT step, not a crash)."""
    if not isinstance(value, dict) or value.get("standard") is None:
        return None
    try:
        return to_minor(str(value["standard"]), str(value.get("standardStrCode") or "CNY"))
    except MoneyError:
        return None


def _instant(value: Any) -> int | None:
    return int(value) if isinstance(value, int) and value > 0 else None


def _rate(value: Any) -> str:
    text = str(value or "").strip().removesuffix("%")
    return text if text.replace(".", "", 1).isdigit() and text.strip("0.") else ""


def _item(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return str(row.get("id")), _rate(_find(row, "税率")), _minor(_find(row, "税额")) or 0


def _invoice(id_: str, object_type: str, row: Mapping[str, Any], items: list[tuple[str, str, int]]) -> Invoice:
    category = _find(row, "发票类别")
    tax = _minor(row.get("E_税额"))
    face = next((_minor(value) for key, value in row.items() if key.startswith("E_system_") and key.endswith("_税额")), None)
    if not items and (rate := _rate(row.get("E_税率"))):
        items = [("", rate, tax or face or 0)]
    return Invoice(
        id=id_,
        kind=str(category) if object_type == invoice_calls.VAT_INVOICE and category else object_type,
        gross_minor=_minor(_find(row, "价税合计", "金额")),
        tax_minor=tax if tax is not None else face,
        fare_minor=_minor(_find(row, "票价")),
        fuel_minor=_minor(_find(row, "燃油附加费")),
        invoice_ms=_instant(_find(row, "发票日期", "填开日期")),
        travel_ms=_instant(_find(row, "乘机时间", "乘车时间", "上车时间")),
        buyer_tax_number=str(_find(row, "购买方纳税人识别号") or ""),
        buyer_name=str(_find(row, "购买方名称") or ""),
        verified=_find(row, "验真") if isinstance(_find(row, "验真"), bool) else None,
        items=tuple(items),
    )
