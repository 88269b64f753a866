"""Extraction proof: every page read from Hesi, its address without the token, its time and hash, and whether it is still there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from etl.evidence.scope import Scope
from etl.evidence.tables import PackFiles
from etl.redaction import redact
from etl.store import ledger_schema as tables

PAGES = "run_id n form_type active url fetched_at bytes claims sha256 path kept".split()
RUNS = (
    "run_id kind started_at finished_at started_by status verdict cause_code business_date interval_from interval_to mapping_sha256 "
    "expectations_sha256 package_version source_host previous_run_id"
).split()
COUNTS = ["run_id", "form_type", "measure", "value"]
TOTALS = "run_id entry_kind company_code currency source posted held rejected skipped waiting drift difference".split()


def write_extraction(pack: PackFiles, scope: Scope) -> dict[str, int]:
    """Writes the tables; returns how many pages are kept, missing and altered."""
    found = {"kept": 0, "missing": 0, "altered": 0}
    pack.table("2-extraction/pages.csv", PAGES, _pages(scope, found))
    pack.table("2-extraction/runs.csv", RUNS, ([row[name] for name in RUNS] for row in scope.runs))
    counts = scope.ledger_rows(tables.run_count, order=COUNTS[1:3])
    pack.table("2-extraction/run_counts.csv", COUNTS, ([row[name] for name in COUNTS] for row in counts))
    totals = scope.ledger_rows(tables.run_total, order=TOTALS[1:4])
    pack.table("2-extraction/run_totals.csv", TOTALS, ([row[name] for name in TOTALS] for row in totals if row["company_code"] in {scope.company, ""}))
    return found


def _pages(scope: Scope, found: dict[str, int]) -> Iterator[list[Any]]:
    for row in scope.ledger_rows(tables.run_page, order=["n"]):
        _, _, place = row["path"].partition("/")
        run_id, _, file = place.partition("/")
        kept = scope.raw.kept(run_id, file, row["sha256"])
        found[kept] += 1
        yield [*(row[name] for name in PAGES[:4]), redact(row["url"]), *(row[name] for name in PAGES[5:-1]), kept]
