"""Posted vouchers read again: a row somebody changed by hand in the database is named."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pandas as pd

from etl.erp.rehash import altered_vouchers
from etl.frames import FINDINGS
from etl.periods import FiscalPeriod
from etl.pipeline.context import Run

RULE = "VOUCHER_ALTERED"


def altered_findings(run: Run) -> pd.DataFrame:
    """Findings: vouchers of the run's month and the month before that are no longer what was posted.

    What this run posted itself was read back inside its transaction. Runs between two nights look at nothing: the night does.
    Older months are read by ``hesi-erp audit check --all``.
    """
    if run.identity.kind in {"incremental", "replay"}:
        return FINDINGS.empty()
    periods = recent_periods(run.identity.run_day)
    return _findings(pd.concat([altered_vouchers(run.sink.engine, period, except_batch=run.run_id) for period in periods], ignore_index=True))


def recent_periods(day: date) -> tuple[FiscalPeriod, FiscalPeriod]:
    """The month before a day's, and its own.

    >>> [str(period) for period in recent_periods(date(2026, 1, 31))]
    ['2025-12', '2026-01']
    """
    now = FiscalPeriod.of(day)
    return FiscalPeriod.of(now.first_day - timedelta(days=1)), now


def _findings(altered: pd.DataFrame) -> pd.DataFrame:
    rows = altered.to_dict("records")
    return FINDINGS.from_rows([(row["claim_id"], row["claim_code"], RULE, _told(row), 0, "") for row in rows])


def _told(row: dict[Any, Any]) -> str:
    return (
        f"voucher {row['company_code']} {row['voucher_word']}-{row['voucher_no']} ({row['entry_kind']}) was changed after it was posted: "
        f"posted as {row['posted_sha256'][:12]}, now {row['found_sha256'][:12]}"
    )
