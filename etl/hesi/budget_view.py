"""Hesi's published budgets as typed packages: every figure exact, or the whole package not computed.

Source: ``budget/get-budget-list.md``, ``budget/get-BudgetsDetails-ByPage.md``. Money arrives as JSON numbers (100.0, large
ones as 1.2E7) and is read as decimal text, never as binary. Amounts of a package with rolling control are its cumulative
twins (``budgetMoneyRoll`` …), because those are what Hesi itself checks.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeVar, get_args

from etl.errors import BudgetCalculating, NotAllowed, PagingStuck, PayloadChanged, SourceRefused
from etl.frames import day_number
from etl.hesi.budgets import BudgetTree, published_budgets, read_tree
from etl.hesi.client import HesiClient
from etl.masking import mask_name
from etl.model_budget import BudgetDimension, BudgetMoney, BudgetNode, BudgetPackage, BudgetPeriod, Control, PeriodKind
from etl.money import MoneyError, to_minor

Keep = Callable[[str, bytes], None]  # name of the answer, raw body
# The fields whose values stand on budget lines. A node on any other field gets a kind of its own and takes no line.
_LINE_FIELDS: Final = {
    ("DEPART", "expenseDepartment"): "DEPART",
    ("FEE_TYPE", "feeTypeId"): "FEE_TYPE",
    ("STAFF", "submitterId"): "STAFF",
    ("PROJECT", "项目"): "PROJECT",
}
_EVERY_DAY: Final = (day_number(date.min), day_number(date.max))
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_MOST_DIGITS: Final = 40  # 1e999999999 written out would fill the memory
Word = TypeVar("Word", bound=str)
_log = logging.getLogger(__name__)


class _Unreadable(Exception):
    """Control flow inside this module: something in a package has no exact meaning."""


def packages_from_hesi(client: HesiClient, keep: Keep, *, companies: Mapping[str, str] | None = None) -> tuple[BudgetPackage, ...]:
    """Every published package; empty for a tenant without the budget feature.

    A package that Hesi is calculating, refuses to show or does not show exactly comes with ``computed`` false and a
    warning in the log: nothing is known about the claims it may be about, and nothing is guessed.

    Args:
        client: session with the tenant.
        keep: stores a raw answer under a name such as ``budget-00001``.
        companies: id of a legal entity (法人实体) -> company code. A package of some legal entities becomes one per company
            code, with the same figures; one of legal entities that are not listed is left out.

    Raises:
        TransientError: Hesi gave no usable answer; the step can be repeated.
        AuthenticationFailed, HostRefused: not about budgets; no call would succeed.
    """
    try:
        published = published_budgets(client)
    except (NotAllowed, SourceRefused) as error:
        _log.info("budgets_absent cause=%s", error.code)
        return ()
    except PayloadChanged as error:
        _log.warning("budgets_unreadable cause=%s", error)
        return (BudgetPackage("", "Hesi", "CNY", *_EVERY_DAY, nodes=(), computed=False),)
    reader = _Reader(client, keep, companies or {})
    return tuple(package for budget in published for package in reader.packages(budget))


class _Reader:
    """Reads one package after the other; raw answers are numbered over all of them."""

    def __init__(self, client: HesiClient, keep: Keep, companies: Mapping[str, str]) -> None:
        self._client = client
        self._keep = keep
        self._companies = companies
        self._kept = 0

    def packages(self, budget: Mapping[str, Any]) -> Iterator[BudgetPackage]:
        head = _Head.of(budget)
        companies = sorted({self._companies[entity] for entity in head.legal_entities if entity in self._companies})
        if head.legal_entities and not companies:
            _log.info("budget_of_other_companies budget=%s legal_entities=%d", head.package_id, len(head.legal_entities))
            return
        try:
            package = replace(head.package(), nodes=self._nodes(head), computed=True)
        except (_Unreadable, BudgetCalculating, NotAllowed, SourceRefused, PayloadChanged, PagingStuck) as error:
            _log.warning("budget_not_computed budget=%s cause=%s", head.package_id, error)
            yield head.package()
            return
        if companies:
            yield from (_of_company(package, code) for code in companies)
        else:
            yield package

    def _nodes(self, head: _Head) -> tuple[BudgetNode, ...]:
        if not head.package_id or not _CURRENCY.fullmatch(head.currency):
            raise _Unreadable(f"expected an id and a currency like CNY, found {head.package_id!r}, {head.currency!r}")
        tree = read_tree(self._client, head.package_id)
        for answer in tree.answers:
            self._kept += 1
            self._keep(f"budget-{self._kept:05d}", answer.reply.body)
        return tuple(_nodes(head, tree))


@dataclass(frozen=True, slots=True)
class _Head:
    """What the list says about a package. ``start_ms`` and ``end_ms`` are None where Hesi has no instant."""

    package_id: str
    name: str
    currency: str
    kind: object
    year: int | None
    start_ms: int | None
    end_ms: int | None
    fiscal: bool
    rolling: bool
    legal_entities: tuple[str, ...]

    @classmethod
    def of(cls, budget: Mapping[str, Any]) -> _Head:
        period = budget.get("period")
        period = period if isinstance(period, dict) else {}
        annual = str(period.get("annual") or "").strip()
        entities = budget.get("legalEntityIds")
        return cls(
            package_id=_text(budget.get("id")),
            name=_text(budget.get("name")) or _text(budget.get("id")),
            currency=str(budget.get("budgetCurrency") or "CNY"),
            kind=period.get("period"),
            year=int(annual) if re.fullmatch(r"[1-9][0-9]{3}", annual) else None,
            start_ms=_instant(period.get("startTime")),
            end_ms=_instant(period.get("endTime")),
            fiscal=budget.get("isFiscalYear") is True or budget.get("isCustom") is True,
            rolling=budget.get("isRollCalc") is True,
            legal_entities=tuple(map(str, entities)) if isinstance(entities, list) else (),
        )

    def package(self) -> BudgetPackage:
        """The package before its nodes are known."""
        first, last = self._days()
        return BudgetPackage(self.package_id, self.name, self.currency, first, last, nodes=(), computed=False)

    def period(self, number: str, own: Mapping[str, Any]) -> BudgetPeriod:
        """The days of a node's period: its own instants where it has them, else by number in the year."""
        start, end = own.get("periodStartTime"), own.get("periodEndTime")
        try:
            if start is not None or end is not None:
                return _between(start, end)
            if self.kind is None and number == "1":  # not divided: the one amount is for all of the package
                return _between(self.start_ms, self.end_ms)
            kind = _one_of(self.kind, get_args(PeriodKind))
            if kind is None or self.year is None or not self._in_calendar_year() or not re.fullmatch(r"[0-9]{1,3}", number):
                raise _Unreadable(f"expected a numbered period of a calendar year or its own instants, found {number!r}")
            return BudgetPeriod.numbered(kind, self.year, int(number))
        except (ValueError, OverflowError) as error:
            raise _Unreadable(str(error)) from error

    def _in_calendar_year(self) -> bool:
        """Whether period 1 begins on 1 January; a fiscal year does only when the package itself begins there."""
        if not self.fiscal or self.year is None or self.start_ms is None:
            return not self.fiscal
        return BudgetPeriod.between(self.start_ms, self.start_ms).first_day == day_number(date(self.year, 1, 1))

    def _days(self) -> tuple[int, int]:
        if self.year is not None and not self.fiscal:
            return day_number(date(self.year, 1, 1)), day_number(date(self.year, 12, 31))
        try:
            period = _between(self.start_ms, self.end_ms)
        except (_Unreadable, ValueError, OverflowError):
            return _EVERY_DAY
        return period.first_day, period.last_day


def _nodes(head: _Head, tree: BudgetTree) -> Iterator[BudgetNode]:
    """Nodes of a tree, root first; frozen ones stay, as what they used is still used."""
    if len({str(money.get("budgetVersion")) for money in tree.monies.values()}) > 1:
        raise _Unreadable("expected figures of one version, found several: the budget was published while it was read")
    executions: dict[str, dict[str, Mapping[str, Any]]] = {}
    for (node_id, number), money in tree.monies.items():
        executions.setdefault(node_id, {})[number] = money
    root = next(iter(tree.nodes), "")
    for node_id, row in tree.nodes.items():
        try:
            parent_id = "" if node_id == root else _parent(row, tree)
            yield _node(head, row, executions.get(node_id, {}), parent_id=parent_id)
        except _Unreadable as error:
            raise _Unreadable(f"node {node_id}: {error}") from error


def _parent(row: Mapping[str, Any], tree: BudgetTree) -> str:
    parent_id = _text(row.get("parentId"))
    if parent_id not in tree.nodes:  # as a second root it would take claims of the whole tenant
        raise _Unreadable(f"expected a node of this package as parentId, found {parent_id!r}")
    return parent_id


def _node(head: _Head, row: Mapping[str, Any], executions: Mapping[str, Mapping[str, Any]], *, parent_id: str) -> BudgetNode:
    dimensions = tuple(_dimension(item) for item in _rows(row, "content"))
    name = _text(row.get("name")) or _text(row.get("code")) or row["nodeId"]
    control = _one_of(row.get("control"), get_args(Control))
    if control is None:
        raise _Unreadable(f"expected control ALLOW, FORBID or IGNORED, found {row.get('control')!r}")
    return BudgetNode(
        node_id=row["nodeId"],
        # The node of a person is named after the person, and node names go to reports.
        node_name=mask_name(name) if any(dimension.kind.startswith("STAFF") for dimension in dimensions) else name,
        dimensions=dimensions,
        moneys=tuple(_moneys(head, row, executions)),
        parent_id=parent_id,
        control=control,
        over_rate_percent=_percent(row.get("overControllerRate")),
    )


def _moneys(head: _Head, row: Mapping[str, Any], executions: Mapping[str, Mapping[str, Any]]) -> Iterator[BudgetMoney]:
    """A node's amounts per period; a period for which nobody set a budget (null) takes no claim."""
    planned = {str(money.get("periodTime")): money for money in _rows(row, "moneys")}
    for number in [*executions, *(number for number in planned if number not in executions)]:
        own, execution = planned.get(number, {}), executions.get(number)
        if execution is None and own.get("budgetMoney") is None:
            continue
        if execution is None:
            raise _Unreadable(f"expected what is used of period {number!r}, found a budget only")
        if execution.get("budgetMoney") is None:
            continue
        budget, used, in_flight = (
            _minor(execution, f"{field}Roll" if head.rolling else field, head.currency) for field in ("budgetMoney", "confirmedMoney", "occupiedMoney")
        )
        yield BudgetMoney(head.period(number, own), budget, used_minor=used, in_flight_minor=in_flight)


def _dimension(item: Mapping[str, Any]) -> BudgetDimension:
    kind, field, content = (_text(item.get(key)) for key in ("dimensionType", "dimensionId", "contentId"))
    below = item.get("mustLeaf")
    if not kind or not content or not isinstance(below, bool):
        raise _Unreadable(f"expected dimensionType, contentId and mustLeaf, found {kind!r}, {content!r}, {below!r}")
    return BudgetDimension(_LINE_FIELDS.get((kind, field), f"{kind}:{field}"), content, below=below)


def _minor(money: Mapping[str, Any], field: str, currency: str) -> int:
    value = money.get(field)
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise _Unreadable(f"expected an amount in {field}, found {value!r}")
    try:
        return to_minor(_plain(value), currency)
    except MoneyError as error:
        raise _Unreadable(f"{field} of period {money.get('periodTime')!r}: {error}") from error


def _plain(value: int | str | Decimal) -> str:
    """Decimal text without exponent where that is short; else the number as it came, which no amount looks like."""
    if not isinstance(value, Decimal) or not value.is_finite():
        return str(value)
    exponent = value.as_tuple().exponent
    written_out = isinstance(exponent, int) and abs(exponent) <= _MOST_DIGITS
    return f"{value:f}" if written_out else str(value)


def _percent(value: object) -> int:
    """A whole percentage; 100 where none is set."""
    if value is None:
        return 100
    text = _plain(value) if isinstance(value, int | str | Decimal) else ""
    whole, _, fraction = text.partition(".")
    if not re.fullmatch(r"[0-9]{1,6}", whole) or fraction.strip("0"):
        raise _Unreadable(f"expected a whole percentage in overControllerRate, found {value!r}")
    return int(whole)


def _of_company(package: BudgetPackage, company_code: str) -> BudgetPackage:
    """The package for the claims of one company: its root takes only their lines."""
    company = BudgetDimension("COMPANY", company_code, below=False)
    return replace(
        package,
        nodes=tuple(node if node.parent_id else replace(node, dimensions=(company, *node.dimensions)) for node in package.nodes),
    )


def _between(start: object, end: object) -> BudgetPeriod:
    start_ms, end_ms = _instant(start), _instant(end)
    if start_ms is None or end_ms is None:
        raise _Unreadable(f"expected two instants in epoch milliseconds, found {start!r} and {end!r}")
    return BudgetPeriod.between(start_ms, end_ms)


def _instant(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _one_of(value: object, words: Iterable[Word]) -> Word | None:
    return next((word for word in words if word == value), None)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _rows(row: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """A list of objects; null is an empty one for amounts, while a node without dimensions would take every claim."""
    value = row.get(key)
    if value is None and key == "moneys":
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _Unreadable(f"expected a list of objects in {key}, found {type(value).__name__}")
    return value
