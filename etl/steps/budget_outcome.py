"""The judged charges of a run as report rows, rejects and findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from etl.config.budget_policy import BudgetPolicy
from etl.frames import FINDINGS, REJECTS
from etl.model_budget import SourceKind
from etl.money import to_text
from etl.rejects import CATALOGUE, OWNER_NAMES
from etl.steps.budget_match import UNBUDGETED, Cell

Verdict = Literal["within", "unbudgeted", "not_computed", "over"]
VERDICTS: tuple[Verdict, ...] = ("within", "unbudgeted", "not_computed", "over")  # the worst last
_CODES = {VERDICTS.index("over"): "BUDGET_EXCEEDED", VERDICTS.index("not_computed"): "BUDGET_NOT_COMPUTED"}
_AMOUNTS = ("budget_minor", "used_minor", "in_flight_minor", "this_run_minor", "available_minor")
_COLUMNS = {
    **dict.fromkeys(("source", "node_id", "node_name", "period", "currency"), "str"),
    **dict.fromkeys(_AMOUNTS, "int64"),
    **dict.fromkeys(("over_percent", "control", "verdict", "policy"), "str"),
    "claims": "int64",
}


@dataclass(frozen=True)
class Bad:
    """One claim that is over or not computed: its place in the entries, what follows, and why."""

    entry: int
    action: str
    rule: str
    reason: str


@dataclass(frozen=True)
class Judged:
    """A run's charges with their verdicts.

    ``entries``: see :class:`etl.steps.budget_match.Charges`, with the action of the policy, in order of approval.
    ``taken``: grain (entry, cell); entry = place in ``entries``, charge_minor, posted_minor (0 where the claim is refused),
    left_minor before the charge, verdict = place in ``VERDICTS``.
    """

    source: SourceKind
    cells: Sequence[Cell]
    entries: pd.DataFrame
    taken: pd.DataFrame

    @property
    def counted(self) -> bool:
        """Whether the budgets' own figures already hold the claims of this run."""
        return self.source == "hesi"

    def bad(self, policy: BudgetPolicy) -> tuple[list[Bad], list[Bad]]:
        """Claims that are refused, one reason each, and claims that pass with a remark; the tightest budget is named."""
        rows = self.taken.loc[self.taken["verdict"].isin(_CODES)].sort_values(["verdict", "left_minor"], kind="stable")
        rows = rows.drop_duplicates(["entry", "verdict"]).sort_values(["entry", "verdict"], ascending=[True, False])
        actions = self.entries["action"].to_numpy(object)
        standing = {cell: _standing(self.cells[cell]) for cell in rows["cell"].unique().tolist()}
        refused: dict[int, Bad] = {}
        passing: list[Bad] = []
        for row in rows.to_dict("records"):
            entry, rule, currency = int(row["entry"]), _CODES[row["verdict"]], self.cells[row["cell"]].package.currency
            action = actions[entry] if rule == "BUDGET_EXCEEDED" else policy.on_not_computed
            reason = standing[row["cell"]]
            if rule == "BUDGET_EXCEEDED":
                charge, left = to_text(row["charge_minor"], currency), to_text(row["left_minor"], currency)
                reason += f"; this claim {charge}, counted there already" if self.counted else f"; this claim {charge}, left {left}"
            bad = Bad(entry, action, rule, reason)
            if action == "warn":
                passing.append(bad)
            else:
                refused.setdefault(entry, bad)
        return list(refused.values()), [bad for bad in passing if bad.entry not in refused]


def checks_of(judged: Judged) -> pd.DataFrame:
    """One row per budget and period touched, then one per company and currency without a budget."""
    entries, taken = judged.entries, judged.taken
    entry, cell = taken["entry"].to_numpy(), taken["cell"].to_numpy()
    book, books = pd.factorize(pd.MultiIndex.from_frame(entries[["company_code", "currency"]]))
    # Without a budget the company takes the place of the cell, numbered below zero.
    key = np.where(cell == UNBUDGETED, -1 - book[entry], cell)
    action, actions = pd.factorize(entries["action"])
    keys, place = np.unique(key, return_inverse=True)
    this_run, worst = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int8)
    np.add.at(this_run, place, taken["posted_minor"].to_numpy())
    np.maximum.at(worst, place, taken["verdict"].to_numpy())
    claims = np.bincount(place, minlength=len(keys))  # a claim is charged once per cell
    followed: dict[int, list[str]] = {}
    for code in np.unique(place * len(actions) + action[entry]).tolist():
        followed.setdefault(code // len(actions), []).append(str(actions[code % len(actions)]))
    rows = []
    for i in [*np.flatnonzero(keys >= 0).tolist(), *np.flatnonzero(keys < 0)[::-1].tolist()]:
        row = _Row(judged.source, int(this_run[i]), VERDICTS[worst[i]], "/".join(sorted(followed[i])), int(claims[i]))
        if keys[i] >= 0:
            rows.append(_check(judged.cells[keys[i]], row, counted=judged.counted))
        else:
            company, currency = books[-1 - keys[i]]
            rows.append(row.check(node_name=company, currency=currency))
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)


def rejects_of(judged: Judged, refused: Sequence[Bad]) -> pd.DataFrame:
    """Columns entry_no, disposition, rule, reason."""
    numbers = judged.entries["entry_no"].tolist()
    rows = [(numbers[bad.entry], "rejected" if bad.action == "reject" else "held", bad.rule, bad.reason) for bad in refused]
    columns = {"entry_no": "int64", "disposition": "str", "rule": "str", "reason": "str"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def findings_of(judged: Judged, passing: Sequence[Bad]) -> pd.DataFrame:
    """:data:`etl.frames.FINDINGS`, one per claim and rule; the amount is all the claim charges."""
    about = judged.entries.iloc[[bad.entry for bad in passing]]
    return FINDINGS.frame(
        {
            **{name: about[name].array for name in ("claim_id", "claim_code", "amount_minor", "currency")},
            "rule": [bad.rule for bad in passing],
            "detail": [bad.reason for bad in passing],
        }
    )


def budget_rejects(rejects: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """The refused entries of one chunk as :data:`etl.frames.REJECTS`.

    Args:
        rejects: :attr:`etl.steps.check_budget.BudgetOutcome.rejects`.
        entries: one chunk, as :data:`etl.frames.ENTRIES`.
    """
    refused = entries["entry_no"].isin(rejects["entry_no"])
    if not refused.any():
        return REJECTS.empty()
    ours = rejects.merge(entries[refused].drop(columns="disposition"), on="entry_no", how="inner", validate="one_to_one")
    owners = [OWNER_NAMES[CATALOGUE[code].owner][0] for code in ours["rule"]]
    rows = ours.assign(step="check_budget", owner=owners)
    return REJECTS.frame({name: rows[name].array for name in REJECTS.columns})


def budget_rows(checks: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The checks as rows of ``run_budget``: amounts as decimal text in major units."""
    for check in checks.to_dict("records"):
        amounts = {name.removesuffix("_minor"): to_text(check[name], check["currency"]) for name in _AMOUNTS}
        yield {**{str(name): value for name, value in check.items() if name not in _AMOUNTS}, **amounts}


@dataclass(frozen=True)
class _Row:
    """What a check says whatever it is about."""

    source: SourceKind
    this_run: int
    verdict: Verdict
    policy: str
    claims: int

    def check(self, **values: object) -> dict[str, object]:
        """A row of the checks with everything nobody says empty."""
        empty = {**dict.fromkeys(_COLUMNS, ""), **dict.fromkeys(_AMOUNTS, 0), "over_percent": "0.00"}
        ours = {"source": self.source, "verdict": self.verdict, "policy": self.policy, "claims": self.claims}
        return {**empty, **ours, "this_run_minor": self.this_run, **values}


def _check(cell: Cell, row: _Row, *, counted: bool) -> dict[str, object]:
    money, node, package = cell.money, cell.node, cell.package
    if money is None or node is None:
        return row.check(node_id=package.package_id, node_name=package.name, currency=package.currency)
    in_flight = money.in_flight_minor + money.requisition_minor
    before = money.budget_minor - money.used_minor - in_flight
    available = before if counted else before - row.this_run
    return row.check(
        node_id=node.node_id,
        node_name=node.node_name,
        period=money.period.label,
        currency=package.currency,
        budget_minor=money.budget_minor,
        used_minor=money.used_minor,
        in_flight_minor=in_flight,
        available_minor=available,
        over_percent=_over_percent(money.budget_minor, available),
        control=node.control,
    )


def _over_percent(budget: int, available: int) -> str:
    """How far beyond the budget, in percent of it, two decimals; 100.00 where there was no budget at all."""
    if available >= 0:
        return "0.00"
    hundredths = (-available * 20_000 + budget) // (2 * budget) if budget > 0 else 10_000
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def _standing(cell: Cell) -> str:
    """What a budget stands at before the claims of this run: the same for every claim it concerns."""
    money, node, currency = cell.money, cell.node, cell.package.currency
    if money is None or node is None:
        return f"{cell.package.name}: expected a computed budget, found Hesi still calculating it; wait for the next run"
    amounts = {
        "budget": money.budget_minor,
        "used": money.used_minor,
        "in flight": money.in_flight_minor,
        "open requisitions": money.requisition_minor,
        f"limit {node.over_rate_percent} % =": money.budget_minor * node.over_rate_percent // 100,
    }
    figures = ", ".join(f"{name} {to_text(minor, currency)}" for name, minor in amounts.items())
    return f"{node.node_name} {money.period.label}: {figures} {currency}, control {node.control}"
