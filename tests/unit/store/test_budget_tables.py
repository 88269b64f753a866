"""Budgets in a CSV file or a table: exact, by code, and every wrong row named at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import mssql, postgresql, sqlite

from etl.errors import ConfigError, SinkUnavailable
from etl.frames import day_number
from etl.model_budget import BudgetDimension, BudgetPackage
from etl.store.budget_tables import COLUMNS, budget_query, budgets_from_csv, budgets_from_table, exact_text

FULL = (
    "node_id,node_name,parent_id,company_code,department_code,project_code,fee_type_code,account_code,employee_code,"
    "period,currency,budget,actual,approved_unposted,open_requisition,control,over_rate_percent\n"
    "RD,研发,,C01,D30,,,,,2026-Q1,CNY,100000.00,1234.56,10,5,FORBID,110\n"
    "RD,研发,,C01,D30,,,,,2026-Q2,CNY,200000,0,0,0,FORBID,110\n"
    "RD-TRAVEL,研发差旅,RD,,,P01,TRAVEL,6602.01,,2026,CNY,5000.5,,,,,\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def read(folder: Path, text: str, *, currency: str = "CNY", encoding: str = "utf-8") -> tuple[BudgetPackage, ...]:
    path = folder / "2026.csv"
    path.write_bytes(text.encode(encoding))
    return budgets_from_csv(path, currency=currency)


def problems_of(folder: Path, text: str, *, currency: str = "CNY") -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, currency=currency)
    return caught.value.problems


def test_the_header_of_this_test_names_every_column() -> None:
    assert set(FULL.splitlines()[0].split(",")) == set(COLUMNS)


def test_rows_of_a_node_become_its_periods_with_exact_amounts(folder: Path) -> None:
    (package,) = read(folder, FULL)
    division, travel = package.nodes
    assert (package.currency, package.computed) == ("CNY", True)
    assert (package.first_day, package.last_day) == (day_number(date(2026, 1, 1)), day_number(date(2026, 12, 31)))
    first, second = division.moneys
    assert (first.period.label, second.period.label) == ("2026-Q1", "2026-Q2")
    assert (first.budget_minor, first.used_minor, first.in_flight_minor, first.requisition_minor) == (10000000, 123456, 1000, 500)
    assert (division.node_name, division.control, division.over_rate_percent) == ("研发", "FORBID", 110)
    assert (travel.control, travel.over_rate_percent, travel.moneys[0].used_minor) == ("ALLOW", 100, 0)


def test_codes_become_the_dimensions_of_the_node_below_its_parent(folder: Path) -> None:
    (package,) = read(folder, FULL)
    division, travel = package.nodes
    assert division.dimensions == (BudgetDimension("COMPANY", "C01"), BudgetDimension("DEPART", "D30"))
    assert travel.parent_id == "RD"
    assert travel.dimensions == (
        BudgetDimension("PROJECT", "P01"),
        BudgetDimension("FEE_TYPE", "TRAVEL"),
        BudgetDimension("ACCOUNT", "6602.01"),
    )


def test_a_file_saved_by_a_spreadsheet_is_the_same_file(folder: Path) -> None:
    saved = FULL.replace("\n", "\r\n") + ",,,,,,,,,,,,,,,,\r\n\r\n"
    assert read(folder, saved, encoding="utf-8-sig") == read(folder, FULL)


def test_only_node_period_and_budget_have_to_be_there(folder: Path) -> None:
    (package,) = read(folder, "node_id,period,budget\n0101,2026-03,7\n")
    (node,) = package.nodes
    assert (node.node_id, node.node_name, node.dimensions, node.moneys[0].budget_minor) == ("0101", "0101", (), 700)


def test_each_currency_is_a_package_of_its_own(folder: Path) -> None:
    text = "node_id,period,budget,currency,company_code\nA,2026,100,,C01\nB,2026,100,JPY,C02\nC,2026,1.001,KWD,C03\n"
    packages = read(folder, text)
    assert [(p.currency, p.nodes[0].moneys[0].budget_minor) for p in packages] == [("CNY", 10000), ("JPY", 100), ("KWD", 1001)]


def test_a_file_without_rows_holds_no_budgets(folder: Path) -> None:
    assert read(folder, "node_id,period,budget\n") == ()


def test_the_node_of_an_employee_does_not_carry_the_name(folder: Path) -> None:
    (package,) = read(folder, "node_id,node_name,employee_code,period,budget\nE1,张三,0042,2026,10\n")
    assert (package.nodes[0].node_name, package.nodes[0].dimensions) == ("张*", (BudgetDimension("STAFF", "0042"),))


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("2028", date(2028, 1, 1), date(2028, 12, 31)),
        ("2028-H1", date(2028, 1, 1), date(2028, 6, 30)),
        ("2028-Q4", date(2028, 10, 1), date(2028, 12, 31)),
        ("2028-02", date(2028, 2, 1), date(2028, 2, 29)),
    ],
)
def test_a_period_is_a_year_a_half_a_quarter_or_a_month(folder: Path, period: str, first: date, last: date) -> None:
    (package,) = read(folder, f"node_id,period,budget\nA,{period},1\n")
    found = package.nodes[0].moneys[0].period
    assert (found.label, found.first_day, found.last_day) == (period, day_number(first), day_number(last))


@pytest.mark.parametrize("period", ["", "26", "2026-Q5", "2026-H3", "2026-13", "2026-00", "2026-1", "2026.0", "２０２６", "0000", "9999-12"])
def test_a_period_of_another_form_is_refused(folder: Path, period: str) -> None:
    (problem,) = problems_of(folder, f"node_id,period,budget\nA,{period},1\n")
    assert problem.startswith("2026.csv:2: period: expected one like 2026, 2026-H1, 2026-Q1 or 2026-03")


@pytest.mark.parametrize("amount", ["", "1 234", '"1,234.50"', "1e3", "0.001", "¥5", "=1+1", "NaN"])
def test_an_amount_that_is_not_exact_is_refused(folder: Path, amount: str) -> None:
    (problem,) = problems_of(folder, f"node_id,period,budget\nA,2026,{amount}\n")
    assert problem.startswith("2026.csv:2: budget: ")


def test_every_wrong_row_is_named_at_once_with_its_line(folder: Path) -> None:
    text = (
        "node_id,node_name,parent_id,department_code,period,currency,budget,actual,control,over_rate_percent\n"
        "A,甲,,D1,2026-Q1,CNY,100,x,ALLOW,100\n"
        "A,乙,,D1,2026-Q2,CNY,100,,ALLOW,100\n"
        ",,,D1,2026,CNY,100,,ALLOW,100\n"
        "B,B,gone,D2,2026,cny,1.005,,BLOCK,0\n"
        "C,C,A,,2026,CNY,100,,,\n"
        "D,D,,D3,2026\n"
    )
    problems = problems_of(folder, text)
    places = sorted((problem.split(": ")[0], problem.split(": ")[1]) for problem in problems)
    assert [place for place in places if place[0] == "2026.csv:5"] == [
        ("2026.csv:5", "budget"),
        ("2026.csv:5", "control"),
        ("2026.csv:5", "currency"),
        ("2026.csv:5", "over_rate_percent"),
        ("2026.csv:5", "parent_id"),
    ]
    assert ("2026.csv:2", "actual") in places
    assert ("2026.csv:3", "node_name") in places
    assert ("2026.csv:4", "node_id") in places
    assert any(problem.startswith("2026.csv:6: expected one of company_code") for problem in problems)
    assert "2026.csv:7: expected 10 cells, found 5; quote cells with commas" in problems
    assert len(problems) == 10


@pytest.mark.parametrize(
    ("periods", "wrong"),
    [
        (["2026", "2026-Q1", "2026-Q3"], [3, 4]),
        (["2026-03", "2026-03"], [3]),
        (["2026-Q2", "2026-H1"], [2]),
        (["2026-12", "2027-01", "2025"], []),
    ],
)
def test_a_day_finds_at_most_one_amount_of_a_node(folder: Path, periods: list[str], wrong: list[int]) -> None:
    text = "node_id,period,budget\n" + "".join(f"A,{period},1\n" for period in periods)
    if not wrong:
        assert len(read(folder, text)[0].nodes[0].moneys) == len(periods)
        return
    problems = problems_of(folder, text)
    assert [problem.split(": expected")[0] for problem in problems] == [f"2026.csv:{line}: period" for line in wrong]


def test_nodes_that_stand_below_each_other_are_refused(folder: Path) -> None:
    text = "node_id,parent_id,account_code,period,budget\nA,B,1,2026,1\nB,A,2,2026,1\nC,C,3,2026,1\n"
    problems = problems_of(folder, text)
    assert [problem.rpartition("found ")[2] for problem in problems] == [f"{node} below itself" for node in "ABC"]


def test_a_child_in_another_currency_than_its_parent_is_refused(folder: Path) -> None:
    text = "node_id,parent_id,account_code,period,budget,currency\nA,,1,2026,1,CNY\nB,A,2,2026,1,USD\n"
    assert problems_of(folder, text) == ("2026.csv:3: currency: expected CNY as its parent A, found USD",)


def test_a_row_has_to_say_its_currency_where_the_companies_share_none(folder: Path) -> None:
    assert problems_of(folder, "node_id,period,budget\nA,2026,1\n", currency="") == ("2026.csv:2: currency: expected a code like CNY, found ''",)


def test_columns_that_are_missing_repeated_or_unknown_are_named_together(folder: Path) -> None:
    problems = problems_of(folder, "node_id,budget,budget,departement_code\nA,1,1,D1\n")
    assert problems[:2] == ("2026.csv:1: expected a column period, found none", "2026.csv:1: expected column budget once, found it again")
    assert problems[2].endswith("found 'departement_code'")


@pytest.mark.parametrize(
    ("content", "message"),
    [("node_id,period,budget\n研发,2026,1\n".encode("gbk"), "UTF-8"), (b'node_id,period,budget\n"A"x,2026,1\n', "2026.csv:2")],
    ids=["another encoding", "broken quotes"],
)
def test_a_file_that_is_no_csv_in_utf8_is_refused(folder: Path, content: bytes, message: str) -> None:
    path = folder / "2026.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        budgets_from_csv(path)


def test_a_missing_file_is_a_mistake_of_the_configuration(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.csv.*budget\.yaml"):
        budgets_from_csv(folder / "absent.csv")


@pytest.fixture
def erp() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    yield engine
    engine.dispose()


def budget_table(engine: sa.Engine, *rows: dict[str, object], amount: sa.types.TypeEngine[object]) -> None:
    table = sa.Table(
        "budget_2026",
        sa.MetaData(),
        sa.Column("Node_ID", sa.Text),
        sa.Column("department_code", sa.Text),
        sa.Column("period", sa.Text),
        sa.Column("budget", amount),
        sa.Column("actual", amount),
        sa.Column("entered_by", sa.Text),
    )
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), list(rows))


@pytest.mark.parametrize("amount", [sa.Text(), sa.Double()], ids=["text", "double"])
def test_a_table_is_read_like_the_file_whatever_else_it_holds(folder: Path, erp: sa.Engine, amount: sa.types.TypeEngine[object]) -> None:
    value = "1234.56" if isinstance(amount, sa.Text) else 1234.56
    row = {"Node_ID": "01", "department_code": "D1", "period": "2026-03", "budget": value, "actual": None, "entered_by": "x"}
    budget_table(erp, row, amount=amount)
    (package,) = budgets_from_table(erp, "budget_2026", currency="CNY")
    (expected,) = read(folder, "node_id,department_code,period,budget\n01,D1,2026-03,1234.56\n")
    assert package.nodes == expected.nodes


def test_a_wrong_row_of_a_table_is_named_by_node_and_period(erp: sa.Engine) -> None:
    rows = [{"Node_ID": node, "department_code": "D1", "period": "2026", "budget": 0.1 + 0.2, "actual": 1.0} for node in ("A", "B")]
    budget_table(erp, *rows, amount=sa.Double())
    with pytest.raises(ConfigError) as caught:
        budgets_from_table(erp, "budget_2026", currency="CNY")
    assert [problem.split(": ")[0] for problem in caught.value.problems] == ["budget_2026[A 2026]", "budget_2026[B 2026]"]


def test_a_table_without_the_columns_is_a_mistake_of_the_configuration(erp: sa.Engine) -> None:
    with erp.begin() as connection:
        connection.execute(sa.text("CREATE TABLE budgets (node_id TEXT, budget TEXT)"))
    with pytest.raises(ConfigError, match="expected a column period"):
        budgets_from_table(erp, "budgets")


def test_a_table_that_is_not_there_is_a_mistake_of_the_configuration(erp: sa.Engine) -> None:
    with pytest.raises(ConfigError, match=r"budget_2026: expected a budget table.*budget\.yaml"):
        budgets_from_table(erp, "budget_2026")


def test_a_database_that_does_not_answer_is_left_to_the_retry_of_the_step(folder: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{folder / 'no-such-folder' / 'erp.db'}")
    with pytest.raises(SinkUnavailable, match="budget_2026"):
        budgets_from_table(engine, "budget_2026")


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        (sqlite.dialect(), 'SELECT * FROM fin."Budget"'),
        (postgresql.dialect(), 'SELECT * FROM fin."Budget"'),
        (mssql.dialect(), "SELECT * FROM fin.[Budget]"),
    ],
    ids=["sqlite", "postgresql", "mssql"],
)
def test_the_table_is_read_the_same_way_from_every_database(dialect: sa.Dialect, sql: str) -> None:
    assert " ".join(str(budget_query("fin.Budget").compile(dialect=dialect)).split()) == sql


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=2))
def test_an_amount_kept_as_a_double_is_given_back_to_the_cent(amount: Decimal) -> None:
    assert Decimal(exact_text(amount.__float__())) == amount


def test_a_double_too_long_to_be_sure_of_is_no_amount() -> None:
    assert exact_text(90071992547409.93) == "binary 90071992547409.94"
