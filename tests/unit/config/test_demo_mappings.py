"""The mappings of the demo tenant load clean and say what the golden cases' common rules say."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from etl.config.load import load_mappings
from etl.config.mapping import Account, CompanyMapping, Mappings, VatKind
from etl.config.schema import MODELS, json_schema
from etl.config.settings import PROJECT

FOLDER = PROJECT / "mappings"
YAML_FILES = sorted(path for path in FOLDER.rglob("*.yaml"))
FEES = {
    "01": ["TRAVEL", "TRAVEL-AIR", "TRAVEL-RAIL", "TRAVEL-TAXI", "TRAVEL-HOTEL"],
    "02": ["ENTERTAIN"],
    "03": ["MEETING"],
    "04": ["OFFICE"],
    "05": ["WELFARE"],
}
CLASS_ROOTS = {"admin": "6602", "sales": "6601", "rnd": "5301.01", "production": "5101"}


@pytest.fixture(scope="module")
def demo() -> Mappings:
    return load_mappings(FOLDER)


def company(demo: Mappings, code: str) -> CompanyMapping:
    return next(mapping for mapping in demo.companies if mapping.company.code == code)


def accounts(demo: Mappings, chart: str) -> dict[str, Account]:
    return {account.code: account for account in demo.charts[chart].accounts}


def vat_kind(demo: Mappings, kind: str, day: date) -> VatKind:
    (entry,) = (entry for entry in demo.vat["cn"].kinds if kind in entry.kinds and entry.covers(day))
    return entry


def test_the_demo_companies_load(demo: Mappings) -> None:
    assert [(mapping.company.code, mapping.company.base_currency) for mapping in demo.companies] == [
        ("C01", "CNY"),
        ("C02", "CNY"),
        ("C03", "HKD"),
    ]


@pytest.mark.parametrize("code", ["C01", "C02"])
def test_an_expense_account_is_the_class_root_and_the_fee_suffix(demo: Mappings, code: str) -> None:
    mapped = {(fee_code, class_): account for fee in company(demo, code).fee_types for fee_code in fee.fee.codes for class_, account in fee.accounts.items()}
    assert mapped == {(fee_code, class_): f"{root}.{suffix}" for suffix, codes in FEES.items() for fee_code in codes for class_, root in CLASS_ROOTS.items()}


def test_each_class_is_one_department_and_what_is_below_it(demo: Mappings) -> None:
    classes = {entry.class_: entry.departments.codes for entry in company(demo, "C01").department_classes}
    assert classes == {"admin": ["D10"], "sales": ["D20"], "rnd": ["D30"], "production": ["D40"]}


def test_entertainment_and_welfare_never_deduct(demo: Mappings) -> None:
    assert [fee.label for fee in company(demo, "C01").fee_types if not fee.deduct] == ["招待费", "福利费"]


def test_the_chart_requires_and_forbids_dimensions_as_the_golden_cases_say(demo: Mappings) -> None:
    for code, account in accounts(demo, "cas").items():
        required = {type_ for type_, rule in account.dimensions.items() if rule == "required"}
        if code.startswith(("6601.", "6602.", "6603.", "5101.")):
            assert required == {"department"}, code
        elif code.startswith("5301."):
            assert required == {"department", "project"}, code
        elif code in {"1221.01", "2241.01"}:
            assert account.dimensions == {"employee": "required"}, code
        elif code.startswith("2202."):
            assert account.dimensions == {"supplier": "required"}, code
        elif code.startswith(("1002.", "2221.")):
            assert account.dimensions == {}, code


def test_money_that_moved_is_booked_to_the_golden_accounts(demo: Mappings) -> None:
    c01 = company(demo, "C01")
    assert {bank.hesi: (bank.account, bank.currency) for bank in c01.bank_accounts} == {
        "BANK-CNY-01": ("1002.01", "CNY"),
        "BANK-USD-01": ("1002.02", "USD"),
    }
    assert (c01.payables.employee, c01.payables.supplier) == ("2241.01", "2202.01")
    assert (c01.loans.employee, c01.loans.supplier, c01.prepayment) == ("1221.01", "1123", "1123")
    assert c01.company_paid is not None
    assert (c01.company_paid.account, c01.company_paid.default_supplier) == ("2202.02", "S900")
    assert c01.input_vat is not None
    assert c01.input_vat.account == "2221.01.01"


def test_some_things_are_left_unmapped_so_that_the_demo_shows_rejects(demo: Mappings) -> None:
    fees = {code for mapping in demo.companies for fee in mapping.fee_types for code in fee.fee.codes}
    banks = {bank.hesi for mapping in demo.companies for bank in mapping.bank_accounts}
    assert "TRAINING" not in fees
    assert "BANK-OLD-09" not in banks


def test_the_hong_kong_company_differs_in_chart_dimensions_currency_and_language(demo: Mappings) -> None:
    c03 = company(demo, "C03")
    used = {account for fee in c03.fee_types for account in fee.accounts.values()}
    assert used == {"620100", "620200", "620300", "620400", "620500"}
    assert {dimension.type for dimension in c03.dimensions} == {"department", "cost_center", "staff"}
    assert (c03.voucher.word, c03.input_vat, c03.company.taxpayer[0].kind) == ("JV", None, "none")
    assert all(text.isascii() for text in c03.voucher.summaries.model_dump().values())


@pytest.mark.parametrize("chart", ["cas", "hk"])
def test_every_expense_debit_of_the_demo_carries_a_department(demo: Mappings, chart: str) -> None:
    expenses = [account for code, account in accounts(demo, chart).items() if code.startswith(("5", "6")) and code != "6901"]
    assert len(expenses) >= 5
    assert all(account.dimensions["department"] == "required" for account in expenses)


@pytest.mark.parametrize(
    ("kind", "day", "method", "rate", "base"),
    [
        ("FULL_DIGITAl_SPECIAL", date(2026, 6, 1), "face", None, []),
        ("PAPER_SPECIAL", date(2026, 6, 1), "face", None, []),
        ("FULL_DIGITAl_NORMAL", date(2026, 6, 1), "none", None, []),
        ("PAPER_FEE", date(2026, 6, 1), "face", None, []),
        ("train", date(2026, 6, 1), "formula", 9, ["gross"]),
        ("train:paper", date(2025, 9, 30), "formula", 9, ["gross"]),
        ("train:paper", date(2025, 10, 1), "none", None, []),
        ("flightItinerary", date(2026, 6, 1), "formula", 9, ["fare", "fuel"]),
        ("flightItinerary:paper", date(2025, 10, 1), "none", None, []),
        ("passengerCar", date(2026, 6, 1), "formula", 3, ["gross"]),
        ("tolls", date(2025, 12, 31), "formula", 5, ["gross"]),
        ("tolls", date(2026, 1, 1), "none", None, []),
        ("taxi", date(2026, 6, 1), "none", None, []),
        ("rideHailing", date(2026, 6, 1), "none", None, []),
    ],
)
def test_input_vat_follows_the_kind_of_invoice_and_the_day(demo: Mappings, kind: str, day: date, method: str, rate: int | None, base: list[str]) -> None:
    entry = vat_kind(demo, kind, day)
    assert (entry.method, entry.rate, entry.base) == (method, rate, base)


def test_transport_is_judged_by_the_day_of_travel(demo: Mappings) -> None:
    kinds = ("train", "train:paper", "flightItinerary", "flightItinerary:paper", "passengerCar")
    assert {vat_kind(demo, kind, date(2026, 6, 1)).by for kind in kinds} == {"travel_date"}


@pytest.mark.parametrize("kind", ["rideHailing", "tolls", "train:paper"])
def test_where_sources_disagree_a_person_is_told(demo: Mappings, kind: str) -> None:
    assert vat_kind(demo, kind, date(2026, 6, 1)).flag


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_a_demo_file_satisfies_the_schema_its_first_line_names(path: Path) -> None:
    notice, _, schema = path.read_text(encoding="utf-8").splitlines()[0].partition("$schema=")
    assert notice == "# yaml-language-server: "
    validator = jsonschema.Draft202012Validator(json.loads((path.parent / schema).read_text(encoding="utf-8")))
    assert [error.message for error in validator.iter_errors(_as_an_editor_reads(path))] == []


def test_the_schema_refuses_what_the_program_refuses() -> None:
    validator = jsonschema.Draft202012Validator(json_schema(MODELS["chart"][0]))
    wrong = {
        "version": 1,
        "name": "x",
        "accounts": [{"code": 1001, "name": "a", "nam": "b", "dimensions": {"d": "needed"}}],
    }
    assert sorted(error.json_path for error in validator.iter_errors(wrong)) == [
        "$.accounts[0]",
        "$.accounts[0].dimensions.d",
    ]


def _as_an_editor_reads(path: Path) -> Any:
    """The file with YAML's own types, where an unquoted 1002.01 is a number; JSON knows no dates."""
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(path), default=str))
