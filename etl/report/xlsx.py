"""The report's figures as an Excel workbook: summary, every query, then one sheet a table with all its rows.

Texts are written as texts and can never become formulas or links; one that a spreadsheet might still take for a
formula after copying or saving as CSV carries a leading apostrophe. Numbers stay numbers, negative ones too.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

from xlsxwriter import Workbook

from etl.money import exponent
from etl.periods import ACCOUNTING_ZONE
from etl.report.cells import LANGUAGE_INDEX, MONEY, in_language
from etl.report.figures_model import Column, RunFigures, Table, Value
from etl.report.verdict import verdict
from etl.report.words import MEASURES, Language, has_words, value_words, word

MAX_ROWS = 1_048_575
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_MAX_CELL = 32_767
_WIDTHS = {"reason": 50, "detail": 50, "fix": 40, "rule": 34, "claim_code": 20, "started_at": 20, "created_at": 20}
_OPTIONS = {
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "remove_timezone": True,
}


def render_xlsx(figures: RunFigures, *, language: Language = "zh") -> bytes:
    """The workbook in one language."""
    target = BytesIO()
    book = Workbook(target, _OPTIONS)
    # A fixed creation time keeps equal figures equal files.
    book.set_properties({"title": word("title")[LANGUAGE_INDEX[language]], "created": datetime(2000, 1, 1)})  # noqa: DTZ001
    formats = _Formats(book)
    _summary(book, figures, formats, language)
    _queries(book, figures, formats, language)
    for key, table in figures.tables.items():
        _sheet(book, key, table, formats, language)
    book.close()
    return target.getvalue()


def safe_text(text: str) -> str:
    """``text`` that no spreadsheet takes for a formula, cut at Excel's cell limit.

    >>> safe_text("=1+1"), safe_text("差旅-上海")
    ("'=1+1", '差旅-上海')
    """
    return (f"'{text}" if text.lstrip(" \u00a0\u3000").startswith(_RISKY) else text)[:_MAX_CELL]


class _Formats:
    """Cell formats, made once each."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._made: dict[str, Any] = {}
        self.head = book.add_format({"bold": True, "bg_color": "#EEF1F5", "bottom": 1})
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.wrap = book.add_format({"text_wrap": True, "valign": "top"})

    def number(self, pattern: str) -> Any:
        if pattern not in self._made:
            self._made[pattern] = self._book.add_format({"num_format": pattern})
        return self._made[pattern]


def _summary(book: Any, figures: RunFigures, formats: _Formats, language: Language) -> None:
    at = LANGUAGE_INDEX[language]
    sheet = book.add_worksheet(word("title")[at])
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 12, 16)
    sheet.write_string(0, 0, "".join(clause[at] for clause in verdict(figures).clauses), formats.title)
    head = figures.head
    facts: list[tuple[str, Value]] = [
        (word("head.run_id")[at], head.run_id),
        (word("head.business_date")[at], head.business_date),
        (word("head.started")[at], head.started_at),
        (word("head.by")[at], head.started_by),
        (word("head.version")[at], head.package_version),
        (word("head.mapping")[at], head.mapping_sha256),
        (word("head.expectations")[at], head.expectations_sha256),
        (head.cause_code or "–", head.cause_text or ""),
    ]
    row = 2
    for name, value in facts:
        sheet.write_string(row, 0, safe_text(name))
        _write(sheet, row, 1, Column("fact", "text"), value, "", formats)
        row += 1
    row += 1
    counts = figures.counts
    titles = [word("c.measure")[at], *((value_words("form", form) or (form, form))[at] for form in counts.forms), word("all_forms")[at]]
    for column, title in enumerate(titles):
        sheet.write_string(row, column, safe_text(title), formats.head)
    for measure, names in MEASURES.items():
        row += 1
        sheet.write_string(row, 0, names[at])
        for column, form in enumerate(counts.forms, start=1):
            sheet.write_number(row, column, counts.of(measure, form), formats.number("#,##0"))
        sheet.write_number(row, len(counts.forms) + 1, counts.of(measure), formats.number("#,##0"))
    sheet.write_string(row + 2, 0, word("identity")[at])


def _queries(book: Any, figures: RunFigures, formats: _Formats, language: Language) -> None:
    at = LANGUAGE_INDEX[language]
    sheet = book.add_worksheet("SQL")
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 2, 12)
    sheet.set_column(3, 4, 80)
    titles = (word("title")[at], "database", word("rows")[at], word("computed")[at].rstrip("： :"), "SQL")
    for column, title in enumerate(titles):
        sheet.write_string(0, column, title, formats.head)
    for row, (key, table) in enumerate(figures.tables.items(), start=1):
        sheet.write_string(row, 0, word(f"t.{key}")[at])
        sheet.write_string(row, 1, table.database)
        sheet.write_number(row, 2, len(table.rows))
        sheet.write_string(row, 3, word(f"how.{key}")[at], formats.wrap)
        sheet.write_string(row, 4, safe_text(table.sql), formats.wrap)


def _sheet(book: Any, key: str, table: Table, formats: _Formats, language: Language) -> None:
    at = LANGUAGE_INDEX[language]
    sheet = book.add_worksheet(key[:31])
    sheet.freeze_panes(1, 0)
    places = {column.key: place for place, column in enumerate(table.columns)}
    for place, column in enumerate(table.columns):
        sheet.set_column(place, place, _WIDTHS.get(column.key, 15))
        sheet.write_string(0, place, word(f"c.{column.key}")[at], formats.head)
    plan = [(place, column, has_words(column.kind), places.get(column.currency, -1)) for place, column in enumerate(table.columns)]
    for row, values in enumerate(table.rows[:MAX_ROWS], start=1):
        for place, column, words, currency in plan:
            value = in_language(column, values[place], language) if words else values[place]
            if type(value) is str:
                sheet.write_string(row, place, safe_text(value))
            else:
                _write(sheet, row, place, column, value, str(values[currency]) if currency >= 0 else "", formats)
    if table.rows:
        sheet.autofilter(0, 0, min(len(table.rows), MAX_ROWS), len(table.columns) - 1)


def _write(sheet: Any, row: int, place: int, column: Column, value: Value, currency: str, formats: _Formats) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, place, value)
    elif isinstance(value, Decimal):
        # Excel holds numbers as IEEE doubles; 15 digits keep every amount below ten trillion exact to the cent.
        sheet.write_number(row, place, value, formats.number(_pattern(column, currency)))
    elif isinstance(value, int):
        sheet.write_number(row, place, value, formats.number("#,##0"))
    elif isinstance(value, datetime):
        sheet.write_datetime(row, place, value.astimezone(ACCOUNTING_ZONE), formats.number("yyyy-mm-dd hh:mm:ss"))
    elif isinstance(value, date):
        sheet.write_datetime(row, place, value, formats.number("yyyy-mm-dd"))
    else:
        sheet.write_string(row, place, safe_text(value))


def _pattern(column: Column, currency: str) -> str:
    if column.kind not in MONEY:
        return "General"
    decimals = exponent(currency)
    return "#,##0" + (f".{'0' * decimals}" if decimals else "")
