"""Invoices behind claims, by batched look-ups: claim -> invoice ids -> headers by type -> lines.

Source: datalink-extend/get-flow-invoice.md, get-entity-invoice.md, get-entity-invoic-details-batch.md.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from etl.errors import PayloadChanged
from etl.hesi.batches import distinct_batches
from etl.hesi.client import Answer, HesiClient
from etl.hesi.endpoints import INVOICE_LINES, INVOICE_OBJECTS, INVOICES_OF_FLOWS, PAGE, Endpoint
from etl.hesi.envelope import decode, items_apart

VAT_INVOICE = "invoice"
"""The only object type that has lines."""


class InvoiceRef(NamedTuple):
    """An invoice of a claim. ``object_type`` (invoice, taxi, train …) is needed to ask for its header."""

    flow_id: str
    invoice_id: str
    object_type: str


class Amount(msgspec.Struct, gc=False):
    """A money object; read exactly by whoever uses it."""

    standard: Raw | UnsetType = UNSET
    standardStrCode: Any = None


AmountMember = Amount | str | int | float | bool | list[Any] | None  # anything but money is unreadable, which refuses no other row


class InvoiceRow(
    msgspec.Struct,
    gc=False,
    rename={
        "master_id": "masterId",
        "deductible": "E_税额",
        "deductible_rate": "E_税率",
        "category": "_发票类别",
        "total": "_价税合计",
        "amount": "_金额",
        "tax": "_税额",
        "rate": "_税率",
        "fare": "_票价",
        "fuel": "_燃油附加费",
        "issued": "_发票日期",
        "filled_in": "_填开日期",
        "flown": "_乘机时间",
        "ridden": "_乘车时间",
        "boarded": "_上车时间",
        "buyer_number": "_购买方纳税人识别号",
        "buyer_name": "_购买方名称",
        "verified": "_验真",
        "medium": "_介质",
        "flyer": "_乘机人姓名",
        "rider": "_乘车人姓名",
    },
):
    """A header or line: the members that count; None where the row has none of that name.

    Hesi calls them ``E_system_<type name>_<field>``, and the type name changes with the kind of invoice: only the field is matched.
    """

    id: Any = None
    master_id: Any = None
    deductible: AmountMember = None
    deductible_rate: Any = None
    category: Any = None
    total: AmountMember = None
    amount: AmountMember = None
    tax: AmountMember = None
    rate: Any = None
    fare: AmountMember = None
    fuel: AmountMember = None
    issued: Any = None
    filled_in: Any = None
    flown: Any = None
    ridden: Any = None
    boarded: Any = None
    buyer_number: Any = None
    buyer_name: Any = None
    verified: Any = None
    medium: Any = None
    flyer: Any = None
    rider: Any = None


@dataclass(frozen=True, slots=True)
class InvoiceBatch:
    """One answer as it came, and its rows."""

    body: bytes
    object_type: str
    rows: list[InvoiceRow]


def invoice_refs(client: HesiClient, flow_ids: Iterable[str]) -> Iterator[tuple[Answer, list[InvoiceRef]]]:
    """The invoices of claims, 100 claims a call; a claim without invoices is simply not in the answer."""
    for ids in distinct_batches(flow_ids, PAGE):
        answer = client.answer(INVOICES_OF_FLOWS, body={"type": "id", "codeOrIds": ids})
        yield answer, _refs(answer.value)


def invoice_headers(client: HesiClient, refs: Iterable[InvoiceRef]) -> Iterator[InvoiceBatch]:
    """The headers of invoices, grouped by type, 100 a call: asked under another type an id finds nothing."""
    by_type: dict[str, list[str]] = defaultdict(list)
    for ref in refs:
        by_type[ref.object_type].append(ref.invoice_id)
    for object_type, invoice_ids in by_type.items():
        for ids in distinct_batches(invoice_ids, PAGE):
            body = client.call(INVOICE_OBJECTS, ids={"type": object_type}, body={"ids": ids}).body
            yield InvoiceBatch(body, object_type, _rows(INVOICE_OBJECTS, body))


def invoice_lines(client: HesiClient, invoice_ids: Iterable[str]) -> Iterator[InvoiceBatch]:
    """The lines of VAT invoices, 100 invoices a call; ``masterId`` is the invoice. Unknown ids are missing."""
    for ids in distinct_batches(invoice_ids, PAGE):
        body = client.call(INVOICE_LINES, body={"invoiceIds": ids}).body
        yield InvoiceBatch(body, VAT_INVOICE, _rows(INVOICE_LINES, body))


def _refs(value: Any) -> list[InvoiceRef]:
    if not isinstance(value, dict):
        raise PayloadChanged("flow.INVOICE.search: expected an object keyed by claim id in 'value'; ask Hesi")
    refs = []
    for flow_id, invoices in value.items():
        for invoice in invoices or ():
            invoice_id, object_type = invoice.get("invoiceId"), invoice.get("invoiceType")
            if not isinstance(invoice_id, str) or not isinstance(object_type, str):
                raise PayloadChanged(f"flow.INVOICE.search of {flow_id}: expected invoiceId and invoiceType, found {sorted(invoice)}")
            refs.append(InvoiceRef(flow_id, invoice_id, object_type))
    return refs


class _Rows(msgspec.Struct):
    items: list[InvoiceRow]


_ROWS = msgspec.json.Decoder(_Rows)
_ROW = msgspec.json.Decoder(InvoiceRow)
_TYPED = re.compile(rb'"E_system_(?:[^"]*_)?')


def _rows(endpoint: Endpoint, body: bytes) -> list[InvoiceRow]:
    """The rows of an answer; one that cannot be read is left out, as if Hesi did not know it."""
    untyped = _TYPED.sub(b'"_', body)
    try:
        return _ROWS.decode(untyped).items
    except (msgspec.MsgspecError, UnicodeDecodeError):
        apart = items_apart(untyped)
    if apart:
        return [row for item in apart if (row := _row(item)) is not None]
    decode(endpoint, body)  # says what is wrong with the envelope; else the rows themselves are no objects
    raise PayloadChanged(f"{endpoint.name}: expected a list of objects in 'items'; ask Hesi")


def _row(item: bytes) -> InvoiceRow | None:
    try:
        return _ROW.decode(item)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
