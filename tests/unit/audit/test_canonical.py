"""One spelling for what is hashed."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.audit.canonical import GENESIS, canonical, decode_entry, encode_entry, proved

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_every_value_has_one_spelling_and_comes_back_from_it(value: object) -> None:
    written = canonical(value)
    assert json.loads(written) == value
    assert canonical(json.loads(written)) == written
    # What the verifier of an evidence pack writes, which has nothing but the standard library.
    assert json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() == written


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@pytest.mark.parametrize("value", [1.0, [1.5], {"a": [[0.1]]}, [["a"], [1, 0.1]], Decimal("1.00"), {1: "a"}, {"a": {2: 1}}, b"a", {"a": float("nan")}])
def test_what_has_more_than_one_spelling_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="to be hashed"):
        canonical(value)


def test_an_entry_comes_back_from_its_line() -> None:
    line, digest = encode_entry(7, prev=GENESIS, body={"kind": "decisions", "rows": [["C1", "报销", 12, None]]})
    entry = decode_entry(line[:-1])
    assert (entry.seq, entry.prev, entry.hash, entry.kind, proved(entry)) == (7, GENESIS, digest, "decisions", True)


@pytest.mark.parametrize(("old", "new"), [(b'"C1"', b'"C2"'), (b'"seq":7', b'"seq":8'), (b'"prev":"00', b'"prev":"10'), (b'"kind":"a"', b'"kind":"b"')])
def test_the_hash_covers_every_member_of_an_entry(old: bytes, new: bytes) -> None:
    line, _ = encode_entry(7, prev=GENESIS, body={"kind": "a", "claim": "C1"})
    assert proved(decode_entry(line[:-1]))
    assert not proved(decode_entry(line[:-1].replace(old, new)))


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"a":1}', b'{"body":{},"hash":"","prev":"","seq":1.0}', b'{"body":{},"hash":"","prev":"", "seq":1}',
                                  b'{"body":[],"hash":"","prev":"","seq":1}', b'{"body":{"x":1.5},"hash":"","prev":"","seq":1}', b"\xff"])  # fmt: skip
def test_a_line_that_is_no_canonical_entry_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each kind of parser says it in its own words
        decode_entry(line)
