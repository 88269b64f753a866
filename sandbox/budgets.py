"""Budget packages by department and month, sized after what the claims consume (section 10)."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from sandbox.clock import BEIJING, instant_of
from sandbox.ids import CORPORATION, Kind, opaque
from sandbox.money import Json

_CREATED_MS = instant_of("2026-01-08 10:00:00")
_MONTHS = range(1, 13)
_CONTROLS = ("ALLOW", "FORBID", "IGNORED")
_CONFIRMED = ("paid", "archived")
_OCCUPIED = ("approving", "paying", "PROCESSING")
PUBLISHED = opaque(Kind.BUDGET, 1)
DRAFT = opaque(Kind.BUDGET, 2)


@dataclass(slots=True)
class Consumption:
    """Cents consumed per (department id, month): confirmed by finished claims, occupied by those under way."""

    confirmed: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    occupied: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))

    def add(self, flow: Json, burden: list[tuple[str, int]]) -> None:
        """Count what a claim puts on each department, in the month of its submission."""
        state = flow["state"]
        book = self.confirmed if state in _CONFIRMED else self.occupied if state in _OCCUPIED else None
        if book is None or not flow["active"]:
            return
        month = datetime.fromtimestamp(flow["form"]["submitDate"] / 1000, BEIJING).month
        for department, cents in burden:
            book[(department, month)] += cents


@dataclass(slots=True)
class Budgets:
    """The published package's nodes in tree order, and the state of its calculation."""

    packages: list[Json]
    nodes: dict[str, Json]
    children: dict[str, list[str]]
    monies: dict[str, list[Json]]
    root: str
    calculating: bool = False
    error: str = ""


def build_budgets(departments: list[Json], consumption: Consumption, *, random: Random) -> Budgets:
    """One active package for 2026 in months, one draft; most nodes are within, every seventh node is over in places."""
    children: dict[str, list[str]] = {row["id"]: [] for row in departments}
    for row in departments:
        if row["parentId"]:
            children[row["parentId"]].append(row["id"])
    numbers = {row["id"]: number for number, row in enumerate(departments)}
    totals: dict[str, list[tuple[int, int, int]]] = {}
    _total(CORPORATION, children, consumption, totals, numbers=numbers, random=random)
    nodes, monies = {}, {}
    for row in departments:
        node_id = f"N{numbers[row['id']]:03d}"
        parent = f"N{numbers[row['parentId']]:03d}" if row["parentId"] else ""
        nodes[node_id] = _node(row, node_id, parent, totals[row["id"]], leaf=not children[row["id"]])
        monies[node_id] = [
            _execution(row, node_id, month, totals[row["id"]], leaf=not children[row["id"]]) for month in _MONTHS
        ]
    named = {f"N{numbers[key]:03d}": [f"N{numbers[child]:03d}" for child in value] for key, value in children.items()}
    packages = [
        _package(PUBLISHED, "2026年部门费用预算", active=True),
        _package(DRAFT, "2027年部门费用预算（草稿）", active=False),
    ]
    return Budgets(packages, nodes, named, monies, root="N000")


def query(budgets: Budgets, node_id: str, *, start: int, count: int) -> Json | None:
    """A page of a node's children; the node itself is the first row of every page and is counted; None if unknown."""
    node_id = node_id or budgets.root
    if node_id not in budgets.nodes:
        return None
    children = budgets.children[node_id]
    shown = [node_id, *children[start : start + max(count - 1, 0)]]
    return {
        "value": {
            "nodes": [budgets.nodes[key] for key in shown],
            "monies": [money for key in shown for money in budgets.monies[key]],
            "count": len(children) + 1,
            "visibilities": [],
            "editInChargers": [],
        }
    }


def _total(
    department: str,
    children: dict[str, list[str]],
    consumption: Consumption,
    totals: dict[str, list[tuple[int, int, int]]],
    *,
    numbers: dict[str, int],
    random: Random,
) -> list[tuple[int, int, int]]:
    """(budget, confirmed, occupied) in cents per month of a department with all below it."""
    below = [
        _total(child, children, consumption, totals, numbers=numbers, random=random) for child in children[department]
    ]
    months = []
    for month in _MONTHS:
        confirmed = consumption.confirmed.get((department, month), 0)
        occupied = consumption.occupied.get((department, month), 0)
        over = (numbers[department] * 5 + month) % 23 == 0
        percent = 70 + int(random.random() * 25) if over else 105 + int(random.random() * 60)
        budget = max((confirmed + occupied) * percent // 100 // 10_000 * 10_000 + (0 if over else 1_000_000), 100_000)
        parts = [rows[month - 1] for rows in below]
        months.append(
            (
                budget + sum(part[0] for part in parts),
                confirmed + sum(part[1] for part in parts),
                occupied + sum(part[2] for part in parts),
            )
        )
    totals[department] = months
    return months


def _package(identifier: str, name: str, *, active: bool) -> Json:
    annual = "2026" if active else "2027"
    return {
        "pipeline": 1, "grayver": "9.87.0.0-prd", "id": identifier, "version": 3 if active else 1, "active": active,
        "createTime": _CREATED_MS, "updateTime": _CREATED_MS, "name": name, "nameSpell": name,
        "corporationId": CORPORATION, "sourceCorporationId": None, "dataCorporationId": None,
        "period": {
            "annual": annual, "period": "MONTH", "periodControl": "NATURAL_MONTH", "startTime": _CREATED_MS,
            "endTime": _CREATED_MS + 31_449_600_000,
        },
        "tree": None, "delete": False, "extendMoneys": None, "legalEntityIds": [], "budgetCurrency": None,
        "isFiscalYear": False, "isCustom": False, "isRollCalc": False, "isEdit": False, "isCalcEnd": True,
    }  # fmt: skip


def _content(row: Json) -> Json:
    return {"dimensionType": "DEPART", "dimensionId": "expenseDepartment", "mustLeaf": True, "contentId": row["id"]}


def _node(row: Json, node_id: str, parent: str, months: list[tuple[int, int, int]], *, leaf: bool) -> Json:
    number = int(node_id[1:])
    return {
        "pipeline": 1, "grayver": "9.87.0.0-prd", "id": opaque(Kind.BUDGET, 1000 + number), "version": 3,
        "active": True, "createTime": _CREATED_MS, "updateTime": _CREATED_MS, "nameSpell": "", "code": row["code"],
        "corporationId": CORPORATION, "sourceCorporationId": None, "dataCorporationId": None, "nodeId": node_id,
        "content": [_content(row)],
        "moneys": [
            {
                "nodeId": node_id, "periodTime": str(month), "budgetMoney": _number(months[month - 1][0]),
                "extendMoneys": {}, "periodStartTime": None, "periodEndTime": None,
            }
            for month in _MONTHS
        ],
        "control": _CONTROLS[number % 3] if number else "ALLOW", "overControllerRate": 100.0, "freeze": False,
        "budgetId": PUBLISHED, "budgetVersion": 3, "name": row["name"], "parentId": parent, "isLeaf": leaf,
    }  # fmt: skip


def _execution(row: Json, node_id: str, month: int, months: list[tuple[int, int, int]], *, leaf: bool) -> Json:
    budget, confirmed, occupied = months[month - 1]
    return {
        "budgetId": PUBLISHED, "nodeId": node_id, "periodTime": str(month), "budgetVersion": 3, "pipeline": 1,
        "grayver": "9.87.0.0-prd", "id": f"{PUBLISHED}:3:{int(node_id[1:]) * 12 + month}", "version": 1,
        "active": True, "createTime": _CREATED_MS, "updateTime": _CREATED_MS, "corporationId": CORPORATION,
        "sourceCorporationId": None, "dataCorporationId": None, "budgetMoney": _number(budget),
        "confirmedMoney": _number(confirmed), "occupiedMoney": _number(occupied), "budgetMoneyRoll": 0,
        "confirmedMoneyRoll": 0, "occupiedMoneyRoll": 0, "dimensionContents": [_content(row)], "isLeaf": leaf,
    }  # fmt: skip


def _number(cents: int) -> int | float:
    """Money as the budget calls write it: 0 as an integer, everything else with a decimal point."""
    return cents / 100 if cents else 0
