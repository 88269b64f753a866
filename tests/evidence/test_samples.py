"""The draw can be drawn again, and what looks unusual is always in it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from etl.evidence.raw_claims import Approval, Trail, _Form
from etl.evidence.samples import RANDOM, rank, unusual

DAY_MS = 1_790_000_000_000 // 86_400_000 * 86_400_000


def voucher(**changed: Any) -> dict[str, Any]:
    ordinary = {
        "claim_id": "C1", "entry_kind": "EXPENSE", "part_no": 0, "revision": 0, "amount": Decimal("123.45"), "original_date": date(2026, 10, 6),
        "fiscal_year": 2026, "fiscal_period": 10, "reverses_revision": None, "status": "POSTED",
    }  # fmt: skip
    return ordinary | changed


def trail(operator: str, hour_in_shanghai: int = 10) -> Trail:
    approved = Approval("freeflow.agree", "paying", operator, DAY_MS + ((hour_in_shanghai - 8) % 24) * 3_600_000)
    return Trail(_Form("staff-1"), [Approval("freeflow.submit", "approving", "staff-1", DAY_MS), approved], "staff-1")


def test_an_ordinary_voucher_is_not_unusual() -> None:
    assert list(unusual(voucher(), {"kind": "nightly"}, trail("staff-2"))) == []


def test_a_claim_approved_by_its_submitter_is_unusual() -> None:
    assert list(unusual(voucher(), None, trail("staff-1"))) == ["approved by its own submitter"]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"amount": Decimal("3000.00")}, "round amount"),
        ({"amount": Decimal("-3000.00"), "reverses_revision": 0}, "reversal"),
        ({"amount": Decimal("4999.00")}, "just under a limit"),
        ({"amount": Decimal("4900.00")}, "just under a limit"),
        ({"original_date": date(2026, 10, 3)}, "event on a weekend"),
        ({"original_date": date(2026, 9, 30)}, "booked in another month than its event"),
        ({"status": "REVERSED"}, "reversal"),
    ],
)
def test_each_reason_for_a_look_is_named(changed: dict[str, Any], why: str) -> None:
    assert why in list(unusual(voucher(**changed), None, None))


@pytest.mark.parametrize("amount", ["0.00", "4899.99", "5000.01", "1234.56"])
def test_other_amounts_are_ordinary(amount: str) -> None:
    assert list(unusual(voucher(amount=Decimal(amount)), None, None)) == []


@pytest.mark.parametrize(("hour", "at_night"), [(22, False), (23, True), (0, True), (4, True), (5, False), (10, False)])
def test_night_is_from_eleven_to_five_in_shanghai(hour: int, at_night: bool) -> None:
    assert ("approved at night" in list(unusual(voucher(), None, trail("staff-2", hour)))) is at_night


@pytest.mark.parametrize(("kind", "by_hand"), [("replay", True), ("full", True), ("nightly", False), ("incremental", False)])
def test_vouchers_of_runs_somebody_asked_for_are_unusual(kind: str, by_hand: bool) -> None:
    assert (list(unusual(voucher(), {"kind": kind}, None)) == ["run asked for by hand"]) is by_hand


def test_the_draw_is_sha256_of_seed_and_key_and_nothing_else() -> None:
    assert rank(7, voucher(summary="x")) == hashlib.sha256(b"7:C1:EXPENSE:0:0").hexdigest()


def test_every_sample_is_traced_to_its_raw_claim_approvals_and_batch(pack: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(pack)) as container:
        listed = list(csv.DictReader(io.StringIO(container.read("6-samples/samples.csv").decode("utf-8-sig"), newline="")))
        traces = [json.loads(line) for line in container.read("6-samples/traces.jsonl").splitlines()]
        vouchers = list(csv.DictReader(io.StringIO(container.read("1-population/vouchers.csv").decode("utf-8-sig"), newline="")))
    assert len([row for row in listed if row["chosen"].startswith("random")]) == min(RANDOM, len(vouchers))
    assert [(row["voucher_word"], int(row["voucher_no"])) for row in listed] == [(t["voucher"]["voucher_word"], t["voucher"]["voucher_no"]) for t in traces]
    for trace in traces:
        assert trace["lines"]
        assert all(line["sources"] for line in trace["lines"])
        assert trace["approvals"]
        assert len(trace["raw"]["page_sha256"]) == 64
        assert trace["batch"]["audit_seq"]
