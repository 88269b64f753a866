"""How a message leaves: by the Connection ``hesi_notify_finance`` or ``hesi_notify_it``; without one it is a log line.

A Connection of type ``smtp`` sends mail (extra ``{"from": ..., "to": [...]}``); any other is a webhook whose address is the
password (it is the secret), in the form of extra ``{"format": "text" | "dingtalk" | "wecom" | "feishu"}``.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk.log import mask_secret

from etl.errors import ConfigError, TransientError
from hesi_erp.hooks import find_connection
from hesi_erp.incidents import Audience

if TYPE_CHECKING:
    from airflow.sdk import Connection

log = logging.getLogger("etl")
_TIMEOUT_SECONDS = 15
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MIN_PORT_TLS = 465


class NotSent(TransientError):
    """The other side did not take a message."""


class Channel(Protocol):
    """A way to one audience."""

    def send(self, subject: str, body: str) -> None:
        """Delivers a message.

        Raises:
            NotSent: it did not arrive.
        """


def channel_of(audience: Audience) -> Channel:
    """The channel of an audience.

    Raises:
        ConfigError: its Connection is incomplete.
    """
    connection = find_connection(f"hesi_notify_{audience}")
    if connection is None:
        return LogLine(audience)
    return Mail(connection) if connection.conn_type == "smtp" else Webhook(connection)


class LogLine:
    """Where nobody configured a channel, the log has the message."""

    def __init__(self, audience: Audience) -> None:
        self.audience = audience

    def send(self, subject: str, body: str) -> None:
        """A warning in the log."""
        log.warning("incident audience=%s subject=%s\n%s", self.audience, subject, body)


class Webhook:
    """A chat robot or any receiver of a small JSON body."""

    def __init__(self, connection: Connection) -> None:
        self.url = connection.password or ""
        self.format = str(connection.extra_dejson.get("format", "text"))
        scheme, _, rest = self.url.partition("://")
        local = rest.startswith(tuple(f"{host}{end}" for host in _LOOPBACK for end in (":", "/")))
        if scheme != "https" and not (scheme == "http" and local):
            raise ConfigError(f"Connection {connection.conn_id}: expected an https address in the password field, found another one")
        if self.format not in _BODIES:
            raise ConfigError(f"Connection {connection.conn_id}: expected extra.format to be one of {', '.join(_BODIES)}, found {self.format!r}")
        mask_secret(self.url)

    def send(self, subject: str, body: str) -> None:
        """One POST; the address never shows in an error."""
        import httpx

        from etl.redaction import quiet_http_loggers

        quiet_http_loggers()
        try:
            answer = httpx.post(self.url, json=_BODIES[self.format](body), timeout=_TIMEOUT_SECONDS, follow_redirects=False)
        except httpx.HTTPError as error:
            raise NotSent(f"webhook of {self.format}: expected an answer to {subject!r}, found {type(error).__name__}; check the Connection") from None
        if answer.status_code >= httpx.codes.MULTIPLE_CHOICES:
            raise NotSent(f"webhook of {self.format}: expected status 200 for {subject!r}, found {answer.status_code}; check the Connection")


class Mail:
    """Mail over SMTP: TLS from the start on port 465, STARTTLS elsewhere; plain only to this machine."""

    def __init__(self, connection: Connection) -> None:
        extra = connection.extra_dejson
        self.connection = connection
        self.sender, self.receivers = str(extra.get("from", "")), list(extra.get("to", ()))
        if not (connection.host and self.sender and self.receivers):
            raise ConfigError(f'Connection {connection.conn_id}: expected a host and extra {{"from": "...", "to": ["..."]}}, found one of them empty')

    def send(self, subject: str, body: str) -> None:
        """One mail to all receivers."""
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = subject, self.sender, ", ".join(self.receivers)
        message.set_content(body)
        try:
            with self._session() as session:
                if self.connection.login:
                    session.login(self.connection.login, self.connection.password or "")
                session.send_message(message)
        except (smtplib.SMTPException, OSError) as error:
            raise NotSent(f"{self.connection.host}: expected to take the mail {subject!r}, found {type(error).__name__}; check the Connection") from None

    def _session(self) -> smtplib.SMTP:
        host, port = self.connection.host or "", self.connection.port or _MIN_PORT_TLS
        if port == _MIN_PORT_TLS:
            return smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context())
        session = smtplib.SMTP(host, port, timeout=_TIMEOUT_SECONDS)
        if host not in _LOOPBACK:
            session.starttls(context=ssl.create_default_context())
        return session


def _chat(text: str) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": text}}


_BODIES = {
    "text": lambda text: {"text": text},
    "dingtalk": _chat,
    "wecom": _chat,
    "feishu": lambda text: {"msg_type": "text", "content": {"text": text}},
}
