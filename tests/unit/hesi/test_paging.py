"""No claim is lost, whatever happens to the list while it is read."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest

from etl.errors import PagingStuck, PayloadChanged
from etl.hesi import flows

T0 = 1_767_225_600_000  # 2026-01-01 08:00 in Shanghai
LATER = T0 + 10**9


def read(client: Any, *, since_ms: int | None = T0, cutoff_ms: int = LATER, active: bool = True) -> list[Any]:
    pages = flows.iter_pages(client, "expense", active=active, since_ms=since_ms, cutoff_ms=cutoff_ms)
    return [(page.claim_ids[i], page.update_times[i]) for page in pages for i in page.accepted]


def test_every_claim_comes_exactly_once_and_oldest_first(hesi: Any, client: Any) -> None:
    for n in range(1234):
        hesi.add(f"c{n}", T0 + n * 700)
    got = read(client)
    assert sorted(got) == sorted((row["id"], row["updateTime"]) for row in hesi.claims.values())
    assert [time for _, time in got] == sorted(time for _, time in got)


def test_the_number_of_calls_is_close_to_one_per_hundred_claims(hesi: Any, client: Any) -> None:
    for n in range(5000):
        hesi.add(f"c{n}", T0 + n * 700)
    read(client)
    assert len(hesi.calls("getApplyList")) <= 5000 / 100 + 5


def test_five_thousand_claims_in_one_second_lose_none(hesi: Any, client: Any) -> None:
    for n in range(5000):
        hesi.add(f"c{n}", T0 + n % 1000)
    hesi.add("after", T0 + 60_000)
    got = read(client)
    assert len(got) == len(dict(got)) == 5001


@pytest.mark.parametrize("seed", range(5))
def test_five_thousand_claims_in_one_second_with_five_edits_between_pages_lose_none(hesi: Any, client: Any, seed: int) -> None:
    dice = random.Random(seed)
    for n in range(5000):
        hesi.add(f"c{n}", T0 + dice.randrange(1000))
    cutoff = T0 + 1000
    now = cutoff

    def edit() -> None:
        nonlocal now
        for claim in dice.sample(sorted(hesi.claims), 5):
            now += 1
            hesi.claims[claim]["updateTime"] = now

    hesi.after_page = edit
    got = dict(read(client, cutoff_ms=cutoff))
    unedited = {claim for claim, row in hesi.claims.items() if row["updateTime"] <= cutoff}
    assert unedited <= set(got)
    hesi.after_page = lambda: None
    next_run = dict(read(client, since_ms=cutoff, cutoff_ms=LATER))
    assert set(got) | set(next_run) == set(hesi.claims)
    assert {c: next_run.get(c, t) for c, t in got.items()} == {c: hesi.claims[c]["updateTime"] for c in got}


@pytest.mark.parametrize("seed", range(10))
def test_five_edits_between_every_two_pages_lose_no_claim(hesi: Any, client: Any, seed: int) -> None:
    dice = random.Random(seed)
    for n in range(1000):
        hesi.add(f"c{n}", T0 + dice.randrange(0, 400_000))
    now, edits_left = T0 + 400_000, 30

    def edit() -> None:
        nonlocal now, edits_left
        if edits_left:
            edits_left -= 1
            for claim in dice.sample(sorted(hesi.claims), 5):
                now += 50
                hesi.claims[claim]["updateTime"] = now

    hesi.after_page = edit
    newest: dict[str, int] = {}
    for claim, time in read(client):
        newest[claim] = max(time, newest.get(claim, 0))
    assert newest == {claim: row["updateTime"] for claim, row in hesi.claims.items()}


@pytest.mark.parametrize("seed", range(5))
def test_claims_with_equal_times_in_changing_order_are_all_found(hesi: Any, client: Any, seed: int) -> None:
    dice = random.Random(seed)
    for n in range(350):
        hesi.add(f"c{n}", T0)
    for n in range(120):
        hesi.add(f"later{n}", T0 + 1000 + n * 1000)

    def shuffled(request: httpx.Request) -> httpx.Response:
        since = hesi.since(request)
        rows = [row for row in hesi.claims.values() if row["updateTime"] >= since]
        rows.sort(key=lambda row: (row["updateTime"], dice.random()))
        start = int(request.url.params["start"])
        return httpx.Response(200, json={"count": len(rows), "items": rows[start : start + 100]})

    hesi.routes["/api/openapi/v1.1/docs/getApplyList"] = shuffled
    assert {claim for claim, _ in read(client)} == set(hesi.claims)


def test_a_row_pushed_over_a_page_edge_in_every_pass_is_still_found(hesi: Any, client: Any) -> None:
    for n in range(300):
        hesi.add(f"c{n:03}", T0)
    first_ones = iter(sorted(hesi.claims))
    edits = {2: 11}  # after the second page eleven rows already read leave the second ...

    def edit() -> None:
        start = hesi.requests[-1].url.params["start"]
        calls = len(hesi.calls("getApplyList"))
        # ... and when the second is read once more, ninety leave after its first page.
        for _ in range(90 if calls > 2 and start == "0" else edits.get(calls, 0)):
            hesi.claims[next(first_ones, "c299")]["updateTime"] = LATER + 1

    hesi.after_page = edit
    found = {claim for claim, _ in read(client)}
    assert {claim for claim, row in hesi.claims.items() if row["updateTime"] == T0} <= found
    assert "c190" in found


def test_a_claim_after_the_cutoff_is_left_to_the_next_run(hesi: Any, client: Any) -> None:
    for n in range(250):
        hesi.add(f"c{n}", T0 + n)
    first = read(client, cutoff_ms=T0 + 99)
    second = read(client, since_ms=T0 + 99, cutoff_ms=LATER)
    assert len(first) == 100
    assert {c for c, _ in first} | {c for c, _ in second} == set(hesi.claims)


def test_reading_stops_at_the_cutoff_instead_of_chasing_new_edits(hesi: Any, client: Any) -> None:
    for n in range(1000):
        hesi.add(f"c{n}", T0 + n * 1000)
    read(client, cutoff_ms=T0 + 150_000)
    assert len(hesi.calls("getApplyList")) == 3


def test_an_edited_claim_comes_again_with_its_greater_time_only(hesi: Any, client: Any) -> None:
    for n in range(150):
        hesi.add(f"c{n:03}", T0 + n * 1000)
    edits = iter([lambda: hesi.claims["c000"].update(updateTime=T0 + 500_000)])
    hesi.after_page = lambda: next(edits, lambda: None)()  # noqa: PLW0108 - the next edit, page by page
    assert [time for claim, time in read(client) if claim == "c000"] == [T0, T0 + 500_000]


def test_a_claim_without_update_time_is_delivered_once_for_quarantine(hesi: Any, client: Any) -> None:
    hesi.add("no-time", None)
    for n in range(150):
        hesi.add(f"c{n}", T0 + n * 1000)
    assert [pair for pair in read(client) if pair[0] == "no-time"] == [("no-time", None)]


def test_a_claim_without_id_is_delivered_once_for_quarantine(hesi: Any, client: Any) -> None:
    hesi.add("x", T0)
    for n in range(150):
        hesi.add(f"c{n}", T0 + n * 1000)
    hesi.claims["x"]["id"] = 17
    assert [pair for pair in read(client) if pair[0] == ""] == [("", T0)]


def test_an_item_that_is_no_object_does_not_hide_its_neighbours(hesi: Any, client: Any) -> None:
    body = b'{"count":3,"items":[null,"text",{"id":"c1","updateTime":"%d","t":"\\ud800"}]}' % T0
    hesi.routes["/api/openapi/v1.1/docs/getApplyList"] = [httpx.Response(200, content=body)]
    assert ("c1", T0) in read(client)


def test_an_empty_list_is_asked_for_twice_and_yields_nothing(hesi: Any, client: Any) -> None:
    assert read(client) == []
    assert len(hesi.calls("getApplyList")) == 2


@pytest.mark.parametrize("call", [1, 2, 3, 5])
def test_an_empty_page_by_mistake_does_not_end_the_list(hesi: Any, client: Any, call: int) -> None:
    for n in range(350):
        hesi.add(f"c{n}", T0 + n * 1000)

    def mistaken(request: httpx.Request) -> httpx.Response:
        if len(hesi.calls("getApplyList")) == call:
            return httpx.Response(200, json={"count": 350, "items": []})
        return hesi.list_claims(request)

    hesi.routes["/api/openapi/v1.1/docs/getApplyList"] = mistaken
    assert len(read(client)) == 350


def test_a_wrong_first_page_does_not_hide_what_lies_before_it(hesi: Any, client: Any) -> None:
    for n in range(350):
        hesi.add(f"c{n:03}", T0 + n * 1000)
    last_rows = [hesi.claims[f"c{n}"] for n in range(340, 350)]

    def stale_once(request: httpx.Request) -> httpx.Response:
        if len(hesi.calls("getApplyList")) == 1:
            return httpx.Response(200, json={"count": 10, "items": last_rows})
        return hesi.list_claims(request)

    hesi.routes["/api/openapi/v1.1/docs/getApplyList"] = stale_once
    assert len(read(client)) == 350


def test_a_list_that_ignores_start_stops_the_run_instead_of_looping(hesi: Any, client: Any) -> None:
    rows = [{"id": f"c{n}", "updateTime": T0} for n in range(100)]
    hesi.routes["/api/openapi/v1.1/docs/getApplyList"] = lambda _: httpx.Response(200, json={"items": rows})
    with pytest.raises(PagingStuck, match=r"page of start=.* again"):
        read(client)


def test_a_list_in_another_order_stops_the_run_before_a_claim_is_lost(hesi: Any, client: Any) -> None:
    rows = [{"id": f"c{n}", "updateTime": T0 - n * 1000} for n in range(100)]
    hesi.routes["/api/openapi/v1.1/docs/getApplyList"] = lambda _: httpx.Response(200, json={"items": rows})
    with pytest.raises(PayloadChanged, match="ascending order of updateTime"):
        read(client, since_ms=None)


def test_rows_repeated_by_a_drifting_page_are_not_delivered_twice(hesi: Any, client: Any) -> None:
    for n in range(230):
        hesi.add(f"c{n:03}", T0 + n * 1000)

    def drifting(request: httpx.Request) -> httpx.Response:
        answer = hesi.list_claims(request).json()
        answer["items"] = [hesi.claims["c000"], *answer["items"]][:100]
        return httpx.Response(200, json=answer)

    hesi.routes["/api/openapi/v1.1/docs/getApplyList"] = drifting
    assert [claim for claim, _ in read(client)] == sorted(hesi.claims)


def test_a_page_carries_raw_bytes_and_an_address_without_token(hesi: Any, client: Any) -> None:
    hesi.add("c1", T0, u_备注="张三")
    (page,) = flows.iter_pages(client, "expense", active=True, since_ms=T0, cutoff_ms=LATER)
    assert "张三" in page.body.decode()
    assert page.number == 1
    assert "accessToken" not in page.url_without_token
    assert page.url_without_token.startswith("https://app.ekuaibao.com/api/openapi/v1.1/docs/getApplyList?type=expense")
    assert page.fetched_at_ms == int(hesi.clock.now * 1000)


def test_deletions_are_read_by_a_second_pass(hesi: Any, client: Any) -> None:
    hesi.add("alive", T0)
    hesi.add("dead", T0, active=False)
    assert read(client, active=True) == [("alive", T0)]
    assert read(client, active=False) == [("dead", T0)]
