"""Forty ways a claim's JSON can differ from the documentation, and some ways in which it is no JSON at all."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

from sandbox.tenant import Tenant

Flow = dict[str, Any]
Shape = Callable[[Flow], Flow]
_ABSENT = object()


def victim(tenant: Tenant) -> str:
    """A paid claim with two lines and nothing wrong with it."""
    for head in tenant.store.heads:
        if (head.form_type, head.state, head.active) == ("expense", "paid", True) and head.id not in {**tenant.defects, **tenant.oddities}:
            form = tenant.flow(head.id)["form"]
            if len(form["details"]) > 1 and not form.get("voucherNo"):
                return head.id
    raise LookupError("no plain claim in this tenant")


def serve(tenant: Tenant, claim: str, text: str, broken: Callable[[str], str] = str) -> None:
    """Has the sandbox send this text for a claim from now on, with the updateTime the list sorts it by."""
    before = tenant.store.heads[tenant.seq(claim)].updated
    at = tenant.clock.advance(1000)
    tenant.override(claim, broken(re.sub(rf'"updateTime":{before}\b', f'"updateTime":{at}', text)))
    after = tenant.store.heads[tenant.seq(claim)].updated
    if after != at:
        raise LookupError(f"expected the change at {at}, found {after}")


def repair(tenant: Tenant, claim: str, original: str) -> None:
    """Has the sandbox send what it sent before, with the voucher number that was written meanwhile."""
    repaired = {**json.loads(original), "updateTime": tenant.store.heads[tenant.seq(claim)].updated}
    try:
        form = tenant.flow(claim)["form"]
    except (ValueError, KeyError, TypeError):  # what stands there now has no form
        form = None
    if isinstance(form, dict):
        repaired["form"] |= {name: form[name] for name in ("voucherNo", "voucherStatus", "voucherCreateTime") if name in form}
    serve(tenant, claim, spelled(repaired))


def spelled(flow: Flow) -> str:
    """The flow as the sandbox would send it."""
    return json.dumps(flow, ensure_ascii=False, separators=(",", ":"))


def _at(*path: str | int, value: Any = _ABSENT) -> Shape:
    def change(flow: Flow) -> Flow:
        result = copy.deepcopy(flow)
        place: Any = result
        for key in path[:-1]:
            place = place[key]
        if value is _ABSENT:
            place.pop(path[-1], None)
        else:
            place[path[-1]] = value(place.get(path[-1])) if callable(value) else value
        return result

    return change


def _renamed(*path: str | int, to: str) -> Shape:
    def change(flow: Flow) -> Flow:
        result = copy.deepcopy(flow)
        place: Any = result
        for key in path[:-1]:
            place = place[key]
        place[to] = place.pop(path[-1], None)
        return result

    return change


_LINE = ("form", "details", 0, "feeTypeForm")
SHAPES: dict[str, Shape] = {
    "new field": _at("futureField", value={"nested": [1, "一"]}),
    "new field in the form": _at("form", "u_future", value="x"),
    "new field in a line": _at(*_LINE, "u_future", value=[{}]),
    "state missing": _at("state"),
    "state null": _at("state", value=None),
    "state unknown": _at("state", value="on_hold"),
    "state a number": _at("state", value=3),
    "formType unknown": _at("formType", value="voucher"),
    "formType missing": _at("formType"),
    "active missing": _at("active"),
    "active a text": _at("active", value="true"),
    "version a text": _at("version", value="7"),
    "form null": _at("form", value=None),
    "form a list": _at("form", value=[]),
    "code missing": _at("form", "code"),
    "code null": _at("form", "code", value=None),
    "code a number": _at("form", "code", value=12345),
    "title a list": _at("form", "title", value=["a", "b"]),
    "title null": _at("form", "title", value=None),
    "details missing": _at("form", "details"),
    "details null": _at("form", "details", value=None),
    "details empty": _at("form", "details", value=[]),
    "details an object": _at("form", "details", value={}),
    "line null": _at("form", "details", value=lambda lines: [None, *lines[1:]]),
    "line repeated": _at("form", "details", value=lambda lines: [*lines, lines[0]]),
    "line missing": _at("form", "details", value=lambda lines: lines[1:]),
    "fee type missing": _at("form", "details", 0, "feeTypeId"),
    "fee type unknown": _at("form", "details", 0, "feeTypeId", value="no-such-type"),
    "fee type an object": _at("form", "details", 0, "feeTypeId", value={"id": "x"}),
    "amount missing": _at(*_LINE, "amount"),
    "amount null": _at(*_LINE, "amount", value=None),
    "amount a text": _at(*_LINE, "amount", value="100.00"),
    "amount without standard": _at(*_LINE, "amount", value={"standardUnit": "元"}),
    "amount renamed": _renamed(*_LINE, "amount", to="amountMoney"),
    "total missing": _at("form", "expenseMoney"),
    "total a number": _at("form", "expenseMoney", value=100),
    "total in another currency": _at("form", "expenseMoney", value=lambda money: {**money, "standardStrCode": "XXX"}),
    "submitter missing": _at("form", "submitterId"),
    "legal entity missing": _at("form", "法人实体"),
    "legal entity unknown": _at("form", "法人实体", value="no-such-entity"),
    "department unknown": _at("form", "expenseDepartment", value="no-such-department"),
    "date a text": _at(*_LINE, "feeDate", value="2026-10-01"),
    "date in seconds": _at("form", "flowEndTime", value=lambda at: (at or 0) // 1000),
    "pay plan a text": _at("form", "payPlan", value="none"),
}
MONEY = {
    "thousands separator": '"1,234.50"',
    "full width digits": '"１２３"', "minus zero": '"-0.00"', "three decimals": '"100.005"', "1e15": '"1e15"', "1e400": "1e400",
    "NaN": "NaN", "Infinity text": '"Infinity"', "empty text": '""', "a word": '"abc"', "a boolean": "true", "hexadecimal": '"0x64"', "a list": "[100]",
    "with its currency": '"100.00 CNY"', "in Chinese": '"壹佰元"', "underscore": '"1_000"', "negative": '"-5.00"', "long number": "100000000000000000.01",
    "blanks around": '" 33.00 "', "float noise": "0.1000000000000000055",
}  # fmt: skip
BODIES: dict[str, Callable[[str], str]] = {
    "NaN for a number": lambda text: text.replace('"version":', '"version":NaN,"x":', 1),
    "1e400 for a number": lambda text: text.replace('"version":', '"version":1e400,"x":', 1),
    "key twice": lambda text: text.replace('"state":', '"state":"draft","state":', 1),
    "lone surrogate": lambda text: text.replace('"form":{', '"form":{"u_x":"\\ud800",', 1),
    "NUL in a text": lambda text: text.replace('"form":{', '"form":{"u_x":"a\\u0000b",', 1),
    "200 levels deep": lambda text: text.replace('"form":{', '"form":{"u_x":' + "[" * 200 + "]" * 200 + ",", 1),
    "2,000 levels deep": lambda text: text.replace('"form":{', '"form":{"u_x":' + "[" * 2000 + "]" * 2000 + ",", 1),
    "trailing comma": lambda text: text[:-1] + ",}",
    "single quotes": lambda text: text.replace('"', "'", 2),
    "cut off": lambda text: text[: len(text) // 2],
    "two values": lambda text: text + " " + text,
    "a text of 1 MB": lambda text: text.replace('"form":{', '"form":{"u_x":"' + "x" * 1_000_000 + '",', 1),
    "a null": lambda _: "null",
    "a number": lambda _: "7",
}
