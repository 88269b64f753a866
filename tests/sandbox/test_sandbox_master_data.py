"""Departments, staff, fee types, dimensions, payees, accounts, currencies (section 12)."""

from collections import Counter
from typing import Any

from sandbox.client import Client

CORPORATION = "hEs1DemoCorp00"


def _items(client: Client, path: str, **query: Any) -> list[dict[str, Any]]:
    return client.get(path, **query).json()["items"]  # type: ignore[no-any-return]


def test_the_root_department_has_the_id_of_the_corporation(shared: Client) -> None:
    rows = {row["id"]: row for row in _items(shared, "/v1/departments", start=0, count=100)}
    assert rows[CORPORATION]["parentId"] == ""
    assert all(row["parentId"] in rows for row in rows.values() if row["parentId"])


def test_department_codes_can_be_empty_shared_and_disabled(shared: Client) -> None:
    rows = _items(shared, "/v1/departments", start=0, count=100)
    codes = Counter(row["code"] for row in rows)
    assert codes[""] == 1
    assert codes["D77"] == 2
    assert sum(not row["active"] for row in rows) == 1


def test_departments_are_paged_with_the_total(shared: Client) -> None:
    page = shared.get("/v1/departments", start=14, count=100).json()
    assert page["count"] == 14 + len(page["items"])
    assert shared.get("/v1/departments", start=99, count=10).json()["items"] == []


def test_staff_presence_is_tri_state(shared: Client) -> None:
    everybody = shared.get("/v1.1/staffs", start=0, count=1).json()["count"]
    present = shared.get("/v1.1/staffs", start=0, count=1, active="true").json()["count"]
    gone = _items(shared, "/v1.1/staffs", start=0, count=10, active="false")
    assert everybody == present + len(gone)
    assert [row["active"] for row in gone] == [False]


def test_staff_codes_can_be_empty_and_shared(shared: Client) -> None:
    codes = Counter(row["code"] for row in _items(shared, "/v1.1/staffs", start=0, count=100))
    assert codes[""] == 3
    assert max(count for code, count in codes.items() if code) == 2
    assert codes["E001"] == 1


def test_the_staff_window_restricts_items_and_count(shared: Client) -> None:
    page = shared.get("/v1.1/staffs", start=0, count=100, startDate="2026-01-06 10:05:00").json()
    assert page["count"] < shared.get("/v1.1/staffs", start=0, count=1).json()["count"]
    assert all(row["updateTime"] >= "2026-01-06 10:05:00" for row in page["items"])


def test_fee_types_come_without_a_count(shared: Client) -> None:
    answer = shared.get("/v1/feeTypes").json()
    assert list(answer) == ["items"]
    codes = {row["code"]: row for row in answer["items"]}
    assert codes["TRAVEL-AIR"]["parentId"] == codes["TRAVEL"]["id"]
    assert codes["OLD-GIFT"]["active"] is False


def test_dimension_items_have_text_times_and_with_all_has_milliseconds(shared: Client) -> None:
    query = {"start": 0, "count": 10, "dimensionId": f"{CORPORATION}:法人实体"}
    plain, full = (
        _items(shared, "/v1/dimensions/items", **query),
        _items(shared, "/v1/dimensions/items/withAll", **query),
    )
    assert isinstance(plain[0]["updateTime"], str)
    assert isinstance(full[0]["updateTime"], int)
    assert [row["code"] for row in full] == ["C01", "C02", "C03"]
    assert full[0]["form"]["taxpayerType"] == "GeneralTaxpayer"


def test_an_unknown_dimension_is_an_empty_list(shared: Client) -> None:
    assert shared.get("/v1/dimensions/items", start=0, count=5, dimensionId="x").json() == {"count": 0, "items": []}


def test_payees_need_their_three_names_even_if_empty(shared: Client) -> None:
    answer = shared.get("/v2.1/payeeInfos", ids="", names="", start=0, count=10)
    assert (answer.status_code, answer.text) == (404, "Error 404 Not Found")


def test_disabled_payees_are_found_only_by_name(shared: Client) -> None:
    everything = {"start": 0, "count": 100, "cardNos": ""}
    total = shared.get("/v2.1/payeeInfos", ids="", names="", **everything).json()["count"]
    listed = [row for start in range(0, total, 100) for row in _items(shared, "/v2.1/payeeInfos", ids="", names="", cardNos="", start=start, count=100)]
    assert all(row["active"] for row in listed)
    named = _items(shared, "/v2.1/payeeInfos", ids="", names="已停用供应商", **everything)
    assert [row["active"] for row in named] == [False]


def test_payees_say_their_type_in_chinese_and_suppliers_carry_a_code(shared: Client) -> None:
    named = _items(shared, "/v2.1/payeeInfos", ids="", names="某会务公司,商旅平台", cardNos="", start=0, count=10)
    assert {row["type"] for row in named} == {"对公账户"}
    assert {row["customFields"]["u_供应商编码"] for row in named} == {"S001", "S900"}


def test_every_member_of_staff_has_an_own_payee(shared: Client) -> None:
    person = _items(shared, "/v1.1/staffs", start=0, count=1)[0]
    payees = _items(shared, "/v2.1/payeeInfos", ids="", names=person["name"], cardNos="", start=0, count=100)
    own = [row for row in payees if row["staffId"] == person["id"]]
    assert [row["owner"] for row in own] == ["INDIVIDUAL"]


def test_accounts_include_a_disabled_one(shared: Client) -> None:
    accounts = {row["code"]: row for row in _items(shared, "/v1/paymentAccounts")}
    assert accounts["CASH"]["id"] == f"{CORPORATION}:CASH"
    assert accounts["CASH"]["active"] is False
    assert {"BANK-CNY-01", "BANK-CNY-02", "BANK-USD-01", "BANK-HKD-01", "BANK-OLD-09"} < set(accounts)


def test_yen_have_scale_zero_and_rates_are_text(shared: Client) -> None:
    infos = {info["strCode"]: info for info in _items(shared, "/v2.1/currency")[0]["currInfos"]}
    assert infos["JPY"]["scale"] == 0
    assert infos["USD"]["rate"] == "7.1234"


def test_licences_state_their_end(shared: Client) -> None:
    assert all(row["expireTime"] > 1_792_000_000_000 for row in _items(shared, "/v1/charge/powers/list"))
