"""Retries follow the three families of errors."""

from __future__ import annotations

import inspect
from pathlib import Path

from etl import errors
from etl.errors import ConfigError, EtlError, TerminalError, TransientError


def test_every_error_of_the_product_is_retried_or_not_by_its_family(airflow: Path) -> None:
    from airflow.sdk import RetryAction

    from hesi_erp.retry import BY_ERROR_FAMILY

    expected = {TransientError: RetryAction.RETRY, ConfigError: RetryAction.FAIL, TerminalError: RetryAction.FAIL}
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, EtlError) and kind is not EtlError]
    assert len(kinds) > 10
    for kind in kinds:
        family = next(family for family in expected if issubclass(kind, family))
        decision = BY_ERROR_FAMILY.evaluate(kind("why"), 1, 4)
        assert decision.action is expected[family], kind
        assert (decision.retry_delay is not None) == (family is TransientError), kind


def test_what_nobody_named_follows_the_ordinary_retries_of_the_task(airflow: Path) -> None:
    from airflow.sdk import RetryAction

    from hesi_erp.retry import BY_ERROR_FAMILY

    assert BY_ERROR_FAMILY.evaluate(KeyError("a bug"), 1, 4).action is RetryAction.DEFAULT


def test_the_policy_survives_the_trip_through_the_scheduler(airflow: Path) -> None:
    from airflow.sdk import ExceptionRetryPolicy, RetryAction

    from hesi_erp.retry import BY_ERROR_FAMILY

    back = ExceptionRetryPolicy.deserialize(BY_ERROR_FAMILY.serialize())
    assert back.evaluate(errors.RateLimited("wait"), 1, 4).action is RetryAction.RETRY
    assert back.evaluate(errors.TooManyRejects("stop"), 1, 4).action is RetryAction.FAIL
