"""The report as one self-contained HTML page: no script, no request, every text escaped.

The content policy in the page allows exactly one thing, our own stylesheet by its hash; a claim's text that
slipped past escaping could neither run nor restyle nor call home. Both languages are in the page.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from etl.report.cells import NUMERIC, Cell, cells, plain
from etl.report.charts import Chart, draw_charts
from etl.report.figures_model import Column, Counts, RunFigures, Table
from etl.report.layout import HIDDEN, SECTIONS, STACKED
from etl.report.verdict import answers, verdict
from etl.report.words import LANGUAGE_TAGS, MEASURE_GROUPS, MEASURES, Language, Pair, value_words, word

PAGE_ROWS = 200
FOLD_ABOVE = 25
_WIDE = frozenset({"reason", "detail", "fix", "rule"})
_TEMPLATES = files("etl.report") / "templates"


@dataclass(frozen=True, slots=True)
class _Head:
    label: Pair
    numeric: bool
    wide: bool
    span: Markup  # classes of its cells
    spoken: Markup  # the label again on every cell, for the cards of a phone


@dataclass(frozen=True, slots=True)
class _View:
    key: str
    title: Pair
    how: Pair
    database: str
    columns: list[_Head]
    rows: list[list[Cell]]
    total: int
    cut: Pair | None
    stacked: bool


def render_html(figures: RunFigures, *, language: Language = "zh") -> str:
    """The page, ``language`` opened first."""
    css = _stylesheet()
    charts = draw_charts(figures)
    sections = [
        {
            "key": section.key,
            "title": word(f"s.{section.key}"),
            "charts": [_chart(charts[key]) for key in section.charts if key in charts],
            "open": [_view(figures, key) for key in section.open],
            "folded": [_view(figures, key) for key in section.folded],
        }
        for section in SECTIONS
    ]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            language=language,
            tag=LANGUAGE_TAGS[language],
            policy=content_policy(),
            css=Markup(css),  # noqa: S704 - our own file
            word=word,
            fold_above=FOLD_ABOVE,
            head=figures.head,
            erp_unread=figures.erp_unread,
            kind=value_words("run_kind", figures.head.kind) or (figures.head.kind, figures.head.kind),
            started=plain("instant", figures.head.started_at),
            took=_took(figures),
            verdict=verdict(figures),
            answers=answers(figures),
            counts=_counts(figures.counts),
            sections=sections,
            facts=_facts(figures),
        )
    )


@cache
def content_policy() -> str:
    """The Content-Security-Policy of the page; whoever serves it over HTTP sends the same one."""
    digest = base64.b64encode(hashlib.sha256(_stylesheet().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


@cache
def _stylesheet() -> str:
    return (_TEMPLATES / "report.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(str(_TEMPLATES)), autoescape=True, undefined=StrictUndefined)


def _chart(chart: Chart) -> dict[str, object]:
    # Markup: the SVG was serialised by an XML writer, so its texts are escaped already.
    drawings = [("zh", Markup(chart.zh)), ("en", Markup(chart.en))]  # noqa: S704
    if chart.zh == chart.en:
        drawings = [("", drawings[0][1])]
    return {"key": chart.key, "title": word(f"chart.{chart.key}"), "drawings": drawings, "legend": chart.legend}


def _view(figures: RunFigures, key: str) -> _View:
    table = _without_hidden(figures.tables[key])
    rows = cells(table, today=figures.head.business_date, limit=PAGE_ROWS)
    total = len(table.rows)
    cut = None
    if len(rows) < total:
        zh, en = word("limited")
        numbers = {"shown": f"{len(rows):,}", "total": f"{total:,}"}
        cut = zh.format(**numbers), en.format(**numbers)
    heads = [_head(column, stacked=key in STACKED) for column in table.columns]
    return _View(key, word(f"t.{key}"), word(f"how.{key}"), table.database, heads, rows, total, cut, key in STACKED)


def _head(column: Column, *, stacked: bool) -> _Head:
    label, wide = word(f"c.{column.key}"), column.key in _WIDE
    span = Markup(" full wide") if wide and stacked else Markup(" wide") if wide else Markup()
    return _Head(label, column.kind in NUMERIC, wide, span, Markup(' data-zh="{}" data-en="{}"').format(*label))


def _without_hidden(table: Table) -> Table:
    hidden = HIDDEN.get(table.key, frozenset())
    keep = [i for i, column in enumerate(table.columns) if column.key not in hidden]
    columns = tuple(table.columns[i] for i in keep)
    rows = tuple(tuple(row[i] for i in keep) for row in table.rows)
    return Table(table.key, table.database, columns, rows, table.sql, table.complete)


def _counts(counts: Counts) -> dict[str, object]:
    gap = next((counts.gap(form) for form in counts.forms if counts.gap(form)), 0)
    bad = word("identity_bad")
    identity = (bad[0].format(gap=f"{gap:,}"), bad[1].format(gap=f"{gap:,}")) if gap else word("identity_ok")
    groups = [
        {
            "title": title,
            "rows": [
                {
                    "label": MEASURES[measure][:2],
                    "note": MEASURES[measure][2:],
                    "numbers": [*(counts.of(measure, form) for form in counts.forms), counts.of(measure)],
                }
                for measure in measures
            ],
        }
        for title, measures in MEASURE_GROUPS
    ]
    forms = [value_words("form", form) or (form, form) for form in counts.forms]
    return {"forms": forms, "groups": groups, "gap": gap, "identity": identity}


def _took(figures: RunFigures) -> Pair | None:
    head = figures.head
    if head.finished_at is None:
        return None
    seconds = round((head.finished_at - head.started_at) / timedelta(seconds=1))
    minutes, rest = divmod(seconds, 60)
    return (f"{minutes} 分 {rest} 秒", f"{minutes} min {rest} s") if minutes else (f"{rest} 秒", f"{rest} s")


def _facts(figures: RunFigures) -> list[tuple[Pair, Pair, bool]]:
    head = figures.head
    interval = f"{plain('instant', head.interval_from)} – {plain('instant', head.interval_to)}"
    verdict_words = value_words("verdict", head.previous_verdict or "") or ("", "")
    previous = word("no_previous")
    if head.previous_run_id:
        previous = f"{head.previous_run_id} {verdict_words[0]}", f"{head.previous_run_id} {verdict_words[1]}"
    memory = f"{head.peak_rss_mb:,} MB" if head.peak_rss_mb else "–"
    return [
        (word("head.run_id"), (head.run_id, head.run_id), True),
        (word("head.previous"), previous, True),
        (word("head.interval"), (interval, interval), False),
        (word("head.mapping"), (head.mapping_sha256, head.mapping_sha256), True),
        (word("head.expectations"), (head.expectations_sha256, head.expectations_sha256), True),
        (word("head.version"), (head.package_version, head.package_version), True),
        (word("head.source"), (head.source_host, head.source_host), True),
        (word("head.memory"), (memory, memory), False),
    ]
