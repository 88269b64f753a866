"""A second company with another chart, other dimension names and another base currency passes by YAML alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from etl.config.load import load_mappings
from etl.config.mapping import Mappings
from etl.config.settings import PROJECT
from etl.config.suites import load_suites
from etl.frames import day_number
from etl.pipeline.transform import assert_conserved
from etl.steps.mapped import MappedClaims
from etl.steps.posting_rules import posting_rules
from etl.steps.validate import validate
from etl.steps.validation_frames import slim_entries, slim_lines
from tests.cases.situation import claim_of, lists_of, read_case
from tests.cases.written import lines_csv, rejects_csv, vouchers_csv
from tests.support.claims import map_flows, stage_flows

FOLDER = Path(__file__).parent / "second_company"


@pytest.fixture(scope="module")
def mappings(tmp_path_factory: pytest.TempPathFactory) -> Mappings:
    """The shipped folder with the second company's two files added, and nothing else."""
    folder = Path(shutil.copytree(PROJECT / "mappings", tmp_path_factory.mktemp("second") / "mappings"))
    for path in (FOLDER / "mappings").rglob("*.yaml"):
        shutil.copy(path, folder / path.parent.name)
    return load_mappings(folder)


@pytest.fixture(scope="module")
def mapped(mappings: Mappings) -> MappedClaims:
    case = read_case(FOLDER)
    return map_flows([claim_of(words) for words in case["claims"]], mappings=mappings, lists=lists_of(case))


def test_the_second_company_is_two_yaml_files() -> None:
    files = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file() and path.suffix not in {".csv"})
    assert files == ["case.yaml", "mappings/charts/us.yaml", "mappings/companies/US01.yaml"]


def test_claims_of_both_companies_end_in_their_own_books(mapped: MappedClaims, golden: Callable[[Path, str], None]) -> None:
    for file, text in (("vouchers", vouchers_csv(mapped)), ("lines", lines_csv(mapped)), ("rejects", rejects_csv(mapped))):
        golden(FOLDER / f"{file}.csv", text)


def test_the_books_and_base_currencies_are_the_companies_own(mapped: MappedClaims) -> None:
    books = mapped.vouchers[["company_code", "book_code", "base_currency", "maker"]].drop_duplicates()
    assert sorted(books.itertuples(index=False, name=None)) == [("C01", "C01-MAIN", "CNY", "hesi-erp"), ("US01", "US-GAAP", "USD", "interface")]


def test_no_dimension_name_of_one_company_stands_on_a_line_of_the_other(mapped: MappedClaims) -> None:
    company = mapped.vouchers.set_index("entry_no")["company_code"]
    dims = mapped.line_dimensions.assign(company=mapped.line_dimensions["entry_no"].map(company))
    found = {code: set(group["dim_type"]) for code, group in dims.groupby("company")}
    assert found == {"C01": {"department", "employee"}, "US01": {"department", "cost_centre", "job", "employee_no", "vendor"}}


def test_the_vouchers_of_both_companies_pass_the_shipped_validation(mappings: Mappings, mapped: MappedClaims) -> None:
    case = read_case(FOLDER)
    assert_conserved(stage_flows([claim_of(words) for words in case["claims"]], mappings), mapped, 1)
    rules = posting_rules(mappings)
    frames = {
        "staged_claims": slim_entries(mapped.entries, mapped.vouchers, mapped.voucher_lines, rules=rules),
        "voucher_lines": slim_lines(mapped.voucher_lines, mapped.vouchers, mapped.line_dimensions, rules=rules),
    }
    assert len(frames["staged_claims"]) == len(mapped.vouchers) == 9
    outcome = validate(frames, load_suites(PROJECT / "expectations"), latest_day=date(2026, 10, 15))
    assert outcome.failing.empty
    assert day_number(date(2026, 10, 15)) > frames["staged_claims"]["event_day"].max()
