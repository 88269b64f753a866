"""Master data that claims point to by id: fee types, departments, staff, dimensions, payees, accounts, currencies.

Rows are mapped on ``id``: codes of staff and departments may be empty or repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from etl.hesi.batches import distinct_batches
from etl.hesi.client import HesiClient
from etl.hesi.endpoints import (
    CURRENCIES,
    DEPARTMENTS,
    DIMENSION_ITEMS,
    DIMENSIONS,
    FEE_TYPES,
    PAGE,
    PAYEES,
    PAYER_ACCOUNTS,
    STAFFS,
    Endpoint,
)
from etl.hesi.envelope import decode
from etl.hesi.exchange import Reply
from etl.hesi.paging import offset_pages
from etl.hesi.peek import Peek, peek

_IDS_IN_QUERY = 20
_BY_UPDATE = {"orderBy": "updateTime", "orderByType": "asc"}


@dataclass(frozen=True, slots=True)
class ReferencePage:
    """One answer of a reference list: raw ``body`` and the ``rows`` no earlier page has brought."""

    body: bytes
    rows: list[Any]
    url_without_token: str
    fetched_at_ms: int


def fee_types(client: HesiClient) -> Iterator[ReferencePage]:
    """All fee types, disabled ones too: {id, name, parentId, active, code}. One call, no paging."""
    return _whole(client, FEE_TYPES)


def departments(client: HesiClient) -> Iterator[ReferencePage]:
    """All departments, disabled ones too: {id, name, parentId, active, code, form, …}; times are text."""
    return _paged(client, DEPARTMENTS, _BY_UPDATE)


def staffs(client: HesiClient) -> Iterator[ReferencePage]:
    """All staff: the active, then those who left (``active`` sent as false finds only them)."""
    yield from _paged(client, STAFFS, {**_BY_UPDATE, "active": "true"})
    yield from _paged(client, STAFFS, {**_BY_UPDATE, "active": "false"})


def dimensions(client: HesiClient) -> Iterator[ReferencePage]:
    """The dimensions (档案): {id ``<corporation>:项目``, name, active, code}."""
    return _paged(client, DIMENSIONS, {})


def dimension_items(client: HesiClient, dimension_id: str) -> Iterator[ReferencePage]:
    """The items of one dimension: {id, name, code, parentId, active, …}; an unknown dimension is empty."""
    return _paged(client, DIMENSION_ITEMS, {**_BY_UPDATE, "dimensionId": dimension_id})


def payees(client: HesiClient) -> Iterator[ReferencePage]:
    """The enabled payees. ``type`` is Chinese (个人账户, 对公账户). Personal data: mask outside raw storage."""
    # The three names must be present even when unused, else Hesi answers 404.
    return _paged(client, PAYEES, {"ids": "", "names": "", "cardNos": ""})


def payees_by_id(client: HesiClient, ids: Iterable[str]) -> Iterator[ReferencePage]:
    """Payees by id; disabled ones are only found this way."""
    for batch in distinct_batches(ids, _IDS_IN_QUERY):
        yield from _paged(client, PAYEES, {"ids": ",".join(batch), "names": "", "cardNos": ""})


def payer_accounts(client: HesiClient) -> Iterator[ReferencePage]:
    """Paying accounts, disabled ones too: {id, name, code, detail, sort, active}; joins form.paymentAccountId."""
    return _whole(client, PAYER_ACCOUNTS)


def currencies(client: HesiClient) -> Iterator[ReferencePage]:
    """Currency tables per base currency: {orgCode, currInfos[{strCode, scale, rate (text), …}]}."""
    return _whole(client, CURRENCIES)


def rows_by_id(pages: Iterable[ReferencePage]) -> dict[str, dict[str, Any]]:
    """Rows keyed by id, the last one per id (the newest); rows without an id are left out."""
    rows: dict[str, dict[str, Any]] = {}
    for page in pages:
        for row in page.rows:
            if isinstance(row, dict) and isinstance(row.get("id"), str):
                rows[row["id"]] = row
    return rows


def _whole(client: HesiClient, endpoint: Endpoint) -> Iterator[ReferencePage]:
    reply = client.call(endpoint)
    yield ReferencePage(reply.body, decode(endpoint, reply.body), reply.url, reply.fetched_at_ms)


def _paged(client: HesiClient, endpoint: Endpoint, query: Mapping[str, str]) -> Iterator[ReferencePage]:
    def fetch(start: int) -> tuple[Reply, Peek]:
        reply = client.call(endpoint, params={**query, "start": str(start), "count": str(PAGE)})
        return reply, peek(endpoint, reply.body)

    for page in offset_pages(fetch, endpoint.name):
        rows = decode(endpoint, page.reply.body)
        yield ReferencePage(page.reply.body, [rows[index] for index in page.accepted], page.reply.url, page.reply.fetched_at_ms)
