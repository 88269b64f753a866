"""One call, sent until it is answered: rate budget, deadline, bounded retries, named failures.

Every call this client makes may be repeated: reads, and the write-back of a number that stays the same.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.wait import wait_exponential_jitter

from etl.errors import (
    AuthenticationFailed,
    BudgetCalculating,
    EtlError,
    HostRefused,
    NotAllowed,
    PayloadChanged,
    RateLimited,
    SourceRefused,
    SourceUnavailable,
)
from etl.hesi.auth import AccessToken, Authorisation
from etl.hesi.endpoints import Endpoint
from etl.hesi.envelope import Failure, Kind, judge
from etl.hesi.limits import Clock, Deadline, RateBudget, Sleep, retry_after_seconds
from etl.hesi.location import Base
from etl.hesi.transport import NoAnswer, Request, Transport, Untrusted
from etl.redaction import redact

ATTEMPTS = 5
_BACKOFF = wait_exponential_jitter(multiplier=0.5, max=20, jitter=0.5)


@dataclass(frozen=True, slots=True)
class Call:
    """What to send: ``path`` is filled in and relative to the base, ``body`` goes out as JSON and never prints."""

    endpoint: Endpoint
    path: str
    params: Mapping[str, str] | None = None
    body: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A success as it came: raw body, address without token, instant in epoch milliseconds."""

    endpoint: Endpoint
    body: bytes = field(repr=False)
    url: str
    fetched_at_ms: int


@dataclass(frozen=True, slots=True)
class _Raw:
    status: int
    headers: Mapping[str, str] = field(repr=False)  # either may repeat the address it was asked at
    body: bytes = field(repr=False)
    encoding: str | None
    url: str


class _TryAgain(Exception):
    """Control flow inside this module: never seen outside."""

    def __init__(self, error: EtlError, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after


class Exchange:
    """Sends calls over one transport; holds no secret."""

    def __init__(
        self,
        transport: Transport,
        budget: RateBudget,
        *,
        max_retry_after_seconds: float,
        total_deadline_seconds: float,
        clock: Clock,
        sleep: Sleep,
        wall: Clock,
    ) -> None:
        self._transport = transport
        self._budget = budget
        self._max_retry_after = max_retry_after_seconds
        self._total_deadline = total_deadline_seconds
        self._clock = clock
        self._sleep = sleep
        self._wall = wall

    def send(self, base: Base, call: Call, *, authorisation: Authorisation | None, attempts: int = ATTEMPTS) -> Reply:
        """The successful reply, after at most ``attempts`` tries and the total deadline.

        Pauses Hesi asks for and our own rate budget are not held against the deadline.

        Raises:
            TransientError: no usable answer in the time and tries allowed.
            TerminalError: an answer that will not change by trying again.
        """
        deadline = Deadline(self._clock, self._total_deadline)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, _TryAgain) and error.retry_after:
                deadline.extend(error.retry_after)
                return error.retry_after
            return _BACKOFF(state)

        def stop(state: RetryCallState) -> bool:
            return state.attempt_number >= attempts or state.upcoming_sleep >= deadline.remaining()

        retrying = Retrying(stop=stop, wait=wait, sleep=self._sleep, retry=retry_if_exception_type(_TryAgain), reraise=True)
        try:
            return retrying(self._attempt, base, call, authorisation=authorisation, deadline=deadline)
        except _TryAgain as last:
            error = last.error
        # Outside the handler: nothing of the HTTP library hangs on the error a user, a log or an XCom sees.
        raise error

    def _attempt(self, base: Base, call: Call, *, authorisation: Authorisation | None, deadline: Deadline) -> Reply:
        name = call.endpoint.name
        while True:
            deadline.extend(self._budget.take(name))
            token = self._token(authorisation, deadline)
            raw = self._once(base, call, token=token, deadline=deadline)
            failure = judge(call.endpoint, status=raw.status, body=raw.body, encoding=raw.encoding)
            if authorisation and token and (failure is None or failure.kind is Kind.REFUSED):
                authorisation.accepted(token)
            if failure is None:
                return Reply(call.endpoint, raw.body, raw.url, int(self._wall() * 1000))
            if authorisation and token and failure.kind is Kind.UNAUTHORISED:
                authorisation.refused(token, where=name)
                continue
            self._fail(call.endpoint, failure, raw)

    def _token(self, authorisation: Authorisation | None, deadline: Deadline) -> AccessToken | None:
        if authorisation is None:
            return None
        before = self._clock()
        token = authorisation.token()
        deadline.extend(self._clock() - before)  # renewing has a deadline of its own
        return token

    def _once(self, base: Base, call: Call, *, token: AccessToken | None, deadline: Deadline) -> _Raw:
        name = call.endpoint.name
        url = base.url + call.path + (f"?{urlencode(call.params, quote_via=quote)}" if call.params else "")
        request = Request(call.endpoint.method, url, None if call.body is None else msgspec.json.encode(call.body), token)
        try:
            answer = self._transport.send(request, deadline=deadline)
        except NoAnswer as error:
            problem, untrusted = redact(str(error)), isinstance(error, Untrusted)
        except PayloadChanged as error:
            raise PayloadChanged(f"{name}: {error}") from None
        else:
            return _Raw(answer.status, answer.headers, answer.body, _charset(answer.headers.get("content-type", "")), redact(url))
        if untrusted:
            raise HostRefused(
                f"{name}: expected a certificate this machine trusts for {base.host}, found {problem}; "
                "add the missing certificate authority to the trust store, never switch verification off"
            )
        raise _TryAgain(SourceUnavailable(f"{name}: expected an answer from {base.host}, found {problem}; check the network, then run again"))

    def _fail(self, endpoint: Endpoint, failure: Failure, raw: _Raw) -> NoReturn:
        pause = retry_after_seconds(raw.headers.get("retry-after"), wall=self._wall)
        if pause is not None and failure.kind in {Kind.RATE_LIMITED, Kind.BUSY} and pause > self._max_retry_after:
            raise RateLimited(
                f"{endpoint.name}: Hesi asks for a pause of {pause:.0f} s, HESI_MAX_RETRY_AFTER_SECONDS allows "
                f"{self._max_retry_after:g}; nothing is lost, run again after the pause or raise the setting"
            )
        error = _named(endpoint, failure, raw.headers)
        if failure.kind in {Kind.RATE_LIMITED, Kind.BUSY, Kind.MAINTENANCE, Kind.CALCULATING}:
            raise _TryAgain(error, pause)
        raise error


@functools.lru_cache(maxsize=16)
def _charset(content_type: str) -> str | None:
    if "charset" not in content_type.lower():
        return None
    message = Message()
    message["Content-Type"] = content_type
    return message.get_content_charset()


def _named(endpoint: Endpoint, failure: Failure, headers: Mapping[str, str]) -> EtlError:
    found = f"{endpoint.name}: expected data, found HTTP {failure.status}: {failure.text or 'no text'}"
    kind = failure.kind
    if kind is Kind.BAD_KEY or (not endpoint.needs_token and kind in {Kind.UNAUTHORISED, Kind.NOT_ALLOWED, Kind.REFUSED}):
        return AuthenticationFailed(f"{found}; check HESI_APP_KEY, HESI_APP_SECURITY and HESI_BASE_URL")
    if kind is Kind.RATE_LIMITED:
        return RateLimited(f"{found}; lower HESI_REQUESTS_PER_SECOND or run again later")
    if kind is Kind.CALCULATING:
        return BudgetCalculating(f"{found}; run again when Hesi has finished")
    if kind in {Kind.BUSY, Kind.MAINTENANCE}:
        return SourceUnavailable(f"{found}; run again later")
    if kind is Kind.REDIRECT:
        target = _host_of(headers.get("location", ""))
        return HostRefused(
            f"{endpoint.name}: expected an answer, found a redirect to {target}, which is not followed: the token "
            "would travel along; set HESI_BASE_URL to the tenant's edition"
        )
    if kind in {Kind.NOT_ALLOWED, Kind.UNAUTHORISED}:
        return NotAllowed(f"{found}; have the tenant's administrator grant this interface to the application")
    if kind is Kind.CHANGED:
        return PayloadChanged(f"{found}; the '{endpoint.envelope.value}' envelope of this call is missing")
    return SourceRefused(f"{found}; Hesi will answer the same again, correct what it names", status=failure.status, text=failure.text)


def _host_of(location: str) -> str:
    try:
        return urlsplit(location).hostname or "another path of the same host"
    except ValueError:
        return "an unreadable address"
