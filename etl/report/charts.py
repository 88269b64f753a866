"""Charts as inline SVG: geometry from pygal, colours and fonts from the report's own stylesheet.

Pygal adds a style block, a script and comments of its own; they are taken out, so that the page's content policy
can forbid every script and every style but ours, and the charts follow theme and print.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

from etl.report.figures_model import RunFigures, Table
from etl.report.words import MEASURES, Language, value_words, word

_SVG = "{http://www.w3.org/2000/svg}"
_WIDTH = 620
_FONT = 12
_TOP = 8
_SHARES = ("posted", "held", "rejected", "waiting", "skipped")


def draw_charts(figures: RunFigures, language: Language) -> dict[str, str]:
    """SVG text by chart name: trend, money, causes, budget; a chart without data is left out."""
    at = 0 if language == "zh" else 1
    drawn = {
        "trend": _trend(figures.tables["trend"], at),
        "money": _money(figures.tables["totals"], at),
        "causes": _causes(figures.tables["causes"], at),
        "budget": _budget(figures.tables["budget"], at),
    }
    return {name: svg for name, svg in drawn.items() if svg}


def _trend(table: Table, at: int) -> str:
    rows = table.records()
    if len(rows) < 2:
        return ""
    labels = [f"{row['started_at']:%m-%d}" for row in rows]
    series = [(_measure(name, at), [_count(row[name]) for row in rows]) for name in _SHARES[:4]]
    return _draw("StackedBar", word("chart.trend")[at], labels, series, height=200)


def _money(table: Table, at: int) -> str:
    """Percent of each company's and currency's source total by where it went."""
    sums: dict[str, dict[str, Decimal]] = {}
    for row in table.records():
        part = sums.setdefault(f"{row['company_code']} {row['currency']}", dict.fromkeys(("source", *_SHARES), Decimal(0)))
        for name in part:
            part[name] += Decimal(str(row[name]))
    shown = [(label, part) for label, part in sums.items() if part["source"] > 0][:_TOP]
    if not shown:
        return ""
    series = [(_measure(name, at), [_percent(part[name], part["source"]) for _, part in shown]) for name in _SHARES]
    title = word("chart.money")[at]
    return _draw("HorizontalStackedBar", title, [label for label, _ in shown], series, height=90 + 34 * len(shown))


def _causes(table: Table, at: int) -> str:
    sums: dict[str, int] = {}
    for row in table.records():
        sums[str(row["rule"])] = sums.get(str(row["rule"]), 0) + _count(row["claims"])
    top = sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:_TOP]
    if not top:
        return ""
    labels = [_short((value_words("rule", rule) or (rule, rule))[at], at) for rule, _ in top]
    title = word("chart.causes")[at]
    return _draw("HorizontalBar", title, labels, [(title, [n for _, n in top])], height=60 + 30 * len(top), legend=False)


def _budget(table: Table, at: int) -> str:
    used = []
    for row in table.records():
        budget = Decimal(str(row["budget"]))
        if budget > 0:
            spent = sum(Decimal(str(row[name])) for name in ("used", "in_flight"))
            used.append((str(row["node_name"]), _percent(Decimal(spent), budget)))
    top = sorted(used, key=lambda item: -item[1])[:_TOP]
    if not top:
        return ""
    within = [value if value <= 100 else None for _, value in top]
    over = [value if value > 100 else None for _, value in top]
    series = [(_verdict("within", at), within), (_verdict("over", at), over)]
    labels = [_short(name, at) for name, _ in top]
    return _draw("HorizontalStackedBar", word("chart.budget")[at], labels, series, height=90 + 30 * len(top))


def _draw(
    kind: str,
    title: str,
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[Any]]],
    *,
    height: int,
    legend: bool = True,
) -> str:
    # Importing pygal costs 0.1 s; commands that write no report do not pay it.
    import pygal
    from pygal.style import Style

    wide = max((sum(ord(letter) > 0x2E7F for letter in label) for label in labels), default=0)
    chart = getattr(pygal, kind)(
        js=(),
        css=(),
        no_prefix=True,
        width=_WIDTH,
        height=height,
        margin=6,
        # Pygal measures every letter as a Latin one; Chinese ones are wider.
        margin_left=6 + (wide * _FONT * 2 // 5 if kind.startswith("Horizontal") else 0),
        legend_at_bottom=True,
        legend_box_size=10,
        show_legend=legend,
        x_label_rotation=0 if kind.startswith("Horizontal") or len(labels) < 12 else 45,
        style=Style(label_font_size=_FONT, major_label_font_size=_FONT, legend_font_size=_FONT),
        truncate_label=-1,
        truncate_legend=-1,
        spacing=14,
    )
    chart.x_labels = list(labels)
    for name, values in series:
        chart.add(name, list(values))
    return _bare(chart.render_tree(), title)


def _bare(root: ElementTree.Element, title: str) -> str:
    """The SVG without pygal's own style, script and comments; names of bars become tool-tips."""
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.removeprefix(_SVG) in ("defs", "style", "script", "title"):
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


def _measure(name: str, at: int) -> str:
    return MEASURES[name][at]


def _verdict(name: str, at: int) -> str:
    return (value_words("budget_verdict", name) or (name, name))[at]


def _count(value: object) -> int:
    return int(str(value))


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    return (part * 100 / whole).quantize(Decimal("0.1"))


def _short(text: str, at: int) -> str:
    limit = 16 if at == 0 else 34
    return text if len(text) <= limit else text[: limit - 1] + "…"
