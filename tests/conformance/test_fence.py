"""A run that began to read before a newer one posted may not post any more, on every target."""

from __future__ import annotations

from datetime import timedelta

import pytest

from etl.errors import AnotherRunActive
from tests.conformance.chunks import batch, one
from tests.conformance.conftest import Target

LATER = timedelta(seconds=1)


def test_a_run_may_post_while_no_newer_one_has(target: Target) -> None:
    older, newer = target.sink.fence(), target.sink.fence()

    target.sink.post(batch(one("C1"), batch_id="b1", fence=older))
    target.sink.post(batch(one("C2"), batch_id="b2", fence=newer))

    assert len(target.rows("voucher")) == 2


def test_a_run_may_not_post_after_a_newer_one(target: Target) -> None:
    older = target.sink.fence()
    target.sink.post(batch(one("C1"), batch_id="b1", fence=older + LATER))
    before = target.dump()

    with pytest.raises(AnotherRunActive, match="one that began to read at"):
        target.sink.post(batch(one("C2"), batch_id="b2", fence=older))

    assert target.dump() == before


def test_a_newer_run_with_nothing_to_post_ends_the_older_one_too(target: Target) -> None:
    older = target.sink.fence()
    target.sink.post(batch(batch_id="b1", fence=older + LATER))

    with pytest.raises(AnotherRunActive):
        target.sink.post(batch(one("C1"), batch_id="b2", fence=older))


def test_the_same_batch_may_be_tried_again(target: Target) -> None:
    fence = target.sink.fence()
    first = target.sink.post(batch(one("C1"), fence=fence))

    assert target.sink.post(batch(one("C1"), fence=fence)).vouchers == first.vouchers == 1


def test_a_database_clock_that_was_set_back_does_not_lock_everybody_out(target: Target) -> None:
    ahead = target.sink.fence() + timedelta(days=1)
    target.sink.post(batch(one("C1"), batch_id="b1", fence=ahead))

    again = target.sink.fence()

    assert again > ahead
    target.sink.post(batch(one("C2"), batch_id="b2", fence=again))
    assert len(target.rows("voucher")) == 2
