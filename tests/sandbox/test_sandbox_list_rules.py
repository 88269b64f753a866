"""Every rule of getApplyList (section 4.1 of the documentation notes), named."""

import pytest

from sandbox.client import Client
from sandbox.clock import beijing_text
from sandbox.testing import Sandbox


def test_a_call_without_a_type_is_refused_with_text(shared: Client) -> None:
    answer = shared.get("/v1.1/docs/getApplyList", start=0, count=10)
    assert (answer.status_code, answer.text) == (400, "参数type无法识别")
    assert answer.headers["content-type"].startswith("text/plain")


def test_an_unknown_type_is_refused(shared: Client) -> None:
    assert shared.apply_list(type="corpPayment").text == "参数type无法识别"


@pytest.mark.parametrize("name", ["start", "count"])
def test_start_and_count_are_required(shared: Client, name: str) -> None:
    query = {"type": "expense", "start": 0, "count": 10}
    del query[name]
    answer = shared.get("/v1.1/docs/getApplyList", **query)
    assert (answer.status_code, answer.text) == (400, f"输入存在错误:\n- 缺少{name}参数")


@pytest.mark.parametrize("count", [101, 0, -1, "x"])
def test_count_is_one_to_a_hundred(shared: Client, count: object) -> None:
    assert shared.apply_list(count=count).status_code == 400


def test_count_is_the_total_not_the_size_of_the_page(shared: Client) -> None:
    first, later = shared.apply_list(count=7).json(), shared.apply_list(start=7, count=7).json()
    assert first["count"] == later["count"] > 100
    assert len(first["items"]) == len(later["items"]) == 7


def test_start_is_an_offset_not_a_page_number(shared: Client) -> None:
    whole = [flow["id"] for flow in shared.apply_list(count=20).json()["items"]]
    assert [flow["id"] for flow in shared.apply_list(start=10, count=10).json()["items"]] == whole[10:]


def test_a_page_past_the_end_is_empty(shared: Client) -> None:
    answer = shared.apply_list(start=50_000).json()
    assert answer["items"] == []


def test_a_type_nobody_uses_is_an_empty_envelope(shared: Client) -> None:
    assert shared.apply_list(type="permit").json() == {"count": 0, "items": []}


def test_the_default_order_is_by_create_time_descending(shared: Client) -> None:
    times = [flow["createTime"] for flow in shared.apply_list().json()["items"]]
    assert times == sorted(times, reverse=True)


def test_order_by_update_time_ascending(shared: Client) -> None:
    times = [flow["updateTime"] for flow in shared.all(orderBy="updateTime", orderByType="asc")]
    assert times == sorted(times)
    assert len(times) > 800


def test_the_window_filters_the_field_of_the_order(shared: Client) -> None:
    border = "2026-08-01 00:00:00"
    window = {"startDate": border, "orderByType": "asc"}
    by_update = shared.all(orderBy="updateTime", **window)
    by_submit = shared.all(orderBy="submitDate", **window)
    assert all(beijing_text(flow["updateTime"]) >= border for flow in by_update)
    assert all(beijing_text(flow["form"]["submitDate"]) >= border for flow in by_submit)
    assert {flow["id"] for flow in by_submit} < {flow["id"] for flow in by_update}


def test_the_end_of_the_window_is_exclusive_because_its_milliseconds_are_lost(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    hesi.tenant.edit(flow_id, {"form.title": "同一秒"})
    second = beijing_text(hesi.tenant.flow(flow_id)["updateTime"])
    ordered = {"orderBy": "updateTime", "startDate": "2026-01-01 00:00:00"}
    assert flow_id not in {flow["id"] for flow in client.all(endDate=second, **ordered)}
    assert flow_id in {flow["id"] for flow in client.all(orderBy="updateTime", startDate=second)}


def test_a_date_in_another_format_is_refused(shared: Client) -> None:
    assert shared.apply_list(orderBy="updateTime", startDate="2026-08-01").status_code == 400


def test_without_a_start_the_update_time_order_looks_back_one_year_only(client: Client, hesi: Sandbox) -> None:
    before = len(client.all(orderBy="updateTime"))
    hesi.clock.advance(300 * 86_400_000)
    client.token = client.sign_in()
    later = len(client.all(orderBy="updateTime"))
    explicit = len(client.all(orderBy="updateTime", startDate="2026-01-01 00:00:00"))
    assert later < before == explicit


def test_absent_active_returns_everything_including_deleted(shared: Client) -> None:
    everything = {flow["id"] for flow in shared.all()}
    live = {flow["id"] for flow in shared.all(active="true")}
    deleted = {flow["id"] for flow in shared.all(active="false")}
    assert deleted
    assert everything == live | deleted
    assert not live & deleted


@pytest.mark.parametrize("value", ["", "false", "no", "1", "TRUE"])
def test_active_that_is_not_exactly_true_returns_only_deleted(shared: Client, value: str) -> None:
    assert {flow["active"] for flow in shared.all(active=value)} == {False}


def test_state_takes_a_comma_list(shared: Client) -> None:
    assert {flow["state"] for flow in shared.all(state="paid,archived")} == {"paid", "archived"}


def test_asking_for_processing_matches_nothing(shared: Client) -> None:
    assert shared.apply_list(state="PROCESSING").json() == {"count": 0, "items": []}


def test_asking_for_paying_brings_processing_too(shared: Client) -> None:
    assert {flow["state"] for flow in shared.all(state="paying")} == {"paying", "PROCESSING"}


def test_pay_date_order_without_a_window_is_ignored(shared: Client) -> None:
    ignored = [flow["id"] for flow in shared.apply_list(orderBy="payDate").json()["items"]]
    assert ignored == [flow["id"] for flow in shared.apply_list().json()["items"]]


def test_pay_date_order_with_a_window_lists_only_what_a_cashier_paid(shared: Client) -> None:
    flows = shared.all(orderBy="payDate", orderByType="asc", startDate="2026-01-01 00:00:00")
    dates = [flow["form"]["payDate"] for flow in flows]
    assert dates == sorted(dates)
    assert {flow["state"] for flow in flows} <= {"paid", "archived"}


def test_uid_restricts_to_one_person(shared: Client) -> None:
    person = shared.apply_list(count=1).json()["items"][0]["form"]["submitterId"]
    assert {flow["form"]["submitterId"] for flow in shared.all(uid=person)} == {person}


def test_the_template_filter_takes_ids_without_version(shared: Client) -> None:
    template = shared.apply_list(count=1).json()["items"][0]["form"]["specificationId"]
    bare = template.split(":")[0]
    assert {flow["form"]["specificationId"] for flow in shared.all(specificationId=bare)} == {template}
    assert shared.apply_list(specificationId=template).json()["count"] == 0


def test_list_items_have_no_fee_type_but_details_calls_have(shared: Client) -> None:
    flow = shared.apply_list(count=1).json()["items"][0]
    detail = shared.get("/v1.1/flowDetails", flowId=flow["id"]).json()["value"]
    assert "feeType" not in flow["form"]["details"][0]
    assert detail["form"]["details"][0]["feeType"]["id"] == detail["form"]["details"][0]["feeTypeId"]


def test_details_are_found_by_code(shared: Client) -> None:
    flow = shared.apply_list(count=1).json()["items"][0]
    found = shared.get("/v1.1/flowDetails/byCode", code=flow["form"]["code"]).json()["value"]
    assert found["id"] == flow["id"]


def test_details_are_found_by_the_number_we_gave(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[3]
    hesi.tenant.edit(flow_id, {"form.outerCode": "WB-10001"})
    assert client.get("/v1.1/flowDetails/outerCode", outerCode="WB-10001").json()["value"]["id"] == flow_id


def test_an_unknown_flow_is_a_412_with_text(shared: Client) -> None:
    for path, name in (("", "flowId"), ("/byCode", "code"), ("/outerCode", "outerCode")):
        answer = shared.get(f"/v1.1/flowDetails{path}", **{name: "nowhere"})
        assert (answer.status_code, answer.text) == (412, "单据不存在")


def test_a_deleted_flow_is_a_412_with_another_text(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    hesi.tenant.delete(flow_id)
    answer = client.get("/v1.1/flowDetails", flowId=flow_id)
    assert (answer.status_code, answer.text) == (412, "单据已删除")


def test_approve_states_name_the_stage_and_leave_unknown_ids_out(client: Client, hesi: Sandbox) -> None:
    paid, paying = hesi.flow_ids("paid")[0], hesi.flow_ids("paying")[0]
    draft, gone = hesi.flow_ids("draft")[0], hesi.flow_ids("paid")[1]
    hesi.tenant.delete(gone)
    items = client.get(f"/v2/approveStates/[{paid},{paying},{draft},{gone},nowhere]").json()["items"]
    stages = {item["flowId"]: item["stageName"] for item in items}
    assert stages == {paid: "完成", paying: "出纳支付", draft: "尚未提交", gone: "已删除"}


def test_brackets_and_dollars_may_be_percent_encoded(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    raw = client.http.build_request("GET", f"{hesi.base_url}/api/openapi/v2/approveStates/%5B{flow_id}%5D")
    raw.url = raw.url.copy_with(params={"accessToken": client.token})
    assert [item["flowId"] for item in client.http.send(raw).json()["items"]] == [flow_id]
