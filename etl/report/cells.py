"""Cells as people read them: thousands, two languages, and a sign beside every state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from etl.periods import ACCOUNTING_ZONE
from etl.report.figures_model import Column, Table, Value
from etl.report.words import Language, value_words

NUMERIC = frozenset({"money", "minor", "amount", "number", "percent", "seconds", "count"})
MONEY = frozenset({"money", "minor", "amount"})
CODES = frozenset({"code"})
_UNBROKEN = 20
_CHIPS = {
    "held": ("warn", "!"),
    "rejected": ("bad", "✕"),
    "waiting": ("info", "◷"),
    "over": ("bad", "✕"),
    "within": ("ok", "✓"),
    "unbudgeted": ("warn", "!"),
    "not_computed": ("info", "◷"),
    "True": ("ok", "✓"),
    "False": ("bad", "✕"),
    "changed": ("warn", "!"),
    "vanished": ("bad", "✕"),
    "PENDING": ("info", "◷"),
    "RETRY": ("info", "◷"),
    "FAILED": ("bad", "✕"),
    "BLOCKED": ("warn", "!"),
    "DONE": ("ok", "✓"),
    "green": ("ok", "✓"),
    "amber": ("warn", "!"),
    "red": ("bad", "✕"),
    "critical": ("bad", "✕"),
    "warning": ("warn", "!"),
    "info": ("idle", "○"),
}
_CHIP_KINDS = frozenset({"disposition", "state", "budget_verdict", "passed", "drift_cause", "outbox", "verdict"})


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of one cell; ``en`` is None where both languages read the same, ``note`` stands small below it."""

    zh: str
    en: str | None = None
    note: str = ""
    tone: str = ""
    glyph: str = ""
    classes: str = ""

    @property
    def bare(self) -> bool:
        """Whether the cell is nothing but its text."""
        return self.en is None and not self.tone and not self.note


def cells(table: Table, *, today: date, limit: int | None = None) -> list[list[Cell]]:
    """The table's cells, at most ``limit`` rows unless the table must be complete."""
    rows = table.rows if limit is None or table.complete else table.rows[:limit]
    return [[cell(column, value, today=today) for column, value in zip(table.columns, row, strict=True)] for row in rows]


def cell(column: Column, value: Value, *, today: date) -> Cell:
    """One cell; an open item past its due date is marked."""
    text = plain(column.kind, value)
    if column.key == "due_date" and isinstance(value, date) and value < today:
        return Cell(text, tone="bad", glyph="!", classes="nowrap")
    words = value_words(column.kind, str(value))
    classes = _classes(column, value)
    if words is None:
        return Cell(text, classes=classes)
    tone, glyph = _CHIPS.get(str(value), ("", "")) if column.kind in _CHIP_KINDS else ("", "")
    note = str(value) if column.kind in ("rule", "finding") else ""
    return Cell(words[0], words[1], note, tone, glyph, classes)


def plain(kind: str, value: Value) -> str:
    """A value as text without language: 1,234.50, 2026-11-23, 11-23 08:00:00 in the accounting zone."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | Decimal):
        return f"{value:,}" if isinstance(value, int) else f"{value:,f}"
    if isinstance(value, datetime):
        return f"{value.astimezone(ACCOUNTING_ZONE):%Y-%m-%d %H:%M:%S}"
    return value.isoformat() if isinstance(value, date) else value


def in_language(column: Column, value: Value, language: Language) -> Value:
    """The value for a file in one language: words where it is a code with words, else itself."""
    words = value_words(column.kind, str(value))
    return value if words is None else words[LANGUAGE_INDEX[language]]


LANGUAGE_INDEX: dict[Language, int] = {"zh": 0, "en": 1}


def _classes(column: Column, value: Value) -> str:
    if column.kind in NUMERIC:
        red = column.key in ("available", "difference") and isinstance(value, Decimal) and value < 0
        return "n neg" if red else "n"
    if column.kind in CODES:
        return "code nowrap" if len(str(value)) <= _UNBROKEN else "code"
    return "nowrap" if column.kind in ("date", "instant") else ""
