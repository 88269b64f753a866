"""When the DAGs run, and what all of them share: one zone, one owner, one posting slot, one asset."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import Asset, CronTriggerTimetable

from hesi_erp.notify import report_failure
from hesi_erp.retry import BY_ERROR_FAMILY

ZONE = "Asia/Shanghai"
START = pendulum.datetime(2026, 1, 1, tz=ZONE)
OWNER = "finance-systems"

# One slot for every task that changes the ledger or writes to Hesi, whichever DAG it belongs to. The database's own lock
# decides; the slot keeps tasks from waiting for it.
POSTING_POOL = "hesi_posting"

ERP_VOUCHERS = Asset(name="erp_vouchers", uri="erp://vouchers")
HESI_REFERENCE = Asset(name="hesi_reference", uri="hesi://reference")


def at(cron: str) -> CronTriggerTimetable:
    """A timetable of the accounting zone; what a run reads follows from the watermark, not from an interval."""
    return CronTriggerTimetable(cron, timezone=ZONE)


def house(*tags: str) -> dict[str, Any]:
    """Arguments of every DAG: one active run, nothing caught up, retries by error family, one message per incident."""
    return {
        "start_date": START,
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["source:hesi", *tags],
        "default_args": {
            "owner": OWNER,
            "retries": 4,
            "retry_delay": timedelta(minutes=2),
            "retry_policy": BY_ERROR_FAMILY,
            "execution_timeout": timedelta(hours=2),
            "on_failure_callback": report_failure,
        },
    }
