"""A mapping folder is taken whole or not at all: each way its files can disagree is told with file and line."""

from __future__ import annotations

import hashlib

import pytest

from etl.config.load import load_mappings, total_sha256
from etl.errors import ConfigError
from tests.unit.config.conftest import FILES, MappingFolder

COMPANY = "companies/A.yaml"
CHART = "charts/main.yaml"
VAT = "vat/land.yaml"
FEE = '  - fee: {codes: [TRAVEL]}\n    label: travel\n    accounts: {admin: "6601", research: "6602"}\n'


def test_a_folder_without_mistakes_loads(mappings: MappingFolder) -> None:
    loaded = load_mappings(mappings.path)
    assert [company.company.code for company in loaded.companies] == ["A"]
    assert (list(loaded.charts), list(loaded.vat), loaded.budget.policy) == (["main"], ["land"], "warn")


def test_the_version_of_the_rules_is_the_hash_of_every_file(mappings: MappingFolder) -> None:
    loaded = load_mappings(mappings.path)
    assert loaded.files == {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}
    assert loaded.sha256 == total_sha256(loaded.files)


@pytest.mark.parametrize("name", FILES)
def test_a_comment_in_any_file_is_another_version(mappings: MappingFolder, name: str) -> None:
    before = load_mappings(mappings.path).sha256
    mappings.write(name, mappings.read(name) + "# reviewed\n")
    assert load_mappings(mappings.path).sha256 != before


def test_the_version_depends_on_file_names_but_not_on_their_order() -> None:
    assert total_sha256({"a": "1", "b": "2"}) == total_sha256({"b": "2", "a": "1"}) != total_sha256({"a": "2", "b": "1"})


def test_without_a_budget_file_the_default_policy_warns(mappings: MappingFolder) -> None:
    (mappings.path / "budget.yaml").unlink()
    assert load_mappings(mappings.path).budget.policy == "warn"


def test_a_missing_folder_is_named(mappings: MappingFolder) -> None:
    with pytest.raises(ConfigError, match=r"HESI_ERP_MAPPINGS: expected a folder of YAML mappings, found none at .*elsewhere"):
        load_mappings(mappings.path / "elsewhere")


def test_a_folder_without_companies_is_refused(mappings: MappingFolder) -> None:
    (mappings.path / COMPANY).unlink()
    assert mappings.problems() == ["companies/:1: expected at least one company file, found none"]


@pytest.mark.parametrize("name", ["companies/B.yml", "companies/north/B.yaml", "B.yaml", "company/B.yaml", "companies/B.YAML"])
def test_a_file_that_would_never_be_read_is_refused(mappings: MappingFolder, name: str) -> None:
    mappings.write(name, "a: 1\n")
    assert mappings.problems() == [
        f"{name}:1: expected budget.yaml or a .yaml file directly in one of charts, companies, layouts, schema, vat; this file would never be read"
    ]


def test_an_unreadable_chart_is_not_also_reported_as_missing(mappings: MappingFolder) -> None:
    mappings.write(CHART, "a: [\n")
    assert all(text.startswith(CHART) for text in mappings.problems())


def test_an_unknown_chart_is_told_with_the_known_ones(mappings: MappingFolder) -> None:
    mappings.replace(COMPANY, "chart: main", "chart: mein")
    assert mappings.problems() == [f"{mappings.where(COMPANY, 'chart:')}: chart: expected a chart (main), found 'mein'"]


def test_a_class_nobody_belongs_to_is_refused(mappings: MappingFolder) -> None:
    mappings.replace(COMPANY, 'research: "6602"', 'reserch: "6602"')
    assert mappings.problems() == [
        f"{mappings.where(COMPANY, 'reserch')}: fee_types[0].accounts.reserch: expected a class of department_classes or * (admin, research), found 'reserch'"
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "hesi: {codes: [ENTITY-A]}",
            "hesi: {codes: [ENTITY-A, ENTITY-A]}",
            "company.hesi.codes[1]: expected legal entity code 'ENTITY-A' once",
        ),
        (
            "codes: [TRAVEL]",
            "codes: [TRAVEL, TRAVEL]",
            "fee_types[0].fee.codes[1]: expected fee type code 'TRAVEL' once on any day",
        ),
        (
            "codes: [D2]",
            "codes: [D2, D1]",
            "department_classes[1].departments.codes[1]: expected department code 'D1' once on any day",
        ),
        (
            "codes: [D2]",
            "ids: [i1, i1]",
            "department_classes[1].departments.ids[1]: expected department id 'i1' once on any day",
        ),
        ("type: project", "type: department", "dimensions[1].type: expected dimension type 'department' once"),
        (
            "[{rate: 9, code: IN9}]",
            "[{rate: 9, code: IN9}]\n  not_deducted: [{hesi: {codes: [P1]}, reason: a}, {hesi: {codes: [P1]}, reason: b, from: 2026-01-01}]",
            "input_vat.not_deducted[1].hesi.codes[0]: expected project code 'P1' once on any day",
        ),
        (
            "hesi: {codes: [ENTITY-A]}",
            "hesi: {codes: [ENTITY-A]}\n  invoice_titles: [{name: A}, {name: A, from: 2026-01-01}]",
            "company.invoice_titles[1]: expected invoice title 'A' once on any day",
        ),
        (
            "chart: main",
            'chart: main\nprior_year: [{account: "6601", material_from_minor: 1}, {account: "6602", material_from_minor: 2}]',
            "prior_year[1]: expected one account of prior-year adjustments once on any day",
        ),
        (
            "[{rate: 9, code: IN9}]",
            "[{rate: 9, code: IN9}, {rate: 9.00, code: X}]",
            "input_vat.tax_codes[1].rate: expected rate 9 once",
        ),
        (
            "    - {kind: general}",
            "    - {kind: general}\n    - {kind: none}",
            "company.taxpayer[1]: expected one taxpayer status once on any day",
        ),
    ],
)
def test_nothing_is_claimed_twice_within_a_company(mappings: MappingFolder, old: str, new: str, problem: str) -> None:
    mappings.replace(COMPANY, old, new)
    assert any(f": {problem}" in text and ", found it also at companies/A.yaml:" in text for text in mappings.problems())


def test_a_bank_account_listed_twice_is_refused(mappings: MappingFolder) -> None:
    line = '  - {hesi: BANK-A, account: "1001", currency: CNY}\n'
    mappings.replace(COMPANY, line, line + line.replace("CNY", "USD"))
    assert mappings.problems() == [
        f"{mappings.where(COMPANY, 'USD')}: bank_accounts[1].hesi: expected paying account 'BANK-A' once, "
        f"found it also at {mappings.where(COMPANY, 'BANK-A, account: ' + chr(34) + '1001' + chr(34) + ', currency: CNY')}"
    ]


def test_a_fee_type_may_change_its_account_from_one_day_to_the_next(mappings: MappingFolder) -> None:
    old = FEE + "    to: 2025-12-31\n"
    mappings.replace(COMPANY, FEE, old + FEE + "    from: 2026-01-01\n")
    assert mappings.problems() == []


def test_two_accounts_on_one_day_are_refused_with_both_places(mappings: MappingFolder) -> None:
    mappings.replace(
        COMPANY,
        FEE,
        FEE + "    to: 2026-01-01\n" + FEE.replace("label: travel", "label: trips") + "    from: 2026-01-01\n",
    )
    first, second = (n for n, line in enumerate(mappings.read(COMPANY).splitlines(), start=1) if "[TRAVEL]" in line)
    assert mappings.problems() == [
        f"{COMPANY}:{second}: fee_types[1].fee.codes[0]: expected fee type code 'TRAVEL' once on any day, "
        f"found it also at {COMPANY}:{first}; give both from and to"
    ]


def test_supplier_values_must_not_overlap(mappings: MappingFolder) -> None:
    mappings.replace(
        COMPANY,
        'supplier: "2002"}',
        'supplier: "2002", suppliers: [{hesi: P1, code: S1}, {hesi: P1, code: S2, from: 2026-01-01}]}',
    )
    (text,) = mappings.problems()
    assert "payables.suppliers[1].hesi: expected value 'P1' once on any day" in text


def test_dimension_values_may_follow_one_another(mappings: MappingFolder) -> None:
    values = "values: [{hesi: D1, code: X, to: 2025-12-31}, {hesi: D1, code: Y, from: 2026-01-01}]"
    mappings.replace(COMPANY, "source: department}", f"source: department, {values}}}")
    assert mappings.problems() == []


@pytest.mark.parametrize(
    ("same", "problem"),
    [
        ("code: B", "companies/B.yaml:4: company.code: expected company 'A' once, found it also at companies/A.yaml:4"),
        (
            "ENTITY-B",
            "companies/B.yaml:8: company.hesi.codes[0]: expected legal entity code 'ENTITY-A' once, found it also at companies/A.yaml:8",
        ),
        (
            "BANK-B",
            "companies/B.yaml:26: bank_accounts[0].hesi: expected paying account 'BANK-A' once, found it also at companies/A.yaml:26",
        ),
    ],
)
def test_two_companies_never_share_code_entity_or_bank(mappings: MappingFolder, same: str, problem: str) -> None:
    mappings.second_company(**{same: same[:-1] + "A"})
    assert mappings.problems() == [problem]


def test_two_companies_may_share_departments_and_fee_types(mappings: MappingFolder) -> None:
    mappings.second_company()
    assert mappings.problems() == []


def test_unknown_vat_rules_are_told_with_the_known_ones(mappings: MappingFolder) -> None:
    mappings.replace(COMPANY, "rules: land", "rules: cn")
    assert mappings.problems() == [f"{mappings.where(COMPANY, 'rules: cn')}: input_vat.rules: expected VAT rules (land), found 'cn'"]


def test_a_general_taxpayer_needs_input_vat(mappings: MappingFolder) -> None:
    text = mappings.read(COMPANY)
    mappings.write(COMPANY, text[: text.index("input_vat:")])
    assert mappings.problems() == [
        f"{mappings.where(COMPANY, 'kind: general')}: company.taxpayer[0].kind: expected input_vat in this file, because a general taxpayer deducts"
    ]


def test_a_rate_without_a_tax_code_is_told_with_the_rule_that_needs_it(mappings: MappingFolder) -> None:
    mappings.replace(COMPANY, "[{rate: 9, code: IN9}]", "[{rate: 6, code: IN6}]")
    assert mappings.problems() == [
        f"{mappings.where(COMPANY, 'tax_codes')}: input_vat.tax_codes: expected a tax code for the rate 9 of {mappings.where(VAT, 'train')}, found none"
    ]


def test_shares_that_deduct_nothing_are_told_by_a_dimension_of_the_company(mappings: MappingFolder) -> None:
    mappings.replace(COMPANY, "[{rate: 9, code: IN9}]", "[{rate: 9, code: IN9}]\n  not_deducted: [{dimension: projekt, hesi: {codes: [P1]}, reason: a}]")
    assert mappings.problems() == [
        f"{mappings.where(COMPANY, 'projekt')}: input_vat.not_deducted[0].dimension: expected a type of dimensions (department, project), found 'projekt'"
    ]


def test_a_company_may_do_without_tax_codes(mappings: MappingFolder) -> None:
    mappings.replace(COMPANY, "  tax_codes: [{rate: 9, code: IN9}]\n", "")
    assert mappings.problems() == []


def test_a_kind_of_invoice_has_one_rule_on_any_day(mappings: MappingFolder) -> None:
    mappings.write(VAT, mappings.read(VAT) + "  - {kinds: [train], method: none, from: 2025-12-31}\n")
    (text,) = mappings.problems()
    assert text.startswith(f"{VAT}:6: kinds[2].kinds[0]: expected kind 'train' once on any day, found it also at {VAT}:5")


def test_two_vat_files_of_one_name_are_refused(mappings: MappingFolder) -> None:
    mappings.write("vat/other.yaml", mappings.read(VAT))
    assert mappings.problems() == [f"vat/other.yaml:2: name: expected VAT rules 'land' once, found it also at {VAT}:2"]


def test_closed_months_stand_in_order(mappings: MappingFolder) -> None:
    closed = "[{period: 2026-02, closed_on: 2026-03-05},\n    {period: 2026-01, closed_on: 2026-02-05}]"
    mappings.replace(COMPANY, "chart: main", f"chart: main\nperiods:\n  closed: {closed}")
    assert mappings.problems() == [
        f"{mappings.where(COMPANY, '2026-01')}: periods.closed[1].period: expected each month once, in order, found '2026-01' after '2026-02'"
    ]


def test_a_month_is_reopened_only_after_it_was_closed(mappings: MappingFolder) -> None:
    closed = "[{period: 2026-02, closed_on: 2026-03-05, reopened_on: 2026-03-04}]"
    mappings.replace(COMPANY, "chart: main", f"chart: main\nperiods: {{closed: {closed}}}")
    assert mappings.problems() == [
        f"{mappings.where(COMPANY, 'reopened_on')}: periods.closed[0].reopened_on: expected a day from 2026-03-05 on, found '2026-03-04'"
    ]


def test_a_budget_for_an_unknown_company_is_refused(mappings: MappingFolder) -> None:
    mappings.write("budget.yaml", "companies: {B: hold}\n")
    assert mappings.problems() == ["budget.yaml:1: companies.B: expected a company code (A), found 'B'"]


def test_a_budget_file_must_be_there(mappings: MappingFolder) -> None:
    mappings.write("budget.yaml", "source:\n  kind: csv\n  file: budgets/2026.csv\n")
    assert mappings.problems() == ["budget.yaml:3: source.file: expected a file below the mappings folder, found none at 'budgets/2026.csv'"]


def test_a_budget_file_that_is_there_is_taken(mappings: MappingFolder) -> None:
    mappings.write("budget.yaml", "source:\n  kind: csv\n  file: budgets/2026.csv\n")
    mappings.write("budgets/2026.csv", "node,amount\n")
    assert mappings.problems() == []


@pytest.mark.parametrize("file", ["../budget.csv", "/etc/passwd", "a/../../b.csv", "..\\\\b.csv"])
def test_a_budget_file_never_leaves_the_mappings_folder(mappings: MappingFolder, file: str) -> None:
    mappings.write("budget.yaml", f"source: {{kind: csv, file: '{file}'}}\n")
    assert mappings.problems() == [f"budget.yaml:1: source: expected a file below the mappings folder, found {file!r}"]


@pytest.mark.parametrize("table", ["budgets; DROP TABLE voucher", "a.b.c", "1a", '"x"'])
def test_a_budget_table_is_a_plain_name(mappings: MappingFolder, table: str) -> None:
    mappings.write("budget.yaml", f"source: {{kind: table, table: '{table}'}}\n")
    (text,) = mappings.problems()
    assert text.startswith("budget.yaml:1: source.table: expected text of the form ")


def test_a_company_may_have_its_own_budget_policy(mappings: MappingFolder) -> None:
    mappings.write("budget.yaml", "policy: warn\ncompanies: {A: hold}\n")
    policy = load_mappings(mappings.path).budget
    assert (policy.action("A"), policy.action("Z")) == ("hold", "warn")
