"""What an answer of Hesi means: a success in its envelope, or a named failure.

There are no machine codes. A failure is told by HTTP status and text; the text may be plain instead of
JSON, and some failures arrive with HTTP 200. So the envelope is fixed per endpoint
(:mod:`etl.hesi.endpoints`), never guessed, and whatever does not fit it is a failure with a name.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, NoReturn

import msgspec

from etl.errors import PayloadChanged, SourceUnavailable
from etl.hesi.endpoints import Endpoint, Envelope
from etl.payload import page_items
from etl.redaction import redact

_LONGEST_TEXT = 300
_LIST = re.compile(rb'\{"count":[0-9]+,"items":\[')
_CUT_OFF = "cut off before its end"
_WORDS = ("errorMessage", "msg", "message")
_CALCULATING = re.compile(r"预算\[.*\]未计算完成", re.DOTALL)
_UNAUTHORISED = "未授权"
_BAD_KEY = "密钥无效"
_FEATURE_GATES = ("不允许调用此接口", "未开通", "无权访问")


class Kind(Enum):
    """What the caller does about a failure."""

    UNAUTHORISED = "token refused"  # renew the token once
    BAD_KEY = "application key refused"
    RATE_LIMITED = "rate limited"  # wait as told
    BUSY = "server trouble"  # wait and try again
    CALCULATING = "budget calculating"  # wait and try again
    MAINTENANCE = "web page instead of data"  # wait and try again: a gateway speaks for a server it cannot reach
    REDIRECT = "redirect"
    NOT_ALLOWED = "not allowed"
    REFUSED = "refused"
    CHANGED = "unknown envelope"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed answer: what to do, HTTP status (or the code inside the body) and redacted text."""

    kind: Kind
    status: int
    text: str


class _Shape(msgspec.Struct, rename="camel"):
    """The outermost keys any envelope uses; contents stay undecoded."""

    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    items: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    flow: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    code: Any = None
    msg: Any = None
    message: Any = None
    error_message: Any = None


_SHAPE = msgspec.json.Decoder(_Shape)
_VALUES = msgspec.json.Decoder(float_hook=Decimal)
_EXPECTED_KEY = {
    Envelope.VALUE: "value",
    Envelope.COUNT_ITEMS: "items",
    Envelope.ITEMS: "items",
    Envelope.FLOW: "flow",
    Envelope.CODE_DATA: "data",
}


def judge(endpoint: Endpoint, *, status: int, body: bytes, encoding: str | None = None) -> Failure | None:
    """None for a success in the endpoint's envelope, else the failure and what to do about it.

    The body is scanned, not decoded: pages of 100 full claims pass here.
    """
    if not 200 <= status < 300:
        return _by_status(status, _message(body, encoding))
    if endpoint.envelope is Envelope.EMPTY:
        return None if not body.strip() else Failure(Kind.CHANGED, status, _message(body, encoding))
    if _looks_like_html(body):
        return Failure(Kind.MAINTENANCE, status, _message(body, encoding))
    if endpoint.envelope is Envelope.BARE and body.lstrip()[:1] == b"[":
        return None
    if endpoint.envelope is Envelope.COUNT_ITEMS and _LIST.match(body) and body.endswith(b"]}"):
        return None  # a whole list by its ends; whoever reads it sees every byte of it anyway
    return _judge_shape(endpoint.envelope, status, body, encoding)


def decode(endpoint: Endpoint, body: bytes) -> Any:
    """The decoded payload inside the endpoint's envelope; numbers with a point are Decimal, never binary.

    Raises:
        PayloadChanged: not JSON, or without the envelope.
        SourceUnavailable: the JSON is cut off.
    """
    whole = decode_json(body, where=endpoint.name)
    key = _EXPECTED_KEY.get(endpoint.envelope)
    if key is None:
        return whole
    if not isinstance(whole, dict) or key not in whole:
        raise PayloadChanged(f"{endpoint.name}: expected an object with {key!r}, found {_brief(whole)}; compare the answer with the API page of this call")
    if key == "items" and not isinstance(whole[key], list):
        raise PayloadChanged(f"{endpoint.name}: expected a list in 'items', found {_brief(whole[key])}")
    return whole[key]


def items_apart(body: bytes) -> list[bytes]:
    """The items of a list page that is no JSON because of what stands inside of one; empty where more than that is wrong."""
    try:
        items = [bytes(item) for item in page_items(body)]
    except PayloadChanged:
        return []
    return items if all(item.startswith(b"{") and item.endswith(b"}") for item in items) else []


def decode_json(body: bytes, *, where: str) -> Any:
    """Decoded JSON with exact numbers; accepts what strict decoders refuse but Hesi may send (lone surrogates).

    Raises:
        PayloadChanged: not JSON.
        SourceUnavailable: JSON that ends too early.
    """
    try:
        return _VALUES.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value, problem = _parse_slowly(body)
    if problem == _CUT_OFF:
        raise SourceUnavailable(f"{where}: expected JSON, found {len(body)} bytes of it {problem}; run again, the call is repeated")
    if problem:
        raise PayloadChanged(f"{where}: expected JSON, found {problem}; keep the answer and ask Hesi")
    return value


def _parse_slowly(body: bytes) -> tuple[Any, str]:
    """The value and an empty text, or None and what is wrong; slower and more forgiving than msgspec."""
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        return None, f"bytes that are not UTF-8 at {error.start}"
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_constant), ""
    except json.JSONDecodeError as error:
        ends_early = error.pos >= len(text) or error.msg.startswith("Unterminated string")
        if ends_early and text[:1] in {"{", "["}:
            return None, _CUT_OFF
        return None, f"text that is not JSON at character {error.pos}"
    except (ValueError, ArithmeticError) as error:
        return None, redact(str(error))[:_LONGEST_TEXT]
    except RecursionError:
        return None, "thousands of nested levels"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"the number {name}, which is not JSON")


def _judge_shape(envelope: Envelope, status: int, body: bytes, encoding: str | None) -> Failure | None:
    shape, problem = _shape(body)
    if shape is None:
        if problem == _CUT_OFF:
            return Failure(Kind.BUSY, status, f"{len(body)} bytes of JSON {_CUT_OFF}")
        if envelope is Envelope.COUNT_ITEMS and items_apart(body):
            return None  # one claim is broken; it will be quarantined, the others are read
        return _by_status(status, _message(body, encoding))
    key = _EXPECTED_KEY.get(envelope)
    text = _first_text(shape.error_message, shape.msg, shape.message)
    code = str(shape.code) if shape.code is not None else ""
    if envelope is Envelope.CODE_DATA:
        arrived = code == "200"
    elif key is None:
        arrived = not (text and code.isdigit() and code != "200")
    else:
        content = getattr(shape, key)
        arrived = content is not msgspec.UNSET and not (text and bytes(content) == b"null")
    if arrived:
        return None
    return _by_status(int(code) if code.isdigit() else status, text or _message(body, encoding))


def _shape(body: bytes) -> tuple[_Shape | None, str]:
    try:
        return _SHAPE.decode(body), ""
    except (msgspec.DecodeError, RecursionError):
        # Lone surrogates and a byte order mark stop the strict scanner only.
        whole, problem = _parse_slowly(body)
    if not isinstance(whole, dict):
        return None, problem
    shape = _Shape(code=whole.get("code"), msg=_first_text(*(whole.get(key) for key in _WORDS)))
    for key in {"value", "items", "flow", "data"} & whole.keys():
        setattr(shape, key, msgspec.Raw(b"null" if whole[key] is None else b"{}"))
    return shape, ""


def _by_status(status: int, text: str) -> Failure:
    """The failure of a status and text; a 2xx here means the text came instead of data."""
    if status == 429:
        return Failure(Kind.RATE_LIMITED, status, text)
    if _BAD_KEY in text:
        return Failure(Kind.BAD_KEY, status, text)
    if status == 401 or _UNAUTHORISED in text:
        return Failure(Kind.UNAUTHORISED, status, text)
    if _CALCULATING.search(text):
        return Failure(Kind.CALCULATING, status, text)
    if "生成文件中" in text or status in {500, 502, 503, 504}:
        return Failure(Kind.BUSY, status, text)
    if status in {403, 405} or any(gate in text for gate in _FEATURE_GATES):
        return Failure(Kind.NOT_ALLOWED, status, text)
    if 300 <= status < 400:
        return Failure(Kind.REDIRECT, status, text)
    if 200 <= status < 300 and not _has_words(text):
        return Failure(Kind.CHANGED, status, text)
    return Failure(Kind.REFUSED, status, text)


def _has_words(text: str) -> bool:
    """A sentence for people (all of Hesi's are Chinese), as opposed to some other JSON."""
    return not text.startswith(("{", "[")) and any("一" <= letter <= "鿿" for letter in text)


def _message(body: bytes, encoding: str | None) -> str:
    """Hesi's own words in an answer: read as text first, then looked for in JSON; redacted and short."""
    try:
        text = body.decode(encoding or "utf-8-sig", errors="replace").strip()
    except LookupError:  # a charset nobody knows
        text = body.decode("utf-8", errors="replace").strip()
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, dict):
        text = _first_text(*(whole.get(key) for key in _WORDS)) or text
    return redact(text)[:_LONGEST_TEXT]


def _first_text(*values: Any) -> str:
    return next((redact(value) for value in values if isinstance(value, str) and value.strip()), "")


def _looks_like_html(body: bytes) -> bool:
    head = body[:200].lstrip().lower()
    return head.startswith((b"<!doctype", b"<html", b"<head", b"<?xml"))


def _brief(value: Any) -> str:
    return redact(repr(value))[:120]
