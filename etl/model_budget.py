"""Budgets as data, whatever they were read from: Hesi's nodes, a table of the ERP, a CSV of finance.

Amounts are int64 minor units of the package's currency, days are day numbers (:func:`etl.frames.day_number`), both ends
of a period inclusive. Source of the shapes: accounting-rules 28, Hesi ``budget/get-budget-details.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from etl.frames import day_number
from etl.periods import ACCOUNTING_OFFSET_MS, DAY_MS

Control = Literal["ALLOW", "FORBID", "IGNORED"]
SourceKind = Literal["hesi", "table", "csv"]
PeriodKind = Literal["YEAR", "HALF_YEAR", "SEASON", "MONTH"]
# Dimension kind -> the column of BUDGET_LINES it is about. A node with any other kind (a custom field the lines do not
# carry) takes no line: charging the wrong budget is worse than calling a claim unbudgeted.
LINE_COLUMNS: Mapping[str, str] = {
    "COMPANY": "company_code",
    "DEPART": "department_id",
    "PROJECT": "project_id",
    "FEE_TYPE": "fee_type_id",
    "STAFF": "employee_id",
    "ACCOUNT": "account_code",
}
_MONTHS: Mapping[PeriodKind, int] = {"YEAR": 12, "HALF_YEAR": 6, "SEASON": 3, "MONTH": 1}


@dataclass(frozen=True, slots=True)
class BudgetPeriod:
    """The days one budget amount is for; ``label`` is what reports print, e.g. ``2026-Q1``."""

    label: str
    first_day: int
    last_day: int

    @classmethod
    def numbered(cls, kind: PeriodKind, year: int, number: int) -> BudgetPeriod:
        """Hesi's ``periodTime`` of a year: YEAR 1, HALF_YEAR 1-2, SEASON 1-4, MONTH 1-12.

        Raises:
            ValueError: the year has no such period.
        """
        months = _MONTHS[kind]
        if not 1 <= number <= 12 // months:
            raise ValueError(f"expected periodTime 1 to {12 // months} of a {kind} budget, found {number}")
        first = date(year, (number - 1) * months + 1, 1)
        end = number * months
        last = date(year + end // 12, end % 12 + 1, 1) - timedelta(days=1)
        label = {
            "YEAR": f"{year}",
            "HALF_YEAR": f"{year}-H{number}",
            "SEASON": f"{year}-Q{number}",
            "MONTH": f"{year}-{number:02d}",
        }[kind]
        return cls(label, day_number(first), day_number(last))

    @classmethod
    def between(cls, start_ms: int, end_ms: int) -> BudgetPeriod:
        """The Asia/Shanghai days between two instants, both inclusive (packages across fiscal years).

        Raises:
            ValueError: it ends before it starts.
        """
        first, last = ((ms + ACCOUNTING_OFFSET_MS) // DAY_MS for ms in (start_ms, end_ms))
        if last < first:
            raise ValueError(f"expected a period that ends after it starts, found {start_ms} to {end_ms}")
        days = (date(1970, 1, 1) + timedelta(days=number) for number in (first, last))
        return cls("..".join(map(str, days)), first, last)


@dataclass(frozen=True, slots=True)
class BudgetMoney:
    """One node's amounts of one period.

    ``used_minor``: confirmed in Hesi, actual in the ledger elsewhere. ``in_flight_minor``: occupied in Hesi, approved but
    not posted elsewhere. ``requisition_minor``: open requisitions, ERP and CSV only (Hesi has them in the other two).
    Packages with rolling control give their cumulative amounts.
    """

    period: BudgetPeriod
    budget_minor: int
    used_minor: int = 0
    in_flight_minor: int = 0
    requisition_minor: int = 0


@dataclass(frozen=True, slots=True)
class BudgetDimension:
    """One value a line must have: this content, and what is below it unless ``below`` is false.

    Hesi's ``mustLeaf``: true = 非本级 = with everything below, false = 本级 = this level alone.
    """

    kind: str
    content_id: str
    below: bool = True


@dataclass(frozen=True, slots=True)
class BudgetNode:
    """One node of a budget tree: its own dimensions, on top of those of its parents (``parent_id`` "" = root)."""

    node_id: str
    node_name: str
    dimensions: tuple[BudgetDimension, ...]
    moneys: tuple[BudgetMoney, ...]
    parent_id: str = ""
    control: Control = "ALLOW"
    over_rate_percent: int = 100


@dataclass(frozen=True, slots=True)
class BudgetPackage:
    """One published budget. ``computed`` is false while Hesi recalculates it: nothing in it can be believed then.

    ``first_day``, ``last_day``: days it is about. Drafts (``active: false``) do not become packages.
    """

    package_id: str
    name: str
    currency: str
    first_day: int
    last_day: int
    nodes: tuple[BudgetNode, ...]
    computed: bool = True


@dataclass(frozen=True, slots=True)
class Budgets:
    """Every budget of a run. ``requisitions``: id -> minor units still open (requisition - done - in process)."""

    source: SourceKind
    packages: tuple[BudgetPackage, ...]
    requisitions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Hierarchies:
    """What is above a value, per dimension kind: by tree where Hesi has one, else segment by segment of the code.

    ``parents``: kind -> id -> parent id. ``codes``: kind -> id -> code, so that finance can budget by code.
    """

    parents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    separator: str = "."

    def above(self, kind: str, value: str) -> Iterator[tuple[str, bool]]:
        """Every content that takes ``value``, nearest first, and whether it is the value itself.

        >>> list(Hierarchies().above("ACCOUNT", "6602.01"))
        [('6602.01', True), ('6602', False)]
        """
        parents, codes = self.parents.get(kind, {}), self.codes.get(kind, {})
        seen: set[str] = set()
        step = value
        while step and step not in seen:  # a tree that loops must not hang the run
            seen.add(step)
            yield step, step == value
            code = codes.get(step, "")
            if code and code != step:
                yield code, step == value
            if not parents:
                yield from self._segments(code or step)
            step = parents.get(step, "")

    def _segments(self, code: str) -> Iterator[tuple[str, bool]]:
        while self.separator in code:
            code = code.rpartition(self.separator)[0]
            yield code, False
