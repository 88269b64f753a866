"""Budget lines against budgets become a verdict per claim and a check per budget (accounting-rules 28).

What happens to a claim is decided by the policy alone; a node's own control and over-rate are reported. In Hesi's nodes a
claim that is posted is already counted (occupied or confirmed), so the node is judged as it stands. Against a table or
CSV the claims of the run are taken one after the other in order of approval, each after using up its requisition, so that
two claims racing for the last 100.00 cannot both be within.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from etl.config.budget_policy import BudgetPolicy
from etl.model_budget import Budgets, Hierarchies
from etl.steps.budget_match import NO_REQUISITION, UNBUDGETED, BudgetIndex, Cell, Charges, summed
from etl.steps.budget_outcome import VERDICTS, Judged, checks_of, findings_of, rejects_of

Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class BudgetOutcome:
    """What the budgets say about a run.

    ``checks``: one row per budget and period touched, and one per company without a budget; ``*_minor`` in minor units of
    ``currency``; available = budget - used - in flight - this run, where Hesi counts this run in the first two already.
    ``verdicts``: entry_no, verdict (the worst of all levels that take one of its lines).
    ``rejects``: entry_no, disposition, rule, reason; see :func:`budget_rejects`.
    ``findings``: :data:`etl.frames.FINDINGS` of claims that pass although they are over or not computed.
    """

    checks: pd.DataFrame
    verdicts: pd.DataFrame
    rejects: pd.DataFrame
    findings: pd.DataFrame


def check_budget(
    budget_lines: pd.DataFrame,
    budgets: Budgets,
    policy: BudgetPolicy,
    *,
    hierarchies: Hierarchies | None = None,
    entries: pd.DataFrame | None = None,
) -> BudgetOutcome:
    """The verdicts over one frame of :data:`etl.frames.BUDGET_LINES`.

    A run in chunks keeps one :class:`BudgetIndex`, collects its ``charges`` chunk by chunk, and calls :func:`decide` once.

    Args:
        budget_lines, entries: the run's budget lines and entries; ``entries`` only for the order of approval.
        budgets: see :mod:`etl.model_budget`.
        policy: basis, actions and the separator of code segments.
        hierarchies: trees above departments, fee types, projects; without one, codes by segment.
    """
    index = BudgetIndex(budgets, hierarchies or Hierarchies(separator=policy.separator))
    return decide(index, [index.charges(budget_lines, basis=policy.basis, entries=entries)], policy)


def decide(index: BudgetIndex, charges: Sequence[Charges], policy: BudgetPolicy) -> BudgetOutcome:
    """The verdicts over all charges of a run."""
    entries = pd.concat([chunk.entries for chunk in charges], ignore_index=True)
    entries = entries.sort_values(["approved_day", "entry_no"], ignore_index=True)
    actions = entries["company_code"].map(policy.action).to_numpy(object)
    rows = pd.concat([chunk.rows for chunk in charges], ignore_index=True)
    place = pd.Index(entries["entry_no"]).get_indexer(pd.Index(rows["entry_no"]))
    charged = _Charged(place, *(rows[name].to_numpy(np.int64) for name in ("cell", "requisition", "amount_minor")))
    book = _Book.of(index.cells)
    if index.budgets.source == "hesi":
        taken = _as_it_stands(charged, book)
    else:
        taken = _one_after_the_other(charged, book, index=index, refuses=actions != "warn")
    judged = Judged(index.budgets.source, index.cells, entries.assign(action=actions), taken)
    worst = np.zeros(len(entries), dtype=np.int8)
    np.maximum.at(worst, taken["entry"].to_numpy(), taken["verdict"].to_numpy())
    refused, passing = judged.bad(policy)
    return BudgetOutcome(
        checks=checks_of(judged),
        verdicts=pd.DataFrame({"entry_no": entries["entry_no"], "verdict": [VERDICTS[i] for i in worst.tolist()]}),
        rejects=rejects_of(judged, refused),
        findings=findings_of(judged, passing),
    )


@dataclass(frozen=True)
class _Book:
    """The cells as arrays: what is left of each before this run, its open requisitions, and whether it is computed."""

    left: Ints
    requisition: Ints
    computed: Flags

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> _Book:
        moneys = [cell.money for cell in cells]
        left = [m.budget_minor - m.used_minor - m.in_flight_minor - m.requisition_minor if m else 0 for m in moneys]
        requisition = [m.requisition_minor if m else 0 for m in moneys]
        return cls(
            np.array(left, dtype=np.int64),
            np.array(requisition, dtype=np.int64),
            np.array([m is not None for m in moneys], dtype=np.bool_),
        )


@dataclass(frozen=True)
class _Charged:
    """Charges by place of the entry in order of approval, cell and requisition."""

    entry: Ints
    cell: Ints
    requisition: Ints
    amount: Ints


def _as_it_stands(charged: _Charged, book: _Book) -> pd.DataFrame:
    """Every charge with the verdict of its node: the claims are in the node's figures already."""
    (entry, cell), amount = summed(charged.entry, charged.cell, amounts=charged.amount)
    left = np.append(book.left, 0)[cell]  # UNBUDGETED picks the last
    return _taken(entry, cell, book, over=left < 0, charge=amount, left=left, posted=amount)


def _one_after_the_other(charged: _Charged, book: _Book, *, index: BudgetIndex, refuses: Flags) -> pd.DataFrame:
    """Every charge after its requisition, with the verdict it gets when its turn comes.

    Only cells that cannot satisfy everybody need turns; in all others everybody is within whatever the order. A refused
    claim takes nothing from any budget; one that is only warned about takes what it costs.
    """
    (entry, cell), charge = _after_requisitions(charged, book, index)
    demand = np.zeros(len(book.left) + 1, dtype=np.int64)
    np.add.at(demand, cell, np.maximum(charge, 0))
    contested = np.append(book.computed & (demand[:-1] > book.left), False)
    left = np.append(book.left, 0).tolist()
    over = np.zeros(len(entry), dtype=np.bool_)
    found = np.append(book.left, 0)[cell]
    refused = np.zeros(len(refuses), dtype=np.bool_)
    turns = np.flatnonzero(contested[cell])
    places = zip(entry[turns].tolist(), turns.tolist(), cell[turns].tolist(), charge[turns].tolist(), strict=True)
    for number, group in groupby(places, key=itemgetter(0)):
        charges = list(group)
        for _, place, key, amount in charges:
            found[place] = left[key]
            over[place] = amount > max(left[key], 0)
        if refuses[number] and over[[place for _, place, _, _ in charges]].any():
            refused[number] = True
            continue
        for _, _, key, amount in charges:
            left[key] -= amount
    return _taken(entry, cell, book, over=over, charge=charge, left=found, posted=np.where(refused[entry], 0, charge))


def _after_requisitions(charged: _Charged, book: _Book, index: BudgetIndex) -> tuple[list[Ints], Ints]:
    """(entry, cell) and what is charged beyond what an open requisition had already set aside, in order of approval.

    A requisition gives no more than is open of it, and no more than the budget holds open requisitions; a claim that is
    refused later keeps its place in this row, which can only make the others look dearer.
    """
    (entry, cell, requisition), amount = summed(charged.entry, charged.cell, charged.requisition, amounts=charged.amount)
    if (requisition != NO_REQUISITION).any():
        still_open = np.array([index.budgets.requisitions[key] for key in index.requisitions] + [0], dtype=np.int64)
        claimed = pd.Series(amount).groupby([requisition, cell]).cumsum().to_numpy(np.int64)
        covered = _steps(np.clip(claimed, 0, still_open[requisition]), [requisition, cell])
        set_aside = np.append(book.requisition, 0)[cell]
        covered_in_cell = pd.Series(covered).groupby(cell).cumsum().to_numpy(np.int64)
        amount = amount - _steps(np.minimum(covered_in_cell, set_aside), [cell])
    return summed(entry, cell, amounts=amount)


def _steps(running: Ints, by: Sequence[Ints]) -> Ints:
    """What each row added to a running total of its group."""
    before = pd.Series(running).groupby(list(by)).shift(fill_value=0)
    steps: Ints = running - before.to_numpy(np.int64)
    return steps


def _taken(entry: Ints, cell: Ints, book: _Book, *, over: Flags, charge: Ints, left: Ints, posted: Ints) -> pd.DataFrame:
    computed = np.append(book.computed, True)[cell]
    verdict = np.select([cell == UNBUDGETED, ~computed, over], [1, 2, 3], 0)  # places in VERDICTS
    return pd.DataFrame(
        {
            "entry": entry.astype(np.int32),
            "cell": cell.astype(np.int32),
            "charge_minor": charge,
            "posted_minor": posted,
            "left_minor": left,
            "verdict": verdict.astype(np.int8),
        }
    )
