"""What staging reads out of a flow, exactly, and what it leaves behind when it cannot."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw

from etl.frames import NO_AMOUNT, NO_INSTANT
from etl.steps.stage import stage
from etl.steps.staged import StagedClaims
from tests.support.claims import detail, expense, flow, money, ms, share

PATHS = ("form.法人实体", "form.u_x", "line.u_y", "share.项目", "share.expenseDepartment")


def staged(*flows: dict[str, Any], paths: tuple[str, ...] = PATHS) -> StagedClaims:
    return stage([(Raw(json.dumps(body, ensure_ascii=False)), f"p#{n}") for n, body in enumerate(flows)], paths)


def rich_claim() -> dict[str, Any]:
    line = detail(
        "106.00", shares=[share("106.00", "D10", id="s1")], invoices=[{"invoiceId": "I1", "taxAmount": money("6.00"), "taxRate": "6", "itemIds": ["a", "b"]}]
    )
    return expense("106.00", details=[line], title="差旅", u_x="one")


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "the amount": lambda body: body["form"]["details"][0]["feeTypeForm"]["amount"].update(standard="107.00"),
    "a share": lambda body: body["form"]["details"][0]["feeTypeForm"]["apportions"][0]["apportionForm"]["apportionMoney"].update(standard="1.00"),
    "a share's department": lambda body: body["form"]["details"][0]["feeTypeForm"]["apportions"][0]["apportionForm"].update(expenseDepartment="corp:D20"),
    "the tax": lambda body: body["form"]["details"][0]["feeTypeForm"]["invoiceForm"]["invoices"][0]["taxAmount"].update(standard="5.00"),
    "the fee type": lambda body: body["form"]["details"][0].update(feeTypeId="corp:OFFICE"),
    "the payee": lambda body: body["form"].update(payeeId="pay-S001"),
    "the title": lambda body: body["form"].update(title="会议"),
    "a custom field": lambda body: body["form"].update(u_x="two"),
    "the legal entity": lambda body: body["form"].update(法人实体="corp:C02"),
    "a new detail": lambda body: body["form"]["details"].append(detail("0.00")),
    "an attachment": lambda body: body["form"].update(attachments=[{"fileName": "a.pdf"}]),
}
UNRELATED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "the number written back": lambda body: body["form"].update(voucherNo="记-1", voucherStatus="已生成"),
    "the payment": lambda body: body["form"].update(payDate=ms("2026-04-01"), paymentAccountId="corp:OTHER"),
    "the state": lambda body: body.update(state="archived"),
    "version and time": lambda body: body.update(version=9, updateTime=1_780_000_000_000),
    "the logs": lambda body: body.update(logs=[]),
    "a field nobody maps": lambda body: body["form"].update(u_unmapped="x"),
}


def sha_after(change: Callable[[dict[str, Any]], Any]) -> str:
    body = copy.deepcopy(rich_claim())
    change(body)
    return str(staged(body).claims["source_sha256"].iloc[0])


@pytest.mark.parametrize("what", CHANGES)
def test_the_hash_of_a_claim_changes_with_everything_its_accrual_depends_on(what: str) -> None:
    assert sha_after(CHANGES[what]) != sha_after(lambda body: None)


@pytest.mark.parametrize("what", UNRELATED)
def test_the_hash_of_a_claim_does_not_change_with_what_its_accrual_does_not_depend_on(what: str) -> None:
    assert sha_after(UNRELATED[what]) == sha_after(lambda body: None)


def test_a_claim_that_fails_at_its_last_detail_leaves_no_row_behind() -> None:
    bad = expense("100.00", id="bad", details=[detail("50.00"), detail("49.999")], payPlan=None)
    frames = staged(expense("1.00", id="a"), bad, expense("2.00", id="b"))
    assert frames.claims["claim_id"].tolist() == ["a", "b"]
    assert frames.lines["claim"].tolist() == [0, 1]
    assert frames.payees["claim"].tolist() == [0, 1]
    assert frames.rejects[["claim_id", "rule"]].to_numpy().tolist() == [["bad", "MONEY_INVALID"]]
    assert "form.details[1].amount" in frames.rejects["reason"].iloc[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("id-1", "id-1"),
        (["id-1"], "id-1"),
        ({"id": "id-1", "name": "x"}, "id-1"),
        ({"dataLinkId": "d-1"}, "d-1"),
        (7, "7"),
        (None, ""),
        ("", ""),
        ([], ""),
        (True, ""),
        (["a", "b"], "a,b"),
        ([{"id": "a"}], "a"),
    ],
    ids=str,
)
def test_a_custom_field_is_the_text_of_whatever_hesi_puts_there(value: Any, text: str) -> None:
    assert staged(expense("1.00", u_x=value)).claims["form.u_x"].iloc[0] == text


@pytest.mark.parametrize(
    ("value", "rate"),
    [("6", "6"), ("6%", "6"), (6, "6"), (0.06, "6"), ("0.06", "6"), ("0.13", "13"), ("1", "1"), ("3.00", "3"), ("免税", ""), (None, ""), ("10", "10")],
)
def test_a_tax_rate_is_percent_text_however_it_is_written(value: Any, rate: str) -> None:
    use = {"invoiceId": "I1", "taxAmount": money("1.00"), "taxRate": value}
    assert staged(expense("10.00", details=[detail("10.00", invoices=[use])])).invoices["rate"].iloc[0] == rate


def test_tax_that_hesi_does_not_name_is_not_a_tax_of_nothing() -> None:
    uses = [{"invoiceId": "I1", "taxAmount": money(0)}, {"invoiceId": "I2"}, {"invoiceId": "I3", "taxAmount": {"standard": None}}]
    assert staged(expense("1.00", details=[detail("1.00", invoices=uses)])).invoices["tax_minor"].tolist() == [0, NO_AMOUNT, NO_AMOUNT]


def test_the_items_a_detail_uses_are_kept_by_id() -> None:
    invoices = staged(rich_claim()).invoices
    assert invoices[["item_count", "item_ids"]].to_numpy().tolist() == [[2, "a b"]]


def test_the_bank_number_is_that_of_the_last_payment_in_the_log() -> None:
    body = expense("1.00")
    body["logs"] = [
        {"action": "freeflow.pay", "attributes": {"channelTradeNo": "T1"}},
        {"action": "freeflow.agree", "time": 1},
        {"action": "freeflow.pay", "attributes": {"channelTradeNo": "T2"}},
    ]
    assert staged(body).payees["trade_no"].tolist() == ["T2"]


def test_plan_rows_are_read_by_the_ends_of_their_keys() -> None:
    row = {"E_系统_X_支付金额": money("1.00"), "u_收款信息": {"id": "pay-E001"}, "z支付日期": ms("2026-03-12"), "任意支付流水号": "T9", "other": 1}
    payees = staged(expense("1.00", payPlan=[{"dataLinkForm": row}])).payees
    assert payees[["payee_id", "amount_minor", "paid_ms", "trade_no"]].to_numpy().tolist() == [["pay-E001", 100, ms("2026-03-12"), "T9"]]


def test_a_plan_without_any_date_is_paid_on_the_claims_own_date() -> None:
    plan = [{"dataLinkForm": {"x支付金额": money("0.40")}}, {"dataLinkForm": {"x支付金额": money("0.60")}}]
    assert set(staged(expense("1.00", payPlan=plan)).payees["paid_ms"]) == {ms("2026-03-12")}


def test_a_plan_row_without_an_amount_is_rejected() -> None:
    assert staged(expense("1.00", payPlan=[{"dataLinkForm": {"x收款信息": "p"}}])).rejects["rule"].tolist() == ["PAYPLAN_SUM"]


def test_no_due_date_is_no_day_in_the_year_287396() -> None:
    loan = {"form_type": "loan", "loanMoney": money("5.00"), "payMoney": money("5.00")}
    frames = staged(flow(id="a", repaymentDate=9007199254740991, **loan), flow(id="b", repaymentDate=ms("2026-06-30"), **loan))
    assert frames.claims["due_ms"].tolist() == [NO_INSTANT, ms("2026-06-30")]


@pytest.mark.parametrize(
    ("form_type", "state", "active", "due"),
    [
        ("expense", "paying", True, True),
        ("expense", "PROCESSING", True, True),
        ("expense", "paid", True, True),
        ("expense", "archived", True, True),
        ("expense", "approving", True, False),
        ("expense", "rejected", True, False),
        ("expense", "paid", False, False),
        ("loan", "paying", True, False),
        ("loan", "paid", True, True),
        ("receipt", "archived", True, True),
    ],
)
def test_a_form_is_due_when_its_state_calls_for_a_voucher(form_type: str, state: str, active: bool, due: bool) -> None:
    total = {"expense": "expenseMoney", "loan": "loanMoney", "receipt": "receiptMoney"}[form_type]
    body = flow(form_type=form_type, state=state, active=active, details=[detail("1.00")], payMoney=money("1.00"), **{total: money("1.00")})
    assert staged(body).claims["due"].tolist() == [due]


def test_a_draft_that_is_half_filled_in_is_neither_staged_in_detail_nor_rejected() -> None:
    frames = staged(flow(state="draft", expenseMoney=None, details=[{"feeTypeId": None, "feeTypeForm": {}}]))
    assert frames.rejects.empty
    assert frames.lines.empty
    assert frames.claims["due"].tolist() == [False]


def test_requisitions_are_commitments_until_they_are_withdrawn() -> None:
    frames = staged(
        flow(id="q1", form_type="requisition", requisitionMoney=money("900.00")),
        flow(id="q2", form_type="requisition", state="rejected", requisitionMoney=money("900.00")),
        flow(id="q3", form_type="requisition", active=False, requisitionMoney=money("900.00")),
    )
    assert frames.claims.empty
    assert frames.commitments[["claim_id", "amount_minor"]].to_numpy().tolist() == [["q1", 90_000], ["q2", 0], ["q3", 0]]


def test_every_version_of_the_frames_keeps_its_promised_columns_even_when_empty() -> None:
    frames = staged()
    assert list(frames.claims.columns)[-2:] == ["form.法人实体", "form.u_x"]
    assert str(frames.lines["amount_minor"].dtype) == "int64"
    assert len(frames.claims) == len(frames.rejects) == 0
