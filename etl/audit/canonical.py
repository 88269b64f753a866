"""One spelling for every value that is hashed or signed, so that anybody gets the same bytes.

Canonical JSON: keys sorted by code point, no blanks, UTF-8 without escapes beyond those JSON asks for, whole numbers only;
money is decimal text. An entry's hash covers its place and the hash of its body, so a chain can be proved link by link while
the body of an entry is withheld::

    hash = SHA-256(canonical({"body_sha256": SHA-256(canonical(body)), "prev": hash of the entry before, "seq": number}))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec

GENESIS = "0" * 64
_SCALARS = frozenset({str, int, bool, type(None)})
# Byte for byte what json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")) gives, in an eighth of the time.
_SPELL = msgspec.json.Encoder(order="sorted").encode


def canonical(value: object) -> bytes:
    """The one UTF-8 spelling of a value of dicts, lists, text, whole numbers, booleans and null.

    >>> canonical({"b": [1, None], "a": "金额"}).decode()
    '{"a":"金额","b":[1,null]}'

    Raises:
        TypeError: a float, a key that is no text, or anything else that has more than one spelling.
    """
    _refuse_ambiguous(value)
    return _SPELL(value)


def _refuse_ambiguous(value: object) -> None:
    kind = type(value)
    if kind in _SCALARS:
        return
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("expected text keys only in a value to be hashed")
        for item in value.values():
            _refuse_ambiguous(item)
    elif isinstance(value, (list, tuple)):
        # Lists of rows of scalars are nearly everything: one look at the types of each level is enough.
        kinds = set(map(type, value))
        if not kinds <= _SCALARS and not (kinds == {list} and _SCALARS.issuperset(map(type, chain.from_iterable(value)))):
            for item in value:
                _refuse_ambiguous(item)
    else:
        raise TypeError(f"expected text, whole numbers, lists or dicts in a value to be hashed, found {kind.__name__}")


def sha256_hex(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def entry_hash(seq: int, *, prev: str, body_sha256: str) -> str:
    """The hash that chains an entry to the one before it."""
    return sha256_hex(canonical({"body_sha256": body_sha256, "prev": prev, "seq": seq}))


@dataclass(frozen=True)
class Entry:
    """One line of the log. ``hash`` follows from the others; a parsed entry may claim another one."""

    seq: int
    prev: str
    hash: str
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """What the entry is about."""
        return str(self.body.get("kind", ""))


def encode_entry(seq: int, *, prev: str, body: Mapping[str, Any]) -> tuple[bytes, str]:
    """The line of an entry with its line feed, and the entry's hash."""
    written = canonical(dict(body))
    digest = entry_hash(seq, prev=prev, body_sha256=sha256_hex(written))
    return b'{"body":%b,"hash":"%b","prev":"%b","seq":%d}\n' % (written, digest.encode(), prev.encode(), seq), digest


def decode_entry(line: bytes) -> Entry:
    """The entry of a line without its line feed; whether its hash is right is for :func:`proved` to say.

    Raises:
        ValueError: the line is not the canonical spelling of an entry.
    """
    found = json.loads(line)
    if not isinstance(found, dict) or found.keys() != {"body", "hash", "prev", "seq"}:
        raise ValueError("not the members of an entry")
    entry = Entry(found["seq"], found["prev"], found["hash"], found["body"])
    if type(entry.seq) is not int or type(entry.prev) is not str or type(entry.hash) is not str or not isinstance(entry.body, dict):
        raise ValueError("not the types of an entry")
    try:
        again = canonical(found)
    except TypeError as error:
        raise ValueError(str(error)) from None
    if again != line:
        raise ValueError("not the canonical spelling of an entry")
    return entry


def proved(entry: Entry) -> bool:
    """Whether the hash of an entry is that of its content and place."""
    return entry.hash == entry_hash(entry.seq, prev=entry.prev, body_sha256=sha256_hex(canonical(dict(entry.body))))
