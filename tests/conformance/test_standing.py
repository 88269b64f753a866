"""One view tells where every claim version stands: each state by the deed that brings it about, on every target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from etl.erp.database import DatabaseSink
from etl.erp.engine import reading
from etl.erp.outbox import Outbox, Outcome
from etl.erp.port import PostingChunk
from etl.erp.standing import ClaimsInHand, InHand, packed, standing_of
from etl.errors import CommitUnknown
from etl.rejects import OWNER_NAMES
from faults.proxy import Act, CommitProxy
from tests.conformance.chunks import CREATED_AT, TODAY, Chunk, batch, one
from tests.conformance.conftest import Target

POSTED_AT = CREATED_AT.replace(tzinfo=None)
BEGAN = POSTED_AT - timedelta(hours=1)
IT = OWNER_NAMES["it"][0]
FIRST, SECOND = "run-of-batch-1", "run-of-batch-2"
Stands = tuple[str, int | None, str, str, str | None, str]


def stands(target: Target, claim_id: str = "C1") -> list[Stands]:
    """Entry kind, version, state, cause, run and owner of each row of the claim."""
    with reading(target.engine) as connection:
        rows = standing_of(connection, claim_id)
    return [(row["entry_kind"], row["claim_version"], row["state"], row["cause"], row["run_id"], row["owner"]) for row in rows]


def since(target: Target, claim_id: str = "C1") -> list[datetime]:
    with reading(target.engine) as connection:
        return [row["since"] for row in standing_of(connection, claim_id)]


def later(**values: Any) -> dict[str, Any]:
    at = CREATED_AT + timedelta(days=1)
    return {"batch_id": "batch-2", "created_at": at, "business_date": TODAY + timedelta(days=1), **values}


def refused(disposition: str) -> PostingChunk:
    chunk = Chunk()
    chunk.entry("C1", disposition=disposition)
    chunk.reject("C1", disposition=disposition, rule="PERIOD_CLOSED", owner="总账")
    return chunk.build()


def accrual_and_payment(**payment: Any) -> PostingChunk:
    chunk = Chunk()
    chunk.voucher("C1")
    if payment.get("disposition", "ready") == "ready":
        chunk.voucher("C1", entry_kind="PAYMENT", **payment)
    else:
        chunk.entry("C1", entry_kind="PAYMENT", **payment)
    return chunk.build()


def reversal() -> PostingChunk:
    """The red voucher of revision 0 and version 2 of the claim in its place."""
    chunk = Chunk()
    chunk.voucher("C1", claim_version=2, source_sha256="b" * 64)
    red = Chunk()
    red.entry("other")
    red.voucher("C1", lines=({"account_code": "6602.01", "debit_minor": -10_000}, {"account_code": "2241.01", "credit_minor": -10_000}))
    new, old = chunk.build(), red.build()
    undo = old.vouchers.assign(revision=1, reverses_revision=0)
    frames = ("voucher_lines", "line_dimensions", "line_sources")
    together = {name: _stacked(getattr(new, name), getattr(old, name)) for name in frames}
    return replace(new, vouchers=_stacked(new.vouchers.assign(revision=2), undo), **together)


def _stacked(first: Any, second: Any) -> Any:
    import pandas as pd

    return pd.concat([first, second], ignore_index=True)


@pytest.mark.parametrize("state", ["seen", "staged", "ready", "posting"])
def test_a_claim_a_run_has_in_hand_stands_where_the_run_stands(target: Target, state: InHand) -> None:
    in_hand = ClaimsInHand(target.engine)
    in_hand.take(FIRST, [packed([("C1", "B-C1", 7), ("C2", "", None)])], state="seen", began_at=BEGAN, at=BEGAN)
    assert in_hand.move(FIRST, state, at=POSTED_AT)

    assert stands(target) == [("", 7, state, "", FIRST, "")]
    assert stands(target, "C2") == [("", None, state, "", FIRST, "")]
    assert since(target) == [POSTED_AT]


def test_many_claims_are_few_rows_and_each_is_found(target: Target) -> None:
    claims = [(f"C{number}", "", None) for number in range(6_000)]
    ClaimsInHand(target.engine).take(FIRST, [packed(claims[:3_000]), packed(claims[3_000:])], state="seen", began_at=BEGAN, at=BEGAN)

    assert len(target.rows("claim_in_hand")) == 2
    assert [stands(target, claim)[0][2] for claim in ("C0", "C2999", "C3000", "C5999")] == ["seen"] * 4


def test_a_claim_with_a_nul_in_its_id_stands_like_any_other(target: Target) -> None:
    ClaimsInHand(target.engine).take(FIRST, [packed([("C\0 1", "B\0", 1)])], state="staged", began_at=BEGAN, at=BEGAN)

    assert [row[2] for row in stands(target, "C\0 1")] == ["staged"]


@pytest.mark.parametrize("disposition", ["held", "rejected"])
def test_a_refused_entry_names_its_rule_its_run_and_its_owner(target: Target, disposition: str) -> None:
    target.sink.post(batch(refused(disposition)))

    assert stands(target) == [("EXPENSE", 1, disposition, "PERIOD_CLOSED", FIRST, "总账")]
    assert since(target) == [POSTED_AT]


def test_a_claim_that_could_not_be_read_stands_rejected(target: Target) -> None:
    chunk = Chunk()
    chunk.reject("C1", rule="PAYLOAD_INVALID", currency="", company_code="", owner=IT)
    target.sink.post(batch(chunk.build()))

    assert stands(target) == [("EXPENSE", None, "rejected", "PAYLOAD_INVALID", FIRST, IT)]


def test_a_waiting_payment_names_what_holds_its_accrual(target: Target) -> None:
    chunk = Chunk()
    chunk.entry("C1", disposition="held")
    chunk.reject("C1", disposition="held", rule="PERIOD_CLOSED", owner="总账")
    chunk.entry("C1", entry_kind="PAYMENT", disposition="waiting")
    target.sink.post(batch(chunk.build()))

    assert [row[2:] for row in stands(target)] == [("held", "PERIOD_CLOSED", FIRST, "总账"), ("waiting", "PERIOD_CLOSED", FIRST, "总账")]


def test_a_posted_accrual_waits_for_its_number_to_be_written_back(target: Target) -> None:
    target.sink.post(batch(one("C1")))

    assert stands(target) == [("EXPENSE", 1, "write_back_pending", "PENDING", FIRST, "")]


def test_a_number_hesi_refuses_is_data_engineerings(target: Target) -> None:
    target.sink.post(batch(one("C1")))
    Outbox(target.engine).mark([Outcome("C1", "RETRY", "Hesi refused the number")], at=CREATED_AT + timedelta(days=1), run_id=SECOND)

    assert stands(target) == [("EXPENSE", 1, "write_back_pending", "RETRY", SECOND, IT)]


def test_a_posted_accrual_whose_number_cannot_be_sent_stays_posted(target: Target) -> None:
    target.sink.post(batch(one("C1", hesi_state="archived")))

    assert [row[2:4] for row in stands(target)] == [("posted", "BLOCKED")]


def test_a_number_hesi_carries_is_written_back(target: Target) -> None:
    target.sink.post(batch(one("C1")))
    at = CREATED_AT + timedelta(hours=2)
    Outbox(target.engine).mark([Outcome("C1", "DONE")], at=at, run_id=SECOND)

    assert stands(target) == [("EXPENSE", 1, "written_back", "", SECOND, "")]
    assert since(target) == [at.replace(tzinfo=None)]


def test_a_claim_is_settled_when_every_payment_of_it_is_posted(target: Target) -> None:
    target.sink.post(batch(accrual_and_payment(disposition="waiting")))
    Outbox(target.engine).mark([Outcome("C1", "DONE")], at=CREATED_AT, run_id=FIRST)
    assert [row[2] for row in stands(target)] == ["written_back", "waiting"]
    chunk = Chunk()
    chunk.entry("C1", disposition="unchanged", hesi_voucher_no="记-1")
    chunk.voucher("C1", entry_kind="PAYMENT", hesi_voucher_no="记-1")
    target.sink.post(batch(chunk.build(), **later()))

    assert stands(target) == [("EXPENSE", 1, "settled", "", SECOND, ""), ("PAYMENT", 1, "posted", "", SECOND, "")]


def test_a_version_that_was_reversed_is_listed_beside_the_one_that_took_its_place(target: Target) -> None:
    target.sink.post(batch(one("C1")))
    target.sink.post(batch(reversal(), **later()))

    assert stands(target) == [("EXPENSE", 1, "reversed", "REVERSED", SECOND, ""), ("EXPENSE", 2, "write_back_pending", "PENDING", SECOND, "")]
    assert since(target) == [POSTED_AT + timedelta(days=1)] * 2


def test_posting_leaves_nothing_in_hand_and_a_rerun_leaves_everything_as_it_was(target: Target) -> None:
    in_hand = ClaimsInHand(target.engine)
    in_hand.take(FIRST, [packed([("C1", "B-C1", 1)])], state="posting", began_at=BEGAN, at=BEGAN)
    target.sink.post(batch(one("C1")))
    before = target.dump()
    in_hand.take(SECOND, [packed([("C1", "B-C1", 1)])], state="posting", began_at=BEGAN, at=BEGAN)

    target.sink.post(batch(one("C1"), **later()))

    assert target.dump() == before
    assert target.rows("claim_in_hand") == []


def test_a_batch_that_is_refused_leaves_its_claims_in_hand(target: Target) -> None:
    in_hand = ClaimsInHand(target.engine)
    in_hand.take(FIRST, [packed([("C1", "B-C1", 1)])], state="posting", began_at=BEGAN, at=BEGAN)

    with pytest.raises(RuntimeError):
        target.sink.post(replace(batch(), chunks=_broken()))

    assert in_hand.move(FIRST, "failed", cause="BATCH_REFUSED", at=POSTED_AT)
    assert stands(target) == [("", 1, "failed", "BATCH_REFUSED", FIRST, IT)]


def _broken() -> Iterator[PostingChunk]:
    yield one("C1")
    raise RuntimeError("the reader broke")


def test_a_newer_run_that_posts_ends_what_older_ones_had_in_hand_and_not_what_newer_ones_have(target: Target) -> None:
    in_hand = ClaimsInHand(target.engine)
    fences = [target.sink.fence() + timedelta(seconds=number) for number in range(3)]
    for name, fence in zip(("old", "mine", "new"), fences, strict=True):
        in_hand.take(name, [packed([(name, "", None)])], state="staged", began_at=fence, at=BEGAN)

    target.sink.post(batch(one("C1"), run_id="mine", fence=fences[1]))

    assert [row["run_id"] for row in target.rows("claim_in_hand")] == ["new"]


def test_a_posting_nothing_was_heard_of_is_unknown_and_looked_up_as_never_posted(target: Target) -> None:
    in_hand = ClaimsInHand(target.engine)
    in_hand.take(FIRST, [packed([("C1", "B-C1", 1)])], state="posting", began_at=BEGAN, at=BEGAN)

    in_hand.question(at=POSTED_AT)
    assert stands(target) == [("", 1, "unknown", "COMMIT_UNKNOWN", FIRST, IT)]
    assert in_hand.move(FIRST, "failed", cause="COMMIT_UNKNOWN", at=POSTED_AT)
    assert stands(target) == [("", 1, "failed", "COMMIT_UNKNOWN", FIRST, IT)]

    target.sink.post(batch(one("C1")))
    assert [row[2] for row in stands(target)] == ["write_back_pending"]


def test_a_posting_whose_answer_was_lost_is_looked_up_as_posted(target: Target) -> None:
    in_hand = ClaimsInHand(target.engine)
    in_hand.take(FIRST, [packed([("C1", "B-C1", 1)])], state="posting", began_at=BEGAN, at=BEGAN)
    target.sink.post(batch(one("C1")))

    in_hand.question(at=POSTED_AT)
    assert not in_hand.move(FIRST, "failed", at=POSTED_AT)

    assert [row[2] for row in stands(target)] == ["write_back_pending"]
    assert target.sink.post(batch(one("C1"))).vouchers == 1
    assert len(target.rows("voucher")) == 1


def test_a_claim_only_seen_is_not_questioned(target: Target) -> None:
    in_hand = ClaimsInHand(target.engine)
    in_hand.take(FIRST, [packed([("C1", "B-C1", 1)])], state="seen", began_at=BEGAN, at=BEGAN)

    in_hand.question(at=POSTED_AT)

    assert [row[2] for row in stands(target)] == ["seen"]


@pytest.mark.parametrize(("act", "committed"), [("lose the reply", True), ("cut before", False)])
def test_a_line_cut_at_the_commit_is_unknown_until_the_rows_in_hand_tell(pg_url: str, tmp_path: Path, act: Act, committed: bool) -> None:
    proxy = CommitProxy(pg_url.replace("+psycopg", ""), tmp_path, act)
    DatabaseSink.open(pg_url).close()
    sink = DatabaseSink.open(proxy.address(pg_url))
    sink.in_hand.take(FIRST, [packed([("C1", "B-C1", 1)])], state="posting", began_at=BEGAN, at=BEGAN)

    with pytest.raises(CommitUnknown, match="expected the answer to a commit"):
        sink.post(batch(one("C1")))

    assert proxy.fired.is_set()
    assert sink.in_hand.move(FIRST, "failed", cause="COMMIT_UNKNOWN", at=POSTED_AT) is not committed
    assert (sink.known_states(["C1"])["state"].tolist() == ["posted"]) is committed
    assert sink.post(batch(one("C1"))).vouchers == 1
    sink.close()
    proxy.close()


def test_one_claim_is_found_by_index_and_not_by_reading_the_whole_view(pg_url: str) -> None:
    sink = DatabaseSink.open(pg_url)
    sink.post(batch(one("C1")))
    with reading(sink.engine) as connection:
        connection.exec_driver_sql("SET enable_seqscan = off")
        plan = "\n".join(row[0] for row in connection.exec_driver_sql("EXPLAIN SELECT * FROM claim_standing WHERE claim_id = 'C1'"))

    assert plan.count("Index Cond: ((claim_id)::text = 'C1'::text)") >= 2
    sink.close()


def test_nobody_is_questioned_while_somebody_posts(pg_url: str) -> None:
    sink = DatabaseSink.open(pg_url)
    sink.post(batch(one("C0")))  # not the first load, whose readers wait
    sink.in_hand.take(FIRST, [packed([("C1", "B-C1", 1)])], state="posting", began_at=BEGAN, at=BEGAN)

    def asked_meanwhile() -> Iterator[PostingChunk]:
        sink.in_hand.question(at=datetime(2026, 9, 1, tzinfo=UTC).replace(tzinfo=None))
        with reading(sink.engine) as connection:
            assert [row["state"] for row in standing_of(connection, "C1")] == ["posting"]
        yield one("C1")

    assert sink.post(replace(batch(), **later(), chunks=asked_meanwhile())).vouchers == 1
    sink.close()
