"""The budgets of a run come from where the policy says, with what is above each value."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.config.load import load_mappings
from etl.config.settings import PROJECT, Settings, load_settings
from etl.pipeline.budgets import company_codes, hierarchies_of, read_budgets
from etl.pipeline.context import Run, begin
from etl.reference import Department, ListItem, Reference
from sandbox.testing import Sandbox

REFERENCE = Reference(
    departments={
        "corp": Department("corp", "", "集团", "", {}),
        "corp:D2": Department("corp:D2", "D20", "销售", "corp", {}),
        "corp:D21": Department("corp:D21", "D21", "华东", "corp:D2", {}),
    },
    fee_types={"F1": ListItem("F1", "TRAVEL", "差旅"), "F2": ListItem("F2", "TRAVEL-AIR", "机票", "F1")},
    dimension_items={"P1": ListItem("P1", "P01.02", "项目"), "LE1": ListItem("LE1", "C01", "上海")},
    staffs={"corp:S1": ListItem("corp:S1", "0042", "张三")},
)


@pytest.fixture
def mappings(tmp_path: Path) -> Path:
    folder = tmp_path / "mappings"
    shutil.copytree(PROJECT / "mappings", folder)
    return folder


@pytest.fixture(scope="module")
def tenant() -> Iterator[Sandbox]:
    with Sandbox(claims=30, seed=1) as sandbox:
        yield sandbox


@pytest.fixture
def settings(mappings: Path, tmp_path: Path, tenant: Sandbox) -> Settings:
    return load_settings(
        HESI_BASE_URL=tenant.base_url,
        HESI_APP_KEY=tenant.app_key,
        HESI_APP_SECURITY=tenant.app_security,
        HESI_ALLOWED_HOSTS="127.0.0.1",
        HESI_REQUESTS_PER_SECOND=0,
        ERP_URL=f"sqlite:///{tmp_path / 'erp.db'}",
        HESI_ERP_HOME=tmp_path / "home",
        HESI_ERP_MAPPINGS=mappings,
        HESI_ERP_EXPECTATIONS=PROJECT / "expectations",
    )


def begun(settings: Settings, source: str) -> Run:
    (settings.mappings / "budget.yaml").write_text(f'version: "1"\nsource: {source}\nseparator: "-"\n', encoding="utf-8")
    return begin(settings, kind="full", started_by="test")


def test_a_department_is_below_its_parents_by_id_and_by_code() -> None:
    above = hierarchies_of(REFERENCE, separator=".").above("DEPART", "corp:D21")
    assert list(above) == [("corp:D21", True), ("D21", True), ("corp:D2", False), ("D20", False), ("corp", False)]


def test_a_fee_type_is_below_its_group_and_a_project_without_a_tree_below_its_code() -> None:
    hierarchies = hierarchies_of(REFERENCE, separator=".")
    assert list(hierarchies.above("FEE_TYPE", "F2"))[2:] == [("F1", False), ("TRAVEL", False)]
    assert list(hierarchies.above("PROJECT", "P1")) == [("P1", True), ("P01.02", True), ("P01", False)]


def test_an_employee_is_found_by_number_and_an_account_by_the_segments_of_the_policy() -> None:
    hierarchies = hierarchies_of(REFERENCE, separator="-")
    assert list(hierarchies.above("STAFF", "corp:S1")) == [("corp:S1", True), ("0042", True)]
    assert list(hierarchies.above("ACCOUNT", "6602-01")) == [("6602-01", True), ("6602", False)]


def test_legal_entities_are_known_by_the_codes_and_ids_of_the_company_files(mappings: Path) -> None:
    assert company_codes(load_mappings(mappings), REFERENCE)["LE1"] == "C01"


def test_budgets_of_finance_are_read_from_the_mappings_folder(settings: Settings) -> None:
    (settings.mappings / "budgets").mkdir()
    rows = "node_id,period,budget,currency\nA,2026,1.50,CNY\n"
    (settings.mappings / "budgets" / "2026.csv").write_text(rows, encoding="utf-8")
    run = begun(settings, "{kind: csv, file: budgets/2026.csv}")
    budgets, hierarchies = read_budgets(run, REFERENCE, {"R1": 5})
    run.close()
    assert (budgets.source, budgets.requisitions, hierarchies.separator) == ("csv", {"R1": 5}, "-")
    assert budgets.packages[0].nodes[0].moneys[0].budget_minor == 150


def test_budgets_of_a_table_are_read_from_the_erp_database(settings: Settings) -> None:
    run = begun(settings, "{kind: table, table: budget_2026}")
    with run.sink.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE budget_2026 AS SELECT 'A' node_id, '2026' period, '2.50' budget, 'CNY' currency"))
    budgets, _ = read_budgets(run, REFERENCE, {})
    run.close()
    assert budgets.source == "table"
    assert budgets.packages[0].nodes[0].moneys[0].budget_minor == 250


def test_budgets_of_hesi_are_read_from_the_tenant_and_kept_as_they_came(settings: Settings) -> None:
    run = begun(settings, "{kind: hesi}")
    budgets, _ = read_budgets(run, REFERENCE, {})
    run.close()
    kept = [path.name for path in sorted((settings.home / "raw" / run.run_id).glob("*-budget-*.json"))]
    assert (budgets.source, [package.computed for package in budgets.packages]) == ("hesi", [True])
    assert kept[0] == "1-budget-00001.json"
    assert len(kept) == len({node.parent_id for node in budgets.packages[0].nodes if node.parent_id})
