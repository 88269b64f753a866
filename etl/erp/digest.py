r"""payload_sha256: the fingerprint of everything in a voucher that may never change.

The hash is SHA-256 over UTF-8 text that anyone can rebuild from the tables::

    V <us> field <us> field ...                  once, fields in the order of VOUCHER_FIELDS
    <rs> L <us> field ...                        per line, by line_no, fields in the order of LINE_FIELDS
    <rs> D <us> field ...                        per dimension, by line_no and dim_type, fields of DIMENSION_FIELDS

``<us>`` is U+001F and ``<rs>`` U+001E; no posted text may contain them (:mod:`etl.erp.fitness`). NULL is the empty text, dates are
``YYYY-MM-DD``, amounts have four decimals, exchange rates ten, tax rates four (``12.5000``). Status, erp_id and erp_number are
left out: a reversal or a later target changes them lawfully.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from etl.erp.arrow import TEXT, Ints, text_or_number

VOUCHER_FIELDS = tuple(
    "source_system claim_id claim_code entry_kind company_code book_code part_no revision claim_version voucher_word voucher_no "
    "voucher_date original_date fiscal_year fiscal_period attachment_count maker summary base_currency reverses_revision "
    "batch_id".split()
)
LINE_FIELDS = tuple(
    "line_no summary account_code currency fx_rate amount_fc debit credit tax_code tax_rate settlement_no cash_flow_item "
    "due_date business_date source_line_id".split()
)
DIMENSION_FIELDS = tuple("line_no dim_type dim_code dim_name".split())
UNIT, RECORD = "\x1f", "\x1e"


def payload_digest(vouchers: pa.Table, *, lines: pa.Table, line_of: Ints, dimensions: pa.Table, dimension_of: Ints) -> list[str]:
    """One lower-case hex digest per voucher, in the order of ``vouchers``.

    Args:
        vouchers: rows of ``voucher``, typed as :mod:`etl.erp.rows` types them.
        lines: rows of ``voucher_line``.
        line_of: position in ``vouchers`` of each line.
        dimensions: rows of ``voucher_line_dimension``.
        dimension_of: position in ``vouchers`` of each dimension.
    """
    count = len(vouchers)
    heads = _Records(vouchers, "V", VOUCHER_FIELDS, np.arange(count), count)
    bodies = _Records(lines, f"{RECORD}L", LINE_FIELDS, line_of, count)
    tails = _Records(dimensions, f"{RECORD}D", DIMENSION_FIELDS, dimension_of, count)
    parts = zip(heads.spans(), bodies.spans(), tails.spans(), strict=True)
    return [_hash(head, body, tail) for head, body, tail in parts]


def _hash(head: memoryview, body: memoryview, tail: memoryview) -> str:
    digest = sha256(head)
    digest.update(body)
    digest.update(tail)
    return digest.hexdigest()


class _Records:
    """Canonical text of many rows in one buffer; a voucher's rows lie next to each other in it."""

    def __init__(self, rows: pa.Table, mark: str, fields: tuple[str, ...], owner: Ints, owners: int) -> None:
        order = _print_order(rows, owner)
        columns = [text_or_number(rows.column(name)).cast(TEXT) for name in fields]
        joined = pc.binary_join_element_wise(pa.scalar(mark, TEXT), *columns, pa.scalar(UNIT, TEXT), null_handling="replace", null_replacement="")
        if order is not None:
            joined, owner = joined.take(pa.array(order)), owner[order]
        self._first = np.searchsorted(owner, np.arange(owners + 1))
        _, offsets, data = joined.buffers()
        self._offsets = np.frombuffer(offsets, dtype=np.int64)[joined.offset :] if len(joined) else np.zeros(1, dtype=np.int64)
        self._data = memoryview(data or b"")

    def spans(self) -> list[memoryview]:
        """The text of each voucher."""
        edges = self._offsets[self._first].tolist()
        return [self._data[start:end] for start, end in pairwise(edges)]


def _print_order(rows: pa.Table, owner: Ints) -> npt.NDArray[np.intp] | None:
    """How to sort rows by voucher, line and dimension; None where they are in order."""
    names = rows.column_names
    if "line_no" not in names:
        return None
    keys: list[npt.NDArray[np.int64]] = [rows.column("line_no").to_numpy(), owner]
    if "dim_type" in names:
        encoded = text_or_number(rows.column("dim_type")).dictionary_encode()
        kinds = encoded.dictionary.to_pylist()
        rank = np.argsort(np.argsort(np.array([kind.encode() for kind in kinds], dtype=object))) if kinds else np.empty(0, dtype=np.int64)
        keys.insert(0, rank[encoded.indices.to_numpy()])
    elif len(owner) < 2 or bool(np.all((np.diff(owner) > 0) | ((np.diff(owner) == 0) & (np.diff(keys[0]) > 0)))):
        return None
    return np.lexsort(keys)
