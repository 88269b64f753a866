"""Budget lines and budgets in one line each."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd

from etl.frames import BUDGET_LINES, day_number
from etl.model_budget import (
    BudgetDimension,
    BudgetMoney,
    BudgetNode,
    BudgetPackage,
    BudgetPeriod,
    Budgets,
    SourceKind,
)

MARCH_10 = day_number(date(2026, 3, 10))
YEAR = BudgetPeriod.numbered("YEAR", 2026, 1)


def lines(*rows: dict[str, Any]) -> pd.DataFrame:
    """Budget lines; whatever a row leaves out is 100.00 CNY of entry 0 in D10 on 2026-03-10."""
    usual: dict[str, Any] = {
        "entry_no": 0, "company_code": "C01", "department_id": "D10", "fee_type_id": "T", "project_id": "", "employee_id": "E1",
        "account_code": "6602.01", "day": MARCH_10, "gross_minor": 10_000, "currency": "CNY", "requisition_id": "",
    }  # fmt: skip
    full = [{**usual, **row} for row in rows]
    for row in full:
        row.setdefault("net_minor", row["gross_minor"])
        row.setdefault("claim_id", f"ID{row['entry_no']}")
        row.setdefault("claim_code", f"B{row['entry_no']}")
    return BUDGET_LINES.frame({name: [row[name] for row in full] for name in BUDGET_LINES.columns})


def node(name: str, budget: int, *dimensions: tuple[str, str], **values: Any) -> BudgetNode:
    """A node of one amount for 2026; ``used`` and so on set the rest."""
    money = BudgetMoney(
        values.pop("period", YEAR),
        budget,
        values.pop("used", 0),
        values.pop("in_flight", 0),
        values.pop("requisition", 0),
    )
    dims = tuple(BudgetDimension(*dimension) for dimension in dimensions)
    return BudgetNode(name, f"node {name}", dims, (money,), **values)


def budgets(*nodes: BudgetNode, source: SourceKind = "csv", requisitions: dict[str, int] | None = None, **values: Any) -> Budgets:
    """One package of these nodes for 2026 in CNY."""
    about = {
        "package_id": "P",
        "name": "package P",
        "currency": "CNY",
        "first_day": YEAR.first_day,
        "last_day": YEAR.last_day,
    }
    return Budgets(source, (BudgetPackage(**{**about, **values}, nodes=nodes),), requisitions or {})
