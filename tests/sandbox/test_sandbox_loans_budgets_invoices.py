"""Loan packages, budgets with their calculating phase, invoices by type, attachments (sections 9 to 13)."""

from decimal import Decimal
from typing import Any

from sandbox.budgets import DRAFT, PUBLISHED
from sandbox.client import Client
from sandbox.testing import Sandbox


def _loan_in_use(hesi: Sandbox) -> Any:
    return next(loan for loan in hesi.tenant.loans.by_package.values() if loan.settlements)


def test_a_loan_package_balances_and_its_state_reads_the_wrong_way_round(shared: Client) -> None:
    loan = _loan_in_use(shared.hesi)
    value = shared.get(f"/v1/loan/loanInfo/${loan.package_id}").json()["value"]
    parts = [Decimal(str(value[key])) for key in ("reserved", "remain", "repayment")]
    assert sum(parts) == Decimal(str(value["total"]).strip()) == Decimal(value["totalMoneyNode"]["standard"])
    assert value["state"] == ("REPAID" if value["remain"] else "PAID")
    assert value["ownerId"] == loan.owner


def test_a_loan_package_is_found_by_its_form_too(shared: Client) -> None:
    loan = _loan_in_use(shared.hesi)
    value = shared.get(f"/v1/loans/getLoanInfoByFlowId/${loan.flow_id}").json()["value"]
    assert value["id"] == loan.package_id
    assert "infoType" not in value


def test_a_dollar_before_the_id_is_needed(shared: Client) -> None:
    loan = _loan_in_use(shared.hesi)
    assert shared.get(f"/v1/loan/loanInfo/{loan.package_id}").status_code == 404


def test_a_loan_that_is_not_finished_has_no_package(client: Client, hesi: Sandbox) -> None:
    flow_id = hesi.tenant.add_claims(1, state="paying", form_type="loan")[0]
    answer = client.get(f"/v1/loans/getLoanInfoByFlowId/${flow_id}")
    assert (answer.status_code, answer.text) == (400, f"根据借款单Id:{flow_id}, 获取不到对应的借款包,请核查")


def test_an_unknown_package_is_refused_with_text(shared: Client) -> None:
    answer = shared.get("/v1/loan/loanInfo/$nowhere")
    assert (answer.status_code, answer.text) == (400, "根据借款包Id:nowhere, 获取不到对应的借款包,请核查")


def test_budget_packages_include_a_draft(shared: Client) -> None:
    items = shared.get("/v2/budgets").json()["items"]
    assert {item["id"]: item["active"] for item in items} == {PUBLISHED: True, DRAFT: False}


def test_the_parent_node_is_the_first_row_of_every_page_and_counted(shared: Client) -> None:
    first = shared.get(f"/v2/budgets/${PUBLISHED}/query", nodeId="", start=0, count=3).json()["value"]
    second = shared.get(f"/v2/budgets/${PUBLISHED}/query", nodeId="", start=2, count=3).json()["value"]
    assert first["nodes"][0]["nodeId"] == second["nodes"][0]["nodeId"]
    assert len({node["nodeId"] for node in first["nodes"] + second["nodes"]}) == 5
    assert first["count"] == len(shared.hesi.tenant.budgets.children["N000"]) + 1
    assert len(first["monies"]) == 12 * len(first["nodes"])


def test_every_node_can_be_reached_and_some_are_over(shared: Client) -> None:
    seen: dict[str, Any] = {}
    waiting, over = [""], 0
    while waiting:
        value = shared.get(f"/v2/budgets/${PUBLISHED}/query", nodeId=waiting.pop(), start=0, count=100).json()["value"]
        over += sum(m["confirmedMoney"] + m["occupiedMoney"] > m["budgetMoney"] for m in value["monies"])
        fresh = [node for node in value["nodes"] if node["nodeId"] not in seen]
        seen |= {node["nodeId"]: node for node in fresh}
        waiting += [node["nodeId"] for node in fresh if not node["isLeaf"]]
    assert set(seen) == set(shared.hesi.tenant.budgets.nodes)
    assert {node["control"] for node in seen.values()} == {"ALLOW", "FORBID", "IGNORED"}
    assert over > 0


def test_a_calculating_budget_is_refused_and_says_so_in_its_state(client: Client, hesi: Sandbox) -> None:
    hesi.tenant.budgets.calculating = True
    answer = client.get(f"/v2/budgets/${PUBLISHED}/query", nodeId="", start=0, count=10)
    assert answer.status_code == 400
    assert answer.text.endswith("未计算完成，请稍等")
    assert client.get(f"/v2/budgets/${PUBLISHED}").status_code == 400
    assert client.get(f"/v2/budgets/${PUBLISHED}/async").json()["value"]["status"] == "PROCESSING"
    hesi.tenant.budgets.calculating = False
    assert client.get(f"/v2/budgets/${PUBLISHED}/async").json()["value"]["status"] == "DONE"


def test_an_unknown_budget_is_refused_with_text(shared: Client) -> None:
    answer = shared.get("/v2/budgets/$nowhere/query", nodeId="", start=0, count=10)
    assert (answer.status_code, answer.text) == (400, "不存在的预算包")


def _invoices(client: Client) -> dict[str, list[dict[str, Any]]]:
    ids = client.hesi.flow_ids("paid")[:100]
    answer = client.send("POST", "/v2/extension/flow/INVOICE/search", {"type": "id", "codeOrIds": [*ids, "nowhere"]})
    return answer.json()["value"]  # type: ignore[no-any-return]


def _by_type(client: Client, kind: str) -> list[str]:
    rows = [row for rows in _invoices(client).values() for row in rows]
    return sorted({row["invoiceId"] for row in rows if row["invoiceType"] == kind})


def _search(client: Client, kind: str, ids: list[str]) -> dict[str, Any]:
    return client.send("POST", f"/v2/extension/INVOICE/object/{kind}/search", {"ids": ids}).json()  # type: ignore[no-any-return]


def test_invoices_are_keyed_by_flow_and_name_their_type(shared: Client) -> None:
    found = _invoices(shared)
    assert "nowhere" not in found
    assert {row["invoiceType"] for rows in found.values() for row in rows} == {
        "invoice",
        "train",
        "flightItinerary",
        "taxi",
    }


def test_invoices_are_found_by_flow_code_too(shared: Client) -> None:
    flow_id = next(iter(_invoices(shared)))
    code = shared.hesi.tenant.flow(flow_id)["form"]["code"]
    answer = shared.send("POST", "/v2/extension/flow/INVOICE/search", {"type": "code", "codeOrIds": [code]}).json()
    assert answer["value"][code] == _invoices(shared)[flow_id]


def test_an_unknown_way_to_search_is_refused_with_text(shared: Client) -> None:
    answer = shared.send("POST", "/v2/extension/flow/INVOICE/search", {"type": "name", "codeOrIds": []})
    assert (answer.status_code, answer.text) == (400, "不支持此类型type=name")


def test_the_wrong_type_for_an_id_finds_nothing(shared: Client) -> None:
    assert _search(shared, "taxi", _by_type(shared, "train")) == {"count": 0, "items": []}


def test_headers_are_keyed_by_the_kind_of_ticket_and_carry_an_entity_block(shared: Client) -> None:
    vat = _search(shared, "invoice", _by_type(shared, "invoice"))
    flight = _search(shared, "flightItinerary", _by_type(shared, "flightItinerary"))
    assert vat["count"] == len(vat["items"]) > 5
    assert all("E_system_发票主体_价税合计" in row and row["entity"]["id"] for row in vat["items"])
    assert all("E_system_航空运输电子客票行程单_票价" in row for row in flight["items"])


def test_tax_of_a_flight_is_on_fare_and_fuel_only(shared: Client) -> None:
    for row in _search(shared, "flightItinerary", _by_type(shared, "flightItinerary"))["items"]:
        prefix = "E_system_航空运输电子客票行程单_"
        fare, fuel, fund = (Decimal(row[prefix + key]["standard"]) for key in ("票价", "燃油附加费", "民航发展基金"))
        assert fare + fuel + fund == Decimal(row[prefix + "金额"]["standard"])
        assert abs((fare + fuel) * 9 / 109 - Decimal(row["E_税额"]["standard"])) <= Decimal("0.005")


def test_invoice_lines_add_up_to_their_header_and_state_the_rate(shared: Client) -> None:
    ids = _by_type(shared, "invoice")
    headers = {row["id"]: row for row in _search(shared, "invoice", ids)["items"]}
    answer = shared.send("POST", "/v2/extension/INVOICE/object/invoice/detailBatch", {"invoiceIds": ids}).json()
    taxes: dict[str, Decimal] = {}
    for item in answer["items"]:
        taxes[item["masterId"]] = taxes.get(item["masterId"], Decimal(0)) + Decimal(item["E_system_发票明细_税额"]["standard"])
        assert item["E_system_发票明细_税率"] in ("3%", "6%", "13%")
    assert taxes == {key: Decimal(row["E_system_发票主体_税额"]["standard"]) for key, row in headers.items()}


def test_the_lines_of_one_invoice_have_the_item_ids_of_the_claim(shared: Client) -> None:
    row = next(row for rows in _invoices(shared).values() for row in rows if row["invoiceItemId"])
    items = shared.send("POST", f"/v2/extension/INVOICE/object/invoice/{row['invoiceId']}/detail", None).json()["items"]
    assert [item["id"] for item in items] == row["invoiceItemId"]


def test_a_business_object_that_does_not_exist_is_refused_with_text(shared: Client) -> None:
    answer = shared.send("POST", "/v2/extension/INVOICE/object/boat/search", {"ids": ["x"]})
    assert (answer.status_code, answer.text) == (400, "不支持的业务对象「boat」")


def test_a_search_without_ids_is_refused_with_text(shared: Client) -> None:
    assert shared.send("POST", "/v2/extension/INVOICE/object/taxi/search", {"ids": []}).text == "查询参数不能为空!!!"


def test_attachments_are_given_for_up_to_a_hundred_flows(shared: Client) -> None:
    ids = shared.hesi.flow_ids("paid")
    items = shared.send("POST", "/v1/flowDetails/attachment", {"flowIds": ids[:100]}).json()["items"]
    kinds = {group["type"] for item in items for group in item["attachmentList"]}
    assert kinds == {"flow.body", "flow.free", "flow.receipt"}
    assert all(item["fromType"] == "expense" for item in items)
    too_many = shared.send("POST", "/v1/flowDetails/attachment", {"flowIds": ids[:101]})
    assert (too_many.status_code, too_many.headers["content-type"][:10]) == (400, "text/plain")


def test_attachments_of_an_unknown_flow_are_refused_with_text(shared: Client) -> None:
    answer = shared.send("POST", "/v1/flowDetails/attachment", {"flowIds": ["nowhere"]})
    assert (answer.status_code, answer.text) == (400, "单据不存在")
