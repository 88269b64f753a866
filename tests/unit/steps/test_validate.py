"""Each rule, broken in turn, rejects exactly the seeded entries; a validator that did not work posts nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etl.config.suites import REQUIRED, Rule, Suites, load_suites
from etl.errors import ValidatorFailed
from etl.frames import FINDINGS, REJECTS
from etl.rejects import CATALOGUE
from etl.steps.validate import ValidationOutcome, validate, validation_rejects
from etl.steps.validation_frames import join, slim_entries, slim_lines
from tests.unit.steps.vouchers_to_validate import Chunk, chunk, promises

EXPECTATIONS = Path(__file__).resolve().parents[3] / "expectations"
TODAY = date(2026, 11, 24)
SUITES = load_suites(EXPECTATIONS)
RULES = [rule for rules in SUITES.rules.values() for rule in rules]
SEEDED = (3, 7)


def outcome_of(*chunks: Chunk, suites: Suites = SUITES) -> ValidationOutcome:
    rules = promises()
    return validate(
        {
            "staged_claims": join([slim_entries(c.entries, c.vouchers, c.lines, rules=rules) for c in chunks]),
            "voucher_lines": join([slim_lines(c.lines, c.vouchers, c.dimensions, rules=rules) for c in chunks]),
        },
        suites,
        latest_day=TODAY,
    )


def failed_entries(outcome: ValidationOutcome, rule: str) -> list[int]:
    return sorted(outcome.failing.loc[outcome.failing["rule"] == rule, "entry_no"])


# One way to break each row-level rule: what is changed in entry 3 (a voucher of four lines) and in entry 7.
BREAKERS = {
    "entry_is_unique": lambda c, e: c.change("entries", e, claim_id="TWICE"),
    "event_day_is_plausible": lambda c, e: c.change("entries", e, event_day=20_782 if e == 3 else 10_956),
    "voucher_equals_claim": lambda c, e: c.change("entries", e, amount_minor=10_601),
    "voucher_balances": lambda c, e: c.change("lines", e, line_no=4, credit_minor=10_599),
    "voucher_day_in_period": lambda c, e: c.change("vouchers", e, fiscal_period=4),
    "voucher_has_lines": lambda c, e: c.keep_lines(e, 1),
    "amount_is_positive": lambda c, e: c.negate(e),
    "one_side_only": lambda c, e: c.change("lines", e, line_no=1, debit_minor=5_000, credit_minor=e - 2),
    "account_is_open": lambda c, e: c.change("lines", e, line_no=1, account_code="9999" if e == 3 else "6602.77"),
    "dimensions_are_complete": lambda c, e: c.drop_dimension(e, 1),
    "summary_fits": lambda c, e: c.change("lines", e, line_no=2, summary="  " if e == 3 else "长" * 61),
    "tax_rate_on_vat_only": lambda c, e: c.change("lines", e, line_no=3 if e == 3 else 1, tax_rate="" if e == 3 else "6"),
    "currency_fits_rate": lambda c, e: c.change("lines", e, line_no=4, currency="USD" if e == 3 else "CNY", fx_rate="" if e == 3 else "7.1"),
}


@pytest.mark.parametrize("rule", [r for r in RULES if r.suite != "batch_totals"], ids=lambda rule: rule.rule)
def test_breaking_a_rule_fails_exactly_the_seeded_entries(rule: Rule) -> None:
    seeded = chunk(10)
    for entry_no in SEEDED:
        BREAKERS[rule.rule](seeded, entry_no)
    outcome = outcome_of(seeded)

    result = next(r for r in outcome.results if r.rule == rule.rule)
    assert not result.success
    assert json.loads(result.failing_keys) == [seeded.key_of(entry_no) for entry_no in SEEDED]
    if rule.severity == "critical":
        assert failed_entries(outcome, rule.rule) == list(SEEDED)
        assert set(outcome.failing["entry_no"]) == set(SEEDED)
    else:
        assert outcome.failing.empty
        assert list(outcome.findings["rule"]) == [rule.rule] * 2


# Entries tie by themselves, so totals differ only when lines get lost or altered between mapping and loading.
def test_a_lost_pair_of_lines_fails_the_company_and_kind_it_belongs_to() -> None:
    c = chunk(6, kinds=("EXPENSE", "PAYMENT"))
    outcome = outcome_with_altered_lines(c, lambda lines: lines.loc[lines["entry_no"] != 1])
    assert failed_entries(outcome, "every_voucher_has_its_lines") == [1, 3, 5]
    assert set(outcome.failing["entry_no"]) == {1, 3, 5}
    result = next(r for r in outcome.results if r.rule == "every_voucher_has_its_lines")
    assert json.loads(result.failing_keys) == ["C01 CNY PAYMENT"]


def test_a_line_altered_on_one_side_fails_the_balance_of_its_company_and_kind() -> None:
    c = chunk(6, kinds=("EXPENSE", "PAYMENT"))
    outcome = outcome_with_altered_lines(c, lambda lines: with_cents(lines, 0, debit=0, credit=1))
    assert failed_entries(outcome, "totals_balance") == [0, 2, 4]
    assert set(outcome.failing["rule"]) == {"totals_balance"}


def test_lines_altered_on_both_sides_fail_against_the_source() -> None:
    c = chunk(6, kinds=("EXPENSE", "PAYMENT"))
    outcome = outcome_with_altered_lines(c, lambda lines: with_cents(lines, 0, debit=1, credit=1))
    assert failed_entries(outcome, "totals_equal_source") == [0, 2, 4]
    assert set(outcome.failing["rule"]) == {"totals_equal_source"}


def outcome_with_altered_lines(c: Chunk, alter) -> ValidationOutcome:  # type: ignore[no-untyped-def]
    rules = promises()
    entries = slim_entries(c.entries, c.vouchers, c.lines, rules=rules)
    lines = alter(slim_lines(c.lines, c.vouchers, c.dimensions, rules=rules))
    return validate({"staged_claims": entries, "voucher_lines": lines}, SUITES, latest_day=TODAY)


def with_cents(lines: pd.DataFrame, entry_no: int, *, debit: int, credit: int) -> pd.DataFrame:
    altered = lines.copy()
    rows = np.flatnonzero(altered["entry_no"] == entry_no)
    altered.loc[rows[0], "debit_minor"] += debit
    altered.loc[rows[-1], "credit_minor"] += credit
    return altered


def test_every_rule_of_the_suites_is_broken_by_a_test() -> None:
    broken = set(BREAKERS) | {"every_voucher_has_its_lines", "totals_balance", "totals_equal_source"}
    assert {rule.rule for rule in RULES} == broken


def test_right_vouchers_fail_no_rule_and_every_rule_looks_at_every_row() -> None:
    outcome = outcome_of(chunk(10), chunk(5, start=10, kinds=("EXPENSE", "PAYMENT", "LOAN")))
    assert outcome.failing.empty
    assert outcome.findings.empty
    assert [r.success for r in outcome.results] == [True] * len(RULES)
    assert {r.evaluated for r in outcome.results if r.suite == "staged_claims"} == {15}
    assert {r.evaluated for r in outcome.results if r.suite == "voucher_lines"} == {54}
    assert {r.evaluated for r in outcome.results if r.suite == "batch_totals"} == {3}
    assert outcome.expectations_sha256 == SUITES.sha256


def test_five_thousand_failures_give_five_thousand_keys() -> None:
    c = chunk(5_001)
    c.lines.loc[(c.lines["line_no"] == 1) & (c.lines["entry_no"] > 0), "account_code"] = "9999"
    outcome = outcome_of(c)
    assert failed_entries(outcome, "account_is_open") == list(range(1, 5_001))
    result = next(r for r in outcome.results if r.rule == "account_is_open")
    assert result.failed == 5_000
    assert len(set(json.loads(result.failing_keys))) == 5_000


def test_an_entry_that_comes_in_two_chunks_fails_in_both() -> None:
    first, second = chunk(3), chunk(3, start=3)
    second.change("entries", 4, claim_id="ID00000001", claim_code="B00000001")
    assert failed_entries(outcome_of(first, second), "entry_is_unique") == [1, 4]


def test_entries_that_are_not_ready_are_not_validated() -> None:
    c = chunk(4)
    c.change("entries", 2, disposition="waiting", amount_minor=1)
    c.vouchers = c.vouchers.loc[c.vouchers["entry_no"] != 2].reset_index(drop=True)
    c.lines = c.lines.loc[c.lines["entry_no"] != 2].reset_index(drop=True)
    outcome = outcome_of(c)
    assert outcome.failing.empty
    assert outcome.results[0].evaluated == 3


def test_a_voucher_that_never_arrived_fails_its_entry() -> None:
    c = chunk(4)
    c.vouchers = c.vouchers.loc[c.vouchers["entry_no"] != 2].reset_index(drop=True)
    c.lines = c.lines.loc[c.lines["entry_no"] != 2].reset_index(drop=True)
    assert failed_entries(outcome_of(c), "voucher_has_lines") == [2]


def test_lines_of_an_entry_that_is_not_ready_stop_the_run() -> None:
    c = chunk(4)
    c.change("entries", 2, disposition="held")
    with pytest.raises(ValidatorFailed, match="found lines of entry 2"):
        outcome_of(c)


def test_an_entry_number_used_twice_stops_the_run() -> None:
    with pytest.raises(ValidatorFailed, match="expected each entry_no once, found 0 twice"):
        outcome_of(chunk(2), chunk(1))


@pytest.mark.parametrize("suite", REQUIRED)
def test_a_removed_suite_stops_the_run(suite: str) -> None:
    left = replace(SUITES, rules={name: rules for name, rules in SUITES.rules.items() if name != suite})
    with pytest.raises(ValidatorFailed, match=f"suite {suite} is missing"):
        outcome_of(chunk(2), suites=left)


@pytest.mark.parametrize(("suite", "rule"), [(s, r) for s, rules in REQUIRED.items() for r in rules])
def test_a_removed_rule_stops_the_run(suite: str, rule: str) -> None:
    left = {**SUITES.rules, suite: tuple(r for r in SUITES.rules[suite] if r.rule != rule)}
    with pytest.raises(ValidatorFailed, match=f"rule {rule} is missing"):
        outcome_of(chunk(2), suites=replace(SUITES, rules=left))


def with_rule(**changes: object) -> Suites:
    extra = replace(SUITES.rules["voucher_lines"][0], rule="extra", **changes)  # type: ignore[arg-type]
    return replace(SUITES, rules={**SUITES.rules, "voucher_lines": (*SUITES.rules["voucher_lines"], extra)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"kwargs": {"column": "side_count", "value_set": {"$PARAMETER": "nobody_gives_this"}}},
            "Great Expectations stopped",
        ),
        ({"kwargs": {"column": "side_count"}}, "Great Expectations stopped|accepted"),
        (
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "side_count", "min_value": 3, "max_value": 1},
            },
            "stopped|accepted",
        ),
        ({"type": "expect_nothing_known"}, "stopped|accepted"),
        ({"kwargs": {"column": "no_such_column", "value_set": [1]}}, "reads no_such_column"),
        ({"kwargs": {"column": "side_count", "value_set": [1], "mostly": 0.1}}, "of them|failing rows"),
    ],
)
def test_a_validator_that_crashes_or_is_bent_stops_the_run(changes: dict[str, object], message: str) -> None:
    c = chunk(2)
    c.change("lines", 1, line_no=1, credit_minor=1)
    with pytest.raises(ValidatorFailed, match=message):
        outcome_of(c, suites=with_rule(**changes))


def test_a_rule_of_the_user_rejects_with_its_own_code_and_owner() -> None:
    suites = with_rule(
        type="expect_column_values_to_be_between",
        kwargs={"column": "debit_minor", "max_value": 4_999},
        reject_code="BUDGET_EXCEEDED",
        owner="treasury",
    )
    outcome = outcome_of(chunk(1), suites=suites)
    assert outcome.failing[["entry_no", "rule", "reject_code", "disposition", "owner"]].to_numpy().tolist() == [[0, "extra", "BUDGET_EXCEEDED", "held", "资金"]]


def test_a_run_without_vouchers_passes_without_importing_great_expectations() -> None:
    script = (
        "import sys; from datetime import date; from pathlib import Path\n"
        "from tests.unit.steps.vouchers_to_validate import chunk, promises\n"
        "from etl.config.suites import load_suites\n"
        "from etl.steps.validate import validate\n"
        "from etl.steps.validation_frames import slim_entries, slim_lines\n"
        "c = chunk(0); r = promises()\n"
        "o = validate({'staged_claims': slim_entries(c.entries, c.vouchers, c.lines, rules=r),\n"
        "  'voucher_lines': slim_lines(c.lines, c.vouchers, c.dimensions, rules=r)},\n"
        f"  load_suites(Path({str(EXPECTATIONS)!r})), latest_day=date(2026, 11, 24))\n"
        "assert o.failing.empty and len(o.results) == 16 and all(x.success for x in o.results)\n"
        "print('great_expectations' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=EXPECTATIONS.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_failing_entries_become_one_reject_per_claim_and_kind() -> None:
    c = chunk(4)
    c.change("lines", 1, line_no=1, account_code="9999", summary="")
    c.change("entries", 3, amount_minor=10_601)
    rejects = REJECTS.check(validation_rejects(outcome_of(c).failing, c.entries))
    assert rejects[["claim_code", "disposition", "step", "rule", "owner", "amount_minor"]].to_numpy().tolist() == [
        ["B00000003", "rejected", "validate", "AMOUNT_IDENTITY", "财务", 10_601],
        ["B00000001", "rejected", "validate", "ACCOUNT_UNKNOWN", "映射维护人", 10_600],
    ]
    reason = rejects["reason"].iat[1]
    assert "account_is_open: " in reason
    assert "summary_fits: " in reason


def test_nothing_failing_makes_no_reject() -> None:
    c = chunk(2)
    assert validation_rejects(outcome_of(c).failing, c.entries).empty


def test_findings_have_the_promised_columns() -> None:
    c = chunk(3)
    c.negate(1)
    findings = FINDINGS.check(outcome_of(c).findings)
    assert findings[["claim_code", "rule", "amount_minor", "currency"]].to_numpy().tolist() == [["B00000001", "amount_is_positive", -10_600, "CNY"]]


def test_every_reject_code_of_the_suites_is_in_the_catalogue() -> None:
    assert {rule.reject_code for rule in RULES} <= set(CATALOGUE)


@pytest.mark.parametrize("frame", ["staged_claims", "voucher_lines"])
def test_a_frame_that_is_not_given_stops_the_run(frame: str) -> None:
    c, rules = chunk(1), promises()
    frames = {
        "staged_claims": slim_entries(c.entries, c.vouchers, c.lines, rules=rules),
        "voucher_lines": slim_lines(c.lines, c.vouchers, c.dimensions, rules=rules),
    }
    del frames[frame]
    with pytest.raises(ValidatorFailed, match=f"found no {frame}"):
        validate(frames, SUITES, latest_day=TODAY)
