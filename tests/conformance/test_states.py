"""What every sink keeps about claims that are not posted, that moved after posting, and that wait for their number in Hesi."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from etl.erp.outbox import Outbox, Outcome
from etl.erp.port import PostingChunk
from etl.frames import NO_AMOUNT, REJECTS
from tests.conformance.chunks import CREATED_AT, TODAY, Chunk, batch, one
from tests.conformance.conftest import Target


def later(days: int = 1) -> dict[str, Any]:
    return {"batch_id": f"batch+{days}", "created_at": CREATED_AT + timedelta(days=days), "business_date": TODAY + timedelta(days=days)}


def entry(claim_id: str, **values: Any) -> PostingChunk:
    chunk = Chunk()
    chunk.entry(claim_id, **values)
    return chunk.build()


def rejected(claim_id: str, **values: Any) -> PostingChunk:
    chunk = Chunk()
    chunk.entry(claim_id, disposition=values.get("disposition", "rejected"))
    chunk.reject(claim_id, **values)
    return chunk.build()


def test_a_reject_is_due_its_codes_days_after_it_was_first_seen(target: Target) -> None:
    target.sink.post(batch(rejected("C1", rule="PAYEE_UNKNOWN", disposition="held")))

    row = target.rows("claim_reject")[0]
    assert (row["disposition"], row["first_seen_on"], row["due_date"], row["claimant_name"]) == ("held", TODAY, TODAY + timedelta(days=3), "张*")
    assert target.sink.open_entries()[["claim_id", "state", "amount_minor"]].values.tolist() == [["C1", "held", 10_000]]


def test_a_reject_that_changes_its_reason_keeps_its_first_day(target: Target) -> None:
    target.sink.post(batch(rejected("C1")))
    target.sink.post(batch(rejected("C1", rule="PAYEE_UNKNOWN", disposition="held"), **later(5)))

    row = target.rows("claim_reject")[0]
    assert (row["rule"], row["first_seen_on"], row["due_date"]) == ("PAYEE_UNKNOWN", TODAY, TODAY + timedelta(days=3))
    assert [row["state"] for row in target.rows("claim_state")] == ["held"]


def test_a_reject_goes_when_its_entry_posts(target: Target) -> None:
    target.sink.post(batch(rejected("C1")))
    receipt = target.sink.post(batch(one("C1"), **later()))

    assert (receipt.vouchers, receipt.rejects_open) == (1, 0)
    assert target.rows("claim_reject") == []
    assert [row["state"] for row in target.rows("claim_state")] == ["posted"]


def test_a_reject_stays_while_its_entry_is_unchanged(target: Target) -> None:
    target.sink.post(batch(rejected("C1")))
    before = target.dump()
    target.sink.post(batch(entry("C1", disposition="unchanged"), **later()))

    assert target.dump() == before


@pytest.mark.parametrize("disposition", ["skipped", "waiting"])
def test_a_reject_goes_when_its_entry_is_merely_waiting_or_skipped(target: Target, disposition: str) -> None:
    target.sink.post(batch(rejected("C1")))
    target.sink.post(batch(entry("C1", disposition=disposition), **later()))

    assert target.rows("claim_reject") == []
    assert [row["state"] for row in target.rows("claim_state")] == [disposition]


def test_an_open_entry_that_is_gone_leaves_no_trace(target: Target) -> None:
    target.sink.post(batch(rejected("C1")))
    target.sink.post(batch(entry("C1", disposition="gone"), **later()))

    assert target.rows("claim_reject") == target.rows("claim_state") == []


def test_a_reject_of_one_kind_leaves_the_other_kind_alone(target: Target) -> None:
    chunk = Chunk()
    chunk.voucher("C1")
    chunk.entry("C1", entry_kind="PAYMENT", disposition="held")
    chunk.reject("C1", entry_kind="PAYMENT", disposition="held", rule="BANK_UNMAPPED")
    target.sink.post(batch(chunk.build()))

    assert [(row["entry_kind"], row["state"]) for row in target.rows("claim_state")] == [("EXPENSE", "posted"), ("PAYMENT", "held")]
    assert [row["entry_kind"] for row in target.rows("claim_reject")] == ["PAYMENT"]


def test_a_part_that_is_no_longer_in_the_claim_is_no_longer_waiting(target: Target) -> None:
    chunk = Chunk()
    chunk.voucher("C1")
    for part in (1, 2):
        chunk.entry("C1", entry_kind="PAYMENT", part_no=part, disposition="waiting")
    target.sink.post(batch(chunk.build()))
    again = Chunk()
    again.entry("C1", disposition="unchanged")
    again.entry("C1", entry_kind="PAYMENT", disposition="waiting")
    target.sink.post(batch(again.build(), **later()))

    assert [(row["entry_kind"], row["part_no"]) for row in target.rows("claim_state")] == [("EXPENSE", 0), ("PAYMENT", 1)]


def test_a_reject_without_any_entry_is_kept_until_its_claim_comes_again(target: Target) -> None:
    chunk = Chunk()
    chunk.reject("C1", rule="PAYLOAD_INVALID", currency="", company_code="")
    target.sink.post(batch(chunk.build()))
    assert [row["claim_id"] for row in target.rows("claim_reject")] == ["C1"]

    target.sink.post(batch(one("C1"), **later()))
    assert target.rows("claim_reject") == []


def test_a_nul_in_what_people_read_is_shown_not_stored(target: Target) -> None:
    target.sink.post(batch(rejected("C\0 1", reason="title 'a\0b'")))
    before = target.dump()
    target.sink.post(batch(rejected("C\0 1", reason="title 'a\0b'"), **later()))

    row = target.rows("claim_reject")[0]
    assert (row["claim_id"], row["reason"]) == ("C� 1", "title 'a�b'")
    assert target.sink.known_states(["C\0 1"])["state"].tolist() == ["rejected"]
    assert target.dump() == before


HOSTILE = {
    "claim_code": "长" * 500, "hesi_state": "x" * 200, "hesi_voucher_no": "9" * 900, "company_code": "c" * 99, "currency": "BITCOIN",
    "department_code": "d\0" * 300, "claimant_name": "n" * 999, "raw_ref": "r" * 999, "amount_minor": NO_AMOUNT, "event_day": 2**31 - 1,
    "source_updated_ms": 9_007_199_254_740_991, "claim_version": 2**63 - 1,
}  # fmt: skip


def test_a_rejected_claim_may_hold_anything_and_stops_nobody(target: Target) -> None:
    chunk = Chunk()
    for claim_id in ("i" * 300 + "a", "i" * 300 + "b"):
        chunk.entry(claim_id, disposition="rejected", **HOSTILE)
        chunk.reject(claim_id, reason="because " * 900, **{name: value for name, value in HOSTILE.items() if name in REJECTS.columns})
    chunk.voucher("C1")
    built = chunk.build()
    assert target.sink.unfit(built).empty
    receipt = target.sink.post(batch(built))
    before = target.dump()

    again = target.sink.post(batch(built, **later()))

    assert (receipt.vouchers, receipt.rejects_open, again.changed_rows) == (1, 2, 0)
    assert target.dump() == before
    assert len(target.sink.known_states(["i" * 300 + "a"])) == 1
    rows = [row for row in target.rows("claim_state") if row["state"] == "rejected"]
    assert [(row["event_date"], row["updated_at"], row["amount"], len(row["claim_id"])) for row in rows] == [(None, None, 0, 64)] * 2


def test_names_are_masked_wherever_a_claim_stands_but_real_in_the_voucher(target: Target) -> None:
    chunk = Chunk()
    chunk.voucher("C1")
    chunk.entry("C2", disposition="rejected", claimant_name="欧阳娜娜")
    chunk.reject("C2", claimant_name="欧阳娜娜")
    target.sink.post(batch(chunk.build()))

    assert {row["claimant_name"] for row in target.rows("claim_state")} == {"张*", "欧***"}
    assert "张三" in target.rows("voucher")[0]["summary"]


def test_known_states_tell_what_the_mapping_needs(target: Target) -> None:
    chunk = Chunk()
    chunk.voucher("C1", source_sha256="b" * 64)
    chunk.entry("C2", disposition="skipped", currency="JPY", amount_minor=55)
    target.sink.post(batch(chunk.build()))

    known = target.sink.known_states(["C2", "C1", "C9"]).sort_values("claim_id")

    columns = ["claim_id", "entry_kind", "part_no", "state", "posted", "amount_minor", "currency", "outbox_number", "outbox_status"]
    assert known[columns].values.tolist() == [
        ["C1", "EXPENSE", 0, "posted", True, 10_000, "CNY", "记-1", "PENDING"],
        ["C2", "EXPENSE", 0, "skipped", False, 55, "JPY", "", ""],
    ]
    assert known["source_sha256"].tolist() == ["b" * 64, "a" * 64]
    assert target.sink.known_states([]).empty


def drifting(**values: Any) -> PostingChunk:
    return entry("C1", **{"disposition": "drift", "source_sha256": "c" * 64, "amount_minor": 12_000, **values})


def test_drift_says_what_was_posted_and_what_the_source_says_now(target: Target) -> None:
    target.sink.post(batch(one("C1")))
    target.sink.post(batch(drifting(), **later(1)))
    target.sink.post(batch(drifting(), **later(2)))

    row = target.rows("claim_drift")[0]
    assert (row["posted_amount"], row["source_amount"], row["cause"], row["found_on"]) == (Decimal(100), Decimal(120), "changed", TODAY + timedelta(days=1))
    assert [(state["state"], state["amount"], state["source_sha256"]) for state in target.rows("claim_state")] == [("posted", Decimal(100), "a" * 64)]
    assert len(target.rows("voucher")) == 1


@pytest.mark.parametrize("values", [{"hesi_state": "deleted"}, {"hesi_state": "nullify"}, {"amount_minor": 0}])
def test_a_claim_that_vanished_drifts_down_to_nothing(target: Target, values: dict[str, Any]) -> None:
    target.sink.post(batch(one("C1")))
    target.sink.post(batch(drifting(**values), **later()))

    assert [(row["cause"], row["source_amount"]) for row in target.rows("claim_drift")] == [("vanished", Decimal(0))]


def test_drift_goes_when_the_source_ties_again(target: Target) -> None:
    target.sink.post(batch(one("C1")))
    target.sink.post(batch(drifting(), **later(1)))
    target.sink.post(batch(entry("C1", disposition="unchanged"), **later(2)))

    assert target.rows("claim_drift") == []


def test_commitments_are_written_when_they_differ_and_only_then(target: Target) -> None:
    def requisition(**values: Any) -> PostingChunk:
        chunk = Chunk()
        chunk.commitment("R1", **values)
        return chunk.build()

    target.sink.post(batch(requisition()))
    assert target.sink.post(batch(requisition(source_updated_ms=1_788_300_000_000), **later(1))).changed_rows == 0
    target.sink.post(batch(requisition(amount_minor=1), **later(2)))

    assert [row["amount"] for row in target.rows("commitment")] == [Decimal("0.01")]


def outbox_of(target: Target) -> list[tuple[Any, ...]]:
    return [(row["status"], row["reason"].partition(":")[0], row["hesi_state"]) for row in target.rows("writeback_outbox")]


def test_an_accrual_queues_its_number_in_the_posting_transaction(target: Target) -> None:
    chunk = Chunk()
    chunk.voucher("C1", hesi_state="paying")
    chunk.voucher("C2")
    chunk.voucher("C3", hesi_state="archived")
    target.sink.post(batch(chunk.build(), number_template="{company_code}/{fiscal_period}/{voucher_word}-{voucher_no}"))

    rows = target.rows("writeback_outbox")
    assert outbox_of(target) == [("PENDING", "", "paying"), ("PENDING", "", "paid"), ("BLOCKED", "ARCHIVED", "archived")]
    assert [row["voucher_number"] for row in rows] == [f"C01/2026-08/记-{number}" for number in (1, 2, 3)]
    assert [row["fiscal_period"] for row in rows] == ["2026-08"] * 3
    assert {row["voucher_created_ms"] for row in rows} == {int(CREATED_AT.timestamp() * 1000)}


def test_only_numbers_of_paid_claims_are_due(target: Target) -> None:
    chunk = Chunk()
    chunk.voucher("C1", hesi_state="paying")
    chunk.voucher("C2")
    target.sink.post(batch(chunk.build()))

    assert [(row.claim_id, row.voucher_number) for row in Outbox(target.engine).pending()] == [("C2", "记-2")]
    assert Outbox(target.engine).counts() == {"PENDING": 2}

    again = Chunk()
    again.entry("C1", disposition="unchanged", hesi_state="paid")
    target.sink.post(batch(again.build(), **later()))
    assert [row.claim_id for row in Outbox(target.engine).pending(limit=1)] == ["C1"]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"hesi_voucher_no": "记-1"}, ("DONE", "", "paid")),
        ({"hesi_voucher_no": "转-77"}, ("BLOCKED", "FOREIGN_NUMBER", "paid")),
        ({"hesi_state": "archived"}, ("BLOCKED", "ARCHIVED", "archived")),
        ({"hesi_state": "archived", "hesi_voucher_no": "记-1"}, ("DONE", "", "archived")),
        ({}, ("PENDING", "", "paid")),
    ],
)
def test_what_hesi_shows_decides_what_becomes_of_a_number(target: Target, seen: dict[str, Any], expected: tuple[str, ...]) -> None:
    target.sink.post(batch(one("C1")))
    target.sink.post(batch(entry("C1", disposition="unchanged", **seen), **later()))

    assert outbox_of(target) == [expected]


def test_a_foreign_number_that_was_cleared_frees_our_number(target: Target) -> None:
    target.sink.post(batch(one("C1")))
    target.sink.post(batch(entry("C1", disposition="unchanged", hesi_voucher_no="转-77"), **later(1)))
    target.sink.post(batch(entry("C1", disposition="unchanged"), **later(2)))

    assert outbox_of(target) == [("PENDING", "", "paid")]


def test_our_own_echo_after_the_write_back_is_no_news(target: Target) -> None:
    chunk = Chunk()
    chunk.voucher("C1")
    chunk.voucher("C1", entry_kind="PAYMENT")
    target.sink.post(batch(chunk.build()))
    Outbox(target.engine).mark([Outcome("C1", "DONE")], at=datetime(2026, 9, 1, 3, tzinfo=UTC))
    before = target.dump()
    echo = Chunk()
    echo.entry("C1", disposition="unchanged", hesi_voucher_no="记-1", source_updated_ms=1_788_300_000_000, claim_version=2)
    echo.entry("C1", entry_kind="PAYMENT", disposition="unchanged", hesi_voucher_no="记-1", source_updated_ms=1_788_300_000_000, claim_version=2)
    receipt = target.sink.post(batch(echo.build(), **later()))

    assert receipt.changed_rows == 0
    assert target.dump() == before
    assert outbox_of(target) == [("DONE", "", "paid")]


def test_a_number_somebody_took_out_of_hesi_is_said_once_and_until_it_is_back(target: Target) -> None:
    target.sink.post(batch(one("C1")))
    Outbox(target.engine).mark([Outcome("C1", "DONE")], at=CREATED_AT)
    shown = entry("C1", disposition="unchanged")
    target.sink.post(batch(shown, **later(1)))
    assert outbox_of(target) == [("DONE", "REMOVED", "paid")]
    before = target.dump()

    assert target.sink.post(batch(shown, **later(2))).changed_rows == 0
    assert target.dump() == before

    target.sink.post(batch(entry("C1", disposition="unchanged", hesi_voucher_no="记-1"), **later(3)))
    assert outbox_of(target) == [("DONE", "", "paid")]


def test_a_posting_repeated_after_its_write_back_does_not_call_the_number_removed(target: Target) -> None:
    nightly = batch(one("C1"))
    target.sink.post(nightly)
    Outbox(target.engine).mark([Outcome("C1", "DONE")], at=CREATED_AT, run_id=nightly.run_id)
    target.sink.post(batch(entry("C1", disposition="unchanged"), run_id=nightly.run_id))

    assert outbox_of(target) == [("DONE", "", "paid")]


def test_hesi_is_known_to_carry_the_number_that_was_written(target: Target) -> None:
    target.sink.post(batch(one("C1", hesi_voucher_no="转-77")))
    assert target.sink.known_states(["C1"])["hesi_voucher_no"].tolist() == ["转-77"]
    Outbox(target.engine).mark([Outcome("C1", "DONE")], at=CREATED_AT)

    assert target.sink.known_states(["C1"])["hesi_voucher_no"].tolist() == ["记-1"]


def test_marked_outcomes_keep_their_reason_and_can_be_asked_for(target: Target) -> None:
    chunk = Chunk()
    for claim_id in ("C1", "C2", "C3"):
        chunk.voucher(claim_id)
    target.sink.post(batch(chunk.build()))
    outbox = Outbox(target.engine)
    outbox.mark([Outcome("C1", "RETRY", "timeout"), Outcome("C2", "FAILED", "unknown id"), Outcome("C3", "DONE")], at=CREATED_AT)

    assert outbox.counts() == {"RETRY": 1, "FAILED": 1, "DONE": 1}
    assert [row.claim_id for row in outbox.pending()] == ["C1"]
    assert [row.claim_id for row in outbox.pending(("FAILED",))] == ["C2"]
    assert [row["reason"] for row in target.rows("writeback_outbox")] == ["timeout", "unknown id", ""]


def test_event_dates_and_update_times_are_kept(target: Target) -> None:
    target.sink.post(batch(one("C1", source_updated_ms=1_788_200_000_123)))

    row = target.rows("claim_state")[0]
    assert row["event_date"] == date(2026, 8, 31)
    assert row["updated_at"] == datetime(2026, 8, 31, 18, 13, 20, 123_000)  # noqa: DTZ001 - stored as naive UTC
