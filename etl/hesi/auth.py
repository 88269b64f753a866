"""One access token for all callers: renewed five minutes early, by one caller at a time.

Hesi does not say whether a second getAccessToken ends the first token, so every worker shares one
(reference section 2). A batch job asks for a new token rather than refreshing the old one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from etl.errors import AuthenticationFailed, PayloadChanged, TokenExpired
from etl.hesi.limits import Clock, Sleep
from etl.redaction import register_secret

RENEW_BEFORE_SECONDS = 300
FRESH_TOKEN_PAUSE_SECONDS = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that never prints. ``renew_at``: seconds since the epoch, None = use until refused."""

    value: str = field(repr=False)
    corporation_id: str
    renew_at: float | None


def issued_token(answer: Any, *, now: float) -> AccessToken:
    """The token inside a getAccessToken value; ``now`` in seconds since the epoch.

    When the clocks disagree so much that the token looks expired at birth, it is used until Hesi refuses it:
    asking anew before every call would be worse than one refused call.

    Raises:
        PayloadChanged: no accessToken in the answer.
    """
    value = answer.get("accessToken") if isinstance(answer, dict) else None
    if not isinstance(value, str) or not value:
        raise PayloadChanged("getAccessToken: expected value.accessToken, found none; compare with the API page of authorisation")
    register_secret(value)
    if isinstance(refresh := answer.get("refreshToken"), str):
        register_secret(refresh)
    corporation = answer.get("corporationId")
    expire = answer.get("expireTime")
    lifetime = expire / 1000 - now if isinstance(expire, int) and not isinstance(expire, bool) else 0
    return AccessToken(
        value=value,
        corporation_id=corporation if isinstance(corporation, str) else "",
        renew_at=now + max(lifetime - RENEW_BEFORE_SECONDS, lifetime / 2) if lifetime > 0 else None,
    )


class TokenKeeper:
    """The current token, fetched on demand. Safe for threads; only one of them ever asks Hesi."""

    def __init__(self, fetch: Callable[[], AccessToken], *, wall: Clock) -> None:
        self._fetch = fetch
        self._wall = wall
        self._lock = threading.Lock()
        self._token: AccessToken | None = None
        self._proven: AccessToken | None = None

    def current(self) -> AccessToken:
        """A token that is good for five more minutes.

        Raises:
            AuthenticationFailed: Hesi refused the application key.
        """
        token = self._token
        return token if token is not None and self._is_good(token) else self._renew(token)

    def replace(self, refused: AccessToken) -> AccessToken:
        """Another token than the refused one; whoever comes second gets the one the first has fetched."""
        return self._renew(refused)

    def prove(self, token: AccessToken) -> None:
        """Remember that Hesi accepted ``token`` at least once."""
        self._proven = token

    def is_proven(self, token: AccessToken) -> bool:
        """Whether Hesi ever accepted ``token``."""
        return self._proven is token

    def _is_good(self, token: AccessToken) -> bool:
        return token.renew_at is None or self._wall() < token.renew_at

    def _renew(self, stale: AccessToken | None) -> AccessToken:
        with self._lock:
            if self._token is None or self._token is stale:
                self._token = self._fetch()
                _log.info("token_issued renewed=%s", stale is not None)
            return self._token


class Authorisation:
    """The token of one call and its patience: one pause for a token just issued, then one renewal."""

    def __init__(self, keeper: TokenKeeper, *, sleep: Sleep) -> None:
        self._keeper = keeper
        self._sleep = sleep
        self._paused_for: AccessToken | None = None
        self._renewed = False
        self._worked_before = False

    def token(self) -> AccessToken:
        """The token to send now; asked for again before every attempt, since waits can outlive a token."""
        return self._keeper.current()

    def accepted(self, token: AccessToken) -> None:
        """Hesi took the token."""
        self._keeper.prove(token)

    def refused(self, token: AccessToken, *, where: str) -> None:
        """Returns when the call may be made once more.

        Older releases refuse a token used at once after its issue, so an unproven token gets one pause.

        Raises:
            AuthenticationFailed: the very first tokens of this run are refused, renewed or not.
            TokenExpired: a token that had worked, and its successor, are refused.
        """
        if not self._keeper.is_proven(token) and self._paused_for is not token:
            self._paused_for = token
            self._sleep(FRESH_TOKEN_PAUSE_SECONDS)
            return
        if not self._renewed:
            self._renewed = True
            self._worked_before = self._keeper.is_proven(token)
            self._keeper.replace(token)
            return
        if self._worked_before:
            raise TokenExpired(f"{where}: expected the renewed token to be accepted, found 未授权 again; run again later")
        raise AuthenticationFailed(
            f"{where}: expected a new token to be accepted, found 未授权; check that HESI_BASE_URL is the "
            "tenant's edition and that the application may use the open interface"
        )
