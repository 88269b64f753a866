"""Pages are cut into claims without losing one, and claims are read with exactly the fields the mappings name."""

from __future__ import annotations

import json

import pytest

from etl.errors import PayloadChanged
from etl.payload import custom_reader, flow_decoder, page_items, repeated_key


def test_a_page_is_cut_into_its_items_as_they_are_written() -> None:
    body = b'{"count": 2, "items": [ {"id": "a", "x": 1.10} , {"id":"b"} ]}'
    assert [bytes(item) for item in page_items(body)] == [b'{"id": "a", "x": 1.10}', b'{"id":"b"}']


def test_an_empty_page_has_no_items() -> None:
    assert page_items(b'{"count":0,"items":[]}') == []
    assert page_items(b'{"items":[ ]}') == []


@pytest.mark.parametrize(
    "bad",
    [
        b'{"v":NaN}',
        b'{"v":Infinity}',
        rb'{"v":"\ud800"}',
        b'{"v":"\xff"}',
        b'{"v":}',
        b'{"v":[1,,2]}',
        b"{'v':1}",
        b'{"v":' + b"[" * 5000 + b"]" * 5000 + b"}",
        rb'{"v":"]},{\"["',
    ],
    ids=["NaN", "Infinity", "surrogate", "byte", "no value", "two commas", "quotes", "nesting", "brackets in a text"],
)
def test_one_broken_item_leaves_the_others_where_they_are(bad: bytes) -> None:
    if bad.count(b"{") > bad.count(b"}"):
        bad += b"}"
    body = b'{"items":[{"id":"a"},' + bad + b',{"id":"b"}]}'
    items = [bytes(item) for item in page_items(body)]
    assert (items[0], items[2]) == (b'{"id":"a"}', b'{"id":"b"}')
    assert items[1] == bad


@pytest.mark.parametrize(
    "body", [b'{"items":[{"id":"a"},{"id":NaN', b'{"items":[{"id":NaN} {"id":"b"}]}', b'{"items":[{"id":NaN}'], ids=["cut", "no comma", "no end"]
)
def test_a_page_that_cannot_be_cut_is_named_and_not_guessed(body: bytes) -> None:
    with pytest.raises(PayloadChanged, match="complete JSON page"):
        page_items(body)


def test_only_the_custom_fields_that_are_asked_for_are_read() -> None:
    decoder = flow_decoder(("form.u_a", "line.u_b", "share.项目", "department.legalEntity"))
    assert (decoder.form, decoder.line, decoder.share) == (("u_a",), ("u_b",), ("项目",))
    flow = {
        "id": "f",
        "formType": "expense",
        "form": {"code": "B1", "u_a": "x", "u_z": "not read", "details": [{"feeTypeForm": {"u_b": 7, "apportions": [{"apportionForm": {"项目": "p"}}]}}]},
    }
    read = decoder.flow.decode(json.dumps(flow).encode())
    line = read.form.details[0].feeTypeForm
    assert (read.form.custom_0, line.custom_0, line.apportions[0].apportionForm.custom_0) == ("x", 7, "p")
    assert not hasattr(read.form, "u_z")


def test_a_field_the_program_knows_anyway_is_read_under_its_own_name() -> None:
    decoder = flow_decoder(("form.submitterId", "form.u_x"))
    assert custom_reader(decoder.form, ["submitterId", "code"]) == ("submitterId", "custom_1")
    read = decoder.flow.decode(b'{"id":"f","formType":"expense","form":{"submitterId":"E1","u_x":"y"}}')
    assert (read.form.submitterId, read.form.custom_1) == ("E1", "y")


@pytest.mark.parametrize(
    ("item", "key"),
    [
        (b'{"a":1,"b":{"c":1,"c":2}}', "c"),
        (b'{"a":1,"a":1}', "a"),
        (b'[{"x":1},{"x":1,"x":2}]', "x"),
        (b'{"a":1,"b":[{"a":1},{"a":2}]}', None),
        (b'{"a":NaN,"a":1}', None),
        (b"not json", None),
    ],
)
def test_a_repeated_key_is_found_at_any_depth_and_only_there(item: bytes, key: str | None) -> None:
    assert repeated_key(item) == key
