"""Budget lines become charges: which budget of which period takes how much of which claim.

Lines are first reduced to the distinct combinations of what the budgets look at, so that the tree is walked once per
combination and not once per line. The charges of a chunk are a few integers each and can be kept for a whole run.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from etl.model_budget import LINE_COLUMNS, BudgetMoney, BudgetNode, BudgetPackage, Budgets, Hierarchies

UNBUDGETED = -1
NO_REQUISITION = -1
Ints: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """One node in one period, or (``node`` and ``money`` None) a whole package that is still being computed."""

    package: BudgetPackage
    node: BudgetNode | None
    money: BudgetMoney | None


@dataclass(frozen=True)
class Charges:
    """What one chunk charges.

    ``rows``: entry_no, cell (place in :attr:`BudgetIndex.cells`, or ``UNBUDGETED``), requisition (place in
    :attr:`BudgetIndex.requisitions`, or ``NO_REQUISITION``), amount_minor. ``entries``: entry_no, claim_id, claim_code,
    company_code, currency, amount_minor, approved_day.
    """

    rows: pd.DataFrame
    entries: pd.DataFrame


class BudgetIndex:
    """The cells of all budgets, and the way from a line to the cells that take it.

    Every level takes the line: the deepest node that fits and each of its parents, as each has money of its own. A budget
    in another currency takes nothing.
    """

    def __init__(self, budgets: Budgets, hierarchies: Hierarchies) -> None:
        self.budgets = budgets
        self.requisitions = tuple(sorted(budgets.requisitions))
        self._hierarchies = hierarchies
        self._trees: list[_Tree] = []
        self._computing: list[tuple[BudgetPackage, int]] = []
        self._chains: dict[str, dict[str, tuple[tuple[str, bool], ...]]] = {}
        self._known: dict[tuple[object, ...], tuple[int, ...]] = {}
        self.cells: list[Cell] = []
        for package in budgets.packages:
            if package.computed:
                self._trees.append(_Tree.of(package, len(self.cells)))
                self.cells.extend(self._trees[-1].cells)
            else:
                self._computing.append((package, len(self.cells)))
                self.cells.append(Cell(package, None, None))

    def charges(self, budget_lines: pd.DataFrame, *, basis: Literal["gross", "net"], entries: pd.DataFrame | None = None) -> Charges:
        """The charges of one chunk.

        Args:
            budget_lines: :data:`etl.frames.BUDGET_LINES`.
            basis: with (gross) or without (net) deductible VAT.
            entries: :data:`etl.frames.ENTRIES` of the chunk; its ``event_day`` is the day of approval. Without it claims
                count as approved in the order of their numbers.
        """
        amounts = budget_lines[f"{basis}_minor"].to_numpy(np.int64)
        combination, taken = self._combinations(budget_lines)
        sizes = np.array([len(cells) for cells in taken], dtype=np.int64)
        flat = np.array([cell for cells in taken for cell in cells], dtype=np.int64)
        times = sizes[combination]
        line = np.repeat(np.arange(len(budget_lines)), times)
        nth = np.arange(len(line)) - np.repeat(np.cumsum(times) - times, times)
        keys, amount = summed(
            budget_lines["entry_no"].to_numpy(np.int64)[line],
            flat[(np.cumsum(sizes) - sizes)[combination[line]] + nth],
            self._requisition(budget_lines)[line],
            amounts=amounts[line],
        )
        rows = pd.DataFrame(
            {
                "entry_no": keys[0],
                "cell": keys[1].astype(np.int32),
                "requisition": keys[2].astype(np.int32),
                "amount_minor": amount,
            }
        )
        return Charges(rows, _entries(budget_lines, amounts, entries))

    def _combinations(self, lines: pd.DataFrame) -> tuple[Ints, list[tuple[int, ...]]]:
        """Number of each line's combination of all that budgets look at, and the cells that take each combination."""
        days = lines["day"].to_numpy(np.int64)
        spans = np.searchsorted(self._bounds, days, side="right")
        keys = spans
        names = [*(LINE_COLUMNS[kind] for kind in self._kinds), "currency"]
        for name in names:
            codes, values = pd.factorize(lines[name])
            # Numbering the pairs anew after each column keeps the key far from the end of int64.
            keys = np.unique(keys * max(len(values), 1) + codes, return_inverse=True)[1]
        _, first, combination = np.unique(keys, return_index=True, return_inverse=True)
        columns = [lines[name].iloc[first].tolist() for name in names]
        samples = zip(spans[first].tolist(), days[first].tolist(), *columns, strict=True)
        return combination.astype(np.int64), [self._cells_of(span, day, values) for span, day, *values in samples]

    def _cells_of(self, span: int, day: int, values: Sequence[str]) -> tuple[int, ...]:
        """Cells that take lines of these values (one per kind, then the currency) in this span of like days."""
        key = (span, *values)
        if key not in self._known:
            *of_kinds, currency = values
            above = {kind: tuple(self._above(kind, value)) for kind, value in zip(self._kinds, of_kinds, strict=True)}
            cells = [cell for tree in self._trees if tree.package.currency == currency for cell in tree.taking(above, day)]
            cells += [cell for package, cell in self._computing if package.currency == currency and package.first_day <= day <= package.last_day]
            self._known[key] = tuple(cells) or (UNBUDGETED,)
        return self._known[key]

    def _above(self, kind: str, value: str) -> tuple[tuple[str, bool], ...]:
        known = self._chains.setdefault(kind, {})
        if value not in known:
            known[value] = tuple(dict.fromkeys(self._hierarchies.above(kind, value)))
        return known[value]

    def _requisition(self, lines: pd.DataFrame) -> Ints:
        if not self.requisitions:
            return np.full(len(lines), NO_REQUISITION, dtype=np.int64)
        return pd.Index(self.requisitions).get_indexer(pd.Index(lines["requisition_id"])).astype(np.int64)

    @cached_property
    def _kinds(self) -> list[str]:
        """Dimension kinds any budget looks at, of those a line has."""
        used = {dim.kind for tree in self._trees for node in tree.package.nodes for dim in node.dimensions}
        return [kind for kind in LINE_COLUMNS if kind in used]

    @cached_property
    def _bounds(self) -> Ints:
        """Days on which a period begins or has ended: between two of them every day is alike."""
        periods = [cell.money.period if cell.money else cell.package for cell in self.cells]
        return np.array(sorted({day for p in periods for day in (p.first_day, p.last_day + 1)}), dtype=np.int64)


@dataclass(frozen=True)
class _Tree:
    """One package: per parent and per set of dimension kinds, the nodes by what their dimensions say."""

    package: BudgetPackage
    children: Mapping[str, Mapping[tuple[str, ...], Mapping[tuple[str, ...], Sequence[BudgetNode]]]]
    first_days: Mapping[str, list[int]]
    moneys: Mapping[str, list[tuple[BudgetMoney, int]]]
    cells: list[Cell]

    @classmethod
    def of(cls, package: BudgetPackage, offset: int) -> _Tree:
        children: dict[str, dict[tuple[str, ...], dict[tuple[str, ...], list[BudgetNode]]]] = {}
        moneys: dict[str, list[tuple[BudgetMoney, int]]] = {}
        cells: list[Cell] = []
        for node in package.nodes:
            kinds = tuple(dim.kind for dim in node.dimensions)
            contents = tuple(dim.content_id for dim in node.dimensions)
            children.setdefault(node.parent_id, {}).setdefault(kinds, {}).setdefault(contents, []).append(node)
            for money in sorted(node.moneys, key=lambda money: money.period.first_day):
                moneys.setdefault(node.node_id, []).append((money, offset + len(cells)))
                cells.append(Cell(package, node, money))
        first_days = {node: [money.period.first_day for money, _ in of_node] for node, of_node in moneys.items()}
        return cls(package, children, first_days, moneys, cells)

    def taking(self, above: Mapping[str, Sequence[tuple[str, bool]]], day: int) -> list[int]:
        """Cells that take a line with these values on this day."""
        cells: list[int] = []
        visited: set[str] = set()
        parents = [""]
        while parents:
            for kinds, by_contents in self.children.get(parents.pop(), {}).items():
                for chosen in product(*(above.get(kind, ()) for kind in kinds)):
                    for node in by_contents.get(tuple(content for content, _ in chosen), ()):
                        alone = (itself or dim.below for (_, itself), dim in zip(chosen, node.dimensions, strict=True))
                        if node.node_id not in visited and all(alone):
                            visited.add(node.node_id)
                            parents.append(node.node_id)
                            cells += self._cell_on(node.node_id, day)
        return cells

    def _cell_on(self, node_id: str, day: int) -> list[int]:
        place = bisect_right(self.first_days.get(node_id, ()), day) - 1
        if place < 0:
            return []
        money, cell = self.moneys[node_id][place]
        return [cell] if day <= money.period.last_day else []


def summed(*keys: Ints, amounts: Ints) -> tuple[list[Ints], Ints]:
    """Exact int64 sums per distinct combination of keys, sorted by the keys, the first one foremost."""
    order = np.lexsort(keys[::-1])
    ordered = [key[order] for key in keys]
    if not len(order):
        return ordered, amounts
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in ordered])
    starts = np.flatnonzero(fresh)
    return [key[starts] for key in ordered], np.add.reduceat(amounts[order], starts)


def _entries(lines: pd.DataFrame, amounts: Ints, entries: pd.DataFrame | None) -> pd.DataFrame:
    """The claims of a chunk with what they charge and when they were approved."""
    named = lines[["entry_no", "claim_id", "claim_code", "company_code", "currency"]].drop_duplicates("entry_no")
    sums = pd.Series(amounts).groupby(lines["entry_no"].to_numpy()).sum()
    approved: Ints = np.zeros(len(named), dtype=np.int64)
    if entries is not None:
        approved = entries.set_index("entry_no")["event_day"].loc[named["entry_no"]].to_numpy(np.int64)
    amount = sums.loc[named["entry_no"]].to_numpy(np.int64)
    return named.assign(amount_minor=amount, approved_day=approved).reset_index(drop=True)
