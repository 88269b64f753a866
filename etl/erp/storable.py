"""Whatever a claim says, made fit for the tables that tell people where it stands.

A claim that is refused may hold anything: a NUL, a code of ten thousand characters, a currency that is none. Its voucher is never
written (:mod:`etl.erp.fitness`), but its row in claim_state and claim_reject must be, or one bad claim would stop the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pandas as pd
import pyarrow.compute as pc
import sqlalchemy as sa

from etl.erp import arrow
from etl.frames import NO_AMOUNT

REPLACEMENT = "\ufffd"
_ID_LENGTH = 64
_HASH_LENGTH = 16


def storable(frame: pd.DataFrame, table: sa.Table) -> pd.DataFrame:
    """The frame with texts as long as the table's columns, U+0000 shown as U+FFFD and unknown amounts as 0.

    Claim ids stay different from each other (:func:`stored_id`). A frame that needs nothing is returned as it is.
    """
    changed: dict[str, pd.Series] = {}
    for name in frame.columns:
        column = table.c.get(name)
        if name.endswith("_minor"):
            if (frame[name] == NO_AMOUNT).any():
                changed[name] = frame[name].where(frame[name] != NO_AMOUNT, 0)
        elif name == "claim_id":
            if _is_odd(frame[name], _ID_LENGTH):
                changed[name] = frame[name].map(stored_id).astype("str")
        elif column is not None and isinstance(column.type, sa.String) and column.type.length and _is_odd(frame[name], column.type.length):
            changed[name] = frame[name].str.replace("\0", REPLACEMENT, regex=False).str.slice(0, column.type.length)
    return frame.assign(**changed) if changed else frame


def stored_id(claim_id: str) -> str:
    """The claim id as the tables hold it; a longer one keeps its beginning and gets a hash, so that two stay two.

    >>> stored_id("ID01aBc")
    'ID01aBc'
    """
    shown = claim_id.replace("\0", REPLACEMENT)
    if len(shown) <= _ID_LENGTH:
        return shown
    return f"{shown[: _ID_LENGTH - _HASH_LENGTH - 1]}~{sha256(claim_id.encode()).hexdigest()[:_HASH_LENGTH]}"


def stored_ids(claim_ids: Sequence[str]) -> list[str]:
    """:func:`stored_id` of each; nearly always nothing is to be changed, and one look tells."""
    if max(map(len, claim_ids), default=0) <= _ID_LENGTH and "\0" not in "".join(claim_ids):
        return list(claim_ids)
    return [stored_id(claim_id) for claim_id in claim_ids]


def _is_odd(values: pd.Series, limit: int) -> bool:
    array = arrow.text(values)
    return (pc.max(pc.binary_length(array)).as_py() or 0) > limit or arrow.holds(array, b"\0")
