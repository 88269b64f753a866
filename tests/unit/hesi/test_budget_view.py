"""Hesi's published budgets as packages: exact figures of the right days, or a package that says it is not computed."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import date
from typing import Any

import httpx
import pytest

from etl.errors import SourceUnavailable
from etl.frames import day_number
from etl.hesi.budget_view import packages_from_hesi
from etl.hesi.client import HesiClient
from etl.model_budget import BudgetDimension, BudgetPackage
from sandbox.testing import Sandbox

API = "/api/openapi"
APRIL_2026, MARCH_2027 = 1774972800000, 1806508799000  # 2026-04-01 00:00:00 and 2027-03-31 23:59:59 in Shanghai
DEPARTMENT = {"dimensionType": "DEPART", "dimensionId": "expenseDepartment", "contentId": "D1", "mustLeaf": True}


def budget(**changes: Any) -> dict[str, Any]:
    period = {"annual": "2026", "period": "YEAR", "startTime": 1767837600000, "endTime": 1799287200000}
    given = {"id": "B1", "name": "2026", "active": True, "delete": False, "budgetCurrency": None, "legalEntityIds": []}
    flags = {"isFiscalYear": False, "isCustom": False, "isRollCalc": False}
    return {**given, **flags, **changes, "period": {**period, **changes.get("period", {})}}


def node(**changes: Any) -> dict[str, Any]:
    given = {"nodeId": "root", "parentId": "", "name": "研发部", "content": [DEPARTMENT], "isLeaf": True}
    plan = {"moneys": None, "control": "ALLOW", "overControllerRate": 100.0, "freeze": False}
    return {**given, **plan, **changes}


def execution(**changes: Any) -> dict[str, Any]:
    figures = {"budgetMoney": 100.0, "confirmedMoney": 0, "occupiedMoney": 0}
    return {"nodeId": "root", "periodTime": "1", "budgetVersion": 3, **figures, **changes}


def answers(hesi: Any, listed: list[dict[str, Any]], *, nodes: list[Any], monies: list[Any]) -> None:
    """The tenant lists these packages; each has these nodes and figures."""
    hesi.routes[f"{API}/v2/budgets"] = [httpx.Response(200, json={"items": listed})]
    value = {"nodes": nodes, "monies": monies, "count": len(nodes), "visibilities": [], "editInChargers": []}
    for row in listed:
        hesi.routes[f"{API}/v2/budgets/${row['id']}/async"] = [httpx.Response(200, json={"value": {"status": "DONE"}})]
        hesi.routes[f"{API}/v2/budgets/${row['id']}/query"] = [httpx.Response(200, json={"value": value})]


def read(client: HesiClient, companies: Mapping[str, str] | None = None) -> tuple[BudgetPackage, ...]:
    return packages_from_hesi(client, lambda name, body: None, companies=companies)


def read_one(hesi: Any, client: HesiClient, listed: dict[str, Any], **money: Any) -> BudgetPackage:
    answers(hesi, [listed], nodes=[node()], monies=[execution(**money)])
    (package,) = read(client)
    return package


def test_a_node_keeps_its_place_its_rules_and_its_exact_figures(hesi: Any, client: HesiClient) -> None:
    child = node(nodeId="N1", parentId="root", name="差旅", control="FORBID", overControllerRate=110.0, freeze=True)
    child["content"] = [{"dimensionType": "FEE_TYPE", "dimensionId": "feeTypeId", "contentId": "F1", "mustLeaf": False}]
    monies = [execution(), execution(nodeId="N1", budgetMoney=1234.5, confirmedMoney=0.07, occupiedMoney=900)]
    answers(hesi, [budget()], nodes=[node(isLeaf=False), child], monies=monies)
    (package,) = read(client)
    root, travel = package.nodes
    assert package.computed
    assert (root.parent_id, root.dimensions) == ("", (BudgetDimension("DEPART", "D1", below=True),))
    assert (travel.parent_id, travel.dimensions) == ("root", (BudgetDimension("FEE_TYPE", "F1", below=False),))
    assert (travel.node_name, travel.control, travel.over_rate_percent) == ("差旅", "FORBID", 110)
    (money,) = travel.moneys
    assert (money.budget_minor, money.used_minor, money.in_flight_minor) == (123450, 7, 90000)


@pytest.mark.parametrize(
    ("kind", "number", "label", "first", "last"),
    [
        ("YEAR", "1", "2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("HALF_YEAR", "2", "2026-H2", date(2026, 7, 1), date(2026, 12, 31)),
        ("SEASON", "1", "2026-Q1", date(2026, 1, 1), date(2026, 3, 31)),
        ("MONTH", "2", "2026-02", date(2026, 2, 1), date(2026, 2, 28)),
    ],
)
def test_the_number_of_a_period_counts_from_january_of_the_budget_year(
    hesi: Any, client: HesiClient, kind: str, number: str, label: str, first: date, last: date
) -> None:
    package = read_one(hesi, client, budget(period={"period": kind}), periodTime=number)
    period = package.nodes[0].moneys[0].period
    assert (period.label, period.first_day, period.last_day) == (label, day_number(first), day_number(last))


def test_a_fiscal_year_uses_the_instants_of_its_periods(hesi: Any, client: HesiClient) -> None:
    planned = {"periodTime": "1", "budgetMoney": 100.0, "periodStartTime": APRIL_2026, "periodEndTime": MARCH_2027}
    answers(hesi, [budget(isFiscalYear=True)], nodes=[node(moneys=[planned])], monies=[execution()])
    (package,) = read(client)
    assert package.nodes[0].moneys[0].period.label == "2026-04-01..2027-03-31"


def test_a_fiscal_year_without_instants_is_not_taken_for_a_calendar_year(hesi: Any, client: HesiClient) -> None:
    package = read_one(hesi, client, budget(isFiscalYear=True, period={"startTime": APRIL_2026, "endTime": MARCH_2027}))
    assert not package.computed
    assert (package.first_day, package.last_day) == (day_number(date(2026, 4, 1)), day_number(date(2027, 3, 31)))


def test_an_undivided_package_has_one_amount_for_all_its_days(hesi: Any, client: HesiClient) -> None:
    times = {"period": None, "annual": None, "startTime": APRIL_2026, "endTime": MARCH_2027}
    package = read_one(hesi, client, budget(isCustom=True, period=times))
    assert package.nodes[0].moneys[0].period.label == "2026-04-01..2027-03-31"


def test_a_rolling_package_gives_its_cumulative_amounts(hesi: Any, client: HesiClient) -> None:
    rolled = {"budgetMoneyRoll": 300.0, "confirmedMoneyRoll": 200.5, "occupiedMoneyRoll": 10.0}
    (money,) = read_one(hesi, client, budget(isRollCalc=True), **rolled).nodes[0].moneys
    assert (money.budget_minor, money.used_minor, money.in_flight_minor) == (30000, 20050, 1000)


@pytest.mark.parametrize(("currency", "minor"), [(None, 123400), ("JPY", 1234), ("KWD", 1234000)])
def test_amounts_have_the_decimals_of_the_budget_currency(hesi: Any, client: HesiClient, currency: Any, minor: int) -> None:
    package = read_one(hesi, client, budget(budgetCurrency=currency), budgetMoney=1234.0)
    assert (package.currency, package.nodes[0].moneys[0].budget_minor) == (currency or "CNY", minor)


def test_a_large_amount_written_with_an_exponent_is_exact(hesi: Any, client: HesiClient) -> None:
    answers(hesi, [budget()], nodes=[node()], monies=[execution()])
    value = {"nodes": [node()], "monies": [execution()]}
    body = json.dumps({"value": value}).replace('"budgetMoney": 100.0', '"budgetMoney": 1.234567890123E10')
    hesi.routes[f"{API}/v2/budgets/$B1/query"] = [httpx.Response(200, text=body)]
    (package,) = read(client)
    assert package.nodes[0].moneys[0].budget_minor == 1234567890123


def test_a_period_without_a_budget_takes_no_claim(hesi: Any, client: HesiClient) -> None:
    planned = [{"periodTime": str(number), "budgetMoney": None} for number in (1, 2)]
    answers(hesi, [budget()], nodes=[node(moneys=planned)], monies=[execution(budgetMoney=None)])
    (package,) = read(client)
    assert package.computed
    assert package.nodes[0].moneys == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"budgetMoney": 0.1 + 0.2},
        {"budgetMoney": "1,234.50"},
        {"budgetMoney": True},
        {"budgetMoney": 1e300},
        {"confirmedMoney": None},
        {"occupiedMoney": [1]},
        {"periodTime": "2"},
        {"periodTime": "first"},
    ],
    ids=str,
)
def test_a_figure_without_an_exact_meaning_makes_the_package_not_computed(
    hesi: Any, client: HesiClient, caplog: pytest.LogCaptureFixture, changes: dict[str, Any]
) -> None:
    package = read_one(hesi, client, budget(), **changes)
    assert (package.computed, package.nodes) == (False, ())
    assert (package.first_day, package.last_day) == (day_number(date(2026, 1, 1)), day_number(date(2026, 12, 31)))
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    (warning,) = [text for text in warnings if text.startswith("budget_not_computed")]
    assert "budget=B1" in warning
    assert "node root" in warning


@pytest.mark.parametrize(
    "changes",
    [
        {"control": "BLOCK"},
        {"overControllerRate": 100.5},
        {"content": None},
        {"content": [{**DEPARTMENT, "mustLeaf": None}]},
        {"content": [{**DEPARTMENT, "contentId": ""}]},
        {"moneys": "none"},
        {"moneys": [{"periodTime": "1", "periodStartTime": APRIL_2026, "periodEndTime": None}]},
        {"moneys": [{"periodTime": "1", "periodStartTime": MARCH_2027, "periodEndTime": APRIL_2026}]},
        {"moneys": [{"periodTime": "1", "periodStartTime": 1, "periodEndTime": 9007199254740991}]},
        {"moneys": [{"periodTime": "7", "budgetMoney": 5.0}]},
    ],
    ids=str,
)
def test_a_node_without_an_exact_meaning_makes_the_package_not_computed(hesi: Any, client: HesiClient, changes: dict[str, Any]) -> None:
    answers(hesi, [budget()], nodes=[node(**changes)], monies=[execution()])
    assert [package.computed for package in read(client)] == [False]


def test_a_number_too_long_to_write_out_is_refused_at_once(hesi: Any, client: HesiClient) -> None:
    answers(hesi, [budget()], nodes=[], monies=[])
    body = json.dumps({"value": {"nodes": [node()], "monies": [execution()]}}).replace('100.0, "conf', '1e999999999, "conf')
    hesi.routes[f"{API}/v2/budgets/$B1/query"] = [httpx.Response(200, text=body)]
    assert [package.computed for package in read(client)] == [False]


def test_an_orphan_is_not_taken_for_a_second_root(hesi: Any, client: HesiClient) -> None:
    orphan = node(nodeId="N1", parentId="gone")
    answers(hesi, [budget()], nodes=[node(isLeaf=False), orphan], monies=[execution(), execution(nodeId="N1")])
    assert [package.computed for package in read(client)] == [False]


def test_figures_of_two_versions_are_not_mixed(hesi: Any, client: HesiClient) -> None:
    monies = [execution(), execution(periodTime="2", budgetVersion=4)]
    answers(hesi, [budget(period={"period": "SEASON"})], nodes=[node()], monies=monies)
    assert [package.computed for package in read(client)] == [False]


@pytest.mark.parametrize("currency", ["156", "Yuan", 156])
def test_a_currency_nobody_knows_makes_the_package_not_computed(hesi: Any, client: HesiClient, currency: Any) -> None:
    assert not read_one(hesi, client, budget(budgetCurrency=currency)).computed


def test_one_package_that_cannot_be_read_does_not_spoil_the_others(hesi: Any, client: HesiClient) -> None:
    answers(hesi, [budget(), budget(id="B2")], nodes=[node()], monies=[execution()])
    hesi.routes[f"{API}/v2/budgets/$B1/async"] = [httpx.Response(200, json={"value": {"status": "PROCESSING"}})]
    assert [(package.package_id, package.computed) for package in read(client)] == [("B1", False), ("B2", True)]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, text="不存在的预算包"),
        httpx.Response(400, text="预算[B1]未计算完成，请稍等"),
        httpx.Response(403, text="无权访问"),
        httpx.Response(200, json={"value": {"nodes": "none"}}),
    ],
    ids=["deleted meanwhile", "calculating", "not granted", "another shape"],
)
def test_a_package_hesi_does_not_show_is_not_computed(hesi: Any, client: HesiClient, answer: httpx.Response) -> None:
    answers(hesi, [budget()], nodes=[node()], monies=[execution()])
    hesi.routes[f"{API}/v2/budgets/$B1/query"] = [answer]
    assert [package.computed for package in read(client)] == [False]


@pytest.mark.parametrize("answer", [httpx.Response(405, text="未开通功能，无权访问"), httpx.Response(404, text="Error 404 Not Found")], ids=["gate", "404"])
def test_a_tenant_without_the_budget_feature_has_no_budgets(hesi: Any, client: HesiClient, answer: httpx.Response) -> None:
    hesi.routes[f"{API}/v2/budgets"] = [answer]
    assert read(client) == ()


def test_a_list_of_another_shape_leaves_every_claim_not_computed(hesi: Any, client: HesiClient) -> None:
    hesi.routes[f"{API}/v2/budgets"] = [httpx.Response(200, json={"items": {"B1": {}}})]
    (package,) = read(client)
    assert not package.computed
    assert package.first_day < day_number(date(2026, 1, 1)) < package.last_day


def test_an_outage_is_left_to_the_retry_of_the_step(hesi: Any, client: HesiClient) -> None:
    hesi.routes[f"{API}/v2/budgets"] = [httpx.Response(503, text="busy")]
    with pytest.raises(SourceUnavailable):
        read(client)


@pytest.mark.parametrize("dimension", [("PROJECT", "E_system_post"), ("DEPART", "u_分摊部门"), ("STAFF", "u_验收人")], ids=lambda pair: pair[1])
def test_a_node_on_a_field_that_lines_do_not_carry_is_about_no_line_column(hesi: Any, client: HesiClient, dimension: tuple[str, str]) -> None:
    kind, field = dimension
    content = [{"dimensionType": kind, "dimensionId": field, "contentId": "X1", "mustLeaf": True}]
    answers(hesi, [budget()], nodes=[node(content=content)], monies=[execution()])
    (package,) = read(client)
    assert package.nodes[0].dimensions == (BudgetDimension(f"{kind}:{field}", "X1"),)


def test_the_node_of_a_person_does_not_carry_the_name(hesi: Any, client: HesiClient) -> None:
    content = [{"dimensionType": "STAFF", "dimensionId": "submitterId", "contentId": "corp:S1", "mustLeaf": True}]
    answers(hesi, [budget()], nodes=[node(content=content, name="王小明")], monies=[execution()])
    (package,) = read(client)
    assert (package.nodes[0].node_name, package.nodes[0].dimensions[0].kind) == ("王**", "STAFF")


def test_a_package_of_two_legal_entities_is_asked_by_the_claims_of_their_companies_only(hesi: Any, client: HesiClient) -> None:
    child = node(nodeId="N1", parentId="root")
    listed = budget(legalEntityIds=["LE2", "LE1", "LE9"])
    answers(hesi, [listed], nodes=[node(isLeaf=False), child], monies=[execution(), execution(nodeId="N1")])
    packages = read(client, {"LE1": "C01", "LE2": "C02", "LE3": "C03"})
    roots = [package.nodes[0].dimensions[0] for package in packages]
    assert roots == [BudgetDimension("COMPANY", "C01", below=False), BudgetDimension("COMPANY", "C02", below=False)]
    assert all(package.nodes[1].dimensions == (BudgetDimension("DEPART", "D1"),) for package in packages)


def test_a_package_of_other_legal_entities_is_not_even_read(hesi: Any, client: HesiClient) -> None:
    answers(hesi, [budget(legalEntityIds=["LE9"])], nodes=[node()], monies=[execution()])
    assert read(client, {"LE1": "C01"}) == ()
    assert hesi.calls("query") == []


def test_every_raw_answer_is_kept_under_a_name_of_its_own(hesi: Any, client: HesiClient) -> None:
    answers(hesi, [budget(), budget(id="B2")], nodes=[node()], monies=[execution()])
    kept: dict[str, bytes] = {}
    packages_from_hesi(client, kept.__setitem__)
    assert list(kept) == ["budget-00001", "budget-00002"]
    assert all(json.loads(body)["value"]["monies"] == [execution()] for body in kept.values())


def test_the_figures_of_the_sandbox_arrive_to_the_cent() -> None:
    with Sandbox(claims=50, seed=3) as sandbox:
        with HesiClient(
            sandbox.base_url,
            sandbox.app_key,
            sandbox.app_security,
            allowed_hosts=["127.0.0.1"],
            requests_per_second=0,
            max_retry_after_seconds=60,
            sleep=lambda _: None,
        ) as session:
            (package,) = read(session)
        sources = sandbox.tenant.budgets
        expected = {
            (node_id, f"2026-{int(money['periodTime']):02d}"): tuple(round(money[name] * 100) for name in ("budgetMoney", "confirmedMoney", "occupiedMoney"))
            for node_id, monies in sources.monies.items()
            for money in monies
        }
    figures = {
        (node.node_id, money.period.label): (money.budget_minor, money.used_minor, money.in_flight_minor) for node in package.nodes for money in node.moneys
    }
    assert len(expected) > 12
    assert figures == expected
