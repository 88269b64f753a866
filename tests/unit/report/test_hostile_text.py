"""Sixty texts that want to become markup, script or formula end as plain text in every form of the report."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from openpyxl import load_workbook

from etl.report.figures import build_figures
from etl.report.figures_model import RunFigures
from etl.report.html import render_html
from etl.report.json import render_json
from etl.report.xlsx import render_xlsx, safe_text
from tests.fixtures.hostile_text import FORMULAS, HOSTILE
from tests.fixtures.report_world import report_world

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class _Page(HTMLParser):
    """Tags, attribute names and texts as a browser's tokenizer sees them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.urls: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.urls |= {value or "" for name, value in attrs if name in {"href", "src", "action", "data", "srcdoc"}}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def hostile_figures(tmp_path_factory: pytest.TempPathFactory) -> RunFigures:
    folder: Path = tmp_path_factory.mktemp("hostile")
    with report_world(folder, claim_text=lambda n: HOSTILE[n % len(HOSTILE)], claims=2 * len(HOSTILE)) as world:
        findings = [
            {"claim_id": f"h{n}", "claim_code": text[:64], "rule": "VAT_UNVERIFIED", "detail": text, "amount_minor": -1, "currency": "CNY"}
            for n, text in enumerate(HOSTILE)
        ]
        world.ledger.add_findings(world.run_id, findings, step="hostile")
        return build_figures(world.ledger.engine, world.erp, world.run_id)


@pytest.fixture(scope="module")
def page(hostile_figures: RunFigures) -> _Page:
    parsed = _Page()
    parsed.feed(render_html(hostile_figures))
    return parsed


def test_there_are_sixty_texts() -> None:
    assert len(set(HOSTILE)) == 60


def test_no_text_becomes_an_active_tag(page: _Page) -> None:
    active = {"script", "img", "iframe", "object", "embed", "base", "form", "video", "marquee", "math"}
    assert not page.tags & active


def test_no_text_becomes_an_event_handler_or_inline_style(page: _Page) -> None:
    assert not {name for name in page.attributes if name.startswith("on") or name in {"style", "srcdoc", "src"}}


def test_every_link_stays_on_the_page(page: _Page) -> None:
    assert page.urls
    assert {url for url in page.urls if not url.startswith("#")} == {"data:,"}


@pytest.mark.parametrize("text", HOSTILE)
def test_the_page_shows_the_text_as_it_was_typed(text: str, page: _Page) -> None:
    assert any(text.strip() in shown for shown in page.texts)


def test_the_workbook_holds_no_formula_and_no_link(hostile_figures: RunFigures) -> None:
    book = load_workbook(BytesIO(render_xlsx(hostile_figures)))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert len(cells) > 1000
    assert not [cell.coordinate for cell in cells if cell.data_type == "f" or cell.hyperlink]


def test_no_text_cell_starts_like_a_formula(hostile_figures: RunFigures) -> None:
    book = load_workbook(BytesIO(render_xlsx(hostile_figures)))
    texts = [cell.value for sheet in book for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)]
    assert not [text for text in texts if text.lstrip(" \u3000").startswith(FORMULA_STARTS)]
    assert {f"'{text}" for text in FORMULAS if "\r" not in text} <= set(texts)


def test_negative_numbers_stay_numbers(hostile_figures: RunFigures) -> None:
    sheet = load_workbook(BytesIO(render_xlsx(hostile_figures)))["remarks"]
    heads = [cell.value for cell in sheet[1]]
    amounts = [row[heads.index("金额")] for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert amounts.count(-0.01) == len(HOSTILE)


def test_the_json_gives_every_text_back_unchanged(hostile_figures: RunFigures) -> None:
    remarks = json.loads(render_json(hostile_figures))["tables"]["remarks"]["rows"]
    assert set(HOSTILE) <= {row["detail"] for row in remarks}


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert safe_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["差旅-上海", "B2610000001", "张*", "1,234.50", "", "a=b", "3-4"])
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert safe_text(text) == text


def test_a_text_longer_than_a_cell_is_cut_at_the_cells_limit() -> None:
    assert len(safe_text("长" * 40_000)) == 32_767


def test_the_page_forbids_everything_but_its_own_stylesheet(hostile_figures: RunFigures) -> None:
    html = render_html(hostile_figures)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].replace("&#39;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"].startswith("'sha256-")
    assert "script-src" not in rules
