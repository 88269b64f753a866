"""Tokens, addresses, retries and time limits of a session with Hesi."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from etl.errors import (
    AuthenticationFailed,
    ConfigError,
    HostRefused,
    NotAllowed,
    PayloadChanged,
    RateLimited,
    SourceRefused,
    SourceUnavailable,
    TokenExpired,
)
from etl.hesi.auth import AccessToken, TokenKeeper
from etl.hesi.client import HesiClient
from etl.hesi.endpoints import CURRENCIES, FEE_TYPES, FLOW_DETAIL
from etl.hesi.exchange import ATTEMPTS

Connect = Callable[..., HesiClient]
FEES = "/api/openapi/v1/feeTypes"
OK = httpx.Response(200, json={"items": []})
LOCATION = "/api/openapi/v2/location"


def located(url: Any) -> list[httpx.Response]:
    return [httpx.Response(200, json={"value": url})]


# --- tokens -------------------------------------------------------------------------------------------


def test_one_token_serves_many_calls(hesi: Any, client: Any) -> None:
    hesi.routes[FEES] = [OK]
    for _ in range(5):
        client.call(FEE_TYPES)
    assert hesi.tokens_issued == 1


def test_the_secret_travels_in_the_body_of_the_token_call_only(hesi: Any, client: Any) -> None:
    hesi.routes[FEES] = [OK]
    client.call(FEE_TYPES)
    first, *others = hesi.requests
    assert json.loads(first.content)["appSecurity"] == "app-security-canary-0815"
    assert "canary-0815" not in str(first.url)
    assert all(b"canary-0815" not in request.content + str(request.url).encode() for request in others)


def test_a_token_is_renewed_five_minutes_before_it_expires(hesi: Any, client: Any, clock: Any) -> None:
    hesi.routes[FEES] = [OK]
    client.call(FEE_TYPES)
    clock.now += 7200 - 301
    client.call(FEE_TYPES)
    assert hesi.tokens_issued == 1
    clock.now += 2
    client.call(FEE_TYPES)
    assert hesi.tokens_issued == 2


def test_expiry_is_checked_again_after_a_wait(hesi: Any, connect: Connect, clock: Any) -> None:
    client = connect(max_retry_after_seconds=7200)
    hesi.routes[FEES] = [httpx.Response(429, headers={"Retry-After": "7000"}), OK]
    client.call(FEE_TYPES)
    assert hesi.tokens_issued == 2


def test_a_token_that_looks_expired_at_birth_is_used_until_it_is_refused(hesi: Any, client: Any) -> None:
    hesi.token_seconds = -3600
    hesi.routes[FEES] = [OK]
    for _ in range(3):
        client.call(FEE_TYPES)
    assert hesi.tokens_issued == 1


def test_a_token_refused_mid_run_is_replaced_once_and_the_call_repeated(hesi: Any, client: Any) -> None:
    hesi.routes[FEES] = [OK]
    client.call(FEE_TYPES)
    hesi.valid = set()
    client.call(FEE_TYPES)
    assert hesi.tokens_issued == 2


def test_an_unauthorised_401_renews_the_token_like_the_documented_403(hesi: Any, client: Any) -> None:
    hesi.routes[FEES] = [OK]
    client.call(FEE_TYPES)
    hesi.routes[FEES] = [httpx.Response(401, text=""), OK]
    client.call(FEE_TYPES)
    assert hesi.tokens_issued == 2


def test_a_token_refused_right_after_its_issue_gets_one_pause_first(hesi: Any, client: Any, clock: Any) -> None:
    hesi.routes[LOCATION] = [httpx.Response(403, text="未授权"), httpx.Response(404)]
    hesi.routes[FEES] = [OK]
    client.call(FEE_TYPES)
    assert hesi.tokens_issued == 1
    assert clock.naps == [1]


def test_a_renewed_token_that_is_refused_too_is_a_transient_failure(hesi: Any, client: Any) -> None:
    hesi.routes[FEES] = [OK]
    client.call(FEE_TYPES)
    hesi.routes[FEES] = [httpx.Response(403, text="未授权")]
    with pytest.raises(TokenExpired, match="feeTypes"):
        client.call(FEE_TYPES)


def test_tokens_that_never_work_are_a_configuration_a_person_must_mend(hesi: Any, client: Any) -> None:
    hesi.routes[LOCATION] = [httpx.Response(403, text="未授权")]
    hesi.routes[FEES] = [httpx.Response(403, text="未授权")]
    with pytest.raises(AuthenticationFailed, match="HESI_BASE_URL"):
        client.call(FEE_TYPES)


def test_a_wrong_secret_is_named_at_once_and_not_retried(hesi: Any, connect: Connect) -> None:
    with pytest.raises(AuthenticationFailed, match=r"密钥无效.*HESI_APP_SECURITY"):
        connect(app_security="wrong-secret").call(FEE_TYPES)
    assert len(hesi.requests) == 1


def test_many_threads_that_meet_an_expired_token_ask_for_one_new_token() -> None:
    issued: list[AccessToken] = []
    together = threading.Barrier(8)

    def fetch() -> AccessToken:
        issued.append(AccessToken(f"token-{len(issued)}", "corp", None))
        return issued[-1]

    keeper = TokenKeeper(fetch, wall=lambda: 0)
    stale = keeper.current()

    def meet() -> None:
        together.wait()
        keeper.replace(stale)

    threads = [threading.Thread(target=meet) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(issued) == 2


def test_a_token_answer_without_a_token_is_a_changed_payload(hesi: Any, client: Any) -> None:
    hesi.routes["/api/openapi/v1/auth/getAccessToken"] = [httpx.Response(200, json={"value": {}})]
    with pytest.raises(PayloadChanged, match=r"value\.accessToken"):
        client.call(FEE_TYPES)


# --- addresses ----------------------------------------------------------------------------------------


def test_calls_go_to_the_address_hesi_names_for_the_tenant(hesi: Any, client: Any) -> None:
    hesi.routes[LOCATION] = located("https://dd2.hosecloud.com/")
    hesi.routes[FEES] = [OK]
    client.call(FEE_TYPES)
    assert str(hesi.requests[-1].url).startswith("https://dd2.hosecloud.com/api/openapi/v1/feeTypes?")
    assert client.base_url == "https://dd2.hosecloud.com"
    assert hesi.calls("location")[0].url.params["corpId"] == "corp"


@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(500, text="boom"),
        httpx.Response(404, text="Error 404 Not Found"),
        httpx.Response(200, text="<html>maintenance</html>"),
        httpx.Response(302, headers={"Location": "https://evil.example/"}),
        httpx.Response(200, json={"value": None}),
        httpx.Response(200, json={"value": 17}),
        httpx.ConnectError("no route"),
    ],
)
def test_a_failing_location_leaves_the_base_as_given(hesi: Any, client: Any, failure: Any) -> None:
    hesi.routes[LOCATION] = [failure]
    hesi.routes[FEES] = [OK]
    client.call(FEE_TYPES)
    assert client.base_url == "https://app.ekuaibao.com"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "http://dd2.hosecloud.com/",
        "https://dd2.hosecloud.com@evil.example/",
        "https://dd2.hosecloud.com.evil.example/",
        "http://127.0.0.1:8080/",
        "https://user:pw@dd2.hosecloud.com/",
        "ftp://dd2.hosecloud.com/",
        "no address",
    ],
)
def test_an_address_that_is_not_allowed_is_refused_before_anything_is_sent_there(hesi: Any, client: Any, url: str) -> None:
    hesi.routes[LOCATION] = located(url)
    hesi.routes[FEES] = [OK]
    with pytest.raises(HostRefused):
        client.call(FEE_TYPES)
    assert {request.url.host for request in hesi.requests} == {"app.ekuaibao.com"}


def test_a_sandbox_on_this_machine_never_sends_the_session_to_the_internet(hesi: Any, connect: Connect) -> None:
    client = connect(base_url="http://127.0.0.1:8080/")
    hesi.routes[LOCATION] = located("https://app.ekuaibao.com/")
    hesi.routes[FEES] = [OK]
    client.call(FEE_TYPES)
    assert {request.url.host for request in hesi.requests} == {"127.0.0.1"}


@pytest.mark.parametrize("base", ["http://app.ekuaibao.com", "https://other.example", "app.ekuaibao.com", "https://app.ekuaibao.com/?a=1"])
def test_a_wrong_base_address_is_a_configuration_error(connect: Connect, base: str) -> None:
    with pytest.raises(ConfigError, match="HESI_BASE_URL"):
        connect(base_url=base)


@pytest.mark.parametrize("target", ["https://evil.example/x", "https://app.ekuaibao.com/other"])
def test_a_redirect_is_an_error_and_never_followed(hesi: Any, client: Any, target: str) -> None:
    hesi.routes[FEES] = [httpx.Response(302, headers={"Location": target})]
    with pytest.raises(HostRefused, match="redirect"):
        client.call(FEE_TYPES)
    assert {request.url.host for request in hesi.requests} == {"app.ekuaibao.com"}


# --- retries and limits -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(500, text="Format specifier '%s'"),
        httpx.Response(502),
        httpx.Response(503),
        httpx.Response(504),
        httpx.Response(429),
        httpx.Response(400, text="预算[2026年度]未计算完成，请稍等"),
        httpx.Response(400, json={"errorMessage": "生成文件中"}),
        httpx.Response(200, content=b'{"items":[{"id":"a"'),
        httpx.Response(200, text="<!DOCTYPE html><html><title>系统维护中</title></html>"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("peer closed connection"),
    ],
)
def test_passing_trouble_is_tried_again_with_growing_pauses(hesi: Any, client: Any, clock: Any, trouble: Any) -> None:
    hesi.routes[FEES] = [trouble, trouble, trouble, OK]
    client.call(FEE_TYPES)
    first, second, third = clock.naps[-3:]
    assert 0.5 <= first <= 1
    assert 1 <= second <= 1.5
    assert 2 <= third <= 2.5


def test_lasting_trouble_ends_after_five_tries(hesi: Any, client: Any) -> None:
    hesi.routes[FEES] = [httpx.Response(503, text="maintenance")]
    with pytest.raises(SourceUnavailable, match=r"feeTypes.*503.*maintenance"):
        client.call(FEE_TYPES)
    assert len(hesi.calls("feeTypes")) == ATTEMPTS == 5


@pytest.mark.parametrize("status", [400, 404, 409, 412, 413])
def test_a_business_refusal_is_not_tried_again(hesi: Any, client: Any, status: int) -> None:
    hesi.routes[FEES] = [httpx.Response(status, text="输入存在错误:\n- 缺少count参数")]
    with pytest.raises(SourceRefused, match="缺少count参数") as caught:
        client.call(FEE_TYPES)
    assert (caught.value.status, len(hesi.calls("feeTypes"))) == (status, 1)


def test_a_pause_hesi_asks_for_is_kept_to_the_second(hesi: Any, client: Any, clock: Any) -> None:
    hesi.routes[FEES] = [httpx.Response(429, headers={"Retry-After": "37"}), OK]
    client.call(FEE_TYPES)
    assert clock.naps[-1] == 37


def test_a_pause_may_be_an_http_date(hesi: Any, client: Any, clock: Any) -> None:
    hesi.routes[FEES] = [httpx.Response(503, headers={"Retry-After": "Sat, 10 Jan 2026 00:00:45 GMT"}), OK]
    client.call(FEE_TYPES)
    assert clock.now >= 1_768_003_245
    assert clock.naps[-1] == pytest.approx(45, abs=5)


def test_an_unreadable_pause_falls_back_to_the_usual_one(hesi: Any, client: Any, clock: Any) -> None:
    hesi.routes[FEES] = [httpx.Response(429, headers={"Retry-After": "soon"}), OK]
    client.call(FEE_TYPES)
    assert 0.5 <= clock.naps[-1] <= 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_longer_than_allowed_stops_the_run_with_its_cause(hesi: Any, client: Any, clock: Any, status: int) -> None:
    hesi.routes[FEES] = [httpx.Response(status, headers={"Retry-After": "3600"})]
    with pytest.raises(RateLimited, match="3600 s, HESI_MAX_RETRY_AFTER_SECONDS allows 60"):
        client.call(FEE_TYPES)
    assert 3600 not in clock.naps


def test_pauses_and_tries_stay_inside_the_total_deadline(hesi: Any, connect: Connect, clock: Any) -> None:
    hesi.routes[LOCATION] = located(None)
    client = connect(total_deadline_seconds=2)
    hesi.routes[FEES] = [httpx.Response(500)]
    before = clock.now
    with pytest.raises(SourceUnavailable):
        client.call(FEE_TYPES)
    assert clock.now - before < 2
    assert 1 < len(hesi.calls("feeTypes")) < ATTEMPTS


def test_one_byte_a_second_does_not_outlive_the_deadline(hesi: Any, connect: Connect, clock: Any) -> None:
    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            while True:
                clock.now += 1
                yield b" "

    client = connect(total_deadline_seconds=60)
    hesi.routes[FEES] = [httpx.Response(200, stream=Drip())]
    before = clock.now
    with pytest.raises(SourceUnavailable, match="within 60 s"):
        client.call(FEE_TYPES)
    assert clock.now - before < 70


def test_the_rate_limit_spaces_the_calls_of_an_endpoint(hesi: Any, connect: Connect, clock: Any) -> None:
    client = connect(requests_per_second=5)
    hesi.routes[FEES] = [OK]
    before = clock.now
    for _ in range(11):
        client.call(FEE_TYPES)
    assert clock.now - before == pytest.approx(2.0)


def test_each_endpoint_has_its_own_rate_budget(hesi: Any, connect: Connect, clock: Any) -> None:
    client = connect(requests_per_second=1)
    hesi.routes[FEES] = hesi.routes["/api/openapi/v2.1/currency"] = [OK]
    client.call(FEE_TYPES)
    client.call(CURRENCIES)
    assert clock.naps == []


def test_zero_requests_per_second_means_no_limit(hesi: Any, client: Any, clock: Any) -> None:
    hesi.routes[FEES] = [OK]
    for _ in range(50):
        client.call(FEE_TYPES)
    assert clock.naps == []


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(403, text="未开通功能，无权访问"),
        httpx.Response(405),
        httpx.Response(400, text="不允许调用此接口"),
        httpx.Response(200, text="不允许调用此接口"),
    ],
)
def test_a_missing_feature_names_the_interface_and_what_to_do(hesi: Any, client: Any, answer: Any) -> None:
    hesi.routes[FEES] = [answer]
    with pytest.raises(NotAllowed, match=r"feeTypes.*administrator"):
        client.call(FEE_TYPES)


# --- the token leaves no trace ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: httpx.Response(400, text=f"bad request {request.url}"),
        lambda request: httpx.Response(500, json={"errorMessage": f"no such token {request.url.query!r}"}),
        lambda request: httpx.Response(200, json={"oops": str(request.url)}),
        lambda request: httpx.Response(302, headers={"Location": str(request.url)}),
        lambda request: (_ for _ in ()).throw(httpx.ReadTimeout(f"timed out {request.url}", request=request)),
    ],
)
def test_no_failure_shows_the_token_or_the_secret(hesi: Any, client: Any, caplog: Any, answer: Any) -> None:
    caplog.set_level("DEBUG")
    hesi.routes[FEES] = answer
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever is raised must be clean
        client.call(FEE_TYPES)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    chain = caught.value
    while chain is not None:
        shown += repr(chain) + str(getattr(chain, "request", ""))
        chain = chain.__cause__ or chain.__context__
    shown += caplog.text + repr(client)
    for secret in ("ID_canary$1", "ID_canary%241", "canary-0815", "refresh-canary"):
        assert secret not in shown


def test_the_address_of_a_reply_shows_no_token(hesi: Any, client: Any) -> None:
    hesi.routes["/api/openapi/v1.1/flowDetails"] = [httpx.Response(200, json={"value": {}})]
    reply = client.call(FLOW_DETAIL, params={"flowId": "ID_1"})
    assert reply.url == "https://app.ekuaibao.com/api/openapi/v1.1/flowDetails?flowId=ID_1"
    assert "accessToken" in str(hesi.requests[-1].url)
