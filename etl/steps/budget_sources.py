"""Decoded budget JSON and budget rows become :class:`etl.model_budget.Budgets`. Nothing is read or called here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, cast

import pandas as pd

from etl.errors import ConfigError, PayloadChanged
from etl.model_budget import (
    BudgetDimension,
    BudgetMoney,
    BudgetNode,
    BudgetPackage,
    BudgetPeriod,
    Budgets,
    Control,
    PeriodKind,
    SourceKind,
)
from etl.money import MoneyError, exponent, half_up, to_minor
from etl.periods import FiscalPeriod

# The form fields a budget line knows; any other field becomes a kind of its own, which takes no line.
_FIELD_KINDS = {"expenseDepartment": "DEPART", "feeTypeId": "FEE_TYPE", "submitterId": "STAFF", "项目": "PROJECT"}
_ROW_KINDS = {
    "company": "COMPANY",
    "department": "DEPART",
    "project": "PROJECT",
    "fee_type": "FEE_TYPE",
    "employee": "STAFF",
    "account": "ACCOUNT",
}
_ROW_AMOUNTS = {
    "budget": "budget_minor",
    "actual": "used_minor",
    "approved_unposted": "in_flight_minor",
    "open_requisitions": "requisition_minor",
}
_ROW_COLUMNS = frozenset({*_ROW_KINDS, *_ROW_AMOUNTS, "period", "currency", "name", "control", "over_rate_percent"})
_LARGEST = 10**15  # major units and milliseconds alike; keeps every sum of amounts inside int64
_CONTROLS = ("ALLOW", "FORBID", "IGNORED")


def hesi_package(
    info: Mapping[str, Any],
    nodes: Iterable[Mapping[str, Any]],
    moneys: Iterable[Mapping[str, Any]],
    *,
    base_currency: str,
    computed: bool = True,
) -> BudgetPackage:
    """One package of Hesi from its decoded JSON (numbers exact).

    Args:
        info: item of ``GET v2/budgets``.
        nodes, moneys: ``value.nodes`` and ``value.monies`` of all pages of ``v2/budgets/$id/query``; empty while the package
            is being computed.
        base_currency: taken where ``budgetCurrency`` is null.
        computed: false while ``/async`` does not say DONE.

    Raises:
        PayloadChanged: a node, amount or period that is not as documented, by its place.
    """
    package_id, currency = str(info["id"]), str(info.get("budgetCurrency") or base_currency)
    period = info.get("period") or {}
    rolling = info.get("isRollCalc") is True
    found: dict[str, list[BudgetMoney]] = {}
    by_node = {str(node["nodeId"]): node for node in nodes}
    for money in moneys:
        node_id = str(money.get("nodeId"))
        where = f"budget {package_id}, node {node_id}, period {money.get('periodTime')}"
        node = by_node.get(node_id, {})
        found.setdefault(node_id, []).append(_hesi_money(money, node, period, currency=currency, rolling=rolling, where=where))
    return BudgetPackage(
        package_id=package_id,
        name=str(info.get("name") or package_id),
        currency=currency,
        **_hesi_days(period, package_id),
        nodes=tuple(_hesi_node(node, found.get(key, []), package_id) for key, node in by_node.items()),
        computed=computed,
    )


def budgets_of_rows(rows: pd.DataFrame, *, source: SourceKind, requisitions: Mapping[str, int] | None = None) -> Budgets:
    """Budgets kept by finance: one row per budget and period, every column text, blank = any.

    Columns: ``period`` (2026, 2026-H1, 2026-Q1, 2026-03), ``budget``, ``currency``; and, where wanted, ``company``,
    ``department``, ``project``, ``fee_type``, ``employee``, ``account`` (id or code; takes everything below it),
    ``actual``, ``approved_unposted``, ``open_requisitions``, ``name``, ``control``, ``over_rate_percent``.

    Args:
        rows: the table or CSV as text.
        source: ``table`` or ``csv``.
        requisitions: id -> minor units still open.

    Raises:
        ConfigError: ``problems`` lists every wrong cell as ``row N: column: expected ..., found ...``; row 2 is the first
            below the header.
    """
    unknown = sorted(set(map(str, rows.columns)) - _ROW_COLUMNS)
    absent = [name for name in ("period", "budget", "currency") if name not in rows]
    if unknown or absent:
        raise ConfigError(
            f"The {source} budgets need the columns period, budget, currency; missing {absent}, unknown {unknown}. "
            f"Known: {', '.join(sorted(_ROW_COLUMNS))}"
        )
    problems: list[str] = []
    seen: dict[tuple[object, ...], list[tuple[BudgetPeriod, int]]] = {}
    by_currency: dict[str, list[BudgetNode]] = {}
    for number, row in enumerate(rows.fillna("").to_dict("records"), start=2):
        cells = {str(name): str(value).strip() for name, value in row.items()}
        try:
            node = _row_node(cells, number)
        except ValueError as error:
            problems.append(f"row {number}: {error}")
            continue
        period = node.moneys[0].period
        others = seen.setdefault((cells["currency"], node.dimensions), [])
        problems += [
            f"row {number}: expected each budget and day once, found row {other} for the same days"
            for earlier, other in others
            if period.first_day <= earlier.last_day and earlier.first_day <= period.last_day
        ]
        others.append((period, number))
        by_currency.setdefault(cells["currency"], []).append(node)
    if problems:
        raise ConfigError(f"The {source} budgets are wrong:", problems=tuple(problems))
    packages = tuple(_package_of_rows(source, currency, nodes) for currency, nodes in sorted(by_currency.items()))
    return Budgets(source, packages, requisitions or {})


def _hesi_node(node: Mapping[str, Any], moneys: list[BudgetMoney], package_id: str) -> BudgetNode:
    where = f"budget {package_id}, node {node['nodeId']}"
    dimensions = []
    for content in node.get("content") or ():
        if not isinstance(content, Mapping) or not content.get("dimensionId") or not content.get("contentId"):
            raise PayloadChanged(f"{where}: expected dimensionId and contentId in content, found {content!r:.80}; ask Hesi")
        field = str(content["dimensionId"])
        below = content.get("mustLeaf") is not False
        dimensions.append(BudgetDimension(_FIELD_KINDS.get(field, field), str(content["contentId"]), below=below))
    control = str(node.get("control") or "ALLOW")
    if control not in _CONTROLS:
        raise PayloadChanged(f"{where}: expected control {', '.join(_CONTROLS)}, found {control}; ask Hesi")
    return BudgetNode(
        node_id=str(node["nodeId"]),
        node_name=str(node.get("name") or node.get("code") or node["nodeId"]),
        dimensions=tuple(dimensions),
        moneys=tuple(moneys),
        parent_id=str(node.get("parentId") or ""),
        control=cast(Control, control),
        over_rate_percent=int(_number(node.get("overControllerRate") or 100, f"{where}: overControllerRate")),
    )


def _hesi_money(
    money: Mapping[str, Any], node: Mapping[str, Any], period: Mapping[str, Any], *, currency: str, rolling: bool, where: str
) -> BudgetMoney:
    suffix = "Roll" if rolling else ""

    def minor(name: str) -> int:
        # Hesi sums budgets in doubles: 300.30000000000001 is 300.30. No voucher is made of these figures.
        number = _number(money.get(name + suffix) or 0, f"{where}: {name}{suffix}")
        return half_up(number.scaleb(exponent(currency)))

    return BudgetMoney(
        _hesi_period(money, node, period, where),
        budget_minor=minor("budgetMoney"),
        used_minor=minor("confirmedMoney"),
        in_flight_minor=minor("occupiedMoney"),
    )


def _hesi_period(money: Mapping[str, Any], node: Mapping[str, Any], period: Mapping[str, Any], where: str) -> BudgetPeriod:
    """The days of one amount: its own bounds where it has them, else its number within the package's year."""
    number = str(money.get("periodTime"))
    own: Mapping[str, Any] = next((row for row in node.get("moneys") or () if str(row.get("periodTime")) == number), {})
    bounds = (own.get("periodStartTime"), own.get("periodEndTime"))
    kind = period.get("period")
    if kind is None and None in bounds:
        bounds = (period.get("startTime"), period.get("endTime"))
    try:
        if None not in bounds:
            return BudgetPeriod.between(*(int(_number(bound, "bound")) for bound in bounds))
        return BudgetPeriod.numbered(cast(PeriodKind, kind), int(period["annual"]), int(number))
    except (KeyError, TypeError, ValueError) as error:
        raise PayloadChanged(f"{where}: expected a period of {dict(period)!r:.120}, found {error}; ask Hesi") from error


def _hesi_days(period: Mapping[str, Any], package_id: str) -> dict[str, int]:
    """First and last day of a package: its year, or its bounds where it has no calendar year."""
    try:
        if period.get("period") is not None:
            year = BudgetPeriod.numbered("YEAR", int(period["annual"]), 1)
        else:
            year = BudgetPeriod.between(int(period["startTime"]), int(period["endTime"]))
    except (KeyError, TypeError, ValueError) as error:
        raise PayloadChanged(f"budget {package_id}: expected period.annual or its bounds, found {error}; ask Hesi") from error
    return {"first_day": year.first_day, "last_day": year.last_day}


def _number(value: Any, where: str) -> Decimal:
    usable = isinstance(value, (int, Decimal)) and not isinstance(value, bool) and Decimal(value).is_finite()
    if not usable or abs(value) >= _LARGEST:
        raise PayloadChanged(f"{where}: expected a number below {_LARGEST}, found {value!r:.40}; ask Hesi")
    return Decimal(value)


def _row_node(cells: Mapping[str, str], number: int) -> BudgetNode:
    currency = cells["currency"]
    if len(currency) != 3 or not currency.isupper():
        raise ValueError(f"currency: expected a code like CNY, found {currency[:20]!r}")
    amounts: dict[str, int] = {}
    for column, name in _ROW_AMOUNTS.items():
        if cells.get(column) or column == "budget":
            try:
                amounts[name] = to_minor(cells[column], currency)
            except MoneyError as error:
                raise ValueError(f"{column}: {error}") from error
    control, rate = cells.get("control") or "ALLOW", cells.get("over_rate_percent") or "100"
    if control not in _CONTROLS:
        raise ValueError(f"control: expected {', '.join(_CONTROLS)}, found {control[:20]!r}")
    if not (rate.isascii() and rate.isdigit() and 1 <= int(rate) <= 1000):
        raise ValueError(f"over_rate_percent: expected 1 to 1000, found {rate[:20]!r}")
    dimensions = tuple(BudgetDimension(kind, cells[column]) for column, kind in _ROW_KINDS.items() if cells.get(column))
    money = BudgetMoney(_row_period(cells["period"]), **amounts)
    name = cells.get("name") or " ".join(dimension.content_id for dimension in dimensions)
    return BudgetNode(
        f"row {number}", name, dimensions, (money,), control=cast(Control, control), over_rate_percent=int(rate)
    )


def _row_period(text: str) -> BudgetPeriod:
    kinds: dict[str, PeriodKind] = {"": "YEAR", "H": "HALF_YEAR", "Q": "SEASON"}
    year, _, rest = text.partition("-")
    if not (year.isascii() and year.isdigit() and len(year) == 4):
        raise ValueError(f"period: expected 2026, 2026-H1, 2026-Q1 or 2026-03, found {text[:20]!r}")
    try:
        if rest[:1] in ("H", "Q") or not rest:
            return BudgetPeriod.numbered(kinds[rest[:1]], int(year), int(rest[1:] or 1))
        month = FiscalPeriod.parse(text)
    except ValueError:
        raise ValueError(f"period: expected 2026, 2026-H1, 2026-Q1 or 2026-03, found {text[:20]!r}") from None
    return BudgetPeriod.numbered("MONTH", month.year, month.month)


def _package_of_rows(source: SourceKind, currency: str, nodes: list[BudgetNode]) -> BudgetPackage:
    periods = [money.period for node in nodes for money in node.moneys]
    return BudgetPackage(
        package_id=f"{source} {currency}",
        name=f"{source} {currency}",
        currency=currency,
        first_day=min(period.first_day for period in periods),
        last_day=max(period.last_day for period in periods),
        nodes=tuple(nodes),
    )
