"""What is in a tenant: reproducible, exact to the cent, and awkward in the documented ways."""

from collections import Counter
from decimal import Decimal
from typing import Any

import orjson
import pytest

from sandbox.claims.plan import DEFECTS, ODDITIES
from sandbox.clock import DEFAULT_NOW_MS
from sandbox.tenant import Tenant, build

Flow = dict[str, Any]


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    return build(3000, 5, now_ms=DEFAULT_NOW_MS)


@pytest.fixture(scope="module")
def expenses(tenant: Tenant) -> list[Flow]:
    """All expense claims that are right."""
    flows = [tenant.store.flow(head.seq) for head in tenant.store.heads if head.form_type == "expense"]
    return [flow for flow in flows if flow["id"] not in tenant.defects]


def _bytes(tenant: Tenant) -> bytes:
    return b"".join(tenant.store.body(head.seq) for head in tenant.store.heads)


def _amount(money: Flow) -> Decimal:
    return Decimal(str(money["standard"]).strip())


def _lines(flows: list[Flow]) -> list[Flow]:
    return [detail["feeTypeForm"] for flow in flows for detail in flow["form"]["details"]]


def _taxes(line: Flow) -> Decimal:
    return sum((_amount(entry["taxAmount"]) for entry in line["invoiceForm"].get("invoices", [])), Decimal(0))


def test_the_same_seed_makes_the_same_bytes() -> None:
    first, second = build(150, 3, now_ms=DEFAULT_NOW_MS), build(150, 3, now_ms=DEFAULT_NOW_MS)
    assert _bytes(first) == _bytes(second)
    assert first.budgets.monies == second.budgets.monies


def test_a_calm_tenant_has_every_document_type_and_nothing_a_connector_must_hold() -> None:
    calm = build(400, 3, calm=True)
    flows = [calm.store.flow(head.seq) for head in calm.store.heads]
    assert not calm.defects
    assert not calm.oddities
    assert {flow["formType"] for flow in flows} == {"expense", "loan", "payment", "receipt", "requisition"}
    assert "archived" not in {flow["state"] for flow in flows}
    assert b'"foreignStrCode":"' in _bytes(build(400, 3))
    assert b'"foreignStrCode":"' not in _bytes(calm)


def test_another_seed_makes_other_claims() -> None:
    assert _bytes(build(50, 3, now_ms=DEFAULT_NOW_MS)) != _bytes(build(50, 4, now_ms=DEFAULT_NOW_MS))


@pytest.mark.parametrize("claims", [1, 2, 40, 99, 100])
def test_any_size_can_be_built(claims: int) -> None:
    assert len(build(claims, 1, now_ms=DEFAULT_NOW_MS).store.heads) == claims


def test_lines_add_up_to_the_claim(expenses: list[Flow]) -> None:
    for flow in expenses:
        lines = [_amount(detail["feeTypeForm"]["amount"]) for detail in flow["form"]["details"]]
        assert sum(lines) == _amount(flow["form"]["expenseMoney"]), flow["id"]


def test_what_is_paid_written_off_and_company_paid_adds_up_to_the_claim(expenses: list[Flow]) -> None:
    for flow in expenses:
        form = flow["form"]
        parts = [_amount(form[key]) for key in ("payMoney", "companyRealPay", "writtenOffMoney")]
        assert sum(parts) == _amount(form["expenseMoney"]), flow["id"]
        records = [Decimal(row["amount"].strip()) for row in form.get("writtenOffRecords", [])]
        assert sum(records) == _amount(form["writtenOffMoney"]), flow["id"]


def test_shares_add_up_to_the_gross_or_the_net_amount_of_their_line(expenses: list[Flow]) -> None:
    bases: Counter[str] = Counter()
    for line in _lines(expenses):
        shares = [row["apportionForm"] for row in line.get("apportions") or [] if isinstance(row, dict)]
        if not shares:
            continue
        total = sum(_amount(share["apportionMoney"]) for share in shares)
        assert sum(Decimal(share["apportionPercent"]) for share in shares) == 100
        gross = _amount(line["amount"])
        assert total in (gross, gross - _taxes(line))
        bases["gross" if total == gross else "net"] += 1
        bases["negative"] += any(_amount(share["apportionMoney"]) < 0 for share in shares)
    assert bases["gross"] > bases["net"] > 20
    assert bases["negative"] > 5


def test_research_departments_always_name_a_project(tenant: Tenant, expenses: list[Flow]) -> None:
    named = 0
    for line in _lines(expenses):
        for row in line.get("apportions") or []:
            if isinstance(row, dict) and row["apportionForm"]["expenseDepartment"] in tenant.master.research_ids:
                assert row["apportionForm"]["项目"] in tenant.master.project_ids
                named += 1
    assert named > 100


def test_foreign_amounts_times_their_rate_are_the_base_amount(expenses: list[Flow]) -> None:
    foreign = [line["amount"] for line in _lines(expenses) if line["amount"].get("foreign")]
    for money in foreign:
        exact = Decimal(money["foreign"]) * Decimal(money["rate"])
        assert abs(exact - _amount(money)) <= Decimal("0.005")
    assert {money["foreignStrCode"] for money in foreign} == {"USD", "EUR", "JPY", "HKD"}
    assert all("." not in money["foreign"] for money in foreign if money["foreignStrCode"] == "JPY")


def test_payment_plans_add_up_and_carry_date_and_number_once_paid(expenses: list[Flow]) -> None:
    planned = [flow["form"] for flow in expenses if flow["form"].get("payPlan")]
    paid = 0
    for form in planned:
        rows = [row["dataLinkForm"] for row in form["payPlan"]]
        assert sum(_amount(row["E_system_支付计划_支付金额"]) for row in rows) == _amount(form["payMoney"])
        if "payDate" in form:
            assert max(row["E_system_支付计划_支付时间"] for row in rows) == form["payDate"]
            assert all(isinstance(row["E_system_支付计划_支付流水号"], str) for row in rows)
            paid += 1
    assert paid > 50


def test_nothing_has_happened_after_now_and_nothing_before_the_tenant_began(tenant: Tenant) -> None:
    times = [head.updated for head in tenant.store.heads]
    assert max(times) < DEFAULT_NOW_MS
    assert min(times) > DEFAULT_NOW_MS - 240 * 86_400_000


def test_the_mix_of_types_states_and_presence_is_as_described(tenant: Tenant) -> None:
    types = Counter(head.form_type for head in tenant.store.heads)
    states = Counter(head.state for head in tenant.store.heads)
    assert 0.85 < types["expense"] / 3000 < 0.91
    assert set(types) == {"expense", "loan", "payment", "receipt", "requisition"}
    assert states["paid"] > 2_200
    assert {"archived", "paying", "PROCESSING", "approving", "rejected", "draft", "nullify"} <= set(states)
    assert any(not head.active for head in tenant.store.heads)


def test_money_comes_in_every_documented_form(expenses: list[Flow]) -> None:
    texts = [line["amount"]["standard"] for line in _lines(expenses)]
    taxes = [entry["taxAmount"]["standard"] for line in _lines(expenses) for entry in line["invoiceForm"].get("invoices", [])]
    scales = {type(flow["form"]["payMoney"]["standardScale"]) for flow in expenses}
    assert any("." not in text for text in texts)
    assert any(len(text.partition(".")[2]) == 1 for text in texts)
    assert any(text != text.strip() for text in texts)
    assert {type(tax) for tax in taxes} == {int, float, str}
    assert scales == {int, str}


def test_some_flows_were_created_after_their_last_update(tenant: Tenant) -> None:
    assert any(head.created > head.updated for head in tenant.store.heads)


def test_many_flows_changed_in_one_second(tenant: Tenant) -> None:
    assert Counter(head.updated // 1000 for head in tenant.store.heads).most_common(1)[0][1] > 40


def test_every_kind_of_defect_and_oddity_is_there_and_listed(tenant: Tenant) -> None:
    assert set(tenant.defects.values()) == set(DEFECTS)
    assert set(tenant.oddities.values()) == set(ODDITIES)
    assert 0.012 < len(tenant.defects) / 3000 < 0.018
    assert not set(tenant.defects) & set(tenant.oddities)


def test_each_defect_is_visible_in_its_claim(tenant: Tenant) -> None:
    flows: dict[str, Flow] = {reason: tenant.flow(flow_id) for flow_id, reason in tenant.defects.items()}
    form = {reason: flow["form"] for reason, flow in flows.items()}
    training = tenant.master.fees["TRAINING"].id
    known = {row["id"] for row in tenant.master.departments}
    add_up = form["lines do not add up"]
    assert sum(_amount(d["feeTypeForm"]["amount"]) for d in add_up["details"]) != _amount(add_up["expenseMoney"])
    assert flows["unknown state"]["state"] == "settling"
    assert form["money text with thousands separator"]["details"][0]["feeTypeForm"]["amount"]["standard"] == "1,234.50"
    assert form["unmapped fee type"]["details"][0]["feeTypeId"] == training
    assert form["department missing on file"]["expenseDepartment"] not in known
    assert form["foreign voucher number"]["voucherNo"] == "OLD-2026-0815"
    assert form["wrong base currency"]["expenseMoney"]["standardStrCode"] == "USD"
    plan = form["payPlan sum wrong"]
    assert sum(_amount(r["dataLinkForm"]["E_system_支付计划_支付金额"]) for r in plan["payPlan"]) != _amount(plan["payMoney"])
    line = form["apportion sum wrong"]["details"][0]["feeTypeForm"]
    total = sum(_amount(row["apportionForm"]["apportionMoney"]) for row in line["apportions"])
    assert total not in (_amount(line["amount"]), _amount(line["amount"]) - _taxes(line))


def test_no_loan_is_written_off_beyond_its_amount(tenant: Tenant) -> None:
    loans = list(tenant.loans.by_package.values())
    assert all(sum(cents for _, cents in loan.settlements) <= loan.total for loan in loans)
    assert sum(bool(loan.settlements) for loan in loans) > 30


def test_ids_are_unique_and_codes_too(tenant: Tenant) -> None:
    heads = tenant.store.heads
    assert len({head.id for head in heads}) == len({head.code for head in heads}) == len(heads)


def test_totals_are_the_sums_of_the_served_bytes(tenant: Tenant) -> None:
    totals = tenant.totals()
    assert totals["flows"] == sum(row["count"] for row in totals["rows"]) == 3000
    expected = Decimal(0)
    for head in tenant.store.heads:
        if head.form_type == "loan":
            expected += _amount(orjson.loads(tenant.store.body(head.seq))["form"]["loanMoney"])
    loans = [row for row in totals["rows"] if row["formType"] == "loan"]
    assert sum(Decimal(row["sums"]["loanMoney"]) for row in loans) == expected
