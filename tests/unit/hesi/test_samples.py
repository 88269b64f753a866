"""The documented example answers of the calls we make, where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from etl.hesi import endpoints
from etl.hesi.endpoints import Endpoint, Envelope
from etl.hesi.envelope import decode, judge
from etl.hesi.peek import peek

SAMPLES: dict[str, Endpoint] = {
    "auth-get-access-token": endpoints.ACCESS_TOKEN,
    "location": endpoints.LOCATION,
    "flow-list-expense-paid": endpoints.APPLY_LIST,
    "flow-list-requisition-archived": endpoints.APPLY_LIST,
    "flow-list-empty": endpoints.APPLY_LIST,
    "flow-detail-expense-rejected": endpoints.FLOW_DETAIL,
    "flow-detail-payment-rejected": endpoints.FLOW_DETAIL,
    "flow-detail-custom-rejected": endpoints.FLOW_DETAIL,
    "approve-states": endpoints.APPROVE_STATES,
    "voucher-writeback-response": endpoints.ERP_VOUCHER,
    "fee-types": endpoints.FEE_TYPES,
    "departments": endpoints.DEPARTMENTS,
    "staffs": endpoints.STAFFS,
    "dimensions": endpoints.DIMENSIONS,
    "dimension-items": endpoints.DIMENSION_ITEMS,
    "payee-infos": endpoints.PAYEES,
    "payment-accounts": endpoints.PAYER_ACCOUNTS,
    "currencies": endpoints.CURRENCIES,
    # The example of the call by flow id; the call by package id has the same body.
    "loan-info-by-flow": endpoints.LOAN_INFO,
    "budget-list": endpoints.BUDGETS,
    "budget-async-done": endpoints.BUDGET_STATE,
    "budget-async-error": endpoints.BUDGET_STATE,
    "budget-nodes-page": endpoints.BUDGET_NODES,
    "invoice-ids-by-flow": endpoints.INVOICES_OF_FLOWS,
    "invoice-main-vat": endpoints.INVOICE_OBJECTS,
    "invoice-main-flight": endpoints.INVOICE_OBJECTS,
    "invoice-items": endpoints.INVOICE_LINES,
    "flow-attachments": endpoints.FLOW_ATTACHMENTS,
    "attachment-download-urls": endpoints.DOWNLOAD_URLS,
}
_FOLDER = os.environ.get("HESI_SAMPLES_DIR", "")
# Without the folder one test is left, and it says that it skips.
_NAMES = sorted(SAMPLES) if _FOLDER else ["(HESI_SAMPLES_DIR is not set)"]


@pytest.mark.parametrize("name", _NAMES)
def test_every_example_answer_of_a_call_we_make_is_understood(name: str) -> None:
    if not _FOLDER:
        pytest.skip("HESI_SAMPLES_DIR names no folder with the documented examples")
    endpoint = SAMPLES[name]
    body = (Path(_FOLDER) / f"{name}.json").read_bytes()
    assert judge(endpoint, status=200, body=body) is None
    payload = decode(endpoint, body)
    assert payload is not None
    if endpoint.envelope in {Envelope.ITEMS, Envelope.COUNT_ITEMS}:
        assert len(peek(endpoint, body)) == len(payload)


def test_every_endpoint_we_call_has_an_example_to_compare_with() -> None:
    ours = {value.name for value in vars(endpoints).values() if isinstance(value, Endpoint)}
    assert ours - {endpoint.name for endpoint in SAMPLES.values()} == {"flowDetails.byCode"}
