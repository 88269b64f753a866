"""Nothing secret passes redaction, whatever way it is written."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from etl.redaction import RedactingFilter, redact, register_secret


@pytest.mark.parametrize(
    "text",
    [
        "GET https://app.ekuaibao.com/x?start=0&accessToken=S3CR3T%3Acorp&count=1",
        "refreshToken=S3CR3T",
        '{"appKey": "k", "appSecurity": "S3CR3T\\"x"}',
        "{'accessToken': 'S3CR3T', 'x': 1}",
        "postgresql+psycopg://erp:S3CR3T@db:5432/erp",
        "postgresql://erp:S3CR3T/with:odd#chars@db/erp",
        "mssql+pyodbc:///?odbc_connect=DRIVER=x;UID=sa;PWD=S3CR3T;SERVER=y",
        "mssql+pyodbc:///?odbc_connect=PWD%3DS3CR3T",
        "https://files.example/a.jpg?Signature=S3CR3T&Expires=1",
        "password=S3CR3T",
        "ACCESSTOKEN=S3CR3T",
        "access_token=S3CR3T",
    ],
)
def test_a_secret_in_a_known_place_is_masked(text: str) -> None:
    assert "S3CR3T" not in redact(text)
    assert "***" in redact(text)


def test_what_surrounds_a_secret_stays_readable() -> None:
    assert redact("a?accessToken=x1&start=7 b") == "a?accessToken=***&start=7 b"
    assert redact("postgresql://erp:pw@db/erp") == "postgresql://erp:***@db/erp"


@pytest.mark.parametrize("text", ["https://127.0.0.1:8000/api/x?start=0", "编号 tokens=3", "12:30 @ office"])
def test_text_without_secrets_is_unchanged(text: str) -> None:
    assert redact(text) == text


def test_a_registered_secret_is_masked_anywhere_and_however_it_is_encoded() -> None:
    register_secret("ID_3vMK$canary:corp/x y")
    for form in ("ID_3vMK$canary:corp/x y", "ID_3vMK%24canary%3Acorp%2Fx%20y", "ID_3vMK%24canary%3Acorp%2Fx+y"):
        assert redact(f"see {form}!") == "see ***!"


def test_a_very_short_value_is_not_registered_because_it_would_blank_words() -> None:
    register_secret("the")
    assert redact("the claim") == "the claim"


def test_redaction_of_redacted_text_changes_nothing() -> None:
    once = redact("x?accessToken=abc postgres://u:p@h/d {'password': 'x'}")
    assert redact(once) == once


def _record(message: str, *args: Any, **more: Any) -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, __file__, 1, message, args, more.get("exc_info"))


def test_the_filter_masks_message_arguments_and_extras() -> None:
    record = _record("url=%s", "https://h/x?accessToken=S3CR3T")
    record.url = "https://h/x?accessToken=S3CR3T"
    assert RedactingFilter().filter(record)
    assert "S3CR3T" not in record.getMessage() + record.url


def test_the_filter_masks_the_traceback_and_drops_the_live_exception() -> None:
    try:
        raise RuntimeError("GET /x?accessToken=S3CR3T failed")
    except RuntimeError as error:
        record = _record("failed", exc_info=(type(error), error, error.__traceback__))
    RedactingFilter().filter(record)
    shown = logging.Formatter().format(record)
    assert "RuntimeError" in shown
    assert "S3CR3T" not in shown
    assert record.exc_info is None
