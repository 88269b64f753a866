"""What the budgets say about claims, and what follows from it (accounting-rules 28)."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.config.budget_policy import BudgetPolicy
from etl.frames import FINDINGS, REJECTS
from etl.model_budget import BudgetDimension, BudgetMoney, BudgetNode, BudgetPeriod, Budgets, Hierarchies
from etl.steps.budget_match import BudgetIndex
from etl.steps.budget_outcome import budget_rejects, budget_rows
from etl.steps.check_budget import BudgetOutcome, check_budget, decide
from tests.unit.steps.budget_cases import MARCH_10, YEAR, budgets, lines, node
from tests.unit.steps.vouchers_to_validate import chunk

WARN, HOLD, REJECT = (BudgetPolicy(policy=action) for action in ("warn", "hold", "reject"))
D10 = ("DEPART", "D10")


def verdicts(outcome: BudgetOutcome) -> dict[int, str]:
    return dict(zip(outcome.verdicts["entry_no"], outcome.verdicts["verdict"], strict=True))


def check_of(outcome: BudgetOutcome, node_id: str) -> dict[str, object]:
    return outcome.checks.set_index("node_id").loc[node_id].to_dict()


# --- against a table or CSV


@pytest.mark.parametrize(("charge", "verdict"), [(9_999, "within"), (10_000, "within"), (10_001, "over")])
def test_a_claim_may_use_a_budget_up_but_not_exceed_it(charge: int, verdict: str) -> None:
    outcome = check_budget(lines({"gross_minor": charge}), budgets(node("a", 10_000, D10)), WARN)
    assert verdicts(outcome) == {0: verdict}


def test_available_is_budget_less_actual_less_approved_less_requisitions_less_this_run() -> None:
    source = budgets(node("a", 100_000, D10, used=20_000, in_flight=5_000, requisition=3_000, control="FORBID"))
    outcome = check_budget(lines({"gross_minor": 7_000}), source, WARN)
    assert list(outcome.checks.to_dict("records")) == [
        {
            "source": "csv", "node_id": "a", "node_name": "node a", "period": "2026", "currency": "CNY", "budget_minor": 100_000,
            "used_minor": 20_000, "in_flight_minor": 8_000, "this_run_minor": 7_000, "available_minor": 65_000,
            "over_percent": "0.00", "control": "FORBID", "verdict": "within", "policy": "warn", "claims": 1,
        }
    ]  # fmt: skip


def test_two_claims_racing_for_the_last_hundred_cannot_both_be_within() -> None:
    outcome = check_budget(lines({"entry_no": 0}, {"entry_no": 1}), budgets(node("a", 10_000, D10)), HOLD)
    assert verdicts(outcome) == {0: "within", 1: "over"}
    assert list(outcome.rejects["entry_no"]) == [1]


def test_the_claim_approved_first_goes_first_whatever_its_number() -> None:
    entries = chunk(2).entries
    entries["event_day"] = [MARCH_10 + 1, MARCH_10]
    source = budgets(node("a", 10_000, D10))
    outcome = check_budget(lines({"entry_no": 0}, {"entry_no": 1}), source, HOLD, entries=entries)
    assert verdicts(outcome) == {1: "within", 0: "over"}


def test_a_claim_that_is_held_leaves_its_money_to_a_smaller_one() -> None:
    rows = lines({"entry_no": 0, "gross_minor": 20_000}, {"entry_no": 1, "gross_minor": 9_000})
    outcome = check_budget(rows, budgets(node("a", 10_000, D10)), HOLD)
    assert verdicts(outcome) == {0: "over", 1: "within"}
    assert check_of(outcome, "a")["this_run_minor"] == 9_000
    assert check_of(outcome, "a")["available_minor"] == 1_000


def test_a_claim_that_is_only_warned_about_uses_the_budget_all_the_same() -> None:
    rows = lines({"entry_no": 0, "gross_minor": 20_000}, {"entry_no": 1, "gross_minor": 9_000})
    outcome = check_budget(rows, budgets(node("a", 10_000, D10)), WARN)
    assert verdicts(outcome) == {0: "over", 1: "over"}
    check = check_of(outcome, "a")
    assert (check["available_minor"], check["over_percent"], check["claims"]) == (-19_000, "190.00", 2)


def test_a_refused_claim_takes_nothing_from_the_budgets_it_would_have_kept_within() -> None:
    rows = lines({"gross_minor": 20_000}, {"department_id": "D20", "gross_minor": 1_000})
    outcome = check_budget(rows, budgets(node("a", 10_000, D10), node("b", 10_000, ("DEPART", "D20"))), HOLD)
    assert verdicts(outcome) == {0: "over"}
    assert check_of(outcome, "b")["this_run_minor"] == 0


def test_a_red_claim_gives_back_and_is_never_over() -> None:
    rows = lines({"entry_no": 0, "gross_minor": -5_000}, {"entry_no": 1, "gross_minor": 4_000})
    outcome = check_budget(rows, budgets(node("a", 1_000, D10, used=2_000)), HOLD)
    assert verdicts(outcome) == {0: "within", 1: "within"}


def test_lines_of_one_claim_are_judged_together() -> None:
    rows = lines({"gross_minor": 6_000}, {"gross_minor": 6_000}, {"gross_minor": -3_000})
    assert verdicts(check_budget(rows, budgets(node("a", 9_000, D10)), WARN)) == {0: "within"}


# --- requisitions


def test_a_claim_uses_up_its_requisition_before_the_budget() -> None:
    source = budgets(node("a", 10_000, D10, requisition=8_000), requisitions={"R1": 8_000})
    rows = lines({"gross_minor": 9_000, "requisition_id": "R1"})
    outcome = check_budget(rows, source, HOLD)
    assert verdicts(outcome) == {0: "within"}
    assert check_of(outcome, "a")["this_run_minor"] == 1_000


def test_a_requisition_can_be_used_once_only() -> None:
    source = budgets(node("a", 10_000, D10, requisition=8_000), requisitions={"R1": 8_000})
    rows = lines(
        {"entry_no": 0, "gross_minor": 8_000, "requisition_id": "R1"},
        {"entry_no": 1, "gross_minor": 3_000, "requisition_id": "R1"},
    )
    assert verdicts(check_budget(rows, source, HOLD)) == {0: "within", 1: "over"}


def test_a_requisition_the_budget_does_not_hold_covers_nothing() -> None:
    source = budgets(node("a", 10_000, D10), requisitions={"R1": 8_000})
    assert verdicts(check_budget(lines({"gross_minor": 10_001, "requisition_id": "R1"}), source, HOLD)) == {0: "over"}


def test_an_unknown_requisition_covers_nothing() -> None:
    source = budgets(node("a", 10_000, D10, requisition=8_000), requisitions={"R1": 8_000})
    assert verdicts(check_budget(lines({"gross_minor": 3_000, "requisition_id": "R2"}), source, HOLD)) == {0: "over"}


# --- against Hesi's nodes


def test_a_claim_hesi_already_counted_is_not_subtracted_again() -> None:
    source = budgets(node("a", 10_000, D10, used=6_000, in_flight=4_000), source="hesi")
    outcome = check_budget(lines({"gross_minor": 10_000}), source, HOLD)
    assert verdicts(outcome) == {0: "within"}
    check = check_of(outcome, "a")
    assert (check["this_run_minor"], check["available_minor"]) == (10_000, 0)


def test_a_node_that_stands_over_makes_every_claim_in_it_over() -> None:
    source = budgets(node("a", 10_000, D10, used=6_000, in_flight=4_001, over_rate_percent=120, control="FORBID"), source="hesi")
    outcome = check_budget(lines({"entry_no": 0, "gross_minor": 100}, {"entry_no": 1, "gross_minor": 100}), source, WARN)
    assert verdicts(outcome) == {0: "over", 1: "over"}
    assert check_of(outcome, "a")["over_percent"] == "0.01"
    assert (
        list(outcome.findings["detail"])
        == [
            "node a 2026: budget 100.00, used 60.00, in flight 40.01, open requisitions 0.00, limit 120 % = 120.00 CNY, "
            "control FORBID; this claim 1.00, counted there already"
        ]
        * 2
    )


@pytest.mark.parametrize("control", ["ALLOW", "FORBID", "IGNORED"])
@pytest.mark.parametrize(("policy", "refused"), [(WARN, 0), (HOLD, 1), (REJECT, 1)])
def test_the_policy_decides_and_the_control_of_the_node_is_only_reported(control: str, policy: BudgetPolicy, refused: int) -> None:
    source = budgets(node("a", 1, D10, used=2, control=control), source="hesi")
    outcome = check_budget(lines({}), source, policy)
    assert len(outcome.rejects) == refused
    assert len(outcome.findings) == 1 - refused
    assert check_of(outcome, "a")["control"] == control


def test_a_package_still_being_computed_never_passes_as_within() -> None:
    source = budgets(source="hesi", computed=False)
    outcome = check_budget(lines({}), source, WARN)
    assert verdicts(outcome) == {0: "not_computed"}
    assert outcome.findings["rule"].tolist() == ["BUDGET_NOT_COMPUTED"]
    assert check_of(outcome, "P")["verdict"] == "not_computed"


def test_a_package_still_being_computed_holds_where_the_policy_says_so() -> None:
    policy = BudgetPolicy(on_not_computed="hold")
    outcome = check_budget(lines({}), budgets(source="hesi", computed=False), policy)
    assert outcome.rejects[["disposition", "rule"]].to_numpy().tolist() == [["held", "BUDGET_NOT_COMPUTED"]]
    assert outcome.findings.empty


def test_a_package_being_computed_for_another_year_does_not_concern_a_claim() -> None:
    source = budgets(source="hesi", computed=False)
    outcome = check_budget(lines({"day": YEAR.last_day + 1}), source, WARN)
    assert verdicts(outcome) == {0: "unbudgeted"}


def test_over_is_worse_than_not_computed_and_not_computed_is_worse_than_within() -> None:
    done = budgets(node("a", 1, D10, used=2), source="hesi").packages
    waiting = budgets(source="hesi", computed=False).packages
    rows = lines({"entry_no": 0}, {"entry_no": 1, "department_id": "D20"})
    outcome = check_budget(rows, Budgets("hesi", (*done, *waiting)), WARN)
    assert verdicts(outcome) == {0: "over", 1: "not_computed"}


def test_a_claim_over_in_one_package_is_still_held_for_another_that_is_being_computed() -> None:
    done = budgets(node("a", 1, D10, used=2), source="hesi").packages
    waiting = budgets(source="hesi", computed=False).packages
    outcome = check_budget(lines({}), Budgets("hesi", (*done, *waiting)), BudgetPolicy(on_not_computed="hold"))
    assert outcome.rejects["rule"].tolist() == ["BUDGET_NOT_COMPUTED"]
    assert outcome.findings.empty


# --- which budget takes a line


def test_a_code_takes_its_own_segments_and_never_a_longer_number() -> None:
    source = budgets(node("a", 100_000, ("ACCOUNT", "1001")))
    rows = lines(
        {"entry_no": 0, "account_code": "1001"},
        {"entry_no": 1, "account_code": "1001.02.03"},
        {"entry_no": 2, "account_code": "10010"},
        {"entry_no": 3, "account_code": "10010.01"},
    )
    assert verdicts(check_budget(rows, source, WARN)) == {0: "within", 1: "within", 2: "unbudgeted", 3: "unbudgeted"}


def test_another_separator_of_segments_is_taken_from_the_policy() -> None:
    rows = lines({"entry_no": 0, "account_code": "1001-02"}, {"entry_no": 1, "account_code": "1001.02"})
    outcome = check_budget(rows, budgets(node("a", 100_000, ("ACCOUNT", "1001"))), BudgetPolicy(separator="-"))
    assert verdicts(outcome) == {0: "within", 1: "unbudgeted"}


def test_a_department_budget_takes_the_departments_below_it_by_the_tree() -> None:
    trees = Hierarchies(parents={"DEPART": {"D10": "ROOT", "D11": "D10", "D110": "ROOT"}})
    rows = lines(*({"entry_no": i, "department_id": d} for i, d in enumerate(["D10", "D11", "D110", "D12"])))
    outcome = check_budget(rows, budgets(node("a", 100_000, D10)), WARN, hierarchies=trees)
    assert verdicts(outcome) == {0: "within", 1: "within", 2: "unbudgeted", 3: "unbudgeted"}


def test_a_budget_for_this_level_alone_does_not_take_what_is_below() -> None:
    trees = Hierarchies(parents={"DEPART": {"D11": "D10"}})
    alone = BudgetNode("a", "a", (BudgetDimension("DEPART", "D10", below=False),), (BudgetMoney(YEAR, 100_000),))
    rows = lines({"entry_no": 0}, {"entry_no": 1, "department_id": "D11"})
    assert verdicts(check_budget(rows, budgets(alone), WARN, hierarchies=trees)) == {0: "within", 1: "unbudgeted"}


def test_a_tree_that_loops_does_not_hang() -> None:
    trees = Hierarchies(parents={"DEPART": {"D10": "D11", "D11": "D10"}})
    outcome = check_budget(lines({}), budgets(node("a", 100_000, ("DEPART", "D12"))), WARN, hierarchies=trees)
    assert verdicts(outcome) == {0: "unbudgeted"}


def test_a_department_can_be_budgeted_by_its_code() -> None:
    trees = Hierarchies(parents={"DEPART": {"ID_11": "ID_10"}}, codes={"DEPART": {"ID_10": "D10", "ID_11": "D11"}})
    rows = lines({"department_id": "ID_11"})
    assert verdicts(check_budget(rows, budgets(node("a", 100_000, D10)), WARN, hierarchies=trees)) == {0: "within"}


def test_a_child_node_takes_only_what_its_parents_take_and_both_are_charged() -> None:
    parent = node("p", 10_000, D10)
    child = node("c", 4_000, ("FEE_TYPE", "T"), parent_id="p")
    rows = lines(
        {"entry_no": 0, "gross_minor": 4_000},
        {"entry_no": 1, "gross_minor": 6_000, "fee_type_id": "U"},
        {"entry_no": 2, "gross_minor": 1, "fee_type_id": "U"},
        {"entry_no": 3, "gross_minor": 1, "department_id": "D20"},
    )
    outcome = check_budget(rows, budgets(parent, child), HOLD)
    assert verdicts(outcome) == {0: "within", 1: "within", 2: "over", 3: "unbudgeted"}
    assert (check_of(outcome, "p")["this_run_minor"], check_of(outcome, "c")["this_run_minor"]) == (10_000, 4_000)


def test_a_node_over_a_field_the_lines_do_not_carry_takes_no_line() -> None:
    source = budgets(node("a", 100_000, D10, ("u_cost_object", "X")))
    assert verdicts(check_budget(lines({}), source, WARN)) == {0: "unbudgeted"}


def test_a_budget_in_another_currency_takes_no_line() -> None:
    source = budgets(node("a", 100_000, D10), currency="USD")
    assert verdicts(check_budget(lines({}), source, WARN)) == {0: "unbudgeted"}


def test_a_line_is_charged_to_the_period_of_its_day() -> None:
    months = [BudgetPeriod.numbered("MONTH", 2026, number) for number in (3, 4)]
    moneys = tuple(BudgetMoney(month, 10_000) for month in reversed(months))
    source = budgets(BudgetNode("a", "a", (BudgetDimension(*D10),), moneys))
    days = [
        months[0].first_day - 1,
        months[0].first_day,
        months[0].last_day,
        months[1].first_day,
        months[1].last_day + 1,
    ]
    outcome = check_budget(lines(*({"entry_no": i, "day": d, "gross_minor": 1} for i, d in enumerate(days))), source, WARN)
    assert list(verdicts(outcome).values()) == ["unbudgeted", "within", "within", "within", "unbudgeted"]
    assert outcome.checks[["period", "claims"]].to_numpy().tolist() == [["2026-03", 2], ["2026-04", 1], ["", 2]]


def test_a_claim_without_a_budget_is_reported_per_company_and_passes() -> None:
    outcome = check_budget(lines({"gross_minor": 70}, {"entry_no": 1, "company_code": "C02"}), budgets(), REJECT)
    assert verdicts(outcome) == {0: "unbudgeted", 1: "unbudgeted"}
    assert outcome.rejects.empty
    columns = ["node_name", "verdict", "this_run_minor", "claims"]
    assert outcome.checks[columns].to_numpy().tolist() == [
        ["C01", "unbudgeted", 70, 1],
        ["C02", "unbudgeted", 10_000, 1],
    ]


@pytest.mark.parametrize(("basis", "verdict"), [("gross", "over"), ("net", "within")])
def test_the_basis_of_the_policy_says_which_amount_is_compared(basis: str, verdict: str) -> None:
    rows = lines({"gross_minor": 10_600, "net_minor": 10_000})
    outcome = check_budget(rows, budgets(node("a", 10_000, D10)), BudgetPolicy(basis=basis))
    assert verdicts(outcome) == {0: verdict}


def test_a_company_may_have_a_stricter_policy_than_the_others() -> None:
    rows = lines({"entry_no": 0}, {"entry_no": 1, "company_code": "C02"})
    outcome = check_budget(rows, budgets(node("a", 0, D10)), BudgetPolicy(companies={"C02": "reject"}))
    assert outcome.rejects[["entry_no", "disposition"]].to_numpy().tolist() == [[1, "rejected"]]
    assert outcome.findings["claim_code"].tolist() == ["B0"]
    assert check_of(outcome, "a")["policy"] == "reject/warn"


# --- what comes out


def test_a_run_without_lines_has_an_empty_outcome_of_the_same_shape() -> None:
    empty = check_budget(lines(), budgets(node("a", 1, D10)), HOLD)
    full = check_budget(lines({}), budgets(node("a", 1, D10)), HOLD)
    for name in ("checks", "rejects", "findings"):
        assert getattr(empty, name).empty
        assert list(getattr(empty, name).dtypes) == list(getattr(full, name).dtypes)
    assert empty.verdicts.empty


def test_rejects_and_findings_have_the_promised_columns() -> None:
    entries = chunk(3).entries
    outcome = check_budget(lines({"entry_no": 1}), budgets(node("a", 0, D10)), REJECT, entries=entries)
    rejects = REJECTS.check(budget_rejects(outcome.rejects, entries))
    assert rejects[["claim_id", "disposition", "step", "rule", "owner"]].to_numpy().tolist() == [
        ["ID00000001", "rejected", "check_budget", "BUDGET_EXCEEDED", "财务"]
    ]
    assert rejects["reason"].iat[0].startswith("node a 2026: budget 0.00, used 0.00, in flight 0.00, open requisitions 0.00, ")
    assert rejects["reason"].iat[0].endswith("; this claim 100.00, left 0.00")
    assert budget_rejects(outcome.rejects, entries.iloc[:1]).empty
    FINDINGS.check(check_budget(lines({}), budgets(node("a", 0, D10)), WARN).findings)


def test_the_reason_names_the_tightest_budget() -> None:
    outcome = check_budget(lines({}), budgets(node("wide", 9_000, D10), node("tight", 10, D10)), HOLD)
    assert outcome.rejects["reason"].iat[0].startswith("node tight 2026")


def test_ledger_rows_are_decimal_text_at_the_scale_of_the_currency() -> None:
    row = next(budget_rows(check_budget(lines({}), budgets(node("a", 12_345, D10)), WARN).checks))
    assert (row["budget"], row["this_run"], row["available"]) == ("123.45", "100.00", "23.45")
    assert set(row) == {
        "source", "node_id", "node_name", "period", "currency", "budget", "used", "in_flight", "this_run", "available",
        "over_percent", "control", "verdict", "policy", "claims",
    }  # fmt: skip


# --- laws

claims = st.lists(st.tuples(st.sampled_from(["D10", "D11", "D20"]), st.integers(-3_000, 9_000)), min_size=1, max_size=25)
TREES = Hierarchies(parents={"DEPART": {"D11": "D10"}})


def lines_of(drawn: list[tuple[str, int]]) -> pd.DataFrame:
    return lines(*({"entry_no": i, "department_id": d, "gross_minor": a} for i, (d, a) in enumerate(drawn)))


@settings(max_examples=60, deadline=None)
@given(claims, st.integers(0, 20_000), st.integers(0, 20_000), st.sampled_from([HOLD, REJECT]))
def test_what_passes_never_exceeds_any_budget(drawn: list[tuple[str, int]], above: int, below: int, policy: BudgetPolicy) -> None:
    source = budgets(node("p", above, D10), node("c", below, ("DEPART", "D11")))
    outcome = check_budget(lines_of(drawn), source, policy, hierarchies=TREES)
    refused = set(outcome.rejects["entry_no"])
    passed = [(d, a) for i, (d, a) in enumerate(drawn) if i not in refused]
    assert sum(a for d, a in passed if d != "D20") <= above
    assert sum(a for d, a in passed if d == "D11") <= below
    assert {i for i, verdict in verdicts(outcome).items() if verdict == "over"} == refused


@settings(max_examples=60, deadline=None)
@given(claims, st.integers(0, 20_000), st.sampled_from([WARN, HOLD]))
def test_turns_agree_with_counting_one_claim_after_the_other(drawn: list[tuple[str, int]], budget: int, policy: BudgetPolicy) -> None:
    left, expected = budget, {}
    for i, (department, amount) in enumerate(drawn):
        if department == "D20":
            expected[i] = "unbudgeted"
            continue
        expected[i] = "over" if amount > max(left, 0) else "within"
        if expected[i] == "within" or policy is WARN:
            left -= amount
    outcome = check_budget(lines_of(drawn), budgets(node("p", budget, D10)), policy, hierarchies=TREES)
    assert verdicts(outcome) == expected


@settings(max_examples=40, deadline=None)
@given(claims.flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(range(len(drawn))))))
def test_the_sums_do_not_depend_on_the_order_of_the_lines(
    drawn_and_order: tuple[list[tuple[str, int]], list[int]],
) -> None:
    drawn, order = drawn_and_order
    source = budgets(node("p", 10_000, D10), node("c", 5_000, ("DEPART", "D11")))
    straight = lines_of(drawn)
    mixed = straight.iloc[order].reset_index(drop=True)
    one, other = (check_budget(frame, source, WARN, hierarchies=TREES) for frame in (straight, mixed))
    pd.testing.assert_frame_equal(one.checks, other.checks)
    assert verdicts(one) == verdicts(other)


@settings(max_examples=40, deadline=None)
@given(claims, st.integers(0, 25))
def test_chunks_give_what_the_whole_gives(drawn: list[tuple[str, int]], cut: int) -> None:
    source, whole = budgets(node("p", 10_000, D10), node("c", 5_000, ("DEPART", "D11"))), lines_of(drawn)
    index = BudgetIndex(source, TREES)
    parts = [index.charges(part.reset_index(drop=True), basis="gross") for part in (whole.iloc[:cut], whole.iloc[cut:])]
    together = check_budget(whole, source, HOLD, hierarchies=TREES)
    pd.testing.assert_frame_equal(decide(index, parts, HOLD).checks, together.checks)
    pd.testing.assert_frame_equal(decide(index, parts, HOLD).verdicts, together.verdicts)


def test_march_10_lies_in_the_first_quarter() -> None:
    quarter = BudgetPeriod.numbered("SEASON", 2026, 1)
    assert quarter.first_day <= MARCH_10 <= quarter.last_day
