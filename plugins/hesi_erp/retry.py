"""Which failures are worth another try: the three families of :mod:`etl.errors`, by dotted path.

A task that was killed leaves no exception; the scheduler tries it again within ``retries``.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

PAUSE = timedelta(minutes=2)

BY_ERROR_FAMILY = ExceptionRetryPolicy(
    rules=[
        RetryRule("etl.errors.TransientError", RetryAction.RETRY, PAUSE, "the other side may recover"),
        RetryRule("etl.errors.ConfigError", RetryAction.FAIL, reason="a file or setting must be corrected first"),
        RetryRule("etl.errors.TerminalError", RetryAction.FAIL, reason="a person must act first"),
    ],
    default=RetryAction.DEFAULT,  # Airflow's own troubles, and bugs: another try does no harm, every step can be repeated
)
