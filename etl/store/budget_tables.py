"""Budgets that finance keeps itself, in a CSV file or a table of the ERP: the same columns, the same strictness.

``docs/budgets.md`` describes the columns. One row is one node in one period; whatever is about the node stands the same on
each of its rows. Everything is read as text, so codes keep their zeros and amounts are exact.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, get_args

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from etl.errors import ConfigError, SinkUnavailable
from etl.masking import mask_name
from etl.model_budget import BudgetDimension, BudgetMoney, BudgetNode, BudgetPackage, BudgetPeriod, Control
from etl.money import MoneyError, to_minor
from etl.redaction import redact

REQUIRED: Final = ("node_id", "period", "budget")
DIMENSIONS: Final[Mapping[str, str]] = {
    "company_code": "COMPANY",
    "department_code": "DEPART",
    "project_code": "PROJECT",
    "fee_type_code": "FEE_TYPE",
    "account_code": "ACCOUNT",
    "employee_code": "STAFF",
}
NODE_FACTS: Final = ("node_name", "parent_id", *DIMENSIONS, "currency", "control", "over_rate_percent")
AMOUNTS: Final = ("budget", "actual", "approved_unposted", "open_requisition")
COLUMNS: Final = tuple(dict.fromkeys((*REQUIRED, *NODE_FACTS, *AMOUNTS)))
_PERIOD: Final = re.compile(r"([1-9][0-9]{3})(?:-(?:H([12])|Q([1-4])|(0[1-9]|1[0-2])))?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_SURE_DIGITS: Final = 15  # decimal digits every binary double gives back as they were stored


def budgets_from_csv(path: Path, *, currency: str = "") -> tuple[BudgetPackage, ...]:
    """The budgets of a CSV file (UTF-8 with or without BOM, comma, header first), one package per currency.

    Args:
        path: the file.
        currency: of rows that name none; empty = every row must.

    Raises:
        ConfigError: ``problems`` lists everything wrong, as ``file:line: column: expected ..., found ...``.
    """
    book = _Book(path.name, currency)
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            _check_header(header, f"{path.name}:1", known_only=True)
            for cells in reader:
                if any(cell.strip() for cell in cells):  # spreadsheets save the empty rows below a table too
                    book.add_cells(f"{path.name}:{reader.line_num}", header, cells)
    except OSError as error:
        raise ConfigError(f"{path.name}: expected a readable budget file, found {error.strerror}; see budget.yaml") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name}: expected UTF-8, found other bytes at {error.start}; save it as CSV UTF-8") from error
    except csv.Error as error:
        raise ConfigError(f"{path.name}:{reader.line_num}: expected CSV, found {error}; correct the quotes") from error
    return book.packages()


def budgets_from_table(engine: sa.Engine, table: str, *, currency: str = "") -> tuple[BudgetPackage, ...]:
    """The budgets of a database table or view; columns other than those of ``docs/budgets.md`` are left alone.

    Args:
        engine: the ERP database.
        table: ``name`` or ``schema.name``, an identifier as :mod:`etl.config.budget_policy` admits it.
        currency: of rows that name none; empty = every row must.

    Raises:
        ConfigError: no such table, or ``problems`` lists everything wrong by node and period.
        SinkUnavailable: the database does not answer.
    """
    book = _Book(table, currency)
    schema, _, name = table.rpartition(".")
    try:
        if not sa.inspect(engine).has_table(name, schema=schema or None):
            raise ConfigError(f"{table}: expected a budget table in the ERP database, found none; see budget.yaml")
        with engine.connect() as connection:
            rows = connection.execute(budget_query(table))
            header = list(map(str.lower, rows.keys()))
            _check_header(header, table, known_only=False)
            for row in rows:
                cells = [exact_text(value) for value in row]
                named = dict(zip(header, cells, strict=True))
                book.add_cells(f"{table}[{named['node_id']} {named['period']}]", header, cells)
    except (OperationalError, InterfaceError) as error:
        raise SinkUnavailable(f"{table}: the budgets could not be read: {redact(str(error.orig))}; run again") from error
    except DBAPIError as error:
        raise ConfigError(f"{table}: expected a readable budget table, found {redact(str(error.orig))}") from error
    return book.packages()


def budget_query(table: str) -> sa.Select[Any]:
    """The statement that reads a budget table, whatever optional columns it has."""
    schema, _, name = table.rpartition(".")
    return sa.select(sa.text("*")).select_from(sa.table(name, schema=schema or None))


def exact_text(value: object) -> str:
    """A database value as text. A binary number is only believed as far as doubles keep decimals.

    >>> exact_text(Decimal("1E+2")), exact_text(1234.5), exact_text(None)
    ('100', '1234.5', '')
    """
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    text = str(value).strip()
    if isinstance(value, float) and len(text.replace(".", "").strip("-0")) > _SURE_DIGITS:
        return f"binary {text}"  # no amount: the row is refused with this text in the message
    return text


def _check_header(header: list[str], where: str, *, known_only: bool) -> None:
    problems = [f"{where}: expected a column {name}, found none" for name in REQUIRED if name not in header]
    problems += [f"{where}: expected column {name} once, found it again" for name in sorted({n for n in header if header.count(n) > 1})]
    if known_only:
        unknown = (name for name in header if name not in COLUMNS)
        problems += [f"{where}: expected columns of {', '.join(COLUMNS)}; found {name!r}" for name in unknown]
    if problems:
        raise ConfigError(f"The columns of {where} are wrong:", problems=tuple(problems))


@dataclass
class _Draft:
    """One node while its rows are being read; ``where`` is its first row."""

    where: str
    facts: Mapping[str, str]
    moneys: list[tuple[str, BudgetMoney]] = field(default_factory=list)


class _Book:
    """Rows on their way to nodes, and everything wrong with them."""

    def __init__(self, name: str, currency: str) -> None:
        self._name = name
        self._currency = currency
        self._drafts: dict[str, _Draft] = {}
        self._problems: list[str] = []

    def add_cells(self, where: str, header: list[str], cells: list[str]) -> None:
        """One row; what is wrong with it is remembered."""
        if len(cells) != len(header):
            self._problems.append(f"{where}: expected {len(header)} cells, found {len(cells)}; quote cells with commas")
            return
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        facts = {name: row.get(name, "") for name in NODE_FACTS}
        facts["currency"] = facts["currency"] or self._currency
        money, problems = _money(row, facts["currency"])
        problems += _wrong_facts(facts)
        if row["node_id"]:
            draft = self._drafts.setdefault(row["node_id"], _Draft(where, facts))
            problems += _changed_facts(draft, facts)
            draft.moneys += [(where, money)] if money else []
        else:
            problems.append("node_id: expected the id of a node, found nothing")
        self._problems += [f"{where}: {problem}" for problem in problems]

    def packages(self) -> tuple[BudgetPackage, ...]:
        """One package per currency.

        Raises:
            ConfigError: something was or is wrong.
        """
        problems = [*self._problems, *self._wrong_trees()]
        for draft in self._drafts.values():
            problems += _overlaps(draft)
        if problems:
            raise ConfigError(f"The budgets in {self._name} are wrong:", problems=tuple(problems))
        by_currency: dict[str, list[BudgetNode]] = {}
        for node_id, draft in self._drafts.items():
            by_currency.setdefault(draft.facts["currency"], []).append(_node(node_id, draft))
        return tuple(self._package(currency, nodes) for currency, nodes in sorted(by_currency.items()))

    def _package(self, currency: str, nodes: list[BudgetNode]) -> BudgetPackage:
        periods = [money.period for node in nodes for money in node.moneys]
        first, last = min(period.first_day for period in periods), max(period.last_day for period in periods)
        return BudgetPackage(f"{self._name}:{currency}", self._name, currency, first, last, nodes=tuple(nodes))

    def _wrong_trees(self) -> Iterator[str]:
        for node_id, draft in self._drafts.items():
            parent_id = draft.facts["parent_id"]
            if not parent_id:
                continue
            parent = self._drafts.get(parent_id)
            if parent is None:
                yield f"{draft.where}: parent_id: expected a node of this file, found {parent_id!r}"
            elif parent.facts["currency"] != draft.facts["currency"]:
                yield f"{draft.where}: currency: expected {parent.facts['currency']} as its parent {parent_id}, found {draft.facts['currency']}"
            elif not any(draft.facts[name] for name in DIMENSIONS):
                yield f"{draft.where}: expected one of {', '.join(DIMENSIONS)}: without, it takes all its parent takes"
            if self._is_below_itself(node_id):
                yield f"{draft.where}: parent_id: expected a tree, found {node_id} below itself"

    def _is_below_itself(self, node_id: str) -> bool:
        seen: set[str] = set()
        step = node_id
        while step in self._drafts and step not in seen:
            seen.add(step)
            step = self._drafts[step].facts["parent_id"]
        return step == node_id


def _wrong_facts(facts: Mapping[str, str]) -> Iterator[str]:
    if not _CURRENCY.fullmatch(facts["currency"]):
        yield f"currency: expected a code like CNY, found {facts['currency']!r}"
    if facts["control"] and facts["control"] not in get_args(Control):
        yield f"control: expected {' or '.join(get_args(Control))}, found {facts['control']!r}"
    rate = facts["over_rate_percent"]
    if rate and not re.fullmatch(r"[1-9][0-9]{0,3}", rate):
        yield f"over_rate_percent: expected a whole number from 1 to 9999, found {rate!r}"


def _changed_facts(draft: _Draft, facts: Mapping[str, str]) -> Iterator[str]:
    for name, value in facts.items():
        if value != draft.facts[name]:
            yield f"{name}: expected {draft.facts[name]!r} as for this node in {draft.where}, found {value!r}"


def _money(row: Mapping[str, str], currency: str) -> tuple[BudgetMoney | None, list[str]]:
    """The amounts of a row, or None and what is wrong with them."""
    problems: list[str] = []
    period = _period(row["period"])
    if period is None:
        problems.append(f"period: expected one like 2026, 2026-H1, 2026-Q1 or 2026-03, found {row['period']!r}")
    minor: dict[str, int] = {}
    for name in AMOUNTS:
        text = row.get(name, "") or ("" if name in REQUIRED else "0")
        try:
            minor[name] = to_minor(text, currency)
        except MoneyError as error:
            problems.append(f"{name}: {error}")
    if period is None or problems:
        return None, problems
    money = BudgetMoney(
        period,
        minor["budget"],
        used_minor=minor["actual"],
        in_flight_minor=minor["approved_unposted"],
        requisition_minor=minor["open_requisition"],
    )
    return money, []


def _period(text: str) -> BudgetPeriod | None:
    found = _PERIOD.fullmatch(text)
    if not found or text.startswith("9999"):  # the last day of that year has no day after it
        return None
    year, half, quarter, month = found.groups()
    if half:
        return BudgetPeriod.numbered("HALF_YEAR", int(year), int(half))
    if quarter:
        return BudgetPeriod.numbered("SEASON", int(year), int(quarter))
    return BudgetPeriod.numbered("MONTH", int(year), int(month)) if month else BudgetPeriod.numbered("YEAR", int(year), 1)


def _overlaps(draft: _Draft) -> Iterator[str]:
    """A day must find one amount: a year beside its own quarters needs two nodes."""
    longest: tuple[str, BudgetPeriod] | None = None
    for where, money in sorted(draft.moneys, key=lambda placed: (placed[1].period.first_day, -placed[1].period.last_day)):
        period = money.period
        if longest and period.first_day <= longest[1].last_day:
            yield f"{where}: period: expected no day of {longest[1].label} ({longest[0]}) again, found {period.label}"
        if longest is None or period.last_day > longest[1].last_day:
            longest = where, period


def _node(node_id: str, draft: _Draft) -> BudgetNode:
    facts = draft.facts
    name = facts["node_name"] or node_id
    return BudgetNode(
        node_id=node_id,
        # The node of a person is named after the person, and node names go to reports.
        node_name=mask_name(name) if facts["employee_code"] else name,
        dimensions=tuple(BudgetDimension(kind, facts[column]) for column, kind in DIMENSIONS.items() if facts[column]),
        moneys=tuple(money for _, money in draft.moneys),
        parent_id=facts["parent_id"],
        control=_control(facts["control"]),
        over_rate_percent=int(facts["over_rate_percent"] or 100),
    )


def _control(text: str) -> Control:
    controls: Iterable[Control] = get_args(Control)
    return next((control for control in controls if control == text), "ALLOW")
