"""Voucher write-back: the state check, both messages, deletion, all or nothing (section 8)."""

import pytest

from sandbox.client import Client
from sandbox.testing import Sandbox


def test_a_number_is_written_with_status_and_time(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    assert client.number(flow_id, voucher_no="记-12").json() == {"value": True}
    form = hesi.tenant.flow(flow_id)["form"]
    assert (form["voucherNo"], form["voucherCreateTime"]) == ("记-12", 1792000000000)
    assert form["voucherStatus"] != "未生成"


def test_an_empty_number_takes_number_status_and_time_away(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    client.number(flow_id)
    client.number(flow_id, voucher_no="")
    form = hesi.tenant.flow(flow_id)["form"]
    assert (form["voucherNo"], form["voucherStatus"], form["voucherCreateTime"]) == ("", "未生成", 0)


@pytest.mark.parametrize("state", ["archived", "paying", "approving", "rejected"])
def test_only_paid_flows_take_a_number(client: Client, hesi: Sandbox, state: str) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    hesi.tenant.change_state(flow_id, state)
    answer = client.number(flow_id)
    assert answer.status_code == 400
    assert answer.text == f"单据Id:[[{flow_id}]]的单据不是已支付状态，不能回写单据凭证，请检查"


def test_an_unknown_flow_is_a_412_that_names_it(client: Client) -> None:
    answer = client.number("yd4bn1Z-YM900")
    assert (answer.status_code, answer.text) == (412, "不存在此单据[yd4bn1Z-YM900]")


def test_a_deleted_flow_is_unknown_to_the_write_back(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    hesi.tenant.delete(flow_id)
    assert client.number(flow_id).text == f"不存在此单据[{flow_id}]"


def test_a_batch_is_written_whole_or_not_at_all(client: Client, hesi: Sandbox) -> None:
    good, bad = hesi.flow_ids("paid")[0], hesi.flow_ids("archived")[0]
    before = hesi.tenant.store.body(hesi.tenant.seq(good))
    assert client.number(good, bad).status_code == 400
    assert hesi.tenant.store.body(hesi.tenant.seq(good)) == before


def test_a_number_bumps_the_update_time_of_each_flow_to_now_strictly_increasing(client: Client, hesi: Sandbox) -> None:
    ids = hesi.flow_ids("paid")[:5]
    now = hesi.clock.advance(60_000)
    client.number(*ids)
    client.number(ids[0])
    times = [hesi.tenant.flow(flow_id)["updateTime"] for flow_id in ids]
    assert times[1:] == [now + 1, now + 2, now + 3, now + 4]
    assert times[0] == now + 5


def test_a_numbered_flow_comes_again_in_the_next_window(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    window = {"orderBy": "updateTime", "orderByType": "asc", "startDate": "2026-10-15 02:00:00"}
    assert client.all(**window) == []
    client.number(flow_id)
    assert [flow["id"] for flow in client.all(**window)] == [flow_id]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"voucher": []},
        {"voucher": [{"flowId": "a", "voucherNo": "1"}]},
        {"voucher": [{"flowId": "a", "voucherNo": "1", "voucherCreateTime": 1792000000000}]},
        {"voucher": [{"flowId": "a", "voucherNo": 1, "voucherCreateTime": "1792000000000"}]},
        {"voucher": ["a"]},
        [],
    ],
)
def test_a_body_of_another_shape_is_refused(client: Client, body: object) -> None:
    answer = client.send("PUT", "/v2.1/flow/data/erpVoucher", body)
    assert (answer.status_code, answer.text) == (412, "JSON请求参数不正确")
