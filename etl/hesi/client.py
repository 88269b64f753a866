"""A session with one Hesi tenant: address, token and calls. The caller gets raw bytes and stores them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from etl.errors import EtlError
from etl.hesi.auth import AccessToken, Authorisation, TokenKeeper, issued_token
from etl.hesi.endpoints import ACCESS_TOKEN, LOCATION, Endpoint
from etl.hesi.envelope import decode
from etl.hesi.exchange import Call, Exchange, Reply
from etl.hesi.limits import Clock, RateBudget, Sleep
from etl.hesi.location import Base, configured_base, located_base
from etl.hesi.transport import Transport, WireTransport
from etl.redaction import register_secret

_LOCATION_ATTEMPTS = 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply and its decoded payload (the content of ``value``, ``items`` …; numbers exact)."""

    reply: Reply
    value: Any


class HesiClient:
    """Authenticated calls to Hesi; a context manager. Safe for threads.

    ``allowed_hosts``: hosts the client may ever talk to. ``requests_per_second``: per endpoint, 0 = unlimited.
    ``max_retry_after_seconds``: longest pause accepted from Hesi. ``total_deadline_seconds``: longest a call may
    take, retries included. ``transport``, ``clock`` (monotonic), ``sleep`` and ``wall`` (epoch) exist for tests.

    Raises:
        ConfigError: ``base_url`` is no address, not allowed, or plain http to another machine.
    """

    def __init__(
        self,
        base_url: str,
        app_key: str,
        app_security: str,
        *,
        allowed_hosts: Collection[str],
        requests_per_second: float,
        max_retry_after_seconds: float,
        total_deadline_seconds: float = 60,
        transport: Transport | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
        wall: Clock = time.time,
    ) -> None:
        register_secret(app_security)
        self._allowed_hosts = tuple(allowed_hosts)
        self._given = configured_base(base_url, allowed_hosts=self._allowed_hosts)
        self._located: Base | None = None
        self._lock = threading.Lock()
        self._app_key = app_key
        self._app_security = app_security
        self._sleep = sleep
        self._wall = wall
        self._transport = transport if transport is not None else WireTransport()
        self._exchange = Exchange(
            self._transport,
            RateBudget(requests_per_second, clock=clock, sleep=sleep),
            max_retry_after_seconds=max_retry_after_seconds,
            total_deadline_seconds=total_deadline_seconds,
            clock=clock,
            sleep=sleep,
            wall=wall,
        )
        self._keeper = TokenKeeper(self._fetch_token, wall=wall)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"HesiClient({(self._located or self._given).url!r})"

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @property
    def base_url(self) -> str:
        """The address in use: located when Hesi named one, else as given; no trailing slash."""
        return self._base().url

    @property
    def corporation_id(self) -> str:
        """Id of the tenant, also the id of its root department; empty when Hesi did not say."""
        return self._keeper.current().corporation_id

    def now_ms(self) -> int:
        """This machine's clock in epoch milliseconds."""
        return int(self._wall() * 1000)

    def call(
        self,
        endpoint: Endpoint,
        *,
        ids: Mapping[str, str | Iterable[str]] | None = None,
        params: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Reply:
        """The raw reply of ``endpoint``. ``ids`` fill the path, ``params`` the query, ``body`` goes as JSON.

        Raises:
            TransientError: rate limit, outage or an expired token that stays expired.
            TerminalError: refused key, feature or request, changed envelope, redirect.
        """
        request = Call(endpoint, endpoint.address(**(ids or {})), params, body)
        return self._exchange.send(self._base(), request, authorisation=self._authorisation())

    def answer(
        self,
        endpoint: Endpoint,
        *,
        ids: Mapping[str, str | Iterable[str]] | None = None,
        params: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        """The reply of ``endpoint`` with its payload decoded; raises as :meth:`call`."""
        reply = self.call(endpoint, ids=ids, params=params, body=body)
        return Answer(reply, decode(endpoint, reply.body))

    def _authorisation(self) -> Authorisation:
        return Authorisation(self._keeper, sleep=self._sleep)

    def _fetch_token(self) -> AccessToken:
        request = Call(
            ACCESS_TOKEN,
            ACCESS_TOKEN.address(),
            body={"appKey": self._app_key, "appSecurity": self._app_security},
        )
        reply = self._exchange.send(self._located or self._given, request, authorisation=None)
        return issued_token(decode(ACCESS_TOKEN, reply.body), now=self._wall())

    def _base(self) -> Base:
        if self._located is None:
            with self._lock:
                if self._located is None:
                    self._located = self._locate()
        return self._located

    def _locate(self) -> Base:
        """A tenant can move to another edition's address; asking is a courtesy, failing to answer no obstacle."""
        corporation = self._keeper.current().corporation_id
        if not corporation:
            return self._given
        request = Call(LOCATION, LOCATION.address(), {"corpId": corporation})
        try:
            reply = self._exchange.send(self._given, request, authorisation=self._authorisation(), attempts=_LOCATION_ATTEMPTS)
            value = decode(LOCATION, reply.body)
        except EtlError as error:
            _log.warning("location_unavailable base=%s cause=%s", self._given.url, error.code)
            return self._given
        base = located_base(value, given=self._given, allowed_hosts=self._allowed_hosts)
        if base != self._given:
            _log.info("base_located base=%s", base.url)
        return base
