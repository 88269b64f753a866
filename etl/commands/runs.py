"""``hesi-erp run``, ``replay`` and ``reconcile``: three kinds of run, one way to say how it ended."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Collection, Mapping

from etl.cli import GREEN_OR_AMBER, RED, WRONG_CONFIGURATION
from etl.cli_output import print_json, print_lines, tell
from etl.commands.prepare import prepared
from etl.commands.summary import run_document, run_lines
from etl.config.settings import Settings
from etl.errors import ConfigError
from etl.pipeline.accept import Approval, accept_once, accept_payments_once
from etl.pipeline.clear import clear_once
from etl.pipeline.drive import run_once
from etl.pipeline.ledger_check import LEDGER_STEPS, check_ledger_once
from etl.pipeline.replay import replay_once
from etl.pipeline.run import STEPS, Outcome
from etl.store.ledger import Ledger

Progress = Callable[[str], None]
_STOPPED_BY_CONFIGURATION = ConfigError("").code


def run_command(options: argparse.Namespace) -> int:
    """A whole run; ``--full`` reads everything again."""

    def started(settings: Settings, progress: Progress) -> Outcome:
        return run_once(settings, kind="full" if options.full else "nightly", full=options.full, progress=progress)

    return _ended(options, started, steps=STEPS)


def replay_command(options: argparse.Namespace) -> int:
    """Open claims decided again."""
    return _ended(options, lambda settings, progress: replay_once(settings, options.codes, progress=progress), steps=STEPS)


def accept_command(options: argparse.Namespace) -> int:
    """Listed changes of posted claims reversed and posted anew."""
    return _ended(options, lambda settings, progress: accept_once(settings, options.codes, progress=progress), steps=STEPS)


def accept_payment_command(options: argparse.Namespace) -> int:
    """Payments posted to suspense before their claims can be."""
    approval = Approval(options.by.strip(), options.reason.strip())
    if not approval.by or not approval.reason:
        raise ConfigError("expected a name with --by and a reason with --reason; both stay in the audit log for ever")
    return _ended(options, lambda settings, progress: accept_payments_once(settings, options.codes, approval, progress=progress), steps=STEPS)


def clear_number_command(options: argparse.Namespace) -> int:
    """Numbers of reversed vouchers taken out of Hesi."""
    told: dict[str, str] = {}

    def started(settings: Settings, progress: Progress) -> Outcome:
        outcome, results = clear_once(settings, options.codes, progress=progress)
        told.update(results)
        return outcome

    return _ended(options, started, steps=("clear_numbers", "reconcile"), numbers=told)


def reconcile_command(options: argparse.Namespace) -> int:
    """The tie-out alone."""
    return _ended(options, lambda settings, progress: check_ledger_once(settings, progress=progress), steps=LEDGER_STEPS)


def _ended(
    options: argparse.Namespace, start: Callable[[Settings, Progress], Outcome], *, steps: Collection[str], numbers: Mapping[str, str] | None = None
) -> int:
    """Exit status of a run, after its verdict, counts, money, number of postings and report were told.

    ``numbers``: claim code -> what became of its number in Hesi, filled while the run goes on.
    """
    with prepared(verbose=options.verbose) as settings:
        progress = _Progress(len(steps) + 1)
        try:
            outcome = start(settings, progress)
        finally:
            progress.finish()
        with Ledger.open(settings.ledger_url.get_secret_value()) as ledger:
            document = run_document(ledger, outcome)
    status = GREEN_OR_AMBER
    if document.verdict == "red":
        status = WRONG_CONFIGURATION if document.cause_code == _STOPPED_BY_CONFIGURATION else RED
    if options.json:
        print_json(document if numbers is None else {"run": document, "numbers": numbers})
    else:
        print_lines([*run_lines(document), *(f"{code} {result}" for code, result in (numbers or {}).items())])
    return status


class _Progress:
    """Each step as it starts and how long the one before took, on standard error."""

    def __init__(self, steps: int) -> None:
        self._steps, self._number = steps, 0
        self._name, self._since = "", time.monotonic()

    def __call__(self, name: str) -> None:
        self.finish()
        # A step that stopped the run is followed by the report.
        self._number = self._steps if name == "report" else self._number + 1
        self._name, self._since = name, time.monotonic()
        tell(f"[{self._number}/{self._steps}] {name} ... ", end="")

    def finish(self) -> None:
        if self._name:
            tell(f"{time.monotonic() - self._since:.1f} s")
            self._name = ""
