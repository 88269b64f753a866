"""A plain HTTP client of a sandbox in a test: what an integrator would write first, nothing more."""

from typing import Any

import httpx

from sandbox.testing import Sandbox

API = "/api/openapi"


class Client:
    """A plain HTTP client with a token: what an integrator would write first."""

    def __init__(self, hesi: Sandbox) -> None:
        self.hesi = hesi
        self.http = httpx.Client(base_url=hesi.base_url)
        self.token = self.sign_in()

    def sign_in(self) -> str:
        """A fresh token."""
        body = {"appKey": self.hesi.app_key, "appSecurity": self.hesi.app_security}
        answer = self.http.post(f"{API}/v1/auth/getAccessToken", json=body)
        return str(answer.json()["value"]["accessToken"])

    def get(self, path: str, **query: Any) -> httpx.Response:
        """GET with the token."""
        return self.http.get(API + path, params={"accessToken": self.token, **query})

    def send(self, method: str, path: str, body: Any, **query: Any) -> httpx.Response:
        """A call with a JSON body and the token."""
        return self.http.request(method, API + path, json=body, params={"accessToken": self.token, **query})

    def apply_list(self, **query: Any) -> httpx.Response:
        """getApplyList with a first page of expense claims unless the query says otherwise."""
        return self.get("/v1.1/docs/getApplyList", **{"type": "expense", "start": 0, "count": 100, **query})

    def all(self, **query: Any) -> list[dict[str, Any]]:
        """Every item of a list, page by page."""
        items: list[dict[str, Any]] = []
        while page := self.apply_list(start=len(items), **query).json()["items"]:
            items += page
        return items

    def number(self, *flow_ids: str, voucher_no: str = "记-1") -> httpx.Response:
        """Write a voucher number back to flows."""
        rows = [{"flowId": key, "voucherNo": voucher_no, "voucherCreateTime": "1792000000000"} for key in flow_ids]
        return self.send("PUT", "/v2.1/flow/data/erpVoucher", {"voucher": rows})

    def close(self) -> None:
        """Close the connections."""
        self.http.close()
