"""Every account a company names exists in its chart, is a leaf in force, and can get the dimensions it requires."""

from __future__ import annotations

import pytest

from tests.unit.config.conftest import MappingFolder

COMPANY = "companies/A.yaml"
CHART = "charts/main.yaml"


def test_an_account_that_is_not_in_the_chart_is_told_with_the_nearest(mappings: MappingFolder) -> None:
    mappings.replace(COMPANY, 'admin: "6601"', 'admin: "6610"')
    (text,) = mappings.problems()
    assert text.startswith(f"{mappings.where(COMPANY, '6610')}: fee_types[0].accounts.admin: expected an account of chart main, found '6610'; nearest: ")
    assert "6601 Travel" in text.partition("nearest: ")[2]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('payables: {employee: "2001"', 'payables: {employee: "9"', "payables.employee"),
        ('supplier: "2002"}', 'supplier: "9"}', "payables.supplier"),
        ('supplier: "2002"}', 'supplier: "2002", other_individual: "9"}', "payables.other_individual"),
        ('loans: {employee: "1122"', 'loans: {employee: "9"', "loans.employee"),
        ('supplier: "1123"}', 'supplier: "9"}', "loans.supplier"),
        ('prepayment: "1123"', 'prepayment: "9"', "prepayment"),
        ('account: "1001"', 'account: "9"', "bank_accounts[0].account"),
        ('account: "2221"', 'account: "9"', "input_vat.account"),
        ('supplier: "2002"}', 'supplier: "2002", overpaid_employee: "9"}', "payables.overpaid_employee"),
        ('supplier: "2002"}', 'supplier: "2002", overpaid_supplier: "9"}', "payables.overpaid_supplier"),
        ('supplier: "2002"}', 'supplier: "2002", suspense: "9"}', "payables.suspense"),
        ('account: "2221"', 'account: "2221"\n  transfer_out: "9"', "input_vat.transfer_out"),
        ("chart: main", 'chart: main\nprior_year: [{account: "9", material_from_minor: 1}]', "prior_year[0].account"),
        ("chart: main", 'chart: main\ncompany_paid: {account: "9"}', "company_paid.account"),
        ("chart: main", 'chart: main\nresidual: {account: "9"}', "residual.account"),
        ('research: "6602"', '"*": "9"', "fee_types[0].accounts.*"),
    ],
)
def test_every_place_that_names_an_account_is_checked(mappings: MappingFolder, old: str, new: str, place: str) -> None:
    mappings.replace(COMPANY, old, new)
    assert mappings.problems() == [f"{mappings.where(COMPANY, chr(34) + '9' + chr(34))}: {place}: expected an account of chart main, found '9'"]


@pytest.mark.parametrize(
    ("dimensions", "found"),
    [
        ("{employee: optional}", "employee optional, supplier forbidden"),
        ("{employee: required, supplier: optional}", "employee required, supplier optional"),
    ],
)
def test_a_suspense_account_must_be_able_to_name_everybody_whose_money_waits(mappings: MappingFolder, dimensions: str, found: str) -> None:
    mappings.replace(CHART, '{code: "1001", name: Bank}', f'{{code: "1001", name: Bank}}\n  - {{code: "1298", name: Suspense, dimensions: {dimensions}}}')
    mappings.replace(COMPANY, 'supplier: "2002"}', 'supplier: "2002", suspense: "1298"}')
    (text,) = mappings.problems()
    assert text.endswith(f"payables.suspense: expected an account that takes employee and supplier as optional, found '1298' with {found}")


def test_a_suspense_account_is_an_account_of_its_own(mappings: MappingFolder) -> None:
    mappings.replace(COMPANY, 'supplier: "2002"}', 'supplier: "2002", suspense: "2002"}')
    assert "expected an account of its own, found '2002', which payables names for something else too" in mappings.problems()[0]


def test_an_account_closed_before_its_fee_type_starts_is_not_in_force(mappings: MappingFolder) -> None:
    mappings.replace(CHART, 'code: "6601", name: Travel', 'code: "6601", name: Travel, to: 2025-12-31')
    mappings.replace(COMPANY, "label: travel", "label: travel\n    from: 2026-01-01")
    assert mappings.problems() == [
        f"{mappings.where(COMPANY, '6601')}: fee_types[0].accounts.admin: expected an account in force, "
        "found '6601' in force ... to 2025-12-31 but used 2026-01-01 to ..."
    ]


def test_an_account_that_closes_later_does_not_stop_todays_run(mappings: MappingFolder) -> None:
    mappings.replace(CHART, 'code: "6601", name: Travel', 'code: "6601", name: Travel, to: 2030-12-31')
    assert mappings.problems() == []


def test_a_fee_type_may_cross_two_entries_of_one_account(mappings: MappingFolder) -> None:
    entry = '  - {code: "6601", name: Travel, dimensions: {department: required}'
    mappings.replace(CHART, entry + "}", f"{entry}, to: 2025-12-31}}\n{entry}, from: 2026-01-01}}")
    mappings.replace(COMPANY, "label: travel", "label: travel\n    from: 2025-01-01\n    to: 2026-12-31")
    assert mappings.problems() == []


def test_overlapping_entries_of_an_account_are_refused(mappings: MappingFolder) -> None:
    mappings.replace(CHART, '{code: "1001", name: Bank}', '{code: "1001", name: Bank}\n  - {code: "1001", name: Cash}')
    assert mappings.problems() == [
        f"{mappings.where(CHART, 'Cash')}: accounts[1]: expected account 1001 once on any day, "
        f"found it also at {mappings.where(CHART, 'Bank')}; give both from and to"
    ]


def test_an_account_above_another_is_no_leaf(mappings: MappingFolder) -> None:
    mappings.replace(CHART, '{code: "1001", name: Bank}', '{code: "1001", name: Bank}\n  - {code: "1001.01", name: Cash}')
    assert mappings.problems() == [f"{mappings.where(CHART, 'Bank')}: accounts[0].code: expected leaf accounts only, found '1001' above '1001.01'"]


def test_two_charts_of_one_name_are_refused(mappings: MappingFolder) -> None:
    mappings.write("charts/other.yaml", mappings.read(CHART))
    assert mappings.problems() == [f"charts/other.yaml:2: name: expected chart 'main' once, found it also at {CHART}:2"]


def test_a_required_dimension_needs_an_entry(mappings: MappingFolder) -> None:
    mappings.replace(COMPANY, "  - {type: project, from: [share.u_project], source: dimension_item}\n", "")
    assert (
        f"{mappings.where(COMPANY, '6602')}: fee_types[0].accounts.research: expected an entry under dimensions for type "
        "'project', which account 6602 requires; found only department, employee, supplier"
    ) in mappings.problems()


def test_a_dimension_type_nobody_declares_is_refused_in_the_chart(mappings: MappingFolder) -> None:
    mappings.replace(CHART, "name: Input VAT", "name: Input VAT, dimensions: {departmant: optional}")
    assert mappings.problems() == [
        f"{mappings.where(CHART, 'departmant')}: accounts[5].dimensions.departmant: expected a dimension type of a company "
        "that uses this chart (department, employee, project, supplier), found 'departmant'"
    ]
