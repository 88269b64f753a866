"""The sandbox's answers against the documentation's own examples: same keys, same JSON types.

The examples are not part of this repository: HESI_SAMPLES_DIR names their folder, without it these tests are one skip.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.budgets import PUBLISHED
from sandbox.client import Client

_FOLDER = os.environ.get("HESI_SAMPLES_DIR", "")
# In these places Hesi's own examples differ from one another, or a key belongs to one tenant's templates.
_FREE = {
    "actions",
    "attributes",
    "customFields",
    "staffCustomForm",
    "visibility",
    "entity",
    "extendMoneys",
    "dimensionIds",
}
_ALSO: dict[str, tuple[type, ...]] = {
    "standard": (str, int, float),
    "standardScale": (str, int),
    "total": (int, float, str),
}
_OPTIONAL = {
    "reviewStatus", "onlyOwnerPrint", "ownerAndApproverPrintNodeFlag", "writtenOffRecords", "linkRequisitionInfo",
    "autographImageId", "description", "itemIds",
}  # fmt: skip


def _sample(name: str) -> Any:
    return json.loads((Path(_FOLDER) / f"{name}.json").read_text(encoding="utf-8"))


def _flow_list(client: Client, form_type: str, state: str) -> Any:
    """Flows of a type and state, those with most to show first."""
    flows = client.all(type=form_type, state=state)
    return {"count": len(flows), "items": sorted(flows, key=lambda flow: -len(json.dumps(flow)))}


def _invoice_headers(client: Client, kind: str) -> Any:
    body = {"type": "id", "codeOrIds": client.hesi.flow_ids("paid")}
    value = client.send("POST", "/v2/extension/flow/INVOICE/search", body).json()["value"]
    ids = [row["invoiceId"] for rows in value.values() for row in rows if row["invoiceType"] == kind]
    return client.send("POST", f"/v2/extension/INVOICE/object/{kind}/search", {"ids": ids[:5]}).json()


def _loan(client: Client) -> Any:
    package = next(loan for loan in client.hesi.tenant.loans.by_package.values() if loan.settlements)
    return client.get(f"/v1/loans/getLoanInfoByFlowId/${package.flow_id}").json()


_PAGE = {"start": 0, "count": 100}
_PAYEES = {"ids": "", "names": "", "cardNos": "", **_PAGE}
_CASES: dict[str, Callable[[Client], Any]] = {
    "flow-list-expense-paid": lambda c: _flow_list(c, "expense", "paid"),
    "flow-list-requisition-archived": lambda c: _flow_list(c, "requisition", "paid,archived"),
    "flow-list-empty": lambda c: c.apply_list(type="permit").json(),
    "departments": lambda c: c.get("/v1/departments", **_PAGE).json(),
    "staffs": lambda c: c.get("/v1.1/staffs", **_PAGE).json(),
    "fee-types": lambda c: c.get("/v1/feeTypes").json(),
    "dimensions": lambda c: c.get("/v1/dimensions", **_PAGE).json(),
    "dimension-items": lambda c: c.get("/v1/dimensions/items", dimensionId="hEs1DemoCorp00:项目", **_PAGE).json(),
    "payee-infos": lambda c: c.get("/v2.1/payeeInfos", **_PAYEES).json(),
    "payment-accounts": lambda c: c.get("/v1/paymentAccounts").json(),
    "currencies": lambda c: c.get("/v2.1/currency").json(),
    "loan-info-by-flow": _loan,
    "location": lambda c: c.get("/v2/location").json(),
    "budget-list": lambda c: c.get("/v2/budgets").json(),
    "budget-async-done": lambda c: c.get(f"/v2/budgets/${PUBLISHED}/async").json(),
    "budget-nodes-page": lambda c: c.get(f"/v2/budgets/${PUBLISHED}/query", nodeId="", **_PAGE).json(),
    "invoice-main-flight": lambda c: _invoice_headers(c, "flightItinerary"),
}


def _missing(expected: Any, actual: Any, path: str = "") -> list[str]:
    """Where the answer lacks a key of the example or has another JSON type there."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return [
            problem
            for key, value in expected.items()
            if key not in _OPTIONAL and not key.startswith(("u_", "E_"))
            for problem in _missing_key(key, value, actual, f"{path}.{key}")
        ]
    if isinstance(expected, list) and isinstance(actual, list):
        # One item with the example's keys is enough: templates differ between items.
        return min((_missing(expected[0], item, f"{path}[]") for item in actual), key=len, default=[]) if expected else []
    same = expected is None or actual is None or _kind(expected) == _kind(actual)
    return [] if same else [f"{path}: expected {_kind(expected)}, found {_kind(actual)}"]


def _missing_key(key: str, value: Any, actual: dict[str, Any], path: str) -> list[str]:
    if key in _FREE:
        return []
    if key not in actual:
        return [f"{path} is missing"]
    if isinstance(actual[key], _ALSO.get(key, ())):
        return []
    return _missing(value, actual[key], path)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


@pytest.mark.skipif(not _FOLDER, reason="HESI_SAMPLES_DIR is not set")
@pytest.mark.parametrize("name", _CASES if _FOLDER else ["all"])
def test_the_answer_has_every_key_of_the_documented_example(shared: Client, name: str) -> None:
    assert _missing(_sample(name), _CASES[name](shared)) == []
