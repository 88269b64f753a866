"""What decides over posting: budgets another consumer spends meanwhile, and a validator that crashes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import partial

from faults.case import Case, fired
from faults.world import World

_SUITES = ("staged_claims", "voucher_lines", "batch_totals")
# Before these steps a run has not read the budgets, or has decided already.
_UNREAD, _DECIDED = ("extract", "check_budget"), ("validate", "load")
# Hesi's budgets are in CNY: no node takes a claim of a company that keeps its books in another currency.
_IN_BUDGET_CURRENCY = "SELECT count(*) FROM voucher WHERE entry_kind = 'EXPENSE' AND base_currency = 'CNY'"


def cases() -> Iterator[Case]:
    """Both fail closed."""
    for seed in range(1, 6):
        for step in (*_UNREAD, *_DECIDED):
            for policy in ("hold", "reject"):
                play, scenario = partial(spent, step=step), partial(policy_of, policy=policy)
                place, setting = f"before {step}, policy {policy}", f"budget policy {policy}"
                yield Case("domain", "budget race", place, seed, play, setting=setting, scenario=scenario)
    for seed in (1, 2, 3):
        for suite in _SUITES:
            yield Case("domain", "validator crashes", suite, seed, partial(crashing, suite=suite), validator=True)


def policy_of(world: World, policy: str) -> None:
    """Claims over budget are not posted."""
    path = world.own("mappings") / "budget.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("policy: warn\n", f"policy: {policy}\n", 1), encoding="utf-8")
    fired(path.read_text(encoding="utf-8") != text, "the policy")


def spent(world: World, step: str) -> str:
    """Another consumer spends every node of Hesi's budget while a run is under way, and later gives it back.

    Spent before the run has read it, no claim on it may pass; spent after that, what was decided on the figures that were read holds.
    """
    budgets = world.hesi.tenant.budgets
    run = world.start()
    run.until(f"before {step}")
    before = copy.deepcopy(budgets.monies)
    for money in (money for months in budgets.monies.values() for money in months):
        money["confirmedMoney"] = money["budgetMoney"] + 0.01
    run.go()
    ended = world.note(run.end())
    assert ended.well, f"{ended.told}: {ended.message}"
    over = world.count("SELECT count(*) FROM claim_reject WHERE rule = 'BUDGET_EXCEEDED'")
    budgets.monies = before
    world.disturbed = True
    if step in _UNREAD:
        fired(over, "the spent budget")
        assert not world.count(_IN_BUDGET_CURRENCY), "posted over budget"
        return f"{ended.told}; every claim on the spent budget was named and none posted, given back they were"
    fired(world.vouchers, "a decision that was made before")
    return f"{ended.told}; posted as decided on the figures that were read"


def crashing(world: World, suite: str) -> str:
    """A rule that Great Expectations accepts and falls over: it compares numbers with a text."""
    path = world.own("expectations") / f"{suite}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    column = "entry_no" if suite != "batch_totals" else "debit_minor"
    meta = {**content["expectations"][0]["meta"], "rule": "falls_over"}
    kwargs = {"column": column, "min_value": "a", "max_value": "b"}
    content["expectations"].append({"type": "expect_column_values_to_be_between", "kwargs": kwargs, "severity": "critical", "meta": meta})
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    ended = world.run()
    fired(ended.code == "VALIDATOR_FAILED", f"the crash instead of {ended.told}: {ended.message}")
    assert world.vouchers == 0, "posted without validation"
    world.restore("expectations")
    return f"{ended.told}, nothing posted; with a rule that works the next run posted"
