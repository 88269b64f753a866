"""How a chunk's vouchers are put in order and cut for the tables."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from etl.erp import rows
from etl.erp.database import DatabaseSink
from etl.erp.port import PostingChunk
from etl.erp.rehash import altered_vouchers
from etl.erp.rows import Selection, select
from etl.errors import BatchRefused
from etl.periods import FiscalPeriod
from tests.conformance.chunks import EVENT, Chunk, batch

CLAIMS = rows.SLICE + 500


@pytest.fixture(scope="module")
def chunk() -> PostingChunk:
    """More vouchers than one slice takes, in no order."""
    names = [f"ID{number:05d}" for number in range(CLAIMS)]
    random.Random(7).shuffle(names)
    made = Chunk()
    for name in names:
        made.voucher(name)
    return made.build()


@pytest.fixture(scope="module")
def selection(chunk: PostingChunk) -> Selection:
    return select(chunk, chunk.entries["entry_no"].to_numpy())


def test_vouchers_come_in_order_of_their_key(selection: Selection) -> None:
    assert selection.vouchers["claim_id"].tolist() == [f"ID{number:05d}" for number in range(CLAIMS)]


def test_slices_hold_every_voucher_once_and_each_row_with_its_own_voucher(selection: Selection) -> None:
    slices = [part for _, part in selection.slices()]
    assert [len(part.vouchers) for part in slices] == [rows.SLICE, 500]
    for name in ("lines", "dimensions", "sources", "invoices"):
        owned = [(part.vouchers["entry_no"].to_numpy()[getattr(part, name).owner], getattr(part, name).rows) for part in slices]
        assert all((owner == frame["entry_no"]).all() for owner, frame in owned), name
        assert len(pd.concat([frame for _, frame in owned])) == len(getattr(selection, name).rows), name


@pytest.mark.parametrize(
    ("name", "told"), [("voucher_lines", "line_no"), ("line_dimensions", "dim_type"), ("line_sources", "source_part"), ("voucher_invoices", "invoice_id")]
)
def test_a_detail_that_stands_twice_is_refused_before_anything_is_written(name: str, told: str) -> None:
    made = Chunk()
    made.voucher("C1")
    once = made.build()
    frame = getattr(once, name)
    twice = replace(once, **{name: pd.concat([frame, frame.iloc[:1]], ignore_index=True)})
    with pytest.raises(BatchRefused, match=f"{name}: expected each .* once, found .*{told}.* twice"):
        select(twice, twice.entries["entry_no"].to_numpy())


def test_lines_keep_the_order_they_are_printed_in(selection: Selection) -> None:
    assert selection.lines.rows["line_no"].tolist() == [1, 2] * CLAIMS
    assert np.all(np.diff(selection.lines.owner) >= 0)


def test_what_was_written_in_slices_hashes_to_what_was_promised(chunk: PostingChunk, tmp_path: object) -> None:
    sink = DatabaseSink.open(f"sqlite:///{tmp_path}/erp.db")
    receipt = sink.post(batch(chunk))
    assert (receipt.vouchers, receipt.lines, receipt.invoices) == (CLAIMS, 2 * CLAIMS, CLAIMS)
    assert [(numbers.first, numbers.last) for numbers in receipt.numbers] == [(1, CLAIMS)]
    assert altered_vouchers(sink.engine, FiscalPeriod.of(date(EVENT.year, EVENT.month, 1))).empty
    sink.close()
