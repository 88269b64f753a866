"""Each of the seven envelopes, and everything that only looks like one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from etl.errors import PayloadChanged, SourceUnavailable
from etl.hesi.endpoints import Endpoint, Envelope
from etl.hesi.envelope import Failure, Kind, decode, judge


def endpoint(envelope: Envelope) -> Endpoint:
    return Endpoint("call", "GET", "/call", envelope)


def verdict(envelope: Envelope, body: bytes | Any, status: int = 200) -> Kind | None:
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    failure = judge(endpoint(envelope), status=status, body=content)
    return None if failure is None else failure.kind


@pytest.mark.parametrize(
    ("envelope", "body", "payload"),
    [
        (Envelope.VALUE, {"value": {"a": 1}}, {"a": 1}),
        (Envelope.VALUE, {"value": True}, True),
        (Envelope.COUNT_ITEMS, {"count": 1, "items": [{"id": "x"}]}, [{"id": "x"}]),
        (Envelope.ITEMS, {"items": []}, []),
        (Envelope.FLOW, {"value": "", "type": -1, "flow": {"id": "F"}}, {"id": "F"}),
        (Envelope.BARE, {"id": "S1"}, {"id": "S1"}),
        (Envelope.BARE, [{"id": "1"}], [{"id": "1"}]),
        (Envelope.CODE_DATA, {"code": "200", "msg": "操作成功", "data": {"t": 1}}, {"t": 1}),
    ],
)
def test_each_envelope_gives_its_payload(envelope: Envelope, body: Any, payload: Any) -> None:
    assert verdict(envelope, body) is None
    assert decode(endpoint(envelope), json.dumps(body).encode()) == payload


def test_the_empty_envelope_is_a_204_without_body() -> None:
    assert verdict(Envelope.EMPTY, b"", 204) is None
    assert verdict(Envelope.EMPTY, b"surprise", 200) is Kind.CHANGED


@pytest.mark.parametrize(
    ("envelope", "body", "kind"),
    [
        (Envelope.CODE_DATA, {"code": "403", "msg": "密钥无效", "data": ""}, Kind.BAD_KEY),
        (Envelope.CODE_DATA, {"code": "500", "msg": "system error", "data": None}, Kind.BUSY),
        (Envelope.VALUE, {"code": "403", "msg": "未授权"}, Kind.UNAUTHORISED),
        (Envelope.COUNT_ITEMS, {"errorMessage": "不允许调用此接口"}, Kind.NOT_ALLOWED),
        (Envelope.ITEMS, {"code": 412, "msg": "单据已删除"}, Kind.REFUSED),
        (Envelope.VALUE, {"value": None, "errorMessage": "单据不存在"}, Kind.REFUSED),
        (Envelope.ITEMS, "附件数量超过限制".encode(), Kind.REFUSED),
        (Envelope.BARE, {"code": "500", "msg": "应用不存在"}, Kind.BUSY),
    ],
)
def test_a_failure_that_answers_200_is_still_a_failure(envelope: Envelope, body: Any, kind: Kind) -> None:
    assert verdict(envelope, body) is kind


def test_a_plain_text_error_keeps_its_words() -> None:
    failure = judge(endpoint(Envelope.VALUE), status=412, body="单据已删除".encode())
    assert failure == Failure(Kind.REFUSED, 412, "单据已删除")


def test_a_json_error_gives_its_message_only() -> None:
    body = json.dumps({"errorMessage": "单据不存在", "id": "x"}).encode()
    assert judge(endpoint(Envelope.VALUE), status=412, body=body) == Failure(Kind.REFUSED, 412, "单据不存在")


def test_an_error_in_another_charset_is_read_with_it() -> None:
    failure = judge(endpoint(Envelope.VALUE), status=412, body="单据已删除".encode("gbk"), encoding="gbk")
    assert failure is not None
    assert failure.text == "单据已删除"


def test_a_charset_nobody_knows_does_not_hide_the_error() -> None:
    failure = judge(endpoint(Envelope.VALUE), status=412, body="单据已删除".encode(), encoding="klingon")
    assert failure is not None
    assert failure.text == "单据已删除"


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>", b"  <html lang=zh>", b"<?xml version='1.0'?>"])
def test_a_web_page_with_status_200_is_an_outage_not_data(page: bytes) -> None:
    assert verdict(Envelope.COUNT_ITEMS, page) is Kind.MAINTENANCE


@pytest.mark.parametrize("body", [b'{"count":1,"items":[{"id":"a"', b'{"count":1,"items":[{"id":"a', b'{"items":'])
def test_cut_off_json_is_trouble_worth_another_try(body: bytes) -> None:
    assert verdict(Envelope.COUNT_ITEMS, body) is Kind.BUSY
    with pytest.raises(SourceUnavailable, match="cut off"):
        decode(endpoint(Envelope.COUNT_ITEMS), body)


@pytest.mark.parametrize("body", [b"{}", b'{"item":[]}', b"[]", b"null", b"17", b'{"items":[1,}', b'{"items":NaN}', b"", b"[" * 100_000])
def test_an_unknown_envelope_is_named_as_changed(body: bytes) -> None:
    assert verdict(Envelope.ITEMS, body) is Kind.CHANGED
    with pytest.raises(PayloadChanged, match="call: expected"):
        decode(endpoint(Envelope.ITEMS), body)


def test_items_that_are_no_list_are_named_as_changed() -> None:
    with pytest.raises(PayloadChanged, match="expected a list in 'items'"):
        decode(endpoint(Envelope.ITEMS), b'{"items":null}')


def test_numbers_arrive_exactly_as_written() -> None:
    body = b'{"value":{"a":0.1,"b":100.00,"c":1e400,"d":12345678901234567890123}}'
    value = decode(endpoint(Envelope.VALUE), body)
    assert [str(value[key]) for key in "abcd"] == ["0.1", "100.00", "1E+400", "12345678901234567890123"]
    assert isinstance(value["a"], Decimal)


def test_lone_surrogates_and_a_byte_order_mark_do_not_stop_the_page() -> None:
    body = b'\xef\xbb\xbf{"value":{"t":"\\ud800","m":0.10}}'
    assert verdict(Envelope.VALUE, body) is None
    assert decode(endpoint(Envelope.VALUE), body) == {"t": "\ud800", "m": Decimal("0.10")}


def test_a_key_given_twice_counts_once_with_its_last_value() -> None:
    assert decode(endpoint(Envelope.VALUE), b'{"value":1,"value":2}') == 2


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (403, "未授权", Kind.UNAUTHORISED),
        (401, "", Kind.UNAUTHORISED),
        (403, "密钥无效", Kind.BAD_KEY),
        (403, "未开通功能，无权访问", Kind.NOT_ALLOWED),
        (405, "", Kind.NOT_ALLOWED),
        (400, "type参数错误", Kind.REFUSED),
        (404, "Error 404 Not Found", Kind.REFUSED),
        (429, "", Kind.RATE_LIMITED),
        (500, "Format specifier '%s'", Kind.BUSY),
        (504, "", Kind.BUSY),
        (400, "预算[测试\n预算]未计算完成，请稍等", Kind.CALCULATING),
        (301, "", Kind.REDIRECT),
    ],
)
def test_status_and_text_together_name_the_failure(status: int, text: str, kind: Kind) -> None:
    assert verdict(Envelope.VALUE, text.encode(), status) is kind


def test_the_words_of_a_failure_are_short_and_without_secrets() -> None:
    body = ("坏请求 https://h/x?accessToken=S3CR3T " + "x" * 1000).encode()
    failure = judge(endpoint(Envelope.VALUE), status=400, body=body)
    assert failure is not None
    assert "S3CR3T" not in failure.text
    assert len(failure.text) <= 300
