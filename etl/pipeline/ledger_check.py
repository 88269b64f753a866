"""A run that reads nothing: the whole ledger must tie out against the vouchers, whenever somebody asks.

It is the ``reconcile`` step of every run on its own, over an empty extract: same code, same tables, same report.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from etl.config.settings import Settings
from etl.pipeline.context import Run, begin
from etl.pipeline.drive import Steps, drive
from etl.pipeline.extract import Extracted
from etl.pipeline.post import Posted
from etl.pipeline.run import Outcome, check_ledger
from etl.pipeline.sent import Sent
from etl.pipeline.transform import Counted


def check_only(run: Run) -> None:
    """reconcile, after a read that brought nothing.

    Raises:
        ControlTotalMismatch: source and ledger differ; nothing was changed.
    """
    run.work.write_value("extracted", Extracted({}, [], {}, 0))
    run.work.write_value("counted", Counted({}, 0, 0))
    run.work.write_value("sent", Sent())
    run.work.write_value("posted", Posted("", 0, 0))
    check_ledger(run)


LEDGER_STEPS: Steps = {"reconcile": check_only}


def check_ledger_once(
    settings: Settings, *, started_by: str = "cli", now: datetime | None = None, progress: Callable[[str], None] = lambda step: None
) -> Outcome:
    """The tie-out as a run of kind ``reconcile``: red with every difference named, else green or amber.

    Raises:
        ConfigError: settings, mappings or suites are wrong.
    """
    return drive(begin(settings, kind="reconcile", started_by=started_by, now=now), LEDGER_STEPS, progress=progress)
