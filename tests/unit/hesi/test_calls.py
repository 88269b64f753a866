"""Reference lists, loans, budgets, invoices, attachments and the write-back: what is asked, what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from etl.errors import BudgetCalculating, PayloadChanged, SourceRefused, SourceUnavailable
from etl.hesi import attachments, budgets, flows, invoices, loans, reference, vouchers
from etl.hesi.lists import read_invoices
from etl.hesi.vouchers import VoucherNumber, WriteBack

API = "/api/openapi"


def page_of(rows: list[Any]) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        start, count = int(request.url.params["start"]), int(request.url.params["count"])
        return httpx.Response(200, json={"count": len(rows), "items": rows[start : start + count]})

    return answer


def body_of(request: httpx.Request) -> Any:
    return json.loads(request.content)


# --- reference data -----------------------------------------------------------------------------------


def test_a_long_reference_list_is_read_completely(hesi: Any, client: Any) -> None:
    rows = [{"id": f"corp:{n}", "updateTime": "2026-01-01 08:00:00"} for n in range(1001)]
    hesi.routes[f"{API}/v1/departments"] = page_of(rows)
    assert list(reference.rows_by_id(reference.departments(client)).values()) == rows


def test_a_department_edited_while_reading_is_kept_in_its_newer_version_and_hides_no_other(hesi: Any, client: Any) -> None:
    rows = [{"id": f"d{n}", "name": "old", "updateTime": f"2026-01-01 08:{n // 60:02}:{n % 60:02}"} for n in range(250)]
    edits = iter([3, 50, 99, 120])

    def answer(request: httpx.Request) -> httpx.Response:
        response = page_of(rows)(request)
        for n in edits:
            index = next(i for i, row in enumerate(rows) if row["id"] == f"d{n}")
            rows.append({**rows.pop(index), "name": "new", "updateTime": "2026-01-02 08:00:00"})
            break
        return response

    hesi.routes[f"{API}/v1/departments"] = answer
    found = reference.rows_by_id(reference.departments(client))
    assert set(found) == {f"d{n}" for n in range(250)}
    assert found["d3"]["name"] == "new"


def test_many_rows_edited_at_once_hide_no_other_row(hesi: Any, client: Any) -> None:
    rows = [{"id": f"d{n}", "updateTime": "2026-01-01 08:00:00"} for n in range(250)]
    moved: list[bool] = []

    def answer(request: httpx.Request) -> httpx.Response:
        response = page_of(rows)(request)
        if not moved:
            moved.append(True)
            rows[:] = rows[40:] + [{**row, "updateTime": "2026-01-02 08:00:00"} for row in rows[:40]]
        return response

    hesi.routes[f"{API}/v1/departments"] = answer
    assert len(reference.rows_by_id(reference.departments(client))) == 250


def test_fee_types_accounts_and_currencies_take_one_call_each(hesi: Any, client: Any) -> None:
    for path in ("v1/feeTypes", "v1/paymentAccounts", "v2.1/currency"):
        hesi.routes[f"{API}/{path}"] = [httpx.Response(200, json={"items": [{"id": "x"}]})]
    for read in (reference.fee_types, reference.payer_accounts, reference.currencies):
        assert [page.rows for page in read(client)] == [[{"id": "x"}]]


def test_staff_who_left_are_read_as_well(hesi: Any, client: Any) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"items": [{"id": request.url.params["active"]}]})

    hesi.routes[f"{API}/v1.1/staffs"] = answer
    assert list(reference.rows_by_id(reference.staffs(client))) == ["true", "false"]


def test_dimension_items_are_asked_per_dimension(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v1/dimensions"] = page_of([{"id": "corp:项目"}])
    hesi.routes[f"{API}/v1/dimensions/items"] = page_of([{"id": "P1"}])
    (dimension,) = reference.rows_by_id(reference.dimensions(client))
    assert list(reference.rows_by_id(reference.dimension_items(client, dimension))) == ["P1"]
    assert hesi.requests[-1].url.params["dimensionId"] == "corp:项目"


def test_named_payees_are_asked_in_small_batches(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v2.1/payeeInfos"] = page_of([])
    list(reference.payees_by_id(client, [f"P{n}" for n in range(45)]))
    assert [len(r.url.params["ids"].split(",")) for r in hesi.calls("payeeInfos")] == [20, 20, 5]


def test_a_row_without_id_is_left_out_of_the_lookup(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v1/feeTypes"] = [httpx.Response(200, json={"items": [{"name": "x"}, 7, {"id": "a"}]})]
    assert list(reference.rows_by_id(reference.fee_types(client))) == ["a"]


# --- claims and states --------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["单据不存在", "单据已删除"])
def test_a_claim_that_is_gone_is_none(hesi: Any, client: Any, words: str) -> None:
    hesi.routes[f"{API}/v1.1/flowDetails"] = [httpx.Response(412, text=words)]
    assert flows.detail(client, "ID_1") is None


def test_a_claim_is_found_by_its_human_number(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v1.1/flowDetails/byCode"] = [httpx.Response(200, json={"value": {"id": "ID_1"}})]
    answer = flows.detail_by_code(client, "B26000001")
    assert answer is not None
    assert answer.value == {"id": "ID_1"}
    assert hesi.requests[-1].url.params["code"] == "B26000001"


def test_another_refusal_of_a_detail_is_not_mistaken_for_a_missing_claim(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v1.1/flowDetails"] = [httpx.Response(400, text="参数错误")]
    with pytest.raises(SourceRefused):
        flows.detail(client, "ID_1")


def test_states_are_asked_twenty_claims_at_a_time_and_each_claim_once(hesi: Any, client: Any) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "approveStates" not in request.url.path:
            return httpx.Response(404)
        ids = request.url.path.split("[")[1].rstrip("]").split(",")
        return httpx.Response(200, json={"items": [{"flowId": id_, "stageName": "完成"} for id_ in ids]})

    wanted = [f"ID_{n}$x" for n in range(45)]
    paths = [f"{API}/v2/approveStates/[{','.join(wanted[n : n + 20])}]" for n in (0, 20, 40)]
    hesi.routes.update(dict.fromkeys(paths, answer))
    found = [row["flowId"] for page in flows.approve_states(client, [*wanted, *wanted]) for row in page.value]
    assert found == wanted


# --- loans --------------------------------------------------------------------------------------------


def test_a_loan_package_is_asked_once_however_many_claims_name_it(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v1/loan/loanInfo/$LP$1"] = [httpx.Response(200, json={"value": {"id": "LP$1"}})]
    packages = list(loans.loan_packages(client, ["LP$1", "", "LP$1"]))
    assert [package.package_id for package in packages] == ["LP$1"]
    assert len(hesi.calls("loanInfo")) == 1


def test_a_loan_that_has_no_package_yet_is_normal(hesi: Any, client: Any) -> None:
    words = "根据借款包Id:LP1, 获取不到对应的借款包,请核查"
    hesi.routes[f"{API}/v1/loan/loanInfo/$LP1"] = [httpx.Response(400, json={"errorMessage": words})]
    (package,) = loans.loan_packages(client, ["LP1"])
    assert package.answer is None


# --- budgets ------------------------------------------------------------------------------------------


def budget_server(children: dict[str, list[str]], *, leaves: set[str]) -> Callable[[httpx.Request], httpx.Response]:
    """The parent stands first on every page and counts, as one integrator reports."""

    def node(node_id: str) -> dict[str, Any]:
        return {"nodeId": node_id, "isLeaf": node_id in leaves, "parentId": ""}

    def answer(request: httpx.Request) -> httpx.Response:
        parent = request.url.params["nodeId"] or "root"
        start, count = int(request.url.params["start"]), int(request.url.params["count"])
        below = children.get(parent, [])
        shown = [parent, *below[start : start + count - 1]]
        value = {
            "nodes": [node(node_id) for node_id in shown],
            "monies": [{"nodeId": node_id, "periodTime": "1", "budgetMoney": 100.0} for node_id in shown],
            "count": len(below) + 1,
        }
        return httpx.Response(200, json={"value": value})

    return answer


def test_every_node_of_a_big_budget_is_read_once(hesi: Any, client: Any) -> None:
    departments = [f"d{n}" for n in range(250)]
    children = {"root": departments, "d7": ["d7a", "d7b"]}
    hesi.routes[f"{API}/v2/budgets/$B$1/async"] = [httpx.Response(200, json={"value": {"status": "DONE"}})]
    leaves = {*departments, "d7a", "d7b"} - {"d7"}
    hesi.routes[f"{API}/v2/budgets/$B$1/query"] = budget_server(children, leaves=leaves)
    tree = budgets.read_tree(client, "B$1")
    assert set(tree.nodes) == {"root", "d7a", "d7b", *departments}
    assert set(tree.monies) == {(node_id, "1") for node_id in tree.nodes}
    assert len(tree.answers) == len(hesi.calls("query")) <= 6


@pytest.mark.parametrize("state", [{"status": "PROCESSING"}, {"status": "ERROR", "errorMessage": " 公式错误 "}])
def test_a_budget_that_is_not_done_is_not_computed(hesi: Any, client: Any, state: Any) -> None:
    hesi.routes[f"{API}/v2/budgets/$B1/async"] = [httpx.Response(200, json={"value": state})]
    with pytest.raises(BudgetCalculating, match=f"B1.*{state['status']}"):
        budgets.read_tree(client, "B1")


def test_a_budget_calculating_during_the_query_is_waited_for_then_named(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v2/budgets/$B1/async"] = [httpx.Response(200, json={"value": {"status": "DONE"}})]
    hesi.routes[f"{API}/v2/budgets/$B1/query"] = [httpx.Response(400, text="预算[B1]未计算完成，请稍等")]
    with pytest.raises(BudgetCalculating, match="未计算完成"):
        budgets.read_tree(client, "B1")
    assert len(hesi.calls("query")) == 5


@pytest.mark.parametrize("value", [{"monies": []}, {"nodes": [7], "monies": []}, {"nodes": [{}], "monies": []}, []])
def test_a_budget_answer_of_another_shape_is_named_as_changed(hesi: Any, client: Any, value: Any) -> None:
    hesi.routes[f"{API}/v2/budgets/$B1/async"] = [httpx.Response(200, json={"value": {"status": "DONE"}})]
    hesi.routes[f"{API}/v2/budgets/$B1/query"] = [httpx.Response(200, json={"value": value})]
    with pytest.raises(PayloadChanged, match="B1"):
        budgets.read_tree(client, "B1")


# --- invoices and attachments -------------------------------------------------------------------------


def test_invoices_are_found_by_claim_then_by_type_then_by_line(hesi: Any, client: Any) -> None:
    found = {
        "F1": [
            {"invoiceId": "corp:1:2", "invoiceItemId": ["L1"], "invoiceType": "invoice"},
            {"invoiceId": "taxi-1", "invoiceItemId": [], "invoiceType": "taxi"},
        ]
    }
    hesi.routes[f"{API}/v2/extension/flow/INVOICE/search"] = [httpx.Response(200, json={"value": found})]
    for kind in ("invoice", "taxi"):
        hesi.routes[f"{API}/v2/extension/INVOICE/object/{kind}/search"] = [
            httpx.Response(200, json={"count": 1, "items": [{"id": kind, "entity": {"huge": "x" * 1000}}]})
        ]
    ((_, refs),) = invoices.invoice_refs(client, ["F1", "F2"])
    assert [ref.object_type for ref in refs] == ["invoice", "taxi"]
    batches = list(invoices.invoice_headers(client, refs))
    assert [[row.id for row in batch.rows] for batch in batches] == [["invoice"], ["taxi"]]
    assert [body_of(r) for r in hesi.calls("/object/")] == [{"ids": ["corp:1:2"]}, {"ids": ["taxi-1"]}]


@pytest.mark.parametrize(
    ("kind", "prefix", "field"), [("train", "E_system_火车票", "乘车人姓名"), ("flightItinerary", "E_system_航空运输电子客票行程单", "乘机人姓名")]
)
def test_a_ticket_tells_its_traveller_and_an_invoice_its_buyer_whatever_the_type_is_called(hesi: Any, client: Any, kind: str, prefix: str, field: str) -> None:
    refs = [{"invoiceId": "T1", "invoiceItemId": [], "invoiceType": kind}, {"invoiceId": "I1", "invoiceItemId": [], "invoiceType": "invoice"}]
    hesi.routes[f"{API}/v2/extension/flow/INVOICE/search"] = [httpx.Response(200, json={"value": {"F1": refs}})]
    ticket = {"id": "T1", f"{prefix}_{field}": "张三"}
    bought = {"id": "I1", "E_system_发票主体_购买方名称": "某公司", "E_system_发票主体_购买方纳税人识别号": "9131"}
    for type_, row in ((kind, ticket), ("invoice", bought)):
        hesi.routes[f"{API}/v2/extension/INVOICE/object/{type_}/search"] = [httpx.Response(200, json={"count": 1, "items": [row]})]
    found = read_invoices(client, ["F1"], lambda name, body: None, needs_header=lambda id_: True, needs_items=lambda id_: False)
    assert (found["T1"].traveller, found["T1"].buyer_name) == ("张三", "")
    assert (found["I1"].traveller, found["I1"].buyer_name, found["I1"].buyer_tax_number) == ("", "某公司", "9131")


def test_an_invoice_that_cannot_be_read_is_left_out_and_the_others_are_read(hesi: Any, client: Any) -> None:
    body = '{"items":[{"id":"I1","E_system_发票主体_购买方名称":"\\ud800"},{"id":"I2","E_system_发票主体_购买方名称":"某公司"}]}'
    hesi.routes[f"{API}/v2/extension/INVOICE/object/invoice/search"] = [httpx.Response(200, content=body.encode())]
    (batch,) = invoices.invoice_headers(client, [invoices.InvoiceRef("F1", id_, "invoice") for id_ in ("I1", "I2")])
    assert [(row.id, row.buyer_name) for row in batch.rows] == [("I2", "某公司")]


def test_look_ups_go_out_one_hundred_at_a_time(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v2/extension/flow/INVOICE/search"] = [httpx.Response(200, json={"value": {}})]
    hesi.routes[f"{API}/v2/extension/INVOICE/object/invoice/detailBatch"] = [httpx.Response(200, json={"items": []})]
    hesi.routes[f"{API}/v1/flowDetails/attachment"] = [httpx.Response(200, json={"items": []})]
    ids = [f"ID_{n}" for n in range(250)]
    list(invoices.invoice_refs(client, ids))
    list(invoices.invoice_lines(client, ids))
    list(attachments.flow_attachments(client, ids))
    for name, key in (("flow/INVOICE", "codeOrIds"), ("detailBatch", "invoiceIds"), ("attachment", "flowIds")):
        assert [len(body_of(request)[key]) for request in hesi.calls(name)] == [100, 100, 50]


def test_an_invoice_reference_of_another_shape_is_named_with_its_claim(hesi: Any, client: Any) -> None:
    value = {"F1": [{"invoiceId": 7}]}
    hesi.routes[f"{API}/v2/extension/flow/INVOICE/search"] = [httpx.Response(200, json={"value": value})]
    with pytest.raises(PayloadChanged, match="F1"):
        list(invoices.invoice_refs(client, ["F1"]))


def test_download_links_come_as_a_bare_array_and_live_half_an_hour_at_most(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v2/attachment/downloadurls"] = [httpx.Response(200, json=[{"id": "f", "url": "https://x"}])]
    file = attachments.StoredFile("f", "k")
    (answer,) = attachments.download_urls(client, [file], seconds=60)
    assert answer.value == [{"id": "f", "url": "https://x"}]
    assert body_of(hesi.requests[-1]) == [{"id": "f", "key": "k", "expiration": 60}]
    with pytest.raises(ValueError, match="1800"):
        list(attachments.download_urls(client, [file], seconds=1801))


# --- write-back ---------------------------------------------------------------------------------------


class VoucherDesk:
    """Takes a batch only when every claim is known and paid; names culprits as Hesi does."""

    def __init__(self, *, paid: set[str], others: set[str] = frozenset(), names_culprits: bool = True) -> None:  # type: ignore[assignment]
        self.paid, self.others, self.names_culprits = paid, others, names_culprits
        self.numbers: dict[str, str] = {}
        self.batches: list[list[str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        entries = body_of(request)["voucher"]
        ids = [entry["flowId"] for entry in entries]
        self.batches.append(ids)
        if unknown := [id_ for id_ in ids if id_ not in self.paid | self.others]:
            return httpx.Response(412, text=f"不存在此单据[{unknown[0]}]" if self.names_culprits else "不存在此单据")
        if unpaid := [id_ for id_ in ids if id_ in self.others]:
            named = f"[[{', '.join(unpaid)}]]" if self.names_culprits else ""
            return httpx.Response(400, text=f"单据Id:{named}的单据不是已支付状态，不能回写单据凭证，请检查")
        self.numbers.update({entry["flowId"]: entry["voucherNo"] for entry in entries})
        return httpx.Response(200, json={"value": True})


def write(client: Any, *numbers: VoucherNumber, batch_size: int = 20) -> dict[str, WriteBack]:
    return {r.flow_id: r.outcome for r in vouchers.write_numbers(client, numbers, batch_size=batch_size)}


def number(flow_id: str, text: str = "记-1") -> VoucherNumber:
    return VoucherNumber(flow_id, text, 1_767_225_600_123)


@pytest.mark.parametrize("names_culprits", [True, False])
def test_one_bad_claim_does_not_keep_the_others_from_their_numbers(hesi: Any, client: Any, names_culprits: bool) -> None:
    desk = VoucherDesk(paid={f"P${n}" for n in range(40)}, others={"A1", "A2"}, names_culprits=names_culprits)
    hesi.routes[f"{API}/v2.1/flow/data/erpVoucher"] = desk
    ids = [*(f"P${n}" for n in range(10)), "A1", "U1", "A2", *(f"P${n}" for n in range(10, 40))]
    outcome = write(client, *map(number, ids))
    assert {id_ for id_, what in outcome.items() if what is WriteBack.WRITTEN} == desk.paid == set(desk.numbers)
    assert (outcome["A1"], outcome["A2"], outcome["U1"]) == (
        WriteBack.NOT_PAID,
        WriteBack.NOT_PAID,
        WriteBack.UNKNOWN,
    )


def test_culprits_that_are_named_cost_one_call_each_kind(hesi: Any, client: Any) -> None:
    desk = VoucherDesk(paid={f"P{n}" for n in range(18)}, others={"A1"})
    hesi.routes[f"{API}/v2.1/flow/data/erpVoucher"] = desk
    write(client, *map(number, [*(f"P{n}" for n in range(18)), "A1", "U1"]))
    assert [len(batch) for batch in desk.batches] == [20, 19, 18]


@pytest.mark.parametrize("empty", ["", " ", "\t"])
def test_an_empty_number_is_never_sent_because_it_would_delete_the_number(hesi: Any, client: Any, empty: str) -> None:
    desk = VoucherDesk(paid={"P1", "P2"})
    hesi.routes[f"{API}/v2.1/flow/data/erpVoucher"] = desk
    assert write(client, number("P1", empty), number("P2")) == {"P1": WriteBack.EMPTY, "P2": WriteBack.WRITTEN}
    assert desk.batches == [["P2"]]


def test_the_time_of_a_voucher_travels_as_text_and_the_period_only_when_given(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v2.1/flow/data/erpVoucher"] = VoucherDesk(paid={"P1", "P2"})
    write(client, number("P1"), VoucherNumber("P2", "记-2", 1, "2026-01"))
    assert body_of(hesi.requests[-1]) == {
        "voucher": [
            {"flowId": "P1", "voucherNo": "记-1", "voucherCreateTime": "1767225600123"},
            {"flowId": "P2", "voucherNo": "记-2", "voucherCreateTime": "1", "fiscalPeriod": "2026-01"},
        ]
    }


def test_results_known_before_an_outage_are_not_lost(hesi: Any, client: Any) -> None:
    ok, down = httpx.Response(200, json={"value": True}), httpx.Response(503)
    hesi.routes[f"{API}/v2.1/flow/data/erpVoucher"] = [ok, down]
    results = vouchers.write_numbers(client, map(number, "abcd"), batch_size=2)
    assert [next(results).flow_id, next(results).flow_id] == ["a", "b"]
    with pytest.raises(SourceUnavailable):
        next(results)


def test_an_answer_other_than_true_is_a_refusal_of_each_number(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v2.1/flow/data/erpVoucher"] = [httpx.Response(200, json={"value": False})]
    assert write(client, number("a"), number("b")) == {"a": WriteBack.REFUSED, "b": WriteBack.REFUSED}


def test_a_refusal_naming_a_claim_of_another_batch_does_not_loop(hesi: Any, client: Any) -> None:
    hesi.routes[f"{API}/v2.1/flow/data/erpVoucher"] = [httpx.Response(412, text="不存在此单据[somebody-else]")]
    assert write(client, number("a"), number("b")) == {"a": WriteBack.UNKNOWN, "b": WriteBack.UNKNOWN}
    assert len(hesi.calls("erpVoucher")) == 3


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("不存在此单据[yd4bn1Z-YM900]", ["yd4bn1Z-YM900"]),
        ("单据Id:[[ID_3FQR$Yx5LWM]]的单据不是已支付状态", ["ID_3FQR$Yx5LWM"]),
        ('单据Id:[["a", "b"]]', ["a", "b"]),
        ("单据Id:[[a],[b]]", ["a", "b"]),
        ("没有编号", []),
        ("[]", []),
    ],
)
def test_ids_are_read_out_of_a_refusal(text: str, ids: list[str]) -> None:
    assert vouchers.named_ids(text) == ids
