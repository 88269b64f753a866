"""A Hesi that answers anything a test wants, behind a transport that remembers where the client went."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from etl.hesi import endpoints
from etl.hesi.client import HesiClient
from etl.hesi.endpoints import Endpoint
from tests.support.answers import Answers

BASE = "https://app.ekuaibao.com"
KEY, SECRET, TOKEN, REFRESH = "canary-app-key-3e1f", "canary/app+security=77c2", "ID_canary$9:corp%x", "canary-refresh-44d0"
ALLOWED = ("app.ekuaibao.com", "dd2.hosecloud.com")
ENDPOINTS = [value for name, value in vars(endpoints).items() if name.isupper() and isinstance(value, Endpoint)]
_IDS = dict.fromkeys(("id", "ids", "type"), "x")
Answer = Callable[[httpx.Request], httpx.Response]


class FakeHesi:
    """Signs in; every other call gets ``answer``. ``location`` answers the location call."""

    def __init__(self, answer: Answer, *, location: object = None) -> None:
        self.answer, self.location = answer, location
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == endpoints.ACCESS_TOKEN.path:
            return httpx.Response(
                200, json={"value": {"accessToken": TOKEN, "refreshToken": REFRESH, "expireTime": 4_000_000_000_000, "corporationId": "corp"}}
            )
        if request.url.path == endpoints.LOCATION.path:
            return httpx.Response(200, json={"value": self.location})
        return self.answer(request)

    def client(self) -> HesiClient:
        """A client of this Hesi that never waits."""
        return HesiClient(
            BASE,
            KEY,
            SECRET,
            allowed_hosts=ALLOWED,
            requests_per_second=0,
            max_retry_after_seconds=60,
            transport=Answers(self),
            clock=lambda: 0.0,
            sleep=lambda _: None,
        )

    @property
    def hosts(self) -> set[str]:
        """Hosts the client has spoken to."""
        return {request.url.host for request in self.requests}


def call(client: HesiClient, endpoint: Endpoint) -> None:
    """One call of an endpoint, with some id wherever its path wants one, and its answer decoded."""
    client.answer(endpoint, ids=_IDS, params={"start": "0", "count": "1"})
