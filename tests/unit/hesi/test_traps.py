"""The traps of the Hesi interface that touch a call we make; docs/hesi-traps.md lists all 27."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from etl.errors import BudgetCalculating, NotAllowed, SourceRefused
from etl.hesi import attachments, budgets, endpoints, flows, invoices, loans, reference, vouchers
from etl.hesi.endpoints import Endpoint

API = "/api/openapi"
T0 = 1_767_225_600_000
LIST = f"{API}/v1.1/docs/getApplyList"
DOC = Path(__file__).parents[3] / "docs" / "hesi-traps.md"


def read(client: Any, *, active: bool = True, since_ms: int | None = T0) -> list[Any]:
    return list(flows.iter_pages(client, "expense", active=active, since_ms=since_ms, cutoff_ms=T0 + 10**9))


def test_trap_01_an_archived_claim_refuses_the_write_back_as_a_value_not_a_crash(hesi: Any, client: Any) -> None:
    words = "单据Id:[[F1]]的单据不是已支付状态，不能回写单据凭证，请检查"
    hesi.routes[f"{API}/v2.1/flow/data/erpVoucher"] = [httpx.Response(400, text=words)]
    (result,) = vouchers.write_numbers(client, [vouchers.VoucherNumber("F1", "记-1", T0)])
    assert (result.outcome, result.text) == (vouchers.WriteBack.NOT_PAID, words)


def test_trap_02_processing_cannot_be_asked_for_so_no_state_filter_is_sent(hesi: Any, client: Any) -> None:
    hesi.add("F1", T0, state="PROCESSING")
    assert [page.claim_ids for page in read(client)] == [["F1"]]
    assert all("state" not in request.url.params for request in hesi.calls("getApplyList"))


@pytest.mark.parametrize(("active", "sent", "found"), [(True, "true", ["alive"]), (False, "false", ["dead"])])
def test_trap_03_active_is_tri_state_so_it_is_always_sent(hesi: Any, client: Any, active: bool, sent: str, found: list[str]) -> None:
    hesi.add("alive", T0)
    hesi.add("dead", T0, active=False)
    assert [page.claim_ids for page in read(client, active=active)] == [found]
    assert {request.url.params["active"] for request in hesi.calls("getApplyList")} == {sent}


def test_trap_04_default_order_is_descending_so_we_always_ask_for_ascending(hesi: Any, client: Any) -> None:
    for n in range(150):
        hesi.add(f"F{n}", T0 + n * 1000)
    read(client)
    orders = {(r.url.params["orderBy"], r.url.params["orderByType"]) for r in hesi.calls("getApplyList")}
    assert orders == {("updateTime", "asc")}


def test_trap_04_a_count_of_zero_on_later_pages_does_not_end_the_list(hesi: Any, client: Any) -> None:
    rows = [{"id": f"F{n:03}", "updateTime": T0} for n in range(250)]

    def old_release(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params["start"])
        return httpx.Response(200, json={"count": 250 if start == 0 else 0, "items": rows[start : start + 100]})

    hesi.routes[LIST] = old_release
    assert sum(len(page.accepted) for page in read(client)) == 250


def test_trap_05_the_window_has_a_start_in_beijing_time_and_never_an_end(hesi: Any, client: Any) -> None:
    hesi.add("F1", T0)
    read(client, since_ms=T0 + 999)
    for request in hesi.calls("getApplyList"):
        assert request.url.params["startDate"] == "2026-01-01 08:00:00"
        assert "endDate" not in request.url.params


def test_trap_05_without_a_start_only_the_last_year_would_come_so_a_full_read_names_one(hesi: Any, client: Any) -> None:
    read(client, since_ms=None)
    assert hesi.calls("getApplyList")[0].url.params["startDate"] == "2000-01-01 00:00:00"


def test_trap_06_a_deleted_claim_is_none_in_detail_and_found_by_the_second_pass(hesi: Any, client: Any) -> None:
    hesi.add("F1", T0, active=False)
    hesi.routes[f"{API}/v1.1/flowDetails"] = [httpx.Response(412, text="单据已删除")]
    assert flows.detail(client, "F1") is None
    assert [page.claim_ids for page in read(client, active=False)] == [["F1"]]


def test_trap_07_a_plain_text_error_keeps_its_words(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v1/flowDetails/attachment"] = [httpx.Response(400, text="单据数量不能超过100")]
    with pytest.raises(SourceRefused, match="单据数量不能超过100"):
        list(attachments.flow_attachments(client, ["F1"]))


def test_trap_07_a_failure_with_status_200_is_not_taken_for_data(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v1.1/staffs"] = [httpx.Response(200, json={"errorMessage": "不允许调用此接口"})]
    with pytest.raises(NotAllowed, match="不允许调用此接口"):
        list(reference.staffs(client))


def test_trap_08_dollars_brackets_and_odd_ids_reach_the_address_as_documented() -> None:
    assert endpoints.BUDGET_NODES.address(id="ID_3D$8ov23ECg") == f"{API}/v2/budgets/$ID_3D$8ov23ECg/query"
    assert endpoints.LOAN_INFO.address(id="-Ukb:项目") == f"{API}/v1/loan/loanInfo/$-Ukb:%E9%A1%B9%E7%9B%AE"
    assert endpoints.APPROVE_STATES.address(ids=["a", "b"]) == f"{API}/v2/approveStates/[a,b]"
    assert endpoints.LOAN_INFO.address(id="a/../b?c#d%e,f").endswith("$a%2F..%2Fb%3Fc%23d%25e%2Cf")


@pytest.mark.parametrize("empty", ["", ".", "..", [], ["a", ""]])
def test_trap_08_an_id_that_would_address_something_else_is_refused(empty: Any) -> None:
    with pytest.raises(ValueError, match="non-empty ids"):
        endpoints.APPROVE_STATES.address(ids=empty)


def test_trap_08_the_three_names_of_the_payee_list_are_sent_even_when_empty(hesi: Any, client: Any) -> None:
    def needs_names(request: httpx.Request) -> httpx.Response:
        if {"ids", "names", "cardNos"} <= request.url.params.keys():
            return httpx.Response(200, json={"count": 1, "items": [{"id": "P1"}]})
        return httpx.Response(404, text="Error 404 Not Found")

    hesi.routes[f"{API}/v2.1/payeeInfos"] = needs_names
    assert list(reference.rows_by_id(reference.payees(client))) == ["P1"]


def test_trap_09_every_endpoint_states_its_envelope() -> None:
    ours = [value for value in vars(endpoints).values() if isinstance(value, Endpoint)]
    assert len(ours) >= 20
    assert len({endpoint.name for endpoint in ours}) == len(ours)


def test_trap_10_money_reaches_the_caller_as_it_was_written(hesi: Any, client: Any) -> None:
    body = b'{"value":{"standard":" 33.00","standardScale":"2","tax":13.170,"total":1000}}'
    hesi.routes[f"{API}/v1/loan/loanInfo/$L1"] = [httpx.Response(200, content=body)]
    (package,) = loans.loan_packages(client, ["L1"])
    assert package.answer is not None
    assert package.answer.value == {
        "standard": " 33.00",
        "standardScale": "2",
        "tax": Decimal("13.170"),
        "total": 1000,
    }
    assert str(package.answer.value["tax"]) == "13.170"


def test_trap_11_a_loan_package_without_due_date_and_with_the_inverted_state_passes_unchanged(hesi: Any, client: Any) -> None:
    value = {"id": "L1", "state": "REPAID", "repaymentDate": 9007199254740991, "total": "1000"}
    hesi.routes[f"{API}/v1/loan/loanInfo/$L1"] = [httpx.Response(200, json={"value": value})]
    (package,) = loans.loan_packages(client, ["L1"])
    assert package.answer is not None
    assert package.answer.value == value


def test_trap_13_the_list_alone_is_read_and_fee_types_come_from_their_own_table(hesi: Any, client: Any) -> None:
    hesi.add("F1", T0)
    hesi.routes[f"{API}/v1/feeTypes"] = [httpx.Response(200, json={"items": [{"id": "T1", "code": "C1"}]})]
    read(client)
    assert reference.rows_by_id(reference.fee_types(client))["T1"]["code"] == "C1"
    assert hesi.calls("flowDetails") == []


def test_trap_14_rows_with_empty_or_equal_codes_stay_apart_because_the_id_counts(hesi: Any, client: Any) -> None:
    rows = [{"id": "d1", "code": ""}, {"id": "d2", "code": ""}, {"id": "d3", "code": "7"}, {"id": "d4", "code": "7"}]
    hesi.routes[f"{API}/v1/departments"] = [httpx.Response(200, json={"count": 3, "items": rows})]
    assert list(reference.rows_by_id(reference.departments(client))) == ["d1", "d2", "d3", "d4"]


def test_trap_16_our_own_write_back_brings_the_claim_again_in_the_next_run(hesi: Any, client: Any) -> None:
    hesi.add("F1", T0)
    assert [page.update_times for page in read(client)] == [[T0]]
    hesi.claims["F1"]["updateTime"] = T0 + 5000
    assert [page.update_times for page in read(client)] == [[T0 + 5000]]


def test_trap_17_drafts_are_not_taken_for_budgets_in_force(hesi: Any, client: Any) -> None:
    rows = [
        {"id": "live", "active": True, "delete": False},
        {"id": "draft", "active": False},
        {"id": "gone", "active": True, "delete": True},
    ]
    hesi.routes[f"{API}/v2/budgets"] = [httpx.Response(200, json={"items": rows})]
    assert [budget["id"] for budget in budgets.published_budgets(client)] == ["live"]


def test_trap_17_a_budget_being_recalculated_is_not_computed_rather_than_wrong(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v2/budgets/$B1/async"] = [httpx.Response(200, json={"value": {"status": "PROCESSING"}})]
    with pytest.raises(BudgetCalculating):
        budgets.read_tree(client, "B1")


def test_trap_17_the_parent_repeated_on_each_page_is_counted_once(hesi: Any, client: Any) -> None:
    children = [f"n{n}" for n in range(150)]

    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params["start"])
        shown = ["root", *children[start : start + 99]]
        nodes = [{"nodeId": node_id, "isLeaf": True} for node_id in shown]
        return httpx.Response(200, json={"value": {"nodes": nodes, "monies": [], "count": 151}})

    hesi.routes[f"{API}/v2/budgets/$B1/async"] = [httpx.Response(200, json={"value": {"status": "DONE"}})]
    hesi.routes[f"{API}/v2/budgets/$B1/query"] = answer
    assert list(budgets.read_tree(client, "B1").nodes) == ["root", *children]


@pytest.mark.parametrize("status", [403, 405])
def test_trap_19_a_feature_the_tenant_lacks_is_named(hesi: Any, client: Any, status: int) -> None:
    hesi.routes[f"{API}/v2/budgets"] = [httpx.Response(status, text="未开通功能，无权访问")]
    with pytest.raises(NotAllowed, match="budgets"):
        budgets.published_budgets(client)


def test_trap_21_files_are_named_by_id_and_key_and_links_are_asked_for_anew(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v2/attachment/downloadurls"] = [httpx.Response(200, json=[])]
    file = attachments.StoredFile("f1", "k1")
    for _ in range(2):
        list(attachments.download_urls(client, [file]))
    assert len(hesi.calls("downloadurls")) == 2


def test_trap_22_an_invoice_is_asked_under_the_type_hesi_gave_for_it(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v2/extension/INVOICE/object/train/search"] = [httpx.Response(200, json={"items": []})]
    ref = invoices.InvoiceRef("F1", "corp::24000000000000000001", "train")
    list(invoices.invoice_headers(client, [ref]))
    assert len(hesi.calls("/object/train/search")) == 1


def test_trap_24_no_log_line_carries_the_token_or_a_person(hesi: Any, client: Any, caplog: Any) -> None:
    caplog.set_level("DEBUG")
    hesi.routes[f"{API}/v1.1/staffs"] = [httpx.Response(200, json={"items": [{"id": "s1", "name": "张大宝", "cellphone": "13800004394"}]})]
    list(reference.staffs(client))
    assert "token_issued" in caplog.text
    for personal in ("张大宝", "13800004394", "canary"):
        assert personal not in caplog.text


def test_trap_26_a_missing_row_is_absent_from_the_lookup_and_nothing_breaks(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v1/feeTypes"] = [httpx.Response(200, json={"items": [{"id": "a"}]})]
    assert "physically-deleted" not in reference.rows_by_id(reference.fee_types(client))


def test_trap_27_every_path_is_pinned_to_a_version() -> None:
    for value in vars(endpoints).values():
        if isinstance(value, Endpoint):
            assert re.match(r"/api/openapi/v\d(\.\d)?/", value.path), value.name


def test_every_trap_stands_in_the_table_and_every_test_it_names_exists() -> None:
    table = DOC.read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]
    assert numbers == list(range(1, 28))
    named = set(re.findall(r"`(test_trap_\w+)`", table))
    here = {name for name in globals() if name.startswith("test_trap_")}
    assert named == here
