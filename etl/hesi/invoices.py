"""Invoices behind claims, by batched look-ups: claim -> invoice ids -> headers by type -> lines.

Source: datalink-extend/get-flow-invoice.md, get-entity-invoice.md, get-entity-invoic-details-batch.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from etl.errors import PayloadChanged
from etl.hesi.batches import distinct_batches
from etl.hesi.client import Answer, HesiClient
from etl.hesi.endpoints import INVOICE_LINES, INVOICE_OBJECTS, INVOICES_OF_FLOWS, PAGE, Endpoint
from etl.hesi.envelope import decode

VAT_INVOICE = "invoice"
"""The only object type that has lines."""


@dataclass(frozen=True, slots=True)
class InvoiceRef:
    """An invoice of a claim. ``object_type`` (invoice, taxi, train …) is needed to ask for its header."""

    flow_id: str
    invoice_id: str
    object_type: str
    item_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InvoiceBatch:
    """One answer: the raw ``body``, and per row its members still as JSON, since Hesi embeds a huge ``entity`` block in each."""

    body: bytes
    object_type: str
    rows: list[dict[str, Raw]]


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
            items = tuple(str(item) for item in invoice.get("invoiceItemId") or ())
            refs.append(InvoiceRef(flow_id, invoice_id, object_type, items))
    return refs


class _Rows(msgspec.Struct):
    items: list[dict[str, Raw]]


_DECODER = msgspec.json.Decoder(_Rows)


def _rows(endpoint: Endpoint, body: bytes) -> list[dict[str, Raw]]:
    try:
        return _DECODER.decode(body).items
    except msgspec.MsgspecError:
        decode(endpoint, body)  # says what is wrong with the envelope; else the rows themselves are no objects
    raise PayloadChanged(f"{endpoint.name}: expected a list of objects in 'items'; ask Hesi")
