"""Validation results: every rule of every run with its counts, and the business key of every entry that failed one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from etl.evidence.scope import Scope
from etl.evidence.tables import PackFiles
from etl.masking import mask_text
from etl.store import ledger_schema as tables

RESULTS = "run_id n suite rule column severity reject_code evaluated failed success".split()
KEYS = ["run_id", "suite", "rule", "entry"]
FINDINGS = "run_id step n rule claim_code claim_id detail amount_minor currency".split()
BUDGET = "run_id source node_id node_name period currency budget used in_flight this_run available over_percent control verdict policy claims".split()


def write_validation(pack: PackFiles, scope: Scope) -> dict[str, int]:
    """Writes the tables, none of them capped; returns counts for the control map."""
    counts = {"rules": 0, "failed": 0}
    pack.table("4-validation/results.csv", RESULTS, _results(scope, counts))
    pack.table("4-validation/failing_keys.csv", KEYS, _keys(scope))
    findings = (row | {"detail": mask_text(row["detail"])} for row in scope.ledger_rows(tables.run_finding, order=["step", "n"]))
    pack.table("4-validation/findings.csv", FINDINGS, ([row[name] for name in FINDINGS] for row in findings))
    budgets = scope.ledger_rows(tables.run_budget, order=["n"])
    pack.table("4-validation/budget_checks.csv", BUDGET, ([row[name] for name in BUDGET] for row in budgets))
    return counts


def _results(scope: Scope, counts: dict[str, int]) -> Iterator[list[Any]]:
    for row in scope.ledger_rows(tables.run_validation, order=["n"]):
        counts["rules"] += 1
        counts["failed"] += row["failed"]
        yield [row[name] for name in RESULTS]


def _keys(scope: Scope) -> Iterator[list[Any]]:
    for row in scope.ledger_rows(tables.run_validation, order=["n"]):
        for key in json.loads(row["failing_keys"]):
            yield [row["run_id"], row["suite"], row["rule"], key]
