"""Budget packages and their nodes, read node by node because a whole tree is refused above 2,000 nodes.

Source: ``GET v2/budgets``, ``…/$id/async``, ``…/$id/query`` (budget/get-budget-list.md,
get-BudgetInfo-State.md, get-BudgetsDetails-ByPage.md).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from etl.errors import BudgetCalculating, PagingStuck, PayloadChanged
from etl.hesi.client import Answer, HesiClient
from etl.hesi.endpoints import BUDGET_NODES, BUDGET_STATE, BUDGETS, PAGE

MAX_NODES = 200_000
_DONE = "DONE"


@dataclass(frozen=True, slots=True)
class BudgetState:
    """``status`` DONE, PROCESSING or ERROR; ``error`` is Hesi's text for the last; ``info`` the package."""

    status: str
    error: str
    info: dict[str, Any] | None


@dataclass(slots=True)
class BudgetTree:
    """All ``nodes`` by nodeId and all ``monies`` by (nodeId, periodTime) of one package, with the raw answers."""

    budget_id: str
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    monies: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)


def published_budgets(client: HesiClient) -> list[dict[str, Any]]:
    """Packages in force. Hesi lists drafts (``active`` false) and deleted ones too; they are left out."""
    return [budget for budget in client.answer(BUDGETS).value if isinstance(budget, dict) and budget.get("active") is True and budget.get("delete") is not True]


def budget_state(client: HesiClient, budget_id: str) -> BudgetState:
    """Whether Hesi has finished calculating a package."""
    value = client.answer(BUDGET_STATE, ids={"id": budget_id}).value
    if not isinstance(value, dict) or not isinstance(value.get("status"), str):
        raise PayloadChanged(f"budgets.async of {budget_id}: expected value.status, found none; ask Hesi")
    info = value.get("budgetInfo")
    return BudgetState(
        status=value["status"],
        error=str(value.get("errorMessage") or "").strip(),
        info=info if isinstance(info, dict) else None,
    )


def read_tree(client: HesiClient, budget_id: str) -> BudgetTree:
    """Every node and money of a package, once each.

    Raises:
        BudgetCalculating: Hesi has not finished, or failed to calculate; figures would be wrong.
        PagingStuck: more than 200,000 nodes.
    """
    state = budget_state(client, budget_id)
    if state.status != _DONE:
        raise BudgetCalculating(
            f"budget {budget_id}: expected status DONE, found {state.status} {state.error}".rstrip()
            + "; claims checked now are 'not_computed'; run again when Hesi has finished"
        )
    tree = BudgetTree(budget_id)
    waiting = deque([""])  # the empty node id is the root
    while waiting:
        parent_id = waiting.popleft()
        for child in _children(client, tree, parent_id):
            if child.get("isLeaf") is not True:
                waiting.append(child["nodeId"])
    return tree


def _children(client: HesiClient, tree: BudgetTree, parent_id: str) -> Iterator[dict[str, Any]]:
    """Children not seen before. The parent stands first on every page, so a page moves on by its children only."""
    start = 0
    while True:
        answer = client.answer(
            BUDGET_NODES,
            ids={"id": tree.budget_id},
            params={"nodeId": parent_id, "start": str(start), "count": str(PAGE)},
        )
        tree.answers.append(answer)
        nodes = _list(answer.value, "nodes", tree.budget_id)
        for money in _list(answer.value, "monies", tree.budget_id):
            tree.monies[str(money.get("nodeId")), str(money.get("periodTime"))] = money
        parent_id = parent_id or (nodes[0]["nodeId"] if nodes else "")
        children = [node for node in nodes if node["nodeId"] != parent_id]
        new = [node for node in children if node["nodeId"] not in tree.nodes]
        tree.nodes.update((node["nodeId"], node) for node in nodes)
        if len(tree.nodes) > MAX_NODES:
            raise PagingStuck(f"budget {tree.budget_id}: expected at most {MAX_NODES} nodes, found more; ask Hesi")
        yield from new
        if len(nodes) < PAGE or not new:
            return
        start += len(children)


def _list(value: Any, key: str, budget_id: str) -> list[dict[str, Any]]:
    rows = value.get(key) if isinstance(value, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise PayloadChanged(f"budgets.query of {budget_id}: expected a list of objects in value.{key}; ask Hesi")
    if key == "nodes" and not all(isinstance(row.get("nodeId"), str) for row in rows):
        raise PayloadChanged(f"budgets.query of {budget_id}: expected nodeId in every node; ask Hesi")
    return rows
