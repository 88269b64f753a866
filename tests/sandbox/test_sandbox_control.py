"""The control calls another process drives the tenant with."""

from typing import Any

import pytest

from sandbox.client import Client
from sandbox.testing import Sandbox


def _post(client: Client, name: str, **body: Any) -> Any:
    answer = client.http.post(f"/sandbox/control/{name}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _read(client: Client, name: str, **query: str) -> Any:
    return client.http.get(f"/sandbox/control/{name}", params=query).json()


def test_the_clock_is_read_advanced_and_set(client: Client, hesi: Sandbox) -> None:
    assert _read(client, "clock")["beijing"] == "2026-10-15 02:00:00"
    assert _post(client, "clock", advance_ms=3_600_000)["beijing"] == "2026-10-15 03:00:00"
    _post(client, "clock", set_ms=1_792_000_000_000)
    assert hesi.clock.now() == 1_792_000_000_000


def test_fields_are_edited_by_path_and_move_the_update_time(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    _post(client, "edit", id=flow_id, set={"form.details.0.feeTypeForm.amount.standard": "9.99", "-form.title": None})
    flow = _read(client, "claim", id=flow_id)
    assert flow["form"]["details"][0]["feeTypeForm"]["amount"]["standard"] == "9.99"
    assert "title" not in flow["form"]
    assert flow["updateTime"] == hesi.clock.now() + 1


def test_an_edit_may_leave_the_update_time_alone(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    before = hesi.tenant.flow(flow_id)["updateTime"]
    _post(client, "edit", id=flow_id, set={"form.title": "悄悄"}, touch=False)
    assert hesi.tenant.flow(flow_id)["updateTime"] == before


def test_a_deleted_flow_moves_to_the_list_of_deleted_ones(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    _post(client, "delete", id=flow_id)
    assert flow_id in {flow["id"] for flow in client.all(active="false")}
    assert flow_id not in {flow["id"] for flow in client.all(active="true")}


def test_a_nullified_flow_stays_live_in_its_own_state(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    _post(client, "nullify", id=flow_id)
    flow = hesi.tenant.flow(flow_id)
    assert (flow["state"], flow["active"]) == ("nullify", True)


def test_paying_a_flow_leaves_date_account_and_log(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paying")[0]
    _post(client, "pay", id=flow_id)
    flow = hesi.tenant.flow(flow_id)
    assert flow["state"] == "paid"
    assert flow["form"]["payDate"] == flow["updateTime"]
    assert flow["form"]["paymentAccountId"] in hesi.tenant.parties.account_ids.values()
    assert [entry["action"] for entry in flow["logs"][-2:]] == ["freeflow.paying", "freeflow.pay"]


def test_a_state_can_be_any_word(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("approving")[0]
    _post(client, "state", id=flow_id, state="paying")
    assert hesi.tenant.flow(flow_id)["form"]["timeToEnterPendingPayment"] == hesi.tenant.flow(flow_id)["updateTime"]


def test_new_claims_end_at_the_present(client: Client, hesi: Sandbox) -> None:
    ids = _post(client, "claims", count=3, state="paying")["ids"]
    flows = [hesi.tenant.flow(flow_id) for flow_id in ids]
    assert [flow["state"] for flow in flows] == ["paying"] * 3
    assert [flow["updateTime"] - hesi.clock.now() for flow in flows] == [1, 2, 3]


def test_the_bytes_of_a_flow_can_be_anything(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.flow_ids("paid")[0]
    _post(client, "override", id=flow_id, body='{"id":"broken')
    page = client.apply_list(orderBy="updateTime", count=1)
    assert page.text.endswith('"items":[{"id":"broken]}')


def test_faults_are_set_listed_and_cleared(client: Client) -> None:
    _post(client, "faults", kind="status", status=502, path="feeTypes", times=2)
    assert client.get("/v1/feeTypes").status_code == 502
    assert _read(client, "faults")["counts"] == {"status": 1}
    client.http.delete("/sandbox/control/faults")
    assert client.get("/v1/feeTypes").status_code == 200


def test_totals_are_grouped_and_exact(client: Client) -> None:
    rows = _read(client, "totals")["rows"]
    assert {"formType", "company", "currency", "state", "presence", "count", "sums"} == set(rows[0])
    assert {row["company"] for row in rows if row["formType"] == "loan"} <= {"C01", "C02", "C03", ""}


def test_calls_and_defects_can_be_read(client: Client, hesi: Sandbox) -> None:
    client.get("/v1/feeTypes")
    assert _read(client, "requests")[-1]["path"].endswith("/v1/feeTypes")
    assert _read(client, "defects")["defects"] == hesi.tenant.defects
    assert _read(client, "health") == {"status": "ok", "claims": 300}


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("delete", {"id": "nowhere"}, 404),
        ("nothing", {}, 404),
        ("edit", {}, 400),
        ("faults", {"kind": "flood"}, 400),
        ("clock", {"advance": 1}, 400),
    ],
)
def test_a_wrong_control_call_says_what_is_wrong(client: Client, name: str, body: dict[str, Any], status: int) -> None:
    answer = client.http.post(f"/sandbox/control/{name}", json=body)
    assert answer.status_code == status
    assert answer.text


def test_control_calls_are_not_part_of_the_api(client: Client) -> None:
    assert client.get("/control/totals").status_code == 404
