"""Every Hesi call this client makes: method, pinned version, path spelling and envelope.

Versions coexist (v1, v1.1, v2, v2.1, v4) and only the newest of each call is repaired, so each is pinned
here and nowhere else. A ``$`` before a placeholder is literal, ``[{ids}]`` is written with its brackets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

PAGE = 100
"""Largest page of every list (reference section 15)."""

# What Hesi's own examples leave unencoded; everything else in an id is data, including / ? # and %.
_ID_SAFE = "$:-_.~"


class Envelope(Enum):
    """The seven shapes a success can have."""

    VALUE = "value"
    COUNT_ITEMS = "count+items"
    ITEMS = "items"
    FLOW = "flow"
    BARE = "bare"
    CODE_DATA = "code+data"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call. ``name`` is its rate budget and its name in logs and errors."""

    name: str
    method: str
    path: str
    envelope: Envelope
    needs_token: bool = True

    def address(self, **ids: str | Iterable[str]) -> str:
        """The path with ids filled in; a sequence becomes a comma list.

        Raises:
            ValueError: an id is empty or a dot segment, which would address another resource.
        """
        return self.path.format(**{name: _path_ids(value) for name, value in ids.items()})


def _path_ids(value: str | Iterable[str]) -> str:
    parts = [value] if isinstance(value, str) else list(value)
    if not parts or any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"expected non-empty ids for a Hesi path, found {parts!r}")
    return ",".join(quote(part, safe=_ID_SAFE) for part in parts)


_VALUE, _PAGED, _ITEMS, _BARE = Envelope.VALUE, Envelope.COUNT_ITEMS, Envelope.ITEMS, Envelope.BARE

ACCESS_TOKEN = Endpoint("getAccessToken", "POST", "/api/openapi/v1/auth/getAccessToken", _VALUE, needs_token=False)
LOCATION = Endpoint("location", "GET", "/api/openapi/v2/location", _VALUE)

APPLY_LIST = Endpoint("getApplyList", "GET", "/api/openapi/v1.1/docs/getApplyList", _PAGED)
FLOW_DETAIL = Endpoint("flowDetails", "GET", "/api/openapi/v1.1/flowDetails", _VALUE)
FLOW_BY_CODE = Endpoint("flowDetails.byCode", "GET", "/api/openapi/v1.1/flowDetails/byCode", _VALUE)
APPROVE_STATES = Endpoint("approveStates", "GET", "/api/openapi/v2/approveStates/[{ids}]", _ITEMS)
ERP_VOUCHER = Endpoint("erpVoucher", "PUT", "/api/openapi/v2.1/flow/data/erpVoucher", _VALUE)

FEE_TYPES = Endpoint("feeTypes", "GET", "/api/openapi/v1/feeTypes", _ITEMS)
DEPARTMENTS = Endpoint("departments", "GET", "/api/openapi/v1/departments", _PAGED)
STAFFS = Endpoint("staffs", "GET", "/api/openapi/v1.1/staffs", _PAGED)
DIMENSIONS = Endpoint("dimensions", "GET", "/api/openapi/v1/dimensions", _PAGED)
DIMENSION_ITEMS = Endpoint("dimensions.items", "GET", "/api/openapi/v1/dimensions/items", _PAGED)
PAYEES = Endpoint("payeeInfos", "GET", "/api/openapi/v2.1/payeeInfos", _PAGED)
PAYER_ACCOUNTS = Endpoint("paymentAccounts", "GET", "/api/openapi/v1/paymentAccounts", _ITEMS)
CURRENCIES = Endpoint("currency", "GET", "/api/openapi/v2.1/currency", _ITEMS)

LOAN_INFO = Endpoint("loanInfo", "GET", "/api/openapi/v1/loan/loanInfo/${id}", _VALUE)

BUDGETS = Endpoint("budgets", "GET", "/api/openapi/v2/budgets", _ITEMS)
BUDGET_STATE = Endpoint("budgets.async", "GET", "/api/openapi/v2/budgets/${id}/async", _VALUE)
BUDGET_NODES = Endpoint("budgets.query", "GET", "/api/openapi/v2/budgets/${id}/query", _VALUE)

INVOICES_OF_FLOWS = Endpoint("flow.INVOICE.search", "POST", "/api/openapi/v2/extension/flow/INVOICE/search", _VALUE)
INVOICE_OBJECTS = Endpoint("INVOICE.object.search", "POST", "/api/openapi/v2/extension/INVOICE/object/{type}/search", _ITEMS)
INVOICE_LINES = Endpoint(
    "INVOICE.detailBatch",
    "POST",
    "/api/openapi/v2/extension/INVOICE/object/invoice/detailBatch",
    _ITEMS,
)

FLOW_ATTACHMENTS = Endpoint("flowDetails.attachment", "POST", "/api/openapi/v1/flowDetails/attachment", _ITEMS)
DOWNLOAD_URLS = Endpoint("attachment.downloadurls", "POST", "/api/openapi/v2/attachment/downloadurls", _BARE)
