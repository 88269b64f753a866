"""The judged charges of a run as report rows, rejects and findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
        refused: dict[int, Bad] = {}
        passing: list[Bad] = []
        for row in rows.to_dict("records"):
            entry, rule = int(row["entry"]), _CODES[row["verdict"]]
            action = actions[entry] if rule == "BUDGET_EXCEEDED" else policy.on_not_computed
            bad = Bad(entry, action, rule, _reason(self.cells[row["cell"]], row, counted=self.counted))
            if action == "warn":
                passing.append(bad)
            else:
                refused.setdefault(entry, bad)
        return list(refused.values()), [bad for bad in passing if bad.entry not in refused]


def checks_of(judged: Judged) -> pd.DataFrame:
    """One row per budget and period touched, then one per company and currency without a budget."""
    taken = judged.taken.merge(judged.entries[["company_code", "currency", "action"]], left_on="entry", right_index=True)
    budgeted = taken["cell"] != UNBUDGETED
    measures = {
        "this_run": ("posted_minor", "sum"),
        "verdict": ("verdict", "max"),
        "claims": ("entry", "nunique"),
        "actions": ("action", lambda actions: "/".join(sorted(set(actions)))),
    }
    touched = taken.loc[budgeted].groupby("cell").agg(**measures)
    without = taken.loc[~budgeted].groupby(["company_code", "currency"]).agg(**measures)
    rows = [_check(judged, judged.cells[cell], row) for cell, row in zip(touched.index.tolist(), _rows(touched), strict=True)]
    rows += [
        _row(row, source=judged.source, node_name=company, currency=currency)
        for (company, currency), row in zip(without.index.tolist(), _rows(without), strict=True)
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)


def rejects_of(judged: Judged, refused: Sequence[Bad]) -> pd.DataFrame:
    """Columns entry_no, disposition, rule, reason."""
    numbers = judged.entries["entry_no"].tolist()
    rows = [
        (numbers[bad.entry], "rejected" if bad.action == "reject" else "held", bad.rule, bad.reason) for bad in refused
    ]
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
    ours = rejects.merge(entries.drop(columns="disposition"), on="entry_no", how="inner", validate="one_to_one")
    owners = [OWNER_NAMES[CATALOGUE[code].owner][0] for code in ours["rule"]]
    rows = ours.assign(step="check_budget", owner=owners)
    return REJECTS.frame({name: rows[name].array for name in REJECTS.columns})


def budget_rows(checks: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The checks as rows of ``run_budget``: amounts as decimal text in major units."""
    for check in checks.to_dict("records"):
        amounts = {name.removesuffix("_minor"): to_text(check[name], check["currency"]) for name in _AMOUNTS}
        yield {**{str(name): value for name, value in check.items() if name not in _AMOUNTS}, **amounts}


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _row(row: Mapping[str, Any], **values: object) -> dict[str, object]:
    """A check with everything it does not say empty."""
    empty = {**dict.fromkeys(_COLUMNS, ""), **dict.fromkeys(_AMOUNTS, 0), "over_percent": "0.00"}
    common = {"this_run_minor": row["this_run"], "verdict": VERDICTS[row["verdict"]], "policy": row["actions"]}
    return {**empty, **common, "claims": row["claims"], **values}


def _check(judged: Judged, cell: Cell, row: Mapping[str, Any]) -> dict[str, object]:
    money, node, package = cell.money, cell.node, cell.package
    if money is None or node is None:
        return _row(row, source=judged.source, node_id=package.package_id, node_name=package.name, currency=package.currency)
    in_flight = money.in_flight_minor + money.requisition_minor
    before = money.budget_minor - money.used_minor - in_flight
    available = before if judged.counted else before - row["this_run"]
    return _row(
        row,
        source=judged.source,
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


def _reason(cell: Cell, row: Mapping[Any, Any], *, counted: bool) -> str:
    money, node, currency = cell.money, cell.node, cell.package.currency
    if money is None or node is None:
        return f"{cell.package.name}: expected a computed budget, found Hesi still calculating it; wait for the next run"

    def text(minor: int) -> str:
        return to_text(minor, currency)

    figures = f"budget {text(money.budget_minor)}, used {text(money.used_minor)}, in flight {text(money.in_flight_minor)}"
    if counted:
        standing = f"over by {text(-row['left_minor'])} with this claim's {text(row['charge_minor'])} included"
    else:
        standing = (
            f"open requisitions {text(money.requisition_minor)}, {text(row['left_minor'])} left for this claim's "
            f"{text(row['charge_minor'])}"
        )
    limit = text(money.budget_minor * node.over_rate_percent // 100)
    control = f"control {node.control}, limit {node.over_rate_percent} % = {limit}"
    return f"{node.node_name} {money.period.label}: {figures}, {standing} {currency}; {control}"
