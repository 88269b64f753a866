"""A small Hesi behind a transport, and clocks that only move when something waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from etl.hesi.client import HesiClient
from tests.support.answers import Answers

BASE = "https://app.ekuaibao.com"
KEY, SECRET = "app-key-4711", "app-security-canary-0815"
SHANGHAI = timezone(timedelta(hours=8))
Handler = Callable[[httpx.Request], httpx.Response]


class Clock:
    """Seconds that pass by sleeping only; starts on 2026-01-10 in epoch time."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 10, tzinfo=UTC).timestamp()
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


class FakeHesi:
    """Answers of one tenant. ``routes`` maps a path to a handler or a list of answers given in turn."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.requests: list[httpx.Request] = []
        self.tokens_issued = 0
        self.token_seconds = 7200
        self.valid: set[str] = set()
        self.claims: dict[str, dict[str, Any]] = {}
        self.after_page: Callable[[], None] = lambda: None
        self.routes: dict[str, Handler | list[httpx.Response | Exception]] = {
            "/api/openapi/v1/auth/getAccessToken": self.issue,
            "/api/openapi/v2/location": lambda _: httpx.Response(404, text="Error 404 Not Found"),
            "/api/openapi/v1.1/docs/getApplyList": self.list_claims,
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.path
        if "auth" not in path and request.url.params.get("accessToken") not in self.valid:
            return httpx.Response(403, text="未授权")
        route = self.routes.get(path, [])
        if not isinstance(route, list):
            return route(request)
        if not route:
            return httpx.Response(404, text="Error 404 Not Found")
        answer = route.pop(0) if len(route) > 1 else route[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def issue(self, request: httpx.Request) -> httpx.Response:
        if json.loads(request.content) != {"appKey": KEY, "appSecurity": SECRET}:
            return httpx.Response(403, text="密钥无效")
        self.tokens_issued += 1
        token = f"ID_canary${self.tokens_issued}:corp%x"
        self.valid = {token}
        expire = int((self.clock.now + self.token_seconds) * 1000)
        value = {"accessToken": token, "refreshToken": "refresh-canary", "expireTime": expire, "corporationId": "corp"}
        return httpx.Response(200, json={"value": value})

    def add(self, claim_id: str, updated_ms: int | None, *, active: bool = True, **more: Any) -> None:
        self.claims[claim_id] = {"id": claim_id, "updateTime": updated_ms, "active": active, **more}

    def list_claims(self, request: httpx.Request) -> httpx.Response:
        """Like the real list: start date inclusive to the second, descending unless told, at most 100."""
        query = request.url.params
        since = self.since(request)
        wanted = {"true": (True,), None: (True, False)}.get(query.get("active"), (False,))
        rows = [row for row in self.claims.values() if row["active"] in wanted and (row["updateTime"] is None or row["updateTime"] >= since)]
        rows.sort(key=lambda row: (row["updateTime"] or 0, str(row["id"])), reverse=query.get("orderByType") != "asc")
        start, count = int(query["start"]), int(query["count"])
        answer = {"count": len(rows) if start == 0 else 0, "items": rows[start : start + count]}
        response = httpx.Response(200, json=answer)
        self.after_page()
        return response

    def since(self, request: httpx.Request) -> float:
        """The start date of a list request in epoch milliseconds."""
        text = request.url.params["startDate"]
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=SHANGHAI).timestamp() * 1000

    def calls(self, name: str) -> list[httpx.Request]:
        """The requests whose path contains ``name``."""
        return [request for request in self.requests if name in request.url.path]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hesi(clock: Clock) -> FakeHesi:
    return FakeHesi(clock)


@pytest.fixture
def connect(hesi: FakeHesi, clock: Clock) -> Iterator[Callable[..., HesiClient]]:
    opened: list[HesiClient] = []

    def connect(**changes: Any) -> HesiClient:
        settings: dict[str, Any] = {
            "base_url": BASE,
            "app_key": KEY,
            "app_security": SECRET,
            "allowed_hosts": ("app.ekuaibao.com", "dd2.hosecloud.com", "127.0.0.1"),
            "requests_per_second": 0,
            "max_retry_after_seconds": 60,
            "transport": Answers(hesi),
            "clock": clock,
            "sleep": clock.sleep,
            "wall": clock,
        } | changes
        base, key, secret = settings.pop("base_url"), settings.pop("app_key"), settings.pop("app_security")
        client = HesiClient(base, key, secret, **settings)
        opened.append(client)
        return client

    yield connect
    for client in opened:
        client.close()


@pytest.fixture
def client(connect: Callable[..., HesiClient]) -> HesiClient:
    return connect()
