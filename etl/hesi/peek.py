"""The little that paging needs from a page: count, ids and update times. Everything else stays bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from etl.errors import PayloadChanged, SourceUnavailable
from etl.hesi.endpoints import Endpoint
from etl.hesi.envelope import decode, decode_json, items_apart


class _Item(msgspec.Struct, rename="camel"):
    id: Any = None
    update_time: Any = None


class _Page(msgspec.Struct):
    items: list[_Item]


_PAGE = msgspec.json.Decoder(_Page)


@dataclass(frozen=True, slots=True)
class Peek:
    """Per item: its id (empty when missing), its update time (epoch ms, None when missing) and identity.

    ``keys`` recognises the same version of an item on another page: (id, update time as written); an item
    without id is known by a digest of its content.
    """

    ids: list[str]
    times: list[int | None]
    keys: list[tuple[str, Any]]

    def __len__(self) -> int:
        return len(self.ids)


def peek(endpoint: Endpoint, body: bytes) -> Peek:
    """What :class:`Peek` says about a page; wrong types in an item are not this function's business.

    Raises:
        PayloadChanged: not JSON even when its items are told apart, or ``items`` is no list.
        SourceUnavailable: the JSON is cut off.
    """
    try:
        fields: list[tuple[Any, Any]] = [(item.id, item.update_time) for item in _PAGE.decode(body).items]
    except (msgspec.DecodeError, RecursionError):
        # An item that is no object, or text the strict scanner refuses: read the page the slow way.
        fields = [(item.get("id"), item.get("updateTime")) if isinstance(item, dict) else (None, None) for item in _items(endpoint, body)]
    ids = [id_ if isinstance(id_, str) else "" for id_, _ in fields]
    marks = ids if all(ids) else _marks(ids, _items(endpoint, body))
    versions = [version if isinstance(version, (int, str)) else None for _, version in fields]
    return Peek(ids, [_milliseconds(version) for version in versions], list(zip(marks, versions, strict=True)))


def _items(endpoint: Endpoint, body: bytes) -> list[Any]:
    """The items as values; one that is no JSON as its bytes."""
    try:
        items: list[Any] = decode(endpoint, body)
    except PayloadChanged:
        items = [_value(item) for item in items_apart(body)]
        if not items:
            raise
    return items


def _value(item: bytes) -> Any:
    try:
        return decode_json(item, where="item")
    except (PayloadChanged, SourceUnavailable):
        return item


def _marks(ids: list[str], items: list[Any]) -> list[str]:
    return [id_ or "no id, sha256 " + hashlib.sha256(repr(item).encode("utf-8", "surrogatepass")).hexdigest() for id_, item in zip(ids, items, strict=True)]


def _milliseconds(value: Any) -> int | None:
    """Epoch milliseconds of a wire value; Hesi writes many numbers as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) <= 20:
        return int(value)
    return None
