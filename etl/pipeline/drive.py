"""The steps of a run of any kind, one after the other, and its verdict and report whatever happened."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from etl.config.settings import Settings
from etl.errors import EtlError
from etl.files import on_disk
from etl.pipeline.audit import record_end
from etl.pipeline.context import Run, begin, peak_rss_mb
from etl.pipeline.run import STEPS, Outcome, close_run
from etl.store.ledger import Kind

log = logging.getLogger("etl")
Steps: TypeAlias = Mapping[str, Callable[[Run], Any]]


def drive(run: Run, steps: Steps, *, progress: Callable[[str], None]) -> Outcome:
    """How the run ended; a step that stops it makes it red, and no step follows.

    ``progress`` hears the name of each step before it starts. The run's connections are closed.

    Raises:
        Exception: what no step names; the ledger has the run as stopped.
    """
    _calm_collector()
    stopped: EtlError | None = None
    try:
        with on_disk(run.home):
            for name, step in steps.items():
                progress(name)
                try:
                    with on_disk(run.home):
                        step(run)
                except EtlError as error:
                    log.error("step_failed run_id=%s step=%s code=%s", run.run_id, name, error.code)
                    stopped = error
                    break
            progress("report")
            return close_run(run, stopped)
    except BaseException as error:  # also an interrupted run must not stay "running" for ever
        run.ledger.stop_run(run.run_id, error, peak_rss_mb=peak_rss_mb())
        record_end(run)
        raise
    finally:
        run.close()


def _calm_collector() -> None:
    """Keeps the cycle collector away from what the imports left: a run makes millions of small values and hardly a cycle.

    Measured: about a tenth of a run's CPU went into walking the libraries' own objects again and again.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def run_once(
    settings: Settings,
    *,
    kind: Kind = "nightly",
    started_by: str = "cli",
    full: bool = False,
    now: datetime | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> Outcome:
    """A whole run from Hesi to the ledger and back, at rest when it returns; ``full`` ignores the watermarks.

    Raises:
        ConfigError: settings, mappings or suites are wrong; nothing was read.
    """
    return drive(begin(settings, kind=kind, started_by=started_by, full=full, now=now), STEPS, progress=progress)
