"""What every command does first: settings, logging, and making their secrets unprintable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url

from etl.commands.logs import logging_to
from etl.config.settings import Settings, load_settings, split_keys
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
    """From now on no secret of the settings can be printed or logged; of a database address only the password is one."""
    for secret in (settings.app_key, settings.app_security, settings.signing_key):
        register_secret(secret.get_secret_value())
    for key in split_keys(settings.raw_keys):
        register_secret(key)
    for address in (settings.erp_url, settings.ledger_url):
        if text := address.get_secret_value():
            url = make_url(text)
            for password in (url.password, *url.normalized_query.get("password", ())):
                register_secret(str(password or ""))
