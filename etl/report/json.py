"""The report's figures as JSON: every row of every table with the SQL that gave it, amounts as text."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal

import orjson

from etl.report.figures_model import RunFigures
from etl.report.verdict import verdict
from etl.report.words import word

FORMAT_VERSION = 1


def render_json(figures: RunFigures) -> bytes:
    """UTF-8 JSON; amounts and rates are decimal text, instants ISO 8601 in UTC, codes stay codes."""
    counts = figures.counts
    sentence = verdict(figures)
    document = {
        "format": FORMAT_VERSION,
        "run": asdict(figures.head),
        "sentence": {
            "zh": "".join(zh for zh, _ in sentence.clauses),
            "en": "".join(en for _, en in sentence.clauses),
        },
        "counts": {form: {m: n for (f, m), n in counts.values.items() if f == form} for form in counts.forms},
        "counts_gap": {form: counts.gap(form) for form in counts.forms},
        "differences": figures.differences,
        "erp_unread": figures.erp_unread,
        "tables": {
            key: {
                "title": dict(zip(("zh", "en"), word(f"t.{key}"), strict=True)),
                "how": dict(zip(("zh", "en"), word(f"how.{key}"), strict=True)),
                "database": table.database,
                "sql": table.sql,
                "row_count": len(table.rows),
                "rows": table.records(),
            }
            for key, table in figures.tables.items()
        },
    }
    return orjson.dumps(document, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_PASSTHROUGH_DATETIME)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"expected a Decimal, date or instant, found {type(value).__name__}")
