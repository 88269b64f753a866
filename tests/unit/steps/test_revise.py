"""The arithmetic of revisions: what a correction says, and which day it carries."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from etl.config.mapping import CompanyMapping, Mappings
from etl.frames import NO_DAY, day_number, day_of
from etl.steps.lookups import CompanyRules
from etl.steps.map_fields import company_rules, map_fields
from etl.steps.mapped import Known, MappedClaims, MappingContext
from etl.steps.revise import revise
from etl.steps.revision_lines import Line, amounts_moved, difference, owed, same_lines, through_prior_year
from etl.steps.revision_work import PostedVoucher
from tests.support.claims import demo_mappings, detail, expense, ms, reference, stage_flows

VAT, OUT = "2221.01.01", "2221.01.05"


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return demo_mappings()


@pytest.fixture(scope="module")
def company(mappings: Mappings) -> CompanyMapping:
    return mappings.companies[0]


def line(account: str, debit: int = 0, credit: int = 0, **rest: Any) -> Line:
    text = dict.fromkeys(("fx_rate", "tax_code", "tax_rate", "settlement_no", "cash_flow_item", "source_line_id"), "")
    plain = {"account_code": account, "debit_minor": debit, "credit_minor": credit, "amount_fc_minor": 0, "currency": "CNY", "dims": {}}
    return {**text, "due_day": NO_DAY, "business_day": NO_DAY, **plain, **rest}


def said(lines: list[Line]) -> list[tuple[str, int, int]]:
    return [(item["account_code"], item["debit_minor"], item["credit_minor"]) for item in lines]


def test_nothing_leads_from_a_voucher_to_itself(company: CompanyMapping) -> None:
    lines = [line("6602.01", 100), line(VAT, 6, tax_rate="6"), line("2241.01", credit=106)]
    assert difference(lines, lines, company) == []


def test_a_tax_that_shrinks_twice_is_transferred_out_twice_and_nothing_is_booked_to_and_fro(company: CompanyMapping) -> None:
    before = [line(VAT, 60, tax_rate="6"), line(OUT, credit=18, tax_rate="6")]
    assert said(difference(before, [line(VAT, 42, tax_rate="6")], company)) == []
    assert said(difference(before, [line(VAT, 24, tax_rate="6")], company)) == [(OUT, 0, 18)]


def test_a_tax_that_grows_takes_back_what_was_transferred_out_before_more_is_deducted(company: CompanyMapping) -> None:
    before = [line(VAT, 60, tax_rate="6"), line(OUT, credit=18, tax_rate="6")]
    assert said(difference(before, [line(VAT, 50, tax_rate="6")], company)) == [(OUT, 8, 0)]
    assert said(difference(before, [line(VAT, 100, tax_rate="6")], company)) == [(OUT, 18, 0), (VAT, 40, 0)]


def test_taxes_of_two_rates_are_not_netted(company: CompanyMapping) -> None:
    found = difference([line(VAT, 60, tax_rate="6")], [line(VAT, 60, tax_rate="9")], company)
    assert [(item["account_code"], item["tax_rate"], item["debit_minor"] - item["credit_minor"]) for item in found] == [(VAT, "9", 60), (OUT, "6", -60)]


def test_amounts_of_two_rates_of_exchange_keep_lines_of_their_own(company: CompanyMapping) -> None:
    usd = {"currency": "USD", "dims": {"supplier": ("S1", "")}}
    before = [line("2202.01", credit=700, amount_fc_minor=100, fx_rate="7", **usd)]
    same = difference(before, [line("2202.01", credit=1050, amount_fc_minor=150, fx_rate="7", **usd)], company)
    other = difference(before, [line("2202.01", credit=800, amount_fc_minor=100, fx_rate="8", **usd)], company)
    assert [(item["debit_minor"], item["credit_minor"], item["amount_fc_minor"], item["fx_rate"]) for item in same] == [(0, 350, 50, "7")]
    assert [(item["debit_minor"], item["credit_minor"], item["amount_fc_minor"], item["fx_rate"]) for item in other] == [(700, 0, 100, "7"), (0, 800, 100, "8")]


def test_amounts_that_moved_stay_on_their_side_and_are_added_up_over_lines_alike() -> None:
    d10 = {"dims": {"department": ("D10", "管理部")}}
    before = [line("6602.01", 60, **d10), line("6602.01", 40, **d10), line("2241.01", credit=100)]
    after = [line("6602.01", 130, **d10), line("2241.01", credit=130)]
    assert said(amounts_moved(before, after) or []) == [("6602.01", 30, 0), ("2241.01", 0, 30)]
    assert said(amounts_moved(after, before) or []) == [("6602.01", -30, 0), ("2241.01", 0, -30)]


def test_a_foreign_amount_moves_with_its_base_amount() -> None:
    usd = {"currency": "USD", "fx_rate": "7"}
    found = amounts_moved([line("2202.01", credit=700, amount_fc_minor=100, **usd)], [line("2202.01", credit=630, amount_fc_minor=90, **usd)])
    assert [(item["credit_minor"], item["amount_fc_minor"]) for item in found or []] == [(-70, -10)]


@pytest.mark.parametrize(
    "after",
    [
        line("6602.02", 80),
        line("6602.01", credit=-80),
        line("6602.01", 80, dims={"department": ("D20", "")}),
        line("6602.01", 80, currency="USD", fx_rate="7"),
        line("6602.01", 80, tax_rate="6"),
    ],
    ids=["account", "side", "dimension", "currency", "tax rate"],
)
def test_more_than_amounts_moved_where_anything_else_is_different(after: Line) -> None:
    assert amounts_moved([line("6602.01", 100)], [after]) is None
    assert amounts_moved([line("6602.01", 100)], [line("6602.01", 80), after]) is None


def prior_year(mappings: Mappings, *entries: dict[str, Any]) -> CompanyRules:
    first = mappings.companies[0]
    company = CompanyMapping.model_validate(first.model_dump(by_alias=True) | {"prior_year": list(entries)})
    return rules_of(mappings.model_copy(update={"companies": [company]}), "2027-02-20")["C01"]


DAY = day_number(date(2027, 1, 8))
D10 = {"dims": {"department": ("D10", "")}}
SMALLER = [line("2241.01", 106), line("6602.01", credit=100, **D10), line(OUT, credit=6, tax_rate="6")]


def test_a_change_of_profit_is_material_from_the_declared_amount_on(mappings: Mappings) -> None:
    below, exact = (prior_year(mappings, {"account": "6901", "material_from_minor": limit}) for limit in (101, 100))
    assert through_prior_year(SMALLER, [], below, DAY) == SMALLER
    assert said(through_prior_year(SMALLER, [], exact, DAY)) == [("2241.01", 106, 0), ("6901", 0, 100), (OUT, 0, 6)]
    assert all(not item["dims"] for item in through_prior_year(SMALLER, [], exact, DAY) if item["account_code"] == "6901")


def test_accounts_of_all_departments_come_together_and_only_their_sum_is_judged(mappings: Mappings) -> None:
    rules = prior_year(mappings, {"account": "6901", "material_from_minor": 100})
    moved = [line("6601.01", 500, dims={"department": ("D20", "")}), line("6602.01", credit=450, **D10), line("2241.01", credit=50)]
    assert through_prior_year(moved, [], rules, DAY) == moved
    more = [*moved[:1], line("6602.01", credit=300, **D10), line("2241.01", credit=200)]
    assert said(through_prior_year(more, [], rules, DAY)) == [("6901", 200, 0), ("2241.01", 0, 200)]


def test_a_claim_on_the_account_of_prior_years_goes_on_there_however_small_the_next_change_is(mappings: Mappings) -> None:
    """100.00 became 90.00 through 6901; now it is 89.00: what 6901 and 6602.01 would each move is one line."""
    rules = prior_year(mappings, {"account": "6901", "material_from_minor": 1000})
    before = [line("6602.01", 10_000, **D10), line("6901", credit=1_000), line("2241.01", credit=9_000)]
    lines = difference(before, [line("6602.01", 8_900, **D10), line("2241.01", credit=8_900)], rules.mapping)
    assert said(through_prior_year(lines, before, rules, DAY)) == [("2241.01", 100, 0), ("6901", 0, 100)]


def test_what_is_material_is_dated_by_the_day_of_the_correction(mappings: Mappings) -> None:
    rules = prior_year(mappings, {"account": "6901", "material_from_minor": 1, "from": "2027-02-01"})
    assert through_prior_year(SMALLER, [], rules, DAY) == SMALLER
    assert said(through_prior_year(SMALLER, [], rules, day_number(date(2027, 2, 1))))[1] == ("6901", 0, 100)


def test_lines_are_the_same_only_with_the_same_dimensions_and_dates() -> None:
    first = [line("6602.01", 100, dims={"department": ("D10", "")})]
    assert same_lines(first, [line("6602.01", 100, dims={"department": ("D10", "")})])
    assert not same_lines(first, [line("6602.01", 100, dims={"department": ("D20", "")})])
    assert not same_lines(first, [line("6602.01", 100, dims={"department": ("D10", "")}, business_day=1)])


def test_what_is_owed_is_payables_less_payments_by_counterparty(mappings: Mappings) -> None:
    rules = rules_of(mappings, "2026-03-20")["C01"]
    zhang, li = {"dims": {"employee": ("E001", "张三")}}, {"dims": {"employee": ("E002", "李四")}}
    lines = [line("2241.01", credit=100, **zhang), line("2241.01", debit=30, **zhang), line("2241.01", debit=5, **li), line("6602.01", 100)]
    assert owed(lines, rules) == {("2241.01", "employee", "E001", "张三"): 70, ("2241.01", "employee", "E002", "李四"): -5}


def rules_of(mappings: Mappings, run_day: str) -> dict[str, CompanyRules]:
    context = MappingContext(mappings, reference(), {}, date.fromisoformat(run_day))
    return {rules.mapping.company.code: rules for rules in company_rules(context)}


def posted_on(day: str, mapped: MappedClaims, *, number: int = 45) -> PostedVoucher:
    """The accrual of a claim as it would be read back from the ledger."""
    head = mapped.vouchers.to_dict("records")[0]
    when = date.fromisoformat(day)
    lines = tuple({**item, "dims": {}} for item in mapped.voucher_lines.to_dict("records"))
    return PostedVoucher({**head, "voucher_no": number, "voucher_day": day_number(when), "fiscal_year": when.year, "fiscal_period": when.month}, lines)


def changed(mappings: Mappings, posted_day: str, *, updated: str, run_day: str, **flow: Any) -> MappedClaims:
    """The revisions of a claim of 100.00 posted on a day that is 80.00 now."""
    common: dict[str, Any] = {"id": "B1", "code": "B1", "approved": posted_day, "paid": None, "state": "paying"}
    first = expense("100.00", details=[detail("100.00", department="D10")], **common)
    second = expense("80.00", details=[detail("80.00", department="D10")], updated=ms(updated), **common) | flow
    context = MappingContext(mappings, reference(), {}, date.fromisoformat(run_day))
    original = posted_on(posted_day, map_fields(stage_flows([first], mappings), context))
    known = {("B1", "EXPENSE", 0): Known("posted", "0" * 64, "B1", "C01", "CNY", 10000)}
    context = MappingContext(mappings, reference(), known, date.fromisoformat(run_day), revise=True)
    mapped = map_fields(stage_flows([second], mappings), context)
    return revise(mapped, [original], {("B1", "EXPENSE", "C01", 0): 0}, rules_of(mappings, run_day), next_entry=100)


def heads(mapped: MappedClaims) -> list[tuple[Any, ...]]:
    return sorted((row.entry_kind, row.revision, row.reverses_revision, str(day_of(row.voucher_day))) for row in mapped.vouchers.itertuples())


def test_a_change_carries_the_day_hesi_changed_the_claim(mappings: Mappings) -> None:
    found = changed(mappings, "2026-03-10", updated="2026-03-16", run_day="2026-03-20")
    assert heads(found) == [("EXPENSE", 1, 0, "2026-03-16"), ("EXPENSE", 2, -1, "2026-03-16")]


def test_nothing_is_undone_before_it_was_posted(mappings: Mappings) -> None:
    """Approved in December, moved to January because December was closed; December is open again."""
    found = changed(mappings, "2027-01-01", updated="2026-12-30", run_day="2027-01-08")
    assert heads(found) == [("EXPENSE", 1, 0, "2027-01-01"), ("EXPENSE", 2, -1, "2027-01-01")]


def test_a_change_after_the_year_ended_is_a_correction_even_where_the_month_is_open(mappings: Mappings) -> None:
    found = changed(mappings, "2026-12-20", updated="2027-01-05", run_day="2027-01-08")
    assert heads(found) == [("CORRECTION", 0, -1, "2027-01-05")]
    assert found.entries["disposition"].tolist() == ["corrected"]


def test_a_version_nobody_can_read_reverses_nothing(mappings: Mappings) -> None:
    found = changed(mappings, "2026-03-10", updated="2026-03-16", run_day="2026-03-20", state="a state nobody documented")
    assert (heads(found), found.entries["disposition"].tolist()) == ([], ["drift"])


def test_a_change_in_a_company_no_mapping_knows_any_more_stays_on_the_drift_list(mappings: Mappings) -> None:
    known = {("B1", "EXPENSE", 0): Known("posted", "0" * 64, "B1", "C01", "CNY", 10000)}
    flow = expense("80.00", details=[detail("80.00", department="D10")], id="B1", code="B1", paid=None, state="paying")
    first = map_fields(stage_flows([flow], mappings), MappingContext(mappings, reference(), {}, date(2026, 3, 20)))
    mapped = map_fields(stage_flows([flow], mappings), MappingContext(mappings, reference(), known, date(2026, 3, 20), revise=True))
    found = revise(mapped, [posted_on("2026-03-10", first)], {}, {}, next_entry=100)
    assert (heads(found), found.entries["disposition"].tolist()) == ([], ["drift"])
