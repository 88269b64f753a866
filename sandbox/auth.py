"""Tokens: two hours by the driven clock, rotation by refresh, 403 with a text (section 2)."""

import hmac
import secrets
from collections.abc import Callable
from typing import Any

from sandbox.answers import Answer, Call, Refused, ok
from sandbox.clock import Clock
from sandbox.ids import CORPORATION

_TWO_HOURS_MS = 2 * 3_600_000
_MONTH_MS = 32 * 86_400_000
UNAUTHORISED = "未授权"


class Tokens:
    """Issued tokens and when they end.

    A token is valid until two hours later by the driven clock. The `expireTime` it is issued with looks right to a
    client whose own clock is ahead of the driven one too: such a client would otherwise find every token expired.
    """

    def __init__(self, app_key: str, app_security: str, *, clock: Clock, wall_ms: Callable[[], int]) -> None:
        self._app_key = app_key
        self._app_security = app_security
        self._clock = clock
        self._wall_ms = wall_ms
        self._ends: dict[str, int] = {}
        self._refresh: dict[str, str] = {}
        self.issued = 0

    def get_access_token(self, call: Call) -> Answer:
        """POST v1/auth/getAccessToken: keys in the body, not in the query."""
        body: Any = call.json()
        key, security = (
            str(body.get(name, "")) if isinstance(body, dict) else "" for name in ("appKey", "appSecurity")
        )
        known = hmac.compare_digest(key.encode(), self._app_key.encode())
        proven = hmac.compare_digest(security.encode(), self._app_security.encode())
        if not (known and proven):
            raise Refused(403, "密钥无效")
        return self._issue(_TWO_HOURS_MS)

    def refresh_token(self, call: Call) -> Answer:
        """POST v2/auth/refreshToken: both tokens change, the new one lives 32 days; only before the old one ends."""
        token, refresh = call.query.get("accessToken", ""), call.query.get("refreshToken", "")
        if not self.valid(token) or self._refresh.get(token) != refresh or call.query.get("powerCode") != "219904":
            raise Refused(403, UNAUTHORISED)
        del self._ends[token], self._refresh[token]
        return self._issue(_MONTH_MS)

    def valid(self, token: str) -> bool:
        """Whether calls with the token are answered now."""
        return self._ends.get(token, -1) > self._clock.now()

    def revoke(self) -> None:
        """Make every token issued so far unknown."""
        self._ends.clear()
        self._refresh.clear()

    def _issue(self, life_ms: int) -> Answer:
        self.issued += 1
        token = f"{CORPORATION}:{secrets.token_urlsafe(12)}"
        self._ends[token] = self._clock.now() + life_ms
        self._refresh[token] = secrets.token_urlsafe(12)
        return ok(
            {
                "value": {
                    "accessToken": token,
                    "refreshToken": self._refresh[token],
                    "expireTime": max(self._clock.now(), self._wall_ms()) + life_ms,
                    "corporationId": CORPORATION,
                }
            }
        )
