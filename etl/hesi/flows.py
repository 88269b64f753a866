"""Claims as Hesi lists them: full flow objects, page by page, as raw bytes.

Source: ``GET v1.1/docs/getApplyList`` (flows/get-forms-details-byStaff.md), ``GET v1.1/flowDetails``
(flows/get-forms-details.md), ``GET v2/approveStates`` (flows/get-approve-state.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from etl.errors import SourceRefused
from etl.hesi.batches import distinct_batches
from etl.hesi.client import Answer, HesiClient
from etl.hesi.endpoints import APPLY_LIST, APPROVE_STATES, FLOW_BY_CODE, FLOW_DETAIL, PAGE
from etl.hesi.exchange import Reply
from etl.hesi.paging import keyset_pages
from etl.hesi.peek import Peek, peek
from etl.periods import ACCOUNTING_ZONE

# Without startDate newer releases answer the last year only; no tenant is older than this.
_BEGINNING = int(datetime(2000, 1, 1, tzinfo=ACCOUNTING_ZONE).timestamp())
_IDS_IN_PATH = 20  # the length of an address is the limit
_GONE = ("单据不存在", "单据已删除")


@dataclass(frozen=True, slots=True)
class FlowPage:
    """A page of claims that brings something new.

    ``body``: the raw answer. ``claim_ids`` and ``update_times`` (epoch ms): one per item, empty and None where
    missing. ``accepted``: positions of items this run takes: new by (id, updateTime), not after the cut-off; the
    others are repeats, or belong to the next run. ``number``: of the request within its list.
    """

    body: bytes
    number: int
    claim_ids: list[str]
    update_times: list[int | None]
    accepted: list[int]
    url_without_token: str
    fetched_at_ms: int


def iter_pages(client: HesiClient, form_type: str, *, active: bool, since_ms: int | None, cutoff_ms: int) -> Iterator[FlowPage]:
    """Every claim of one type updated between two instants (epoch ms, both included), oldest update first.

    ``active`` True: the living; False: the deleted. Both are always sent, because leaving it out means
    "everything" and an empty value means "deleted". ``since_ms`` None: from the beginning.

    Raises:
        TransientError: Hesi gave no usable answer.
        PayloadChanged, PagingStuck: the list breaks its contract, going on would lose claims.
    """
    since = _BEGINNING if since_ms is None else max(_BEGINNING, since_ms // 1000)

    def fetch(second: int, start: int) -> tuple[Reply, Peek]:
        reply = client.call(APPLY_LIST, params=_query(form_type, active=active, second=second, start=start))
        return reply, peek(APPLY_LIST, reply.body)

    what = f"getApplyList type={form_type} active={str(active).lower()}"
    for page in keyset_pages(fetch, what, since_second=since, cutoff_ms=cutoff_ms):
        yield FlowPage(
            body=page.reply.body,
            number=page.number,
            claim_ids=page.peek.ids,
            update_times=page.peek.times,
            accepted=page.accepted,
            url_without_token=page.reply.url,
            fetched_at_ms=page.reply.fetched_at_ms,
        )


def detail(client: HesiClient, flow_id: str) -> Answer | None:
    """One claim by id, None when it does not exist or was deleted. For questions about one claim only."""
    return _detail_or_none(client, by_code=False, key=flow_id)


def detail_by_code(client: HesiClient, code: str) -> Answer | None:
    """One claim by its human number, None when it does not exist or was deleted."""
    return _detail_or_none(client, by_code=True, key=code)


def approve_states(client: HesiClient, flow_ids: Iterable[str]) -> Iterator[Answer]:
    """Where claims stand: lists of ``{flowId, stageName, operators}``, 20 ids a call; unknown ids are missing.

    ``stageName``: 尚未提交, 拒绝, 完成, 已删除, else the name of the approval node.
    """
    for ids in distinct_batches(flow_ids, _IDS_IN_PATH):
        yield client.answer(APPROVE_STATES, ids={"ids": ids})


def _query(form_type: str, *, active: bool, second: int, start: int) -> dict[str, str]:
    return {
        "type": form_type,
        "active": "true" if active else "false",
        "orderBy": "updateTime",
        "orderByType": "asc",
        "startDate": datetime.fromtimestamp(second, ACCOUNTING_ZONE).strftime("%Y-%m-%d %H:%M:%S"),
        "start": str(start),
        "count": str(PAGE),
    }


def _detail_or_none(client: HesiClient, *, by_code: bool, key: str) -> Answer | None:
    try:
        if by_code:
            return client.answer(FLOW_BY_CODE, params={"code": key})
        return client.answer(FLOW_DETAIL, params={"flowId": key})
    except SourceRefused as refused:
        if any(words in refused.text for words in _GONE):
            return None
        raise
