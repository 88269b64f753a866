"""Charts as inline SVG: geometry from pygal, colours and fonts from the report's own stylesheet.

Pygal adds a style block, a script and comments of its own; they are taken out, so that the page's content policy
can forbid every script and every style but ours, and the charts follow theme and print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

from etl.report.figures_model import RunFigures, Table
from etl.report.words import MEASURES, Pair, value_words, word

_SVG = "{http://www.w3.org/2000/svg}"
_WIDTH = 620
_FONT = 12
_TOP = 8
_SHARES = ("posted", "held", "rejected", "waiting", "skipped")
# Heights in px: axis and margins, and one bar.
_FRAME = 44
_BAR = 30


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: SVG text for each language and its legend as (colour number, words)."""

    key: str
    zh: str
    en: str
    legend: tuple[tuple[int, Pair], ...]


def draw_charts(figures: RunFigures) -> dict[str, Chart]:
    """Charts by name (trend, money, causes, budget); one without data is left out."""
    drawn = (
        _trend(figures.tables["trend"]),
        _money(figures.tables["totals"]),
        _causes(figures.tables["causes"]),
        _budget(figures.tables["budget"]),
    )
    return {chart.key: chart for chart in drawn if chart}


def _trend(table: Table) -> Chart | None:
    rows = table.records()
    if len(rows) < 2:
        return None
    labels = [f"{row['started_at']:%m-%d}" for row in rows]
    series = [[_count(row[name]) for row in rows] for name in _SHARES[:4]]
    svg = _draw("StackedBar", word("chart.trend"), labels, series, height=200)
    return Chart("trend", svg, svg, _legend(_SHARES, series))


def _money(table: Table) -> Chart | None:
    """Percent of each company's and currency's source total by where it went."""
    sums: dict[str, dict[str, Decimal]] = {}
    for row in table.records():
        label = f"{row['company_code']} {row['currency']}"
        part = sums.setdefault(label, dict.fromkeys(("source", *_SHARES), Decimal(0)))
        for name in part:
            part[name] += Decimal(str(row[name]))
    shown = [(label, part) for label, part in sums.items() if part["source"] > 0][:_TOP]
    if not shown:
        return None
    series = [[_percent(part[name], part["source"]) for _, part in shown] for name in _SHARES]
    labels = [label for label, _ in shown]
    svg = _draw("HorizontalStackedBar", word("chart.money"), labels, series, range=(0, 100))
    return Chart("money", svg, svg, _legend(_SHARES, series))


def _causes(table: Table) -> Chart | None:
    sums: dict[str, int] = {}
    for row in table.records():
        sums[str(row["rule"])] = sums.get(str(row["rule"]), 0) + _count(row["claims"])
    top = sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:_TOP]
    if not top:
        return None
    svgs = []
    for at, limit in ((0, 16), (1, 34)):
        labels = [_short((value_words("rule", rule) or (rule, rule))[at], limit) for rule, _ in top]
        svgs.append(_draw("HorizontalStackedBar", word("chart.causes"), labels, [[count for _, count in top]]))
    return Chart("causes", svgs[0], svgs[1], ())


def _budget(table: Table) -> Chart | None:
    used = []
    for row in table.records():
        budget = Decimal(str(row["budget"]))
        if budget > 0:
            spent = Decimal(str(row["used"])) + Decimal(str(row["in_flight"]))
            used.append((str(row["node_name"]), _percent(spent, budget)))
    top = sorted(used, key=lambda item: -item[1])[:_TOP]
    if not top:
        return None
    series = [[value if value <= 100 else None for _, value in top], [value if value > 100 else None for _, value in top]]
    labels = [_short(name, 20) for name, _ in top]
    svg = _draw("HorizontalStackedBar", word("chart.budget"), labels, series)
    names = tuple(value_words("budget_verdict", name) or (name, name) for name in ("within", "over"))
    return Chart("budget", svg, svg, tuple((i, names[i]) for i in range(2) if any(series[i])))


def _draw(kind: str, title: Pair, labels: Sequence[str], series: Sequence[Sequence[Any]], *, height: int = 0, **options: Any) -> str:
    # Importing pygal costs 0.1 s; commands that write no report do not pay it.
    import pygal
    from pygal.style import Style

    across = kind.startswith("Horizontal")
    wide = max((sum(ord(letter) > 0x2E7F for letter in label) for label in labels), default=0)
    chart = getattr(pygal, kind)(
        js=(),
        css=(),
        no_prefix=True,
        width=_WIDTH,
        height=height or _FRAME + _BAR * len(labels),
        margin=6,
        # Pygal measures every letter as a Latin one; Chinese ones are wider.
        margin_left=6 + (wide * _FONT * 2 // 5 if across else 0),
        show_legend=False,
        show_minor_x_labels=across or len(labels) < 10,
        x_labels_major_count=None if across else 6,
        style=Style(label_font_size=_FONT, major_label_font_size=_FONT),
        truncate_label=-1,
        max_scale=6,
        spacing=14,
        **options,
    )
    # The first row belongs on top; pygal draws it at the bottom.
    order = slice(None, None, -1) if across else slice(None)
    chart.x_labels = list(labels)[order]
    for number, values in enumerate(series):
        chart.add(str(number), list(values)[order])
    return _bare(chart.render_tree(), " · ".join(title))


def _legend(names: Sequence[str], series: Sequence[Sequence[Any]]) -> tuple[tuple[int, Pair], ...]:
    return tuple((i, MEASURES[names[i]][:2]) for i, values in enumerate(series) if any(values))


def _bare(root: ElementTree.Element, title: str) -> str:
    """The SVG without pygal's own style, script and comments; names of bars become tool-tips."""
    for parent in list(root.iter()):
        for child in list(parent):
            tag: object = child.tag  # of a comment it is a function
            if not isinstance(tag, str) or tag.removeprefix(_SVG) in ("defs", "style", "script", "title"):
                parent.remove(child)
    for node in root.iter():
        node.attrib.pop("style", None)
        node.attrib.pop("id", None)
        _explain(node)
    root.set("role", "img")
    root.set("aria-label", title)
    return ElementTree.tostring(root, encoding="unicode")


def _explain(node: ElementTree.Element) -> None:
    texts = {}
    for child in list(node):
        if str(child.tag).removeprefix(_SVG) == "desc":
            texts[(child.get("class") or "").split(" ")[0]] = child.text or ""
            node.remove(child)
    if "value" in texts:
        label = texts.get("x_label", "")
        hint = ElementTree.Element("title")
        hint.text = f"{label}: {texts['value']}" if label else texts["value"]
        node.insert(0, hint)


def _count(value: object) -> int:
    return int(str(value))


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    return (part * 100 / whole).quantize(Decimal("0.1"))


def _short(text: str, limit: int) -> str:
    text = text.rstrip("。.")
    return text if len(text) <= limit else text[: limit - 1] + "…"
