"""Text without secrets, for logs, exceptions, reports and databases.

Hesi carries the access token in the query string of every call, so any URL that reaches a log line is a
leaked credential. Three nets, each enough by itself: the client adds the token below the layer that logs and
raises (:mod:`etl.hesi.transport`), every message passes :func:`redact`, and :class:`RedactingFilter` stands on
the log handlers for whatever comes from libraries.
"""

from __future__ import annotations

import logging
import re
import threading
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST_SECRET = 6  # shorter values would blank ordinary words; the patterns below still catch them in place

_KEYS = (
    r"access_?token|refresh_?token|app_?security|app_?secret|app_?key|sign_?key|security-token"
    r"|signature|password|passwd|pwd|secret|token"
)
_PAIR = re.compile(rf"(?i)(?<![a-z])({_KEYS})(=|%3D)[^&;\s\"'<>]+")
_MEMBER = re.compile(rf"(?i)([\"'])({_KEYS})\1(\s*:\s*)(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')")
_DSN_PASSWORD = re.compile(r"(://[^:/?#\s@]*:)[^@\s\"']+@")


class _Secrets:
    """The values known to be secret in this process, longest first so that parts never survive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str) -> None:
        forms = {value, quote(value, safe=""), quote_plus(value)}
        with self._lock:
            if forms <= self._known:
                return
            self._known |= forms
            ordered = sorted(self._known, key=len, reverse=True)
            self._pattern = re.compile("|".join(re.escape(form) for form in ordered))

    def mask(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(MASK, text)


_SECRETS = _Secrets()


def register_secret(value: str) -> None:
    """From now on ``value`` never passes :func:`redact`, wherever it stands and however it is URL-encoded.

    Values shorter than six characters are ignored: masking them would blank ordinary words.
    """
    if len(value) >= _SHORTEST_SECRET:
        _SECRETS.add(value)


def redact(text: str) -> str:
    """``text`` with tokens, application secrets and passwords replaced by ``***``.

    Covers query pairs (``accessToken=…``), JSON and dict members (``"appSecurity": "…"``), passwords in
    database addresses (``postgresql://user:…@host``) and every registered secret.

    >>> redact("GET https://app.ekuaibao.com/x?accessToken=abc%3Ad&start=0")
    'GET https://app.ekuaibao.com/x?accessToken=***&start=0'
    """
    text = _SECRETS.mask(text)
    # A pattern is tried where the text holds what it cannot match without: most texts hold nothing of it.
    if "=" in text or "%3" in text:
        text = _PAIR.sub(rf"\1\2{MASK}", text)
    if '"' in text or "'" in text:
        text = _MEMBER.sub(rf"\1\2\1\3\1{MASK}\1", text)
    return _DSN_PASSWORD.sub(rf"\1{MASK}@", text) if "://" in text else text


class RedactingFilter(logging.Filter):
    """Passes every record on, with its message, traceback, stack and text extras redacted.

    Put it on handlers, not on loggers: a logger's filter does not see the records of its children.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True; the record is changed in place."""
        record.msg = redact(record.getMessage())
        record.args = ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            # Handlers that format exceptions themselves would walk the live objects again.
            record.exc_info = None
        for name, value in vars(record).items():
            if isinstance(value, str):
                setattr(record, name, redact(value))
        return True


def quiet_http_loggers() -> None:
    """httpx, which carries the notices of a run, writes the full address of requests at INFO; libcurl, which asks Hesi, writes no log."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
