"""Each kind of mistake inside one file is told with its file, its line, its key path, what was expected and what was found."""

from __future__ import annotations

import pytest

from tests.unit.config.conftest import MappingFolder

COMPANY = "companies/A.yaml"
CHART = "charts/main.yaml"
VAT = "vat/land.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "fragment", "expected"),
    [
        pytest.param(COMPANY, "owner: Finance", "owner: [a]", "owner: [a]", "owner: expected text, found a list", id="text"),
        pytest.param(COMPANY, "owner: Finance", "owner:", "owner:", "owner: expected text, found nothing", id="nothing"),
        pytest.param(
            COMPANY,
            "code: A\n",
            'code: ""\n',
            'code: ""',
            "company.code: expected at least 1 character(s), found ''",
            id="empty code",
        ),
        pytest.param(
            COMPANY,
            "code: A\n",
            f"code: {'A' * 70}\n",
            "code: AAA",
            f"company.code: expected at most 60 characters, found '{'A' * 57}...'",
            id="long code",
        ),
        pytest.param(
            COMPANY,
            "base_currency: CNY",
            "base_currency: Yuan",
            "base_currency",
            "company.base_currency: expected text of the form ^[A-Z]{3}$, found 'Yuan'",
            id="currency",
        ),
        pytest.param(
            COMPANY,
            "kind: general",
            "kind: big",
            "kind: big",
            "company.taxpayer[0].kind: expected 'general', 'small_scale' or 'none', found 'big'",
            id="closed set",
        ),
        pytest.param(
            COMPANY,
            "label: travel",
            "label: travel\n    deduct: yes",
            "deduct: yes",
            "fee_types[0].deduct: expected true or false, found 'yes'",
            id="boolean",
        ),
        pytest.param(
            COMPANY,
            "label: travel",
            "label: travel\n    from: 2026",
            "from: 2026",
            "fee_types[0].from: expected a date like 2026-01-31, found '2026'",
            id="date",
        ),
        pytest.param(
            COMPANY,
            "label: travel",
            "label: travel\n    from: 2026-02-30",
            "from: 2026-02-30",
            "fee_types[0].from: expected a date like 2026-01-31, found '2026-02-30'",
            id="impossible date",
        ),
        pytest.param(
            COMPANY,
            "label: travel",
            "label: travel\n    from: 2026-02-01\n    to: 2026-01-31",
            "- fee: {codes",
            "fee_types[0]: expected from <= to, found 2026-02-01 > 2026-01-31",
            id="days in order",
        ),
        pytest.param(
            COMPANY,
            "tax_codes: [{rate: 9",
            "tax_codes: [{rate: nine",
            "rate: nine",
            "input_vat.tax_codes[0].rate: expected a number like 6 or 1.5, found 'nine'",
            id="number",
        ),
        pytest.param(
            COMPANY,
            "chart: main",
            "chart: main\nvoucher: {summary_limit: 9.5}",
            "summary_limit",
            "voucher.summary_limit: expected a whole number, found '9.5'",
            id="whole number",
        ),
        pytest.param(
            COMPANY,
            "chart: main",
            "chart: main\nvoucher: {summary_limit: 5}",
            "summary_limit",
            "voucher.summary_limit: expected at least 20, found '5'",
            id="too small",
        ),
        pytest.param(
            COMPANY,
            "chart: main",
            "chart: main\nvoucher: {summaries: {loan: '{who} paid'}}",
            "summaries",
            "voucher.summaries.loan: expected only the placeholders claimant, payee, fee, more, offset, fx, code, title, date, iso_date, number, "
            "found '{who} paid'",
            id="placeholder",
        ),
        pytest.param(
            COMPANY,
            "from: [share.u_project]",
            "from: [project]",
            "from: [project]",
            "dimensions[1].from[0]: expected text of the form ^(form|line|share|department|payee|staff)\\.[^.\\s]+$, found 'project'",
            id="field path",
        ),
        pytest.param(
            COMPANY,
            "fee_types:\n",
            "fee_types: travel\nother:\n",
            "fee_types: travel",
            "fee_types: expected a list, found 'travel'",
            id="list",
        ),
        pytest.param(
            COMPANY,
            'payables: {employee: "2001", supplier: "2002"}',
            "payables: none",
            "payables: none",
            "payables: expected keys and values, found 'none'",
            id="keys and values",
        ),
        pytest.param(
            COMPANY,
            "label: travel",
            "fees: travel",
            "fees: travel",
            "fee_types[0].fees: expected 'fee' (one of accounts, deduct, fee, from, label, to), found the unknown key 'fees'",
            id="unknown key",
        ),
        pytest.param(
            COMPANY,
            "owner: Finance",
            "zzz: Finance",
            "zzz: Finance",
            "zzz: expected one of accrual, bank_accounts, chart, company, company_paid, correction, department_classes, dimensions, "
            "fee_types, fields, input_vat, loans, owner, payables, periods, prepayment, prior_year, residual, version, voucher, "
            "found the unknown key 'zzz'",
            id="unknown key without a likely one",
        ),
        pytest.param(
            COMPANY,
            "label: travel",
            "from: 2026-01-01",
            "- fee: {codes",
            "fee_types[0]: expected the key 'label', found nothing",
            id="missing key",
        ),
        pytest.param(
            COMPANY,
            "fee: {codes: [TRAVEL]}",
            "fee: {}",
            "- fee: {}",
            "fee_types[0].fee: expected codes or ids",
            id="no reference",
        ),
        pytest.param(
            COMPANY,
            "chart: main",
            "chart: main\nperiods: {policy: {CLAIM: hold}}",
            "periods:",
            "periods.policy.CLAIM: expected 'EXPENSE', 'PAYMENT', 'LOAN' or 'RECEIPT' or '*', found the key 'CLAIM'",
            id="closed set of keys",
        ),
        pytest.param(
            COMPANY,
            "chart: main",
            "chart: main\nperiods: {closed: [{period: 2026-13, closed_on: 2026-02-01}]}",
            "periods:",
            "periods.closed[0].period: expected a month like 2026-01, found '2026-13'",
            id="month",
        ),
        pytest.param(
            CHART,
            "dimensions: {department: required}",
            "dimensions: {department: needed}",
            "needed",
            "accounts[6].dimensions.department: expected 'required', 'optional' or 'forbidden', found 'needed'",
            id="value of a map",
        ),
        pytest.param(
            VAT,
            "rate: 9, base: [gross], ",
            "",
            "kinds: [train]",
            "kinds[1]: expected rate and base for method formula",
            id="rule of a model",
        ),
        pytest.param(
            "budget.yaml",
            "{kind: hesi}",
            "{kind: oracle}",
            "oracle",
            "source: expected 'kind' to be one of 'hesi', 'csv', 'table', found keys and values",
            id="kind of source",
        ),
        pytest.param(
            "budget.yaml",
            "{kind: hesi}",
            "{}",
            "source",
            "source: expected the key 'kind', found keys and values",
            id="no kind of source",
        ),
        pytest.param(
            "budget.yaml",
            "{kind: hesi}",
            "{kind: csv, fil: a.csv}",
            "fil:",
            "source.fil: expected 'file' (one of file, kind, table), found the unknown key 'fil'",
            id="unknown key in a choice",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(mappings: MappingFolder, file: str, old: str, new: str, fragment: str, expected: str) -> None:
    mappings.replace(file, old, new)
    assert f"{mappings.where(file, fragment)}: {expected}" in mappings.problems()


def test_all_mistakes_of_all_files_are_told_at_once(mappings: MappingFolder) -> None:
    mappings.replace(COMPANY, "owner: Finance", "owner: [a]")
    mappings.replace(COMPANY, "base_currency: CNY", "base_currency: Yuan")
    mappings.replace(CHART, "name: Bank}", "nam: Bank}")
    mappings.replace(VAT, "method: face", "method: fase")
    mappings.write("budget.yaml", "policy: stop\n")
    mappings.write("companies/Z.yaml", "a: [1\n")
    files = [text.split(":")[0] for text in mappings.problems()]
    assert files == [CHART, CHART, VAT, COMPANY, COMPANY, "companies/Z.yaml", "budget.yaml"]


def test_codes_keep_leading_zeros_without_quotes(mappings: MappingFolder) -> None:
    from etl.config.load import load_mappings

    mappings.replace(COMPANY, "code: A\n", "code: 0101\n")
    assert load_mappings(mappings.path).companies[0].company.code == "0101"


def test_true_and_false_are_the_only_booleans(mappings: MappingFolder) -> None:
    from etl.config.load import load_mappings

    mappings.replace(COMPANY, "label: travel", "label: travel\n    deduct: false")
    assert load_mappings(mappings.path).companies[0].fee_types[0].deduct is False
