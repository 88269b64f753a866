"""Money that moved: whose account it leaves, whom it clears, and what a foreign amount does to it."""

from __future__ import annotations

from typing import Any

import pytest

from etl.reference import Payee
from etl.steps.mapped import MappedClaims
from tests.cases.situation import lists_of, mappings_of
from tests.support.claims import CORP, detail, expense, flow, map_flows, money, ms, reference, share

PAY_PLAN = "E_system_支付计划_"


def plan_row(amount: str, payee: str, paid: str | None, trade: str = "", **fx: Any) -> dict[str, Any]:
    return {
        "dataLinkForm": {
            f"{PAY_PLAN}支付金额": money(amount, **fx),
            f"{PAY_PLAN}收款信息": f"pay-{payee}",
            f"{PAY_PLAN}支付时间": paid and ms(paid),
            f"{PAY_PLAN}支付流水号": trade,
        }
    }


def settlements(mapped: MappedClaims) -> list[tuple[Any, ...]]:
    heads = mapped.vouchers[mapped.vouchers["entry_kind"] != "EXPENSE"][["entry_no", "entry_kind", "part_no"]]
    dims = mapped.line_dimensions.groupby(["entry_no", "line_no"])["dim_code"].agg(";".join)
    lines = mapped.voucher_lines.merge(heads, on="entry_no").join(dims, on=["entry_no", "line_no"]).fillna({"dim_code": ""})
    return [(row.entry_kind, row.part_no, row.account_code, row.dim_code, row.debit_minor, row.credit_minor, row.settlement_no) for row in lines.itertuples()]


def test_each_row_of_the_plan_is_a_payment_of_its_own_day_number_and_payee() -> None:
    plan = [plan_row("60.00", "E002", "2026-03-12", "T1"), plan_row("40.00", "S001", "2026-03-13", "T2")]
    mapped = map_flows([expense("100.00", payPlan=plan)])
    assert settlements(mapped) == [
        ("PAYMENT", 1, "2241.01", "E002", 6_000, 0, ""),
        ("PAYMENT", 1, "1002.01", "", 0, 6_000, "T1"),
        ("PAYMENT", 2, "2202.01", "S001", 4_000, 0, ""),
        ("PAYMENT", 2, "1002.01", "", 0, 4_000, "T2"),
    ]


def test_the_number_of_the_log_is_not_given_to_several_payments() -> None:
    plan = [plan_row("60.00", "E002", "2026-03-12"), plan_row("40.00", "S001", "2026-03-13")]
    assert {row[-1] for row in settlements(map_flows([expense("100.00", payPlan=plan)]))} == {""}


def test_a_row_of_nothing_is_no_payment_and_keeps_the_numbers_of_the_others() -> None:
    plan = [plan_row("0.00", "E002", "2026-03-12"), plan_row("100.00", "S001", "2026-03-13")]
    assert [row[:2] for row in settlements(map_flows([expense("100.00", payPlan=plan)]))] == [("PAYMENT", 2), ("PAYMENT", 2)]


def test_a_refund_by_the_claimant_is_a_red_payment_on_the_same_sides() -> None:
    mapped = map_flows([expense("-50.00")])
    assert settlements(mapped) == [("PAYMENT", 1, "2241.01", "E001", -5_000, 0, ""), ("PAYMENT", 1, "1002.01", "", 0, -5_000, "T-B26030001")]


@pytest.mark.parametrize(
    ("state", "kinds"), [("paying", ["EXPENSE"]), ("PROCESSING", ["EXPENSE"]), ("paid", ["EXPENSE", "PAYMENT"]), ("archived", ["EXPENSE", "PAYMENT"])]
)
def test_money_counts_as_moved_once_the_claim_is_paid(state: str, kinds: list[str]) -> None:
    assert map_flows([expense("100.00", state=state)]).vouchers["entry_kind"].tolist() == kinds


def test_a_foreign_row_of_the_plan_owed_to_a_supplier_is_held_even_when_the_lines_are_in_base_currency() -> None:
    plan = [plan_row("70.00", "S002", "2026-03-12", foreign="10.00", code="USD", rate="7")]
    mapped = map_flows([expense("70.00", payPlan=plan)])
    assert mapped.rejects[["entry_kind", "rule"]].to_numpy().tolist() == [["PAYMENT", "FX_SETTLEMENT"]]


def test_a_receipt_settles_several_loans_on_their_owners() -> None:
    receipt = flow(
        form_type="receipt",
        paid=None,
        receiptMoney=money("300.00"),
        receiptDate=ms("2026-05-22"),
        paymentAccountId=f"{CORP}:BANK-CNY-01",
        writtenOffRecords=[{"id": "J1", "amount": "100.00"}, {"id": "J2", "amount": 200}],
    )
    mapped = map_flows([receipt], lists=reference(loan_owners={"J1": f"{CORP}:E002", "J2": f"{CORP}:E003"}))
    assert [row[2:6] for row in settlements(mapped)] == [("1002.01", "", 30_000, 0), ("1221.01", "E002", 0, 10_000), ("1221.01", "E003", 0, 20_000)]


def test_a_receipt_into_an_unmapped_account_or_of_an_unknown_loan_is_not_posted() -> None:
    def receipt(id_: str, account: str, loan: str) -> dict[str, Any]:
        return flow(
            id=id_,
            code=id_,
            form_type="receipt",
            paid=None,
            receiptMoney=money("1.00"),
            receiptDate=ms("2026-05-22"),
            paymentAccountId=f"{CORP}:{account}",
            writtenOffRecords=[{"id": loan, "amount": "1.00"}],
        )

    mapped = map_flows([receipt("a", "BANK-OLD-09", "J1"), receipt("b", "BANK-CNY-01", "J404")], lists=reference(loan_owners={"J1": f"{CORP}:E002"}))
    assert mapped.rejects[["claim_id", "rule", "disposition"]].to_numpy().tolist() == [["a", "BANK_UNMAPPED", "rejected"], ["b", "LOAN_UNKNOWN", "held"]]


def test_the_names_of_the_counterparty_dimensions_come_from_the_mapping() -> None:
    dimensions = {"2241.01": {"person": "required"}, "2202.01": {"vendor": "required"}, "1002.01": {}, "6602.01": {"department": "required"}}
    accounts = [{"code": code, "name": code, "dimensions": own} for code, own in dimensions.items()]
    payables = {"employee_dimension": "person", "supplier_dimension": "vendor"}
    case = {"mapping": {"C01": {"payables": payables}}, "charts": {"cas": {"accounts": accounts}}}
    plan = [plan_row("60.00", "E002", "2026-03-12"), plan_row("40.00", "S001", "2026-03-13")]
    mapped = map_flows([expense("100.00", payPlan=plan)], mappings=mappings_of(case), lists=lists_of(case))
    assert mapped.rejects.empty
    assert mapped.line_dimensions.groupby("dim_type")["dim_code"].agg(set).to_dict() == {"department": {"D10"}, "person": {"E002"}, "vendor": {"S001"}}


def test_a_payee_is_a_person_or_a_company_by_its_own_kind_not_by_who_claims() -> None:
    people = [Payee("pay-new", "新员工", "INDIVIDUAL", f"{CORP}:E003", {}), Payee("pay-firm", "新公司", "CORPORATION", f"{CORP}:E003", {})]
    flows = [expense("1.00", id=id_, code=id_, payeeId=id_, paid=None) for id_ in ("pay-new", "pay-firm")]
    mapped = map_flows(flows, lists=reference(payees=people))
    owed = mapped.voucher_lines[mapped.voucher_lines["credit_minor"] != 0]
    assert owed["account_code"].tolist() == ["2241.01", "2202.01"]


def test_a_claim_with_a_share_of_nothing_writes_no_line_of_nothing() -> None:
    line = detail("100.00", shares=[share("100.00", "D10"), share("0.00", "D20")])
    lines = map_flows([expense("100.00", details=[line], paid=None)]).voucher_lines
    assert lines[["account_code", "debit_minor", "credit_minor"]].to_numpy().tolist() == [["6602.01", 10_000, 0], ["2241.01", 0, 10_000]]
