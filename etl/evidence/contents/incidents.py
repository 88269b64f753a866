"""Incidents: runs that stopped, ended red or never ended, and every repair or gap of the audit log, with what followed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from etl.evidence.scope import Row, Scope
from etl.evidence.tables import PackFiles
from etl.masking import mask_text
from etl.redaction import redact

COLUMNS = "kind id at cause_code cause followed_by followed_verdict".split()


def write_incidents(pack: PackFiles, scope: Scope) -> int:
    """Writes the table and returns how many there are."""
    return pack.table("7-incidents/incidents.csv", COLUMNS, _incidents(scope))


def _incidents(scope: Scope) -> Iterator[list[Any]]:
    for place, row in enumerate(scope.runs):
        if row["status"] == "finished" and row["verdict"] != "red":
            continue
        after = _next_good(scope.runs[place + 1 :])
        code = row["cause_code"] or ("NO_END" if row["status"] == "running" else "")
        cause = mask_text(redact(row["cause_text"] or ""))
        yield [f"run {row['status']}", row["run_id"], row["started_at"], code, cause, *((after["run_id"], after["verdict"]) if after else ("", ""))]
    for entry in scope.events:
        body = entry.body
        if entry.kind == "repair":
            yield ["log repaired", f"log seq {entry.seq}", body["at"], "", f"{body['removed_bytes']} bytes of a torn end were set aside", "", ""]
        elif entry.kind == "gap":
            yield ["log gap", f"log seq {entry.seq}", body["at"], "", f"entries {body['missing_from']} to {body['missing_to']} are lost", "", ""]
        elif entry.kind == "posting_abandoned":
            yield ["posting abandoned", body["batch_id"], body["at"], "", body["found"], f"log seq {entry.seq}", ""]


def _next_good(runs: list[Row]) -> Row | None:
    return next((row for row in runs if row["status"] == "finished" and row["verdict"] in {"green", "amber"}), None)
