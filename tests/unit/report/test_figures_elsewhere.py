"""The figures on PostgreSQL, without an ERP database, and of a run that came to nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from etl.errors import SinkUnavailable
from etl.report.figures import build_figures
from etl.report.figures_model import RunFigures, Table
from etl.report.html import render_html
from etl.report.json import render_json
from etl.report.xlsx import render_xlsx
from etl.store.ledger import Ledger
from tests.fixtures.report_world import ReportWorld, report_world

pytest_plugins = ("tests.fixtures.postgres",)


def _rows(table: Table) -> list[tuple[object, ...]]:
    # Run ids end in random letters; everything else must be equal.
    return [row[1:] if table.key == "trend" else row for row in table.rows]


def test_postgresql_and_sqlite_give_the_same_figures(figures: RunFigures, pg_url: str, tmp_path: Path) -> None:
    with report_world(tmp_path, ledger_url=pg_url, erp_url=pg_url) as other:
        found = build_figures(other.ledger.engine, other.erp, other.run_id)
    assert {key: _rows(table) for key, table in found.tables.items()} == {key: _rows(table) for key, table in figures.tables.items()}


def test_a_report_without_an_erp_database_says_so_and_still_shows_the_run(world: ReportWorld, tmp_path: Path) -> None:
    empty = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    found = build_figures(world.ledger.engine, empty, world.run_id)
    empty.dispose()
    assert found.erp_unread is not None
    assert "no such table" in found.erp_unread
    assert (len(found.tables["rejects"].rows), len(found.tables["drift"].rows)) == (12, 0)
    assert "The ERP database gave no answer" in render_html(found)


@pytest.fixture
def stopped(tmp_path: Path, world: ReportWorld) -> RunFigures:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", now=lambda: datetime(2026, 10, 14, 18, tzinfo=UTC)) as ledger:
        run_id = ledger.start_run(kind="nightly", started_by="me", business_date=date(2026, 10, 15), mapping_sha256="", package_version="1", source_host="h")
        ledger.stop_run(run_id, SinkUnavailable("postgresql://u:secret99@h/erp went away"))
        return build_figures(ledger.engine, world.erp, run_id)


def test_a_run_that_stopped_before_anything_still_gets_all_three_forms(stopped: RunFigures) -> None:
    html = render_html(stopped)
    assert "运行已停止：SINK_UNAVAILABLE" in html
    assert "money not compared" in html
    assert render_xlsx(stopped).startswith(b"PK")
    assert b"secret99" not in html.encode() + render_json(stopped)
