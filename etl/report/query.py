"""One question of the report: where it is asked, in which words, and how the answer is read."""

from __future__ import annotations

from dataclasses import dataclass

from etl.report.figures_model import Column, Database


@dataclass(frozen=True, slots=True)
class Query:
    """One table of the report: where to ask, what, and how to read the answer."""

    key: str
    database: Database
    columns: tuple[Column, ...]
    sql: str
    complete: bool = False


def columns(text: str) -> tuple[Column, ...]:
    """Columns from ``key:kind`` or ``key:kind:currency_column`` words, in the order of the SELECT."""
    parts = (item.split(":") for item in text.split())
    return tuple(Column(key, kind, *rest) for key, kind, *rest in parts)
