"""The source added up a second time, and the lines that must tie out."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec import Raw

from etl.money import to_decimal
from etl.steps.reconcile import page_amounts, source_amounts, source_differences, tie_out
from tests.cases.situation import claim_of, read_case, run_case
from tests.cases.test_situations import CASES, FOLDER
from tests.support.claims import expense, flow, money, ms

# An unpaid claim of an on_payment company has no accrual yet; the raw pages cannot know that.
ON_PAYMENT = "an_accrual_on_payment_waits_for_the_money"


def amounts(*flows: Any) -> dict[tuple[str, str, int], tuple[Decimal, str]]:
    items = [body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode() for body in flows]
    found = source_amounts(map(Raw, items))
    assert page_amounts(b'{"items":[%s]}' % b",".join(items), range(len(items))) == found
    return found


@pytest.mark.parametrize("name", [name for name in CASES if name != ON_PAYMENT])
def test_the_second_adding_up_agrees_with_the_mapping_in_every_situation(name: str) -> None:
    case = read_case(FOLDER / name)
    entries = run_case(case).entries
    readable = entries[
        (entries["disposition"] != "gone") & (entries["currency"] != "") & (entries["hesi_state"] != "unreadable") & (entries["form_type"] != "")
    ]
    worked = {(row.claim_id, row.entry_kind, row.part_no): (to_decimal(row.amount_minor, row.currency), row.currency) for row in readable.itertuples()}
    source = amounts(*(claim_of(words) for words in case["claims"]))
    refused = set(entries["claim_id"]) - set(readable["claim_id"])
    assert source_differences({key: value for key, value in source.items() if key[0] not in refused}, worked) == []
    drifted_to_nothing = {key for key, (amount, _) in worked.items() if amount == 0}
    assert set(worked) - drifted_to_nothing <= set(source)


def test_a_paid_claim_is_its_accrual_and_each_settlement() -> None:
    plan = [
        {"dataLinkForm": {"x支付金额": money("60.00"), "x支付时间": ms("2026-03-12")}},
        {"dataLinkForm": {"x支付金额": money("40.00"), "x支付时间": None}},
    ]
    assert amounts(expense("100.00", id="a"), expense("100.00", id="b", payPlan=plan), expense("100.00", id="c", paid=None)) == {
        ("a", "EXPENSE", 0): (Decimal("100.00"), "CNY"),
        ("a", "PAYMENT", 1): (Decimal("100.00"), "CNY"),
        ("b", "EXPENSE", 0): (Decimal("100.00"), "CNY"),
        ("b", "PAYMENT", 1): (Decimal("60.00"), "CNY"),
        ("c", "EXPENSE", 0): (Decimal("100.00"), "CNY"),
    }


def test_deleted_and_unapproved_claims_add_nothing() -> None:
    assert amounts(expense("1.00", active=False), expense("1.00", state="rejected"), flow(form_type="requisition", requisitionMoney=money("1.00"))) == {}


@pytest.mark.parametrize(
    "bad",
    [
        b"NaN",
        b"{}",
        b'{"id":1}',
        b"[]",
        b'{"id":"x","form":{"expenseMoney":{"standard":"1,5"}},"formType":"expense","state":"paid"}',
        b'{"id":"x","form":{"expenseMoney":{"standard":"NaN","standardStrCode":"CNY"}},"formType":"expense","state":"paid"}',
        b'{"id":"x","form":{"expenseMoney":{"standard":"1","standardStrCode":"CNY"},"paymentAccountId":"a","payPlan":[{"dataLinkForm":null}]},"formType":"expense","state":"paid"}',
        b'{"id":"x","form":{"expenseMoney":{"standard":"1","standardStrCode":"CNY"},"paymentAccountId":"a","payPlan":[{"dataLinkForm":{}}]},"formType":"expense","state":"paid"}',
        b'{"id":"x","form":{"expenseMoney":{"standard":"1","standardStrCode":"CNY"},"paymentAccountId":"a","payPlan":["\xff"]},"formType":"expense","state":"paid"}',
        b'{"id":"x","form":{"expenseMoney":' + b"[" * 3000 + b"]" * 3000 + b'},"formType":"expense","state":"paid"}',
    ],
)
def test_a_claim_that_cannot_be_read_is_left_out_and_stops_nothing(bad: bytes) -> None:
    assert amounts(bad, expense("2.00", id="good", paid=None)) == {("good", "EXPENSE", 0): (Decimal("2.00"), "CNY")}


def test_one_cent_of_difference_is_named_with_both_amounts() -> None:
    key = ("a", "EXPENSE", 0)
    source = {key: (Decimal("100.00"), "CNY")}
    assert source_differences(source, {key: (Decimal("100.0000"), "CNY")}) == []
    assert source_differences(source, {key: (Decimal("100.01"), "CNY")}) == [(key, Decimal("100.00"), Decimal("100.01"))]
    assert source_differences(source, {}) == [(key, Decimal("100.00"), None)]


def test_everything_that_became_of_the_source_ties_out_to_nothing() -> None:
    states = [("EXPENSE", "C01", "CNY", state, Decimal(amount)) for state, amount in (("posted", "70"), ("held", "10"), ("rejected", "5"), ("skipped", "3"))]
    states.append(("PAYMENT", "C01", "CNY", "waiting", Decimal(10)))
    total, payment = tie_out(states, {("EXPENSE", "C01", "CNY"): Decimal(70)}, [])
    assert (total.source, total.posted, total.held, total.rejected, total.skipped, total.difference) == (88, 70, 10, 5, 3, 0)
    assert (payment.waiting, payment.difference) == (10, 0)


def test_drift_explains_a_posted_claim_that_moved_and_nothing_else() -> None:
    states = [("EXPENSE", "C01", "CNY", "posted", Decimal(100))]
    drift = [("EXPENSE", "C01", "CNY", Decimal(100), Decimal(90))]
    (total,) = tie_out(states, {("EXPENSE", "C01", "CNY"): Decimal(100)}, drift)
    assert (total.source, total.drift, total.difference) == (90, -10, 0)


@pytest.mark.parametrize(("posted", "difference"), [("99.99", "0.01"), ("100.01", "-0.01"), ("0", "100")])
def test_one_altered_cent_in_the_ledger_shows(posted: str, difference: str) -> None:
    (total,) = tie_out([("EXPENSE", "C01", "CNY", "posted", Decimal(100))], {("EXPENSE", "C01", "CNY"): Decimal(posted)}, [])
    assert total.difference == Decimal(difference)
    assert total.as_row()["difference"] == Decimal(difference)


def test_a_voucher_nobody_knows_of_shows_under_its_own_line() -> None:
    (total,) = tie_out([], {("LOAN", "C09", "USD"): Decimal(5)}, [])
    assert (total.entry_kind, total.company_code, total.difference) == ("LOAN", "C09", Decimal(-5))
