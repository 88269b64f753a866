"""A list page with one claim that is no JSON: the page is taken, the claim is known by its content, the others by their ids."""

from __future__ import annotations

import pytest

from etl.errors import PayloadChanged
from etl.hesi.endpoints import APPLY_LIST
from etl.hesi.envelope import Kind, judge
from etl.hesi.peek import peek

GOOD = b'{"id":"a","updateTime":1},{"id":"c","updateTime":3}'


def page(broken: bytes) -> bytes:
    first, second = GOOD.split(b"},{")
    return b'{"count":3,"items":[' + first + b"}," + broken + b",{" + second + b"]}"


@pytest.mark.parametrize(
    "broken",
    [b'{"id":"b","updateTime":2,"m":NaN}', b'{"id":"b",}', b'{"id":"b" "updateTime":2}'],
    ids=["NaN", "a comma too many", "no comma"],
)
def test_one_broken_claim_does_not_stop_its_page(broken: bytes) -> None:
    body = page(broken)
    assert judge(APPLY_LIST, status=200, body=body) is None
    found = peek(APPLY_LIST, body)
    assert found.ids == ["a", "", "c"]
    assert found.times == [1, None, 3]
    assert found.keys[1][0].startswith("no id, sha256 ")


def test_the_same_broken_claim_is_recognised_on_the_next_page() -> None:
    broken = b'{"id":"b","m":NaN}'
    assert peek(APPLY_LIST, page(broken)).keys[1] == peek(APPLY_LIST, b'{"count":1,"items":[' + broken + b"]}").keys[0]


@pytest.mark.parametrize("body", [b'{"items":[1,}', b'{"items":NaN}', b"'items'", b'{"count":NaN,"items":[{"id":"a"}]}'])
def test_a_page_that_is_broken_outside_its_claims_is_refused(body: bytes) -> None:
    failure = judge(APPLY_LIST, status=200, body=body)
    assert failure is not None
    assert failure.kind is Kind.CHANGED
    with pytest.raises(PayloadChanged):
        peek(APPLY_LIST, body)
