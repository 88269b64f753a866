"""Hesi: refusals, limits, broken answers at every call, pages that lie, time that jumps, claims that arrive late or deformed."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

from faults.case import Case, fired
from faults.cases import mutations
from faults.runner import Ended
from faults.world import World
from sandbox.server import listen, uvicorn_server

CALLS = 65  # of a first run on 200 claims; a fault at a later call would not fire
LIST = "getApplyList"
PUT = "erpVoucher"
# What each broken answer is; a run that is answered again a second later ends well all the same.
ANSWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "HTTP 401": ("status", {"status": 401, "text": "未授权"}),
    "HTTP 403": ("forbidden", {}),
    "HTTP 500": ("status", {"status": 500}),
    "HTTP 502": ("status", {"status": 502, "text": "<html>Bad Gateway</html>"}),
    "HTTP 504": ("status", {"status": 504, "text": "Gateway Time-out"}),
    "token revoked": ("revoke", {}),
    "HTML with 200": ("html", {}),
    "connection reset": ("reset", {}),
    "truncated body": ("truncated", {}),
    "body cut inside its JSON": ("cut_json", {}),
    "answer lost": ("lost_answer", {}),
}
HOUR_MS = 3_600_000


def cases() -> Iterator[Case]:
    """Answers at call positions, limits, pages, clocks, late and deformed claims."""
    for number, (name, (kind, options)) in enumerate(ANSWERS.items()):
        every = 1 if name in {"HTTP 401", "HTTP 403"} else 2
        for call in range(1 + number % every, CALLS, every):
            yield Case("source", name, f"call {call}", 1, partial(broken_answer, kind=kind, at=call, options=options))
    for name in ("HTTP 401", "HTTP 403", "HTTP 500", "HTML with 200", "answer lost"):
        kind, options = ANSWERS[name]
        for path in ("getAccessToken", "location"):
            yield Case("source", f"{name} at sign-in", path, 1, partial(broken_answer, kind=kind, at=1, options=options, path=path))
    for call in range(1, 14):
        lost = partial(broken_answer, kind="lost_answer", at=call, options={}, path=PUT, batch="8")
        yield Case("source", "answer lost after write-back", f"call {call}", 2, lost)
        yield Case("source", "Hesi down during write-back", f"from call {call}", 2, partial(down_in_write_back, at=call))
    for path in (LIST, "staffs", "departments", "detailBatch"):
        for name, wait in _waits():
            yield Case("source", "HTTP 429", f"{name} at {path}", 3, partial(limited, path=path, wait=wait))
    for name in ("HTTP 403", "HTTP 500"):
        for path in (LIST, "staffs"):
            yield Case("source", f"{name} for good", path, 4, partial(for_good, kind=ANSWERS[name][0], path=path))
    yield from _pages()
    yield from _claims()
    yield Case("source", "body of 1 byte a second", "staffs", 5, partial(slow, path="staffs"))
    yield Case("source", "body of 1 byte a second", LIST, 5, partial(slow, path=LIST), large=True)
    for seed in range(1, 6):
        yield Case("source", "base address moved", "before the run", seed, moved_before)
        yield Case("source", "base address moved", "named by the location call", seed, moved_by_location)
        yield Case("source", "base address moved", "to a host that is not allowed", seed, moved_away)
        for hours in (-1, 1):
            yield Case("source", "clock of this machine wrong", f"{hours:+} h", seed, partial(skewed, hours=hours))
        yield Case("source", "turn of the year in +08:00", "run at 00:10", seed, skewed_none, setting="turn of the year", scenario=turn_of_the_year)
        edits = partial(drift, kind="drift", at=2, times=3)
        yield Case("source", "equal updateTime", "150 claims", seed, edits, setting="one instant", scenario=one_instant)
    many = partial(one_instant, claims=5_000)
    yield Case("source", "equal updateTime", "5,000 claims", 1, bulk, setting="one instant, 5,000", scenario=many, large=True)


def _waits() -> Iterator[tuple[str, str | None]]:
    yield "1 second", "1"
    yield "a date", "date"
    yield "no Retry-After", None
    yield "10 years", str(10 * 365 * 86_400)


def _pages() -> Iterator[Case]:
    for seed in range(1, 11):
        for kind, name in (("duplicate_page", "page served twice"), ("empty_page", "empty page"), ("zero_count", "count=0"), ("drift", "edits between pages")):
            for at in (1, 2, 3):
                yield Case("source", name, f"list call {at}", seed, partial(drift, kind=kind, at=at))
        yield Case("source", "page served twice", "for ever", seed, partial(drift, kind="duplicate_page", at=1, times=0))
        yield Case("source", "edits between pages", "every page", seed, partial(drift, kind="drift", at=1, times=40))
        yield Case("source", "reversed pages", "list call 1", seed, reversed_page)


def _claims() -> Iterator[Case]:
    for seed in range(1, 11):
        yield Case("source", "late commits", "inside the overlap", seed, partial(late, hours=47, full=False), compare=False)
        yield Case("source", "late commits", "older than the overlap", seed, partial(late, hours=60, full=True), compare=False)
    for seed in (1, 2):
        for name in mutations.SHAPES:
            # A claim without title posts like any other, and a title that comes later changes no voucher: its summary stays as it was.
            yield Case("source", "schema mutation of a claim", name, seed, partial(deformed, name=name), compare=name != "title null")
        for name in mutations.BODIES:
            yield Case("source", "malformed JSON of a claim", name, seed, partial(malformed, name=name))


def broken_answer(world: World, kind: str, at: int, options: dict[str, Any], path: str = "", batch: str = "50") -> str:
    """One call goes wrong once."""
    fault = world.hesi.faults.add(kind, path=path, at=at, **options)
    ended = world.run(HESI_ERP_WRITE_BACK_BATCH=batch)
    if not fault.fired:  # fewer calls on this tenant
        fault.at = fault.seen // 2 + 1
        fault.seen = 0
        ended = world.run(HESI_ERP_WRITE_BACK_BATCH=batch)
    fired(fault.fired, f"{kind} at call {at}")
    return f"{ended.told} in that run"


def down_in_write_back(world: World, at: int) -> str:
    """Hesi is down from a write-back call on."""
    fault = world.hesi.faults.add("status", path=PUT, at=at, times=0, status=502)
    ended = world.run(HESI_ERP_WRITE_BACK_BATCH="8")
    fired(fault.fired, "the outage")
    done = world.count("SELECT count(*) FROM writeback_outbox WHERE status = 'DONE'")
    return f"{ended.told} with {done} numbers written; the next run wrote the rest"


def limited(world: World, path: str, wait: str | None) -> str:
    """Hesi asks for a pause."""
    if wait == "date":
        wait = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    options: dict[str, Any] = {} if wait is None else {"retry_after": wait}
    fault = world.hesi.faults.add("rate_limited", path=path, **options)
    ended = world.run()
    fired(fault.fired, "the limit")
    too_long = wait is not None and wait.isdigit() and int(wait) > 60
    assert ended.well != too_long, ended.told
    return f"{ended.told}, {'stopped at once' if too_long else 'waited and went on'}"


def for_good(world: World, kind: str, path: str) -> str:
    """A call that never succeeds."""
    fault = world.hesi.faults.add(kind, path=path, times=0)
    ended = world.run()
    fired(fault.fired and not ended.well, "the refusal")
    assert fault.fired <= 12, f"{fault.fired} tries of one call"
    assert world.vouchers == 0, "posted without having read everything"
    return f"{ended.told} after {fault.fired} tries, nothing posted"


def drift(world: World, kind: str, at: int, times: int = 1) -> str:
    """A list page that is not the right one."""
    fault = world.hesi.faults.add(kind, path=LIST, at=at, times=times)
    ended = world.run()
    if not fault.fired:
        fault.at, fault.seen = 1, 0
        ended = world.run(full=True)
    fired(fault.fired, kind)
    world.disturbed = kind == "drift" or not ended.well
    return f"{ended.told} in that run, every claim once"


def reversed_page(world: World) -> str:
    """A list served newest first."""
    body = '{"count":2,"items":[%s,%s]}'
    heads = sorted((head for head in world.hesi.tenant.store.heads if head.form_type == "expense" and head.active), key=lambda head: head.updated)
    served = [world.hesi.tenant.store.body(head.seq).decode() for head in (heads[-1], heads[0])]
    fault = world.hesi.faults.add("status", path=LIST, status=200, text=body % tuple(served))
    ended = world.run()
    fired(fault.fired, "the page")
    return f"{ended.told} in that run, every claim once"


def slow(world: World, path: str) -> str:
    """An answer that would take days."""
    fault = world.hesi.faults.add("slow", path=path, bytes_per_second=1)
    ended = world.run()
    fired(fault.fired, "the slow answer")
    return f"{ended.told}; the deadline of the call held"


def moved_before(world: World) -> str:
    """The tenant answers at another address than configured."""
    with listen("127.0.0.1", 0) as nobody:
        empty = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    ended = world.run(HESI_BASE_URL=empty)
    fired(not ended.well, "the missing answer")
    return f"{ended.told}; with the new address the next run ended well"


def moved_by_location(world: World) -> str:
    """The location call names another address in the middle of the run; the rest is read there."""
    listener = listen("127.0.0.1", 0)
    http = uvicorn_server(world.hesi.server, lambda: None)
    thread = threading.Thread(target=http.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    fault = world.hesi.faults.add("status", path="/location", status=200, text=json.dumps({"value": f"{address}/"}))
    ended = world.run()
    http.should_exit = True
    thread.join(20)
    fired(fault.fired, "the move")
    assert ended.well, f"{ended.told}: {ended.message}"
    return f"{ended.told}, read from the new address"


def moved_away(world: World) -> str:
    """The location call names a host nobody allowed."""
    fault = world.hesi.faults.add("status", path="/location", status=200, text='{"value":"https://hesi.example.org/"}')
    ended = world.run()
    fired(fault.fired, "the move")
    return f"{ended.told}; nothing was sent to the other host"


def skewed(world: World, hours: int) -> str:
    """The clock of this machine is wrong for one run."""
    ended = world.run(skew_ms=hours * HOUR_MS)
    world.disturbed = True
    return f"{ended.told} in that run; with the right clock the next run made up for it"


def skewed_none(world: World) -> str:
    """Nothing but the scenario."""
    ended = world.run()
    assert ended.well, f"{ended.told}: {ended.message}"
    return f"{ended.told}, in the period of the accounting day"


def turn_of_the_year(world: World) -> None:
    """Claims approved around midnight of New Year in Beijing, 16:00 UTC of the day before; the run follows at 00:10."""
    midnight = int(datetime(2026, 12, 31, 16, 0, tzinfo=UTC).timestamp() * 1000)
    for number, seconds in enumerate((-1, 0, 1)):
        world.hesi.tenant.set_clock(midnight + seconds * 1000 + number)
        world.hesi.tenant.add_claims(2, state="paid")
    world.hesi.tenant.set_clock(midnight)


def one_instant(world: World, claims: int = 150) -> None:
    """A bulk change in Hesi: so many claims get the same updateTime."""
    heads = [head for head in world.hesi.tenant.store.heads if head.form_type == "expense" and head.active and head.state == "paid"]
    at = world.hesi.clock.now() - HOUR_MS
    readable = [head.id for head in heads if not world.hesi.tenant.defects.get(head.id)]
    added = world.hesi.tenant.add_claims(max(0, claims - len(readable)))
    for claim in (*readable, *added):
        world.hesi.tenant.edit(claim, {"updateTime": at}, touch=False)


def bulk(world: World) -> str:
    """Fifty list pages without an updateTime to tell them apart, one of them served twice and edits between them."""
    counts = Counter(head.updated for head in world.hesi.tenant.store.heads if head.form_type == "expense" and head.active)
    fired(max(counts.values()) >= 5_000, "5,000 equal instants")
    told = drift(world, "duplicate_page", at=20)
    return f"{told}, {world.vouchers} vouchers"


def late(world: World, hours: int, full: bool) -> str:
    """Claims that become visible only after a run, with an older updateTime than that run has seen."""
    tenant = world.hesi.tenant
    ended = world.run()
    cursor = max(head.updated for head in tenant.store.heads if head.form_type == "expense" and head.active)
    claims = tenant.add_claims(4, state="paid")
    for number, claim in enumerate(claims):
        tenant.edit(claim, {"updateTime": cursor - hours * HOUR_MS - number}, touch=False)
    before = world.vouchers
    ended = world.run(full=full)
    fired(world.vouchers > before, "late claims")
    assert ended.well, f"{ended.told}: {ended.message}"
    return f"found by the {'weekly full sweep' if full else 'next run'} and posted"


def deformed(world: World, name: str) -> str:
    """One field of one claim is not what the documentation says; later it is repaired."""
    return _spoilt(world, mutations.SHAPES[name])


def malformed(world: World, name: str) -> str:
    """One claim is not JSON; later it is repaired."""
    return _spoilt(world, dict, broken=mutations.BODIES[name])


def _spoilt(world: World, change: mutations.Shape, broken: Callable[[str], str] = str) -> str:
    tenant = world.hesi.tenant
    claim = mutations.victim(tenant)
    original = tenant.store.body(tenant.seq(claim)).decode()
    mutations.serve(tenant, claim, mutations.spelled(change(tenant.flow(claim))), broken)
    ended = world.run()
    told = _what_became(world, claim, ended)
    mutations.repair(tenant, claim, original)
    world.disturbed = True
    return told


def _what_became(world: World, claim: str, ended: Ended) -> str:
    posted = world.count(f"SELECT count(*) FROM voucher WHERE claim_id = '{claim}'")
    named = world.erp.rows(f"SELECT rule FROM claim_reject WHERE claim_id = '{claim}' OR claim_id LIKE 'unreadable:%'")
    what = "posted" if posted else f"quarantined as {named[0][0]}" if named else "left out"
    return f"{ended.told}; the claim was {what}, repaired it ended as if nothing had been"
