"""Tokens: two hours of the driven clock, rotation, texts (section 2)."""

import pytest

from sandbox.client import API, Client
from sandbox.testing import Sandbox

_HOUR_MS = 3_600_000


def test_wrong_keys_are_refused_with_text(client: Client) -> None:
    answer = client.http.post(f"{API}/v1/auth/getAccessToken", json={"appKey": "x", "appSecurity": "y"})
    assert (answer.status_code, answer.text) == (403, "密钥无效")


def test_keys_in_the_query_are_not_read(client: Client, hesi: Sandbox) -> None:
    keys = {"appKey": hesi.app_key, "appSecurity": hesi.app_security}
    assert client.http.post(f"{API}/v1/auth/getAccessToken", params=keys, json={}).status_code == 403


def test_a_body_that_is_no_json_is_refused(client: Client) -> None:
    assert client.http.post(f"{API}/v1/auth/getAccessToken", content=b"appKey=x").status_code == 412


@pytest.mark.parametrize("token", ["", "nobody"])
def test_a_call_without_a_known_token_is_refused_with_text(client: Client, token: str) -> None:
    answer = client.get("/v1/feeTypes", accessToken=token)
    assert (answer.status_code, answer.text) == (403, "未授权")


def test_a_token_ends_two_hours_later_by_the_driven_clock(client: Client, hesi: Sandbox) -> None:
    hesi.clock.advance(2 * _HOUR_MS - 1)
    assert client.get("/v1/feeTypes").status_code == 200
    hesi.clock.advance(1)
    assert client.get("/v1/feeTypes").status_code == 403


def test_a_second_sign_in_leaves_the_first_token_valid(client: Client) -> None:
    first = client.token
    assert client.sign_in() != first
    assert client.get("/v1/feeTypes").status_code == 200


def test_refreshing_changes_both_tokens_and_lasts_32_days(client: Client, hesi: Sandbox) -> None:
    keys = {"appKey": hesi.app_key, "appSecurity": hesi.app_security}
    old = client.http.post(f"{API}/v1/auth/getAccessToken", json=keys).json()["value"]
    query = {"accessToken": old["accessToken"], "refreshToken": old["refreshToken"], "powerCode": "219904"}
    new = client.http.post(f"{API}/v2/auth/refreshToken", params=query).json()["value"]
    assert new["accessToken"] != old["accessToken"]
    assert new["refreshToken"] != old["refreshToken"]
    assert client.get("/v1/feeTypes", accessToken=old["accessToken"]).status_code == 403
    hesi.clock.advance(31 * 24 * _HOUR_MS)
    assert client.get("/v1/feeTypes", accessToken=new["accessToken"]).status_code == 200


def test_an_ended_token_cannot_be_refreshed(client: Client, hesi: Sandbox) -> None:
    keys = {"appKey": hesi.app_key, "appSecurity": hesi.app_security}
    old = client.http.post(f"{API}/v1/auth/getAccessToken", json=keys).json()["value"]
    hesi.clock.advance(3 * _HOUR_MS)
    query = {"accessToken": old["accessToken"], "refreshToken": old["refreshToken"], "powerCode": "219904"}
    answer = client.http.post(f"{API}/v2/auth/refreshToken", params=query)
    assert (answer.status_code, answer.text) == (403, "未授权")


def test_the_stated_end_suits_a_client_whose_clock_is_ahead_of_the_driven_one() -> None:
    ahead = 4_000_000_000_000
    with Sandbox(claims=1, seed=1, wall_ms=lambda: ahead) as hesi:
        client = Client(hesi)
        keys = {"appKey": hesi.app_key, "appSecurity": hesi.app_security}
        value = client.http.post(f"{API}/v1/auth/getAccessToken", json=keys).json()["value"]
        client.close()
    assert value["expireTime"] == ahead + 2 * _HOUR_MS


def test_the_location_needs_no_token_and_ends_in_a_slash(client: Client, hesi: Sandbox) -> None:
    assert client.http.get(f"{API}/v2/location", params={"corpId": "x"}).json() == {"value": f"{hesi.base_url}/"}


def test_an_unknown_path_is_a_404_with_text(client: Client) -> None:
    answer = client.get("/v9/nothing")
    assert (answer.status_code, answer.text) == (404, "Error 404 Not Found")
