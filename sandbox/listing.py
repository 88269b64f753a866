"""getApplyList: every rule of section 4.1 on which flows a call sees, in which order."""

from bisect import bisect_left
from dataclasses import dataclass

from sandbox.answers import Answer, Call, Refused
from sandbox.store import ORDER_FIELDS, FlowStore, Head, Key
from sandbox.tenant import Tenant

FORM_TYPES = ("expense", "loan", "payment", "requisition", "custom", "receipt", "permit")
_YEAR_MS = 365 * 86_400_000


@dataclass(frozen=True, slots=True)
class ListQuery:
    """One list call, understood; the window is half-open in milliseconds and applies to the field of `order`."""

    form_type: str
    start: int
    count: int
    active: bool | None
    states: frozenset[str] | None
    submitter: str
    templates: frozenset[str] | None
    order: str
    descending: bool
    since: int | None
    until: int | None


def understand(call: Call, now_ms: int) -> ListQuery:
    """The query of a call; Refused with Hesi's text when it breaks a rule."""
    form_type = call.query.get("type", "")
    if form_type not in FORM_TYPES:
        raise Refused(400, "参数type无法识别")
    start, count = call.page()
    order = call.query.get("orderBy") or "createTime"
    if order not in ORDER_FIELDS:
        raise Refused(400, "参数orderBy无法识别")
    since, until = call.window()
    if order == "payDate" and since is None and until is None:
        # Without a window this ordering is ignored.
        order = "createTime"
    if order == "updateTime" and since is None:
        # Without a start the newer releases look back one year only.
        since = now_ms - _YEAR_MS
    return ListQuery(
        form_type=form_type,
        start=start,
        count=count,
        active=call.presence("active"),
        states=_states(call.query.get("state", "")),
        submitter=call.query.get("uid", ""),
        templates=_set(call.query.get("specificationId", "")),
        order=order,
        descending=call.query.get("orderByType", "desc") != "asc",
        since=since,
        until=until,
    )


def _set(text: str) -> frozenset[str] | None:
    return frozenset(part.strip() for part in text.split(",")) if text else None


def _states(text: str) -> frozenset[str] | None:
    """The states asked for: PROCESSING itself matches nothing, `paying` brings both."""
    states = _set(text)
    if states is None:
        return None
    states -= {"PROCESSING"}
    return states | {"PROCESSING"} if "paying" in states else states


class Listing:
    """Answers list calls from the store; views other than by updateTime are kept until a flow changes."""

    def __init__(self, tenant: Tenant) -> None:
        self._store = tenant.store
        self._views: dict[tuple[object, ...], list[Key]] = {}
        self._generation = -1

    def sequences(self, query: ListQuery) -> tuple[int, list[int]]:
        """(total, flows of the page) for a query."""
        keys = self._view(query)
        low = 0 if query.since is None else bisect_left(keys, (query.since, -1))
        # The end is meant as inclusive but behaves as exclusive: its milliseconds are lost.
        high = len(keys) if query.until is None else bisect_left(keys, (query.until, -1))
        total = max(high - low, 0)
        first, last = min(query.start, total), min(query.start + query.count, total)
        if query.descending:
            return total, [seq for _, seq in reversed(keys[high - last : high - first])]
        return total, [seq for _, seq in keys[low + first : low + last]]

    def page(self, query: ListQuery) -> Answer:
        """The answer to a list call."""
        total, sequences = self.sequences(query)
        return Answer(envelope(total, [self._store.body(seq) for seq in sequences]))

    def _view(self, query: ListQuery) -> list[Key]:
        plain = query.states is None and not query.submitter and query.templates is None
        if plain and query.order == "updateTime" and query.active is not None:
            return self._store.by_update(query.form_type, active=query.active)
        if self._generation != self._store.generation:
            self._views.clear()
            self._generation = self._store.generation
        name = (query.form_type, query.active, query.order, query.states, query.submitter, query.templates)
        if name not in self._views:
            self._views[name] = sorted(_keys(self._store, query))
        return self._views[name]


def _keys(store: FlowStore, query: ListQuery) -> list[Key]:
    field = ORDER_FIELDS[query.order]
    presences = (True, False) if query.active is None else (query.active,)
    keys = []
    for active in presences:
        for _, seq in store.by_update(query.form_type, active=active):
            head = store.heads[seq]
            if _wanted(head, query):
                keys.append((getattr(head, field), seq))
    return keys


def _wanted(head: Head, query: ListQuery) -> bool:
    if query.states is not None and head.state not in query.states:
        return False
    if query.submitter and head.submitter != query.submitter:
        return False
    if query.templates is not None and head.template not in query.templates:
        return False
    # payDate is there only for paid or archived flows that passed the cashier.
    return query.order != "payDate" or (head.paid > 0 and head.state in ("paid", "archived"))


def envelope(total: int, bodies: list[bytes]) -> bytes:
    """`{"count": total, "items": [...]}` around encoded items."""
    return b'{"count":%d,"items":[%b]}' % (total, b",".join(bodies))
