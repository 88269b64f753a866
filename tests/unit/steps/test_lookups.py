"""The mapping asked by id and day, and the reason when it has no answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from etl.config.mapping import CompanyMapping
from etl.frames import NO_DAY, day_number
from etl.reference import Payee, Reference
from etl.steps.lookups import CompanyRules, first_hit, in_force, look_up, nearest
from tests.cases.situation import laid_over, shipped_mappings
from tests.support.claims import CORP, reference

DAY = day_number(date(2026, 3, 10))


def rules_of(change: object = None, *, lists: Reference | None = None, run_day: str = "2026-04-15") -> CompanyRules:
    mappings = shipped_mappings()
    company = mappings.companies[0]
    if change is not None:
        company = CompanyMapping.model_validate(laid_over(company.model_dump(by_alias=True, mode="json"), change))
    return CompanyRules(
        company, mappings.charts["cas"], mappings.vat["cn"], lists or reference(), date.fromisoformat(run_day), lambda *keys: None, lambda department: None
    )


def test_a_question_is_asked_once_for_each_distinct_combination() -> None:
    asked = []

    def answer(name: str, number: int) -> str:
        asked.append((name, number))
        return f"{name}{number}"

    found = look_up(answer, np.array(["a", "b", "a", "a"], dtype=object), np.array([1, 1, 1, 2]))
    assert found.tolist() == ["a1", "b1", "a1", "a2"]
    assert sorted(asked) == [("a", 1), ("a", 2), ("b", 1)]


def test_asking_about_nothing_answers_nothing() -> None:
    assert look_up(lambda value: value, np.array([], dtype=object)).tolist() == []


def test_the_first_filled_field_wins_row_by_row() -> None:
    assert first_hit([np.array(["", "b", ""]), np.array(["x", "y", ""]), np.array(["p", "q", "r"])]).tolist() == ["x", "b", "r"]


def test_dated_entries_are_in_force_on_their_first_and_last_day() -> None:
    classes = rules_of(
        {"department_classes": [{"class": "sales", "from": "2026-03-01", "to": "2026-03-31", "departments": {"codes": ["D10"]}}], "fee_types": []}
    ).mapping.department_classes
    assert [in_force(classes, date(2026, month, day)) is not None for month, day in ((2, 28), (3, 1), (3, 31), (4, 1))] == [False, True, True, False]


@pytest.mark.parametrize(("department", "found"), [("D10", "admin"), ("D11", "admin"), ("D20", "sales"), ("D99", None), ("D404", None)])
def test_the_nearest_classified_department_upwards_decides(department: str, found: str | None) -> None:
    assert rules_of().department_class(f"{CORP}:{department}", DAY) == found


def test_departments_that_are_each_others_parents_do_not_hang_the_run() -> None:
    lists = reference()
    loop = {
        **lists.departments,
        "x": replace(lists.departments[f"{CORP}:D99"], id="x", parent_id="y"),
        "y": replace(lists.departments[f"{CORP}:D99"], id="y", parent_id="x"),
    }
    assert rules_of(lists=replace(lists, departments=loop)).department_class("x", DAY) is None


def test_a_reason_names_the_nearest_known_values_the_file_and_the_day() -> None:
    answer, problem = rules_of().expense_account(f"{CORP}:TRAINING", f"{CORP}:D10", DAY)
    assert answer is None
    assert problem is not None
    assert problem[0] == "FEE_TYPE_UNMAPPED"
    assert "fee type TRAINING 培训 is not in force in fee_types of companies/C01.yaml on the voucher date; nearest known: TRAVEL" in problem[1]
    assert nearest("BANK-CNY-10", ["BANK-CNY-01", "CASH", ""]) == "; nearest known: BANK-CNY-01"
    assert nearest("zzz", ["aaa"]) == ""


def test_an_answer_names_the_place_of_the_mapping_that_gave_it() -> None:
    assert rules_of().expense_account(f"{CORP}:MEETING", f"{CORP}:D20", DAY)[0] == ("6601.03", "companies/C01.yaml:fee_types[2].accounts.sales")


def test_a_supplier_is_known_by_the_mapped_code_else_by_the_payees_field_else_by_its_id() -> None:
    rules = rules_of({"payables": {"suppliers": [{"hesi": "某会务公司", "code": "V1", "to": "2026-03-31"}]}})
    payee = Payee("p1", "某会务公司", "CORPORATION", "", {"u_供应商编码": "S7"})
    assert rules.supplier(payee, "2202.01", day_number(date(2026, 3, 31))).code == "V1"
    assert rules.supplier(payee, "2202.01", day_number(date(2026, 4, 1))).code == "S7"
    assert rules.supplier(replace(payee, fields={}), "2202.01", day_number(date(2026, 4, 1))).code == "p1"


def test_an_employee_is_known_by_the_mapped_code_else_hesis_code_else_its_id() -> None:
    change = {"+dimensions": [{"type": "employee", "from": ["form.submitterId"], "source": "staff", "values": [{"hesi": "E001", "code": "0417"}]}]}
    mapped, plain = rules_of(change), rules_of()
    assert [mapped.employee(f"{CORP}:{code}", "2241.01", DAY).code for code in ("E001", "E002", "E404")] == ["0417", "E002", f"{CORP}:E404"]
    assert [plain.employee(f"{CORP}:{code}", "2241.01", DAY).code for code in ("E001", "E404")] == ["E001", f"{CORP}:E404"]


CLOSED = {"periods": {"closed": [{"period": "2026-03", "closed_on": "2026-04-02"}], "policy": {"EXPENSE": "hold", "LOAN": "reject", "*": "next_open"}}}


@pytest.mark.parametrize(
    ("run_day", "kind", "day", "rule"),
    [
        ("2026-04-01", "EXPENSE", DAY, None),
        ("2026-04-02", "EXPENSE", None, "PERIOD_CLOSED"),
        ("2026-04-02", "PAYMENT", day_number(date(2026, 4, 1)), None),
        ("2026-04-02", "LOAN", None, "PERIOD_CLOSED"),
    ],
)
def test_a_month_is_closed_from_its_closing_day_and_each_kind_has_its_policy(run_day: str, kind: str, day: int | None, rule: str | None) -> None:
    rules = rules_of(CLOSED, run_day=run_day)
    found, problem = rules.posting_day(kind, DAY)
    assert found == day
    assert (problem[0] if problem else None) == rule
    assert rules.period_disposition("EXPENSE") == "held"
    assert rules.period_disposition("LOAN") == "rejected"


def test_an_event_without_a_day_cannot_be_posted() -> None:
    found, problem = rules_of().posting_day("EXPENSE", NO_DAY)
    assert found is None
    assert problem is not None
    assert problem[0] == "APPROVAL_DATE_MISSING"


def test_a_tax_code_belongs_to_its_rate_and_is_empty_for_others() -> None:
    assert [rules_of().tax_code(rate) for rate in ("13", "6", "0.5")] == ["J13", "J06", ""]


def test_a_wrong_invoice_title_is_shown_with_the_nearest_one_the_file_and_the_day() -> None:
    rules = rules_of()
    assert rules.wrong_title("示例科技（北京）有限公司", "91310000DEMO00001X", DAY) == (
        "made out to 示例科技（北京）有限公司 91310000DEMO00001X, no title in company.invoice_titles of companies/C01.yaml on 2026-03-10; "
        "nearest known: 示例科技（上海）有限公司 91310000DEMO00001X"
    )


def test_a_wrong_invoice_title_without_a_tax_number_is_masked_like_a_persons_name() -> None:
    assert "made out to 张*," in str(rules_of().wrong_title("张三", "", DAY))


@pytest.mark.parametrize(
    ("name", "number", "right"),
    [
        ("示例科技（上海）有限公司", "91310000DEMO00001X", True),
        (" 示例科技(上海)有限公司", "９１310000demo00001x ", True),
        ("示例科技（上海）有限公司", "", True),
        ("", "91310000DEMO00001X", True),
        ("", "", True),
        ("", "91310000DEMO00002X", False),
        ("示例科技（上海）有限公司", "91310000DEMO00002X", False),
    ],
)
def test_width_case_blanks_and_what_an_invoice_leaves_out_do_not_make_its_title_wrong(name: str, number: str, right: bool) -> None:
    assert (rules_of().wrong_title(name, number, DAY) is None) is right


def test_a_company_without_titles_checks_none() -> None:
    assert rules_of({"company": {"invoice_titles": []}}).wrong_title("别家", "1", DAY) is None


def test_a_share_that_deducts_no_tax_says_why_and_where_by_code_or_id_and_day() -> None:
    entries = [
        {"hesi": {"codes": ["P001"]}, "reason": "简易计税", "from": "2026-03-10"},
        {"dimension": "department", "hesi": {"ids": [f"{CORP}:D10"]}, "reason": "食堂"},
    ]
    rules = rules_of({"input_vat": {"not_deducted": entries}})
    assert rules.not_deducted("project", f"{CORP}:P001", DAY) == "project P001, 简易计税 (companies/C01.yaml:input_vat.not_deducted[0])"
    assert rules.not_deducted("project", f"{CORP}:P001", DAY - 1) == ""
    assert rules.not_deducted("department", f"{CORP}:D10", DAY) == f"department {CORP}:D10, 食堂 (companies/C01.yaml:input_vat.not_deducted[1])"
    assert rules.not_deducted("project", "", DAY) == ""


def test_a_traveller_is_an_employee_by_name_whatever_the_blanks_in_it() -> None:
    rules = rules_of()
    assert [rules.is_employee(name) for name in ("张三", " 王 五", "赵客户", "")] == [True, True, False, False]
