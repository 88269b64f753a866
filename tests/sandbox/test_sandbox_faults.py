"""Every fault fires, is counted, and looks on the wire like the real thing."""

import httpx
import pytest

from sandbox.client import Client
from sandbox.faults import KINDS
from sandbox.testing import Sandbox

_ASCENDING = {"orderBy": "updateTime", "orderByType": "asc", "startDate": "2026-01-01 00:00:00"}


def test_a_status_fault_answers_text_with_that_status(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("status", status=504, text="网关超时")
    answer = client.get("/v1/feeTypes")
    assert (answer.status_code, answer.text) == (504, "网关超时")
    assert client.get("/v1/feeTypes").status_code == 200
    assert hesi.faults.fired("status") == 1


def test_a_fault_waits_for_its_turn_and_its_path(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("forbidden", path="feeTypes", at=2)
    assert client.get("/v1/paymentAccounts").status_code == 200
    assert [client.get("/v1/feeTypes").status_code for _ in range(3)] == [200, 403, 200]


def test_revoked_tokens_stay_unknown_until_the_next_sign_in(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("revoke", at=2)
    assert [client.get("/v1/feeTypes").status_code for _ in range(3)] == [200, 403, 403]
    client.token = client.sign_in()
    assert client.get("/v1/feeTypes").status_code == 200


@pytest.mark.parametrize("wait", ["7", "Thu, 15 Oct 2026 02:00:07 GMT", "86400", None])
def test_rate_limiting_comes_with_every_form_of_retry_after(client: Client, hesi: Sandbox, wait: str | None) -> None:
    hesi.faults.add("rate_limited", retry_after=wait)
    answer = client.get("/v1/feeTypes")
    assert answer.status_code == 429
    assert answer.headers.get("retry-after") == wait


def test_html_comes_with_status_200(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("html")
    answer = client.get("/v1/feeTypes")
    assert answer.status_code == 200
    assert answer.text.startswith("<!DOCTYPE html>")


def test_a_truncated_body_is_shorter_than_announced(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("truncated")
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/v1/feeTypes")
    assert client.get("/v1/feeTypes").status_code == 200


def test_cut_json_is_a_complete_message(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("cut_json")
    answer = client.get("/v1/feeTypes")
    with pytest.raises(ValueError, match=r"."):
        answer.json()


def test_a_reset_connection_is_a_network_error(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("reset")
    with pytest.raises(httpx.NetworkError):
        client.get("/v1/feeTypes")
    assert hesi.requests[-1].status == 0


def test_a_slow_body_drips(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("slow", bytes_per_second=20)
    query = {"accessToken": client.token}
    with client.http.stream("GET", "/api/openapi/v1/feeTypes", params=query) as answer:
        first = next(answer.iter_raw())
    assert 0 < len(first) < 20 < int(answer.headers["content-length"])


def test_a_lost_answer_to_a_write_back_was_applied_all_the_same(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    hesi.faults.add("lost_answer", path="erpVoucher")
    with pytest.raises(httpx.NetworkError):
        client.number(flow_id, voucher_no="记-77")
    assert hesi.tenant.flow(flow_id)["form"]["voucherNo"] == "记-77"


def test_a_duplicate_page_is_the_page_before(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("duplicate_page", at=2)
    first = client.apply_list(count=10, **_ASCENDING).json()["items"]
    again = client.apply_list(start=10, count=10, **_ASCENDING).json()["items"]
    third = client.apply_list(start=20, count=10, **_ASCENDING).json()["items"]
    assert again == first
    assert not {flow["id"] for flow in third} & {flow["id"] for flow in first}


def test_an_empty_page_still_states_the_total(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("empty_page")
    page = client.apply_list(**_ASCENDING).json()
    assert page["items"] == []
    assert page["count"] > 100


def test_count_is_zero_on_later_pages_only(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("zero_count", times=0)
    first, later = client.apply_list(count=10).json(), client.apply_list(start=10, count=10).json()
    assert first["count"] > 100
    assert later["count"] == 0
    assert len(later["items"]) == 10


def test_drift_moves_flows_of_the_listed_type_between_pages(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("drift", at=2, edits=5)
    before = client.apply_list(**_ASCENDING).json()
    after = client.apply_list(**{**_ASCENDING, "orderByType": "desc"}).json()
    moved = [flow for flow in after["items"] if flow["updateTime"] > hesi.clock.now()]
    assert 1 <= len(moved) <= 5
    assert {flow["formType"] for flow in moved} == {"expense"}
    assert before["count"] == after["count"]


def test_offset_paging_over_a_drifting_set_loses_claims(client: Client, hesi: Sandbox) -> None:
    everything = {flow["id"] for flow in client.all(active="true", **_ASCENDING)}
    hesi.faults.add("drift", at=2, times=20, edits=25)
    ascending = {**_ASCENDING, "endDate": "2026-10-15 02:00:00"}
    seen: set[str] = set()
    for start in range(0, 300, 20):
        seen |= {flow["id"] for flow in client.apply_list(active="true", start=start, count=20, **ascending).json()["items"]}
    assert seen < everything


def test_unknown_keys_appear_in_every_flow(client: Client, hesi: Sandbox) -> None:
    hesi.faults.add("unknown_keys")
    flows = client.apply_list(count=5).json()["items"]
    assert all("futureField" in flow and "dbVersion" in flow for flow in flows)


def test_a_fault_that_does_not_exist_is_a_named_error(hesi: Sandbox) -> None:
    with pytest.raises(ValueError, match="expected one of"):
        hesi.faults.add("flood")


def test_cleared_faults_do_not_fire(client: Client, hesi: Sandbox) -> None:
    for kind in KINDS:
        hesi.faults.add(kind, times=0)
    hesi.faults.clear()
    assert client.apply_list().status_code == 200
    assert not hesi.faults.counts


def test_calls_are_logged_with_the_time_of_the_driven_clock(client: Client, hesi: Sandbox) -> None:
    now = hesi.clock.advance(5_000)
    client.get("/v1.1/staffs", start=0, count=3)
    call = hesi.requests[-1]
    assert (call.method, call.path, call.at_ms, call.status) == ("GET", "/api/openapi/v1.1/staffs", now, 200)
    assert call.query["count"] == "3"
