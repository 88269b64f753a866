"""A run that reads Hesi's lists and nothing else: a dated snapshot of fee types, departments, staff, dimensions and payees."""

from __future__ import annotations

import time
from collections import Counter

from etl.hesi.lists import read_reference
from etl.pipeline.context import Run, peak_rss_mb
from etl.pipeline.drive import Steps
from etl.pipeline.extract import store_pages
from etl.pipeline.run import write_run_report
from etl.report.write import ReportFiles
from etl.store.raw import RawPage


def read_lists(run: Run) -> int:
    """Number of pages stored under ``raw/<run_id>/``, hashed and listed in the run ledger; the run id carries the date.

    They hold names of staff and payees, so they stay raw and nothing is derived from them: every posting run reads the
    lists as they are at its own time.
    """
    with run.step("read_lists") as facts:
        pages: list[RawPage] = []
        numbers: Counter[str] = Counter()

        def keep(name: str, body: bytes) -> None:
            numbers[name] += 1
            file = f"{run.attempt}-list-{name}-{numbers[name]:05d}.json"
            digest = run.raw.write(run.run_id, file, body)
            pages.append(RawPage(file, digest, len(body), f"list:{name}", True, 0, "", time.time_ns() // 1_000_000))

        read_reference(run.client, keep)
        store_pages(run, pages)
        facts.rows_in = facts.rows_out = len(pages)
    return len(pages)


def close_snapshot(run: Run) -> ReportFiles:
    """Ends a snapshot that was read completely: green, with its report."""
    run.ledger.finish_run(run.run_id, "green", peak_rss_mb=peak_rss_mb())
    report = write_run_report(run)
    run.work.remove()
    return report


SNAPSHOT_STEPS: Steps = {"read_lists": read_lists}
