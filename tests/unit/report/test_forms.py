"""The three forms of one report: page, workbook and JSON, and the files they are written to."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from openpyxl import load_workbook

from etl.errors import ConfigError, StorageUnavailable
from etl.rejects import CATALOGUE
from etl.report.figures_model import RunFigures, Table
from etl.report.html import PAGE_ROWS, content_policy, render_html
from etl.report.json import render_json
from etl.report.layout import SECTIONS
from etl.report.sql import QUERIES
from etl.report.words import MEASURES, value_words, word
from etl.report.write import write_report
from etl.report.xlsx import render_xlsx
from tests.fixtures.report_world import ReportWorld


def _repeated(figures: RunFigures, key: str, times: int) -> RunFigures:
    table = figures.tables[key]
    longer = Table(table.key, table.database, table.columns, table.rows * times, table.sql, table.complete)
    return replace(figures, tables={**figures.tables, key: longer})


def _row_count(html: str, key: str) -> int:
    found = re.search(rf'id="t-{key}".*?</table>', html, re.DOTALL)
    assert found is not None
    return found[0].count("<tr") - 1


def test_a_long_list_shows_two_hundred_rows_and_names_the_total(figures: RunFigures) -> None:
    html = render_html(_repeated(figures, "rejects", 50))
    assert _row_count(html, "rejects") == PAGE_ROWS
    assert "共 600 行" in html
    assert "first 200 of 600 rows" in html


def test_the_workbook_and_json_hold_the_whole_list(figures: RunFigures) -> None:
    long = _repeated(figures, "rejects", 50)
    assert load_workbook(BytesIO(render_xlsx(long)))["rejects"].max_row == 601
    assert len(json.loads(render_json(long))["tables"]["rejects"]["rows"]) == 600


def test_a_tie_out_is_always_complete(figures: RunFigures) -> None:
    assert _row_count(render_html(_repeated(figures, "account_totals", 300)), "account_totals") == 600


def test_every_table_says_how_it_was_computed_and_how_many_rows_it_has(figures: RunFigures) -> None:
    html = render_html(figures)
    shown = [key for section in SECTIONS for key in (*section.open, *section.folded)]
    for key in shown:
        assert word(f"how.{key}")[0] in html
        assert word(f"how.{key}")[1].replace("'", "&#39;") in html
    assert html.count('class="foot"') == len(shown) + 1


def test_every_table_but_the_trend_stands_on_the_page(figures: RunFigures) -> None:
    shown = {key for section in SECTIONS for key in (*section.open, *section.folded)}
    assert set(figures.tables) - shown == {"trend"}


def test_an_empty_table_says_so(figures: RunFigures) -> None:
    drift = figures.tables["drift"]
    empty = replace(figures, tables={**figures.tables, "drift": Table("drift", "erp", drift.columns, (), drift.sql)})
    assert '<p class="none">' in render_html(empty)


def test_an_overdue_reject_is_marked_with_a_sign_beside_the_colour(figures: RunFigures) -> None:
    assert re.search(r'<span class="chip bad"><i aria-hidden="true">!</i>2026-10-1[34]</span>', render_html(figures))


@pytest.mark.parametrize(("language", "tag"), [("zh", "zh-CN"), ("en", "en")])
def test_the_wanted_language_opens_first_and_the_other_is_there(figures: RunFigures, language: str, tag: str) -> None:
    html = render_html(figures, language=language)  # type: ignore[arg-type]
    assert f'<html lang="{tag}">' in html
    assert re.search(rf'id="lang-{language}"[^>]* checked', html)
    assert "还差 12 张没有过账" in html
    assert "12 not posted" in html


def test_equal_figures_give_equal_bytes(figures: RunFigures) -> None:
    assert render_html(figures) == render_html(figures)
    assert render_xlsx(figures) == render_xlsx(figures)
    assert render_json(figures) == render_json(figures)


def test_charts_carry_no_script_no_style_and_no_comment(figures: RunFigures) -> None:
    drawings = re.findall(r"<svg.*?</svg>", render_html(figures), re.DOTALL)
    charts = [drawing for drawing in drawings if 'role="img"' in drawing]
    assert len(charts) >= 4
    assert not [chart for chart in charts if re.search(r"<script|<style|<!--|style=|\bid=|http://(?!www\.w3\.org)", chart)]


def test_the_workbook_shows_money_as_numbers_at_the_currencys_scale(figures: RunFigures) -> None:
    sheet = load_workbook(BytesIO(render_xlsx(figures)))["totals"]
    cells = {(row[0].value, row[1].value, row[2].value): row[3] for row in sheet.iter_rows(min_row=2)}
    yuan, yen = cells["费用", "C01", "CNY"], cells["费用", "C04", "JPY"]
    assert (yuan.value, yuan.number_format) == (100.3, "#,##0.00")
    assert (yen.value, yen.number_format) == (5000, "#,##0")


def test_the_workbooks_second_sheet_holds_every_query(figures: RunFigures) -> None:
    sheet = load_workbook(BytesIO(render_xlsx(figures))).worksheets[1]
    printed = {row[4] for row in sheet.iter_rows(min_row=2, values_only=True)}
    assert {query.sql for query in QUERIES if query.key != "unpaid_days"} <= printed


def test_codes_become_words_in_the_workbook(figures: RunFigures) -> None:
    sheet = load_workbook(BytesIO(render_xlsx(figures, language="en")))["causes"]
    assert CATALOGUE["FEE_TYPE_UNMAPPED"].fix_en in {cell.value for row in sheet.iter_rows() for cell in row}


def test_the_json_names_amounts_as_text_and_carries_the_sql(figures: RunFigures) -> None:
    document = json.loads(render_json(figures))
    table = document["tables"]["totals"]
    assert table["rows"][0]["source"] == "100.30"
    assert table["sql"].startswith("SELECT entry_kind")
    assert table["row_count"] == len(table["rows"])
    assert document["run"]["started_at"].endswith("Z")
    assert document["counts_gap"] == {"expense": 0, "loan": 0}


def test_the_json_refuses_a_type_it_cannot_name(figures: RunFigures) -> None:
    broken = replace(figures, head=replace(figures.head, started_by=Path("x")))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Type is not JSON serializable"):
        render_json(broken)


def test_files_are_private_complete_and_latest_is_the_same_page(world: ReportWorld, tmp_path: Path) -> None:
    files = write_report(world.ledger, world.erp, run_id=world.run_id, folder=tmp_path / "reports")
    assert {path.stat().st_mode & 0o777 for path in (files.html, files.xlsx, files.json)} == {0o600}
    assert files.html == tmp_path / "reports" / world.run_id / "run-report.html"
    assert (tmp_path / "reports" / "latest.html").read_bytes() == files.html.read_bytes()
    assert {path.name for path in files.html.parent.iterdir()} == {"run-report.html", "run-report.xlsx", "run-report.json"}


def test_a_report_written_again_replaces_the_first(world: ReportWorld, tmp_path: Path) -> None:
    first = write_report(world.ledger, world.erp, run_id=world.run_id, folder=tmp_path)
    before = first.html.read_bytes()
    first.html.write_text("half a page", encoding="utf-8")
    assert write_report(world.ledger, world.erp, run_id=world.run_id, folder=tmp_path).html.read_bytes() == before


def test_a_failing_write_leaves_no_half_file_behind(world: ReportWorld, tmp_path: Path) -> None:
    home = tmp_path / world.run_id
    (home / "run-report.json").mkdir(parents=True)
    with pytest.raises(StorageUnavailable, match="run-report"):
        write_report(world.ledger, world.erp, run_id=world.run_id, folder=tmp_path)
    assert [path.name for path in home.iterdir()] == ["run-report.json"]


def test_an_unknown_run_is_a_clear_error(world: ReportWorld, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a run id of this ledger, found 'nope'"):
        write_report(world.ledger, world.erp, run_id="nope", folder=tmp_path)


def test_every_column_and_measure_has_words_in_both_languages(figures: RunFigures) -> None:
    for table in figures.tables.values():
        for column in table.columns:
            assert all(word(f"c.{column.key}"))
    assert all(all(words) for words in MEASURES.values())


def test_lines_without_department_are_named_as_such(figures: RunFigures) -> None:
    assert "（无部门，如税额）" in render_html(figures)


def test_every_reject_code_has_plain_words_and_a_fix() -> None:
    for code in CATALOGUE:
        for kind in ("rule", "fix"):
            words = value_words(kind, code)
            assert words is not None
            assert all(words)


def test_the_policy_is_the_same_for_every_page() -> None:
    assert content_policy().startswith("default-src 'none'; style-src 'sha256-")


def test_instants_are_shown_in_the_accounting_zone(figures: RunFigures) -> None:
    assert f"{figures.head.started_at:%Y-%m-%d %H}" == "2026-10-14 18"
    assert "2026-10-15 02:00" in render_html(figures)


def test_sums_of_many_cents_are_exact(figures: RunFigures) -> None:
    for row in figures.tables["fee_types"].records():
        amount = row["amount"]
        assert isinstance(amount, Decimal)
        assert amount.as_tuple().exponent == (0 if row["currency"] == "JPY" else -2)
