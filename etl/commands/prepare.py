"""What every command does first: settings, logging, and making their secrets unprintable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url

from etl.commands.logs import logging_to
from etl.config.settings import Settings, load_settings
from etl.redaction import register_secret


@contextmanager
def prepared(*, verbose: bool) -> Iterator[Settings]:
    """Settings from the environment, while log lines go to their file.

    Raises:
        ConfigError: lists every wrong variable.
    """
    settings = load_settings()
    register_secrets(settings)
    with logging_to(settings.home, verbose=verbose):
        yield settings


def register_secrets(settings: Settings) -> None:
    """From now on neither the application secret nor a database password can be printed or logged."""
    register_secret(settings.app_security.get_secret_value())
    for address in (settings.erp_url, settings.ledger_url):
        password = make_url(address.get_secret_value()).password if address.get_secret_value() else None
        if password:
            register_secret(password)
