"""What stands beside the figures of a voucher: sources, rules, dates, owners, numbers; the figures are the situations' business."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from etl.frames import NO_DAY, SPECS, day_of
from etl.steps.map_fields import map_fields
from etl.steps.mapped import Known, MappedClaims, MappingContext
from tests.cases.situation import shipped_mappings
from tests.support.claims import detail, expense, invoice, map_flows, money, ms, reference, share, stage_flows


def mapped_from(*flows: object, **options: object) -> MappedClaims:
    return map_flows(list(flows), mappings=shipped_mappings(), **options)  # type: ignore[arg-type]


def lines_of(mapped: MappedClaims, kind: str) -> pd.DataFrame:
    entry = mapped.vouchers.loc[mapped.vouchers["entry_kind"] == kind, "entry_no"].iloc[0]
    return mapped.voucher_lines[mapped.voucher_lines["entry_no"] == entry]


def rich() -> MappedClaims:
    line = detail(
        "106.00",
        id="d1",
        day="2026-03-05",
        shares=[share("53.00", "D10", id="s1"), share("53.00", "D20", id="s2")],
        invoices=[{"invoiceId": "I1", "taxAmount": money("6.00"), "taxRate": "6"}],
    )
    flow = expense("106.00", details=[line], pay="66.00", written_off="40.00", writtenOffRecords=[{"id": "J1", "amount": "40.00"}])
    lists = reference(invoices=[invoice("I1", gross=10_600, tax=600, rate="6")], loan_owners={"J1": "corp:E002"})
    return mapped_from(flow, lists=lists)


def test_every_frame_keeps_its_promised_columns_types_and_key() -> None:
    for name, frame in rich().__dict__.items():
        SPECS[name].check(frame)
    for name, frame in mapped_from().__dict__.items():
        SPECS[name].check(frame)
        assert frame.empty


def test_every_line_says_which_part_of_the_claim_and_which_rule_it_comes_from() -> None:
    mapped = rich()
    accrual = lines_of(mapped, "EXPENSE")
    sources = mapped.line_sources[mapped.line_sources["entry_no"] == accrual["entry_no"].iloc[0]]
    found = list(
        sources.sort_values(["line_no", "source_part"])[["line_no", "source_line_id", "source_part", "amount_minor", "fee_type_code", "rule"]].itertuples(
            index=False, name=None
        )
    )
    assert found == [
        (1, "d1", "s1", 5_300, "TRAVEL", "companies/C01.yaml:fee_types[0].accounts.admin"),
        (2, "d1", "s2", 5_300, "TRAVEL", "companies/C01.yaml:fee_types[0].accounts.sales"),
        (3, "d1", "I1", 600, "", "companies/C01.yaml:input_vat"),
        (4, "writtenOffRecords", "J1", 4_000, "", "companies/C01.yaml:loans.employee"),
        (5, "payPlan", "1", 6_600, "", "companies/C01.yaml:payables"),
    ]


def test_each_invoice_of_a_voucher_is_booked_with_its_kind_amount_and_tax() -> None:
    invoices = rich().voucher_invoices
    assert invoices[["invoice_id", "invoice_kind", "amount_minor", "tax_minor"]].to_numpy().tolist() == [["I1", "FULL_DIGITAl_SPECIAL", 10_600, 600]]


def test_the_expense_day_stands_on_the_debits_and_the_tax_code_on_the_vat_line() -> None:
    accrual = lines_of(rich(), "EXPENSE")
    assert [day_of(day) for day in accrual["business_day"]] == [date(2026, 3, 5), date(2026, 3, 5), None, None, None]
    assert accrual["tax_code"].tolist() == ["", "", "J06", "", ""]


def test_a_bank_line_carries_the_bank_number_and_the_cash_flow_item() -> None:
    payment = lines_of(rich(), "PAYMENT")
    assert payment["settlement_no"].tolist() == ["", "T-B26030001"]
    assert payment["cash_flow_item"].tolist() == ["", "支付其他与经营活动有关的现金"]


def test_a_loan_carries_its_due_day_and_no_due_day_where_hesi_has_none() -> None:
    def loan(id_: str, due: int) -> dict[str, object]:
        return {**expense("500.00", id=id_, details=[]), "formType": "loan"} | {
            "form": {
                "code": id_,
                "submitterId": "corp:E001",
                "法人实体": "corp:C01",
                "payDate": ms("2026-03-12"),
                "paymentAccountId": "corp:BANK-CNY-01",
                "loanMoney": money("500.00"),
                "payMoney": money("500.00"),
                "repaymentDate": due,
            }
        }

    mapped = mapped_from(loan("j1", ms("2026-06-30")), loan("j2", 9007199254740991))
    debits = mapped.voucher_lines[mapped.voucher_lines["debit_minor"] != 0]
    assert [day_of(day) for day in debits["due_day"]] == [date(2026, 6, 30), None]


def test_several_reasons_stand_in_one_reject_and_the_first_gives_the_rule() -> None:
    flow = expense("100.00", details=[detail("60.00", fee="TRAINING", department="D10"), detail("30.00", department="D30")])
    reject = mapped_from(flow).rejects.iloc[0]
    assert reject["rule"] == "AMOUNT_IDENTITY"
    assert reject["reason"].count(" | ") >= 2
    for part in ("found details 90.00, expenseMoney 100.00", "fee type TRAINING 培训", "account 5301.01.01 requires project"):
        assert part in reject["reason"]


def test_a_reject_shows_the_claimant_masked_and_the_voucher_the_real_name() -> None:
    mapped = mapped_from(expense("100.00", id="a"), expense("100.00", id="b", details=[detail("99.00")]))
    assert mapped.rejects["claimant_name"].tolist() == ["张*"]
    assert mapped.vouchers["summary"].str.contains("张三").all()


def test_two_payments_refused_alike_are_one_reject_over_their_sum() -> None:
    plan = [{"dataLinkForm": {"x支付金额": money(part), "x收款信息": "pay-E001", "x支付时间": ms("2026-03-12")}} for part in ("60.00", "40.00")]
    mapped = mapped_from(expense("100.00", payPlan=plan, account="BANK-OLD-09"))
    assert mapped.rejects[["entry_kind", "rule", "amount_minor"]].to_numpy().tolist() == [["PAYMENT", "BANK_UNMAPPED", 10_000]]
    assert mapped.entries.loc[mapped.entries["entry_kind"] == "PAYMENT", "disposition"].tolist() == ["rejected", "rejected"]


def test_entry_numbers_go_on_over_companies_and_chunks() -> None:
    flows = [expense("1.00", id="a"), expense("1.00", id="b", company="C02", account="BANK-CNY-02"), expense("1.00", id="c", company="C09"), b'{"id":7}']
    mappings = shipped_mappings()
    context = MappingContext(mappings, reference(), {}, date(2026, 10, 15))
    mapped = map_fields(stage_flows(flows, mappings), context, first_entry_no=41)
    assert sorted(mapped.entries["entry_no"]) == list(range(41, 41 + len(mapped.entries)))
    assert set(mapped.vouchers["entry_no"]) <= set(mapped.entries["entry_no"])


def test_an_unreadable_claim_has_an_entry_without_day_or_amount() -> None:
    entry = mapped_from(b'{"id":"x","form":7,"formType":"loan"}').entries.iloc[0]
    assert (entry["claim_id"], entry["entry_kind"], entry["part_no"], entry["event_day"], entry["currency"], entry["disposition"]) == (
        "x",
        "LOAN",
        1,
        NO_DAY,
        "",
        "rejected",
    )


def test_the_budget_sees_gross_and_net_of_each_share_with_its_requisition() -> None:
    line = detail(
        "106.00",
        day="2026-02-20",
        shares=[share("106.00", "D30", project="P001")],
        invoices=[{"invoiceId": "I1", "taxAmount": money("6.00"), "taxRate": "6"}],
        linkDetailEntities=[{"expenseLink": "req-2"}],
    )
    flow = expense("116.00", details=[line, detail("10.00", department="D10", id="d2", feeDate=None)], expenseLink="req-1")
    mapped = mapped_from(flow, lists=reference(invoices=[invoice("I1", gross=10_600, tax=600, rate="6")]))
    columns = ["department_id", "project_id", "fee_type_id", "account_code", "gross_minor", "net_minor", "requisition_id"]
    assert mapped.budget_lines[columns].to_numpy().tolist() == [
        ["corp:D30", "corp:P001", "corp:TRAVEL", "5301.01.01", 10_600, 10_000, "req-2"],
        ["corp:D10", "", "corp:TRAVEL", "6602.01", 1_000, 1_000, "req-1"],
    ]
    assert [day_of(day) for day in mapped.budget_lines["day"]] == [date(2026, 2, 20), date(2026, 3, 10)]


@pytest.mark.parametrize("state", ["held", "rejected", "waiting", "skipped"])
def test_only_what_is_posted_is_left_alone(state: str) -> None:
    known = {("flow1", "EXPENSE", 0): Known(state, "0" * 64), ("flow1", "PAYMENT", 1): Known(state, "0" * 64)}
    assert mapped_from(expense("100.00"), known=known).entries["disposition"].tolist() == ["ready", "ready"]


def test_a_settlement_that_left_the_plan_after_it_was_posted_is_drift() -> None:
    known = {("flow1", "PAYMENT", 2): Known("posted", "0" * 64, "B26030001", "C01", "CNY", 4_000)}
    entries = mapped_from(expense("100.00"), known=known).entries.set_index(["entry_kind", "part_no"])
    assert entries.loc[("PAYMENT", 2), ["disposition", "amount_minor", "company_code"]].tolist() == ["drift", 0, "C01"]
    assert entries.loc[("PAYMENT", 1), "disposition"] == "ready"
