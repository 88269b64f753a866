"""``docs/data-dictionary.md``: every frame between two steps and every table others may read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, MetaData, Table, UniqueConstraint

from etl.config.pages.columns import meaning
from etl.config.pages.markdown import page, sentence, table
from etl.frames import SPECS, FrameSpec

_INTRO = """
Amounts are `int64` minor units inside frames and decimals in major units, at the currency's scale, in tables. Days in frames are
days since 1970-01-01 in Asia/Shanghai, instants are epoch milliseconds. A value that depends on a currency stands beside it.

On PostgreSQL the database enforces the key of `voucher` but not the keys and references of its lines, dimensions, sources and
invoices: that would cost more than writing them (`etl/erp/schema.py` has the figures). The load proves them instead: each detail once
and with its voucher before it is written, counts and sums read back before the commit.
"""


def data_dictionary(databases: Mapping[str, MetaData]) -> str:
    """The page; ``databases`` maps a chapter's title to the tables it describes."""
    chapters = [part for title, tables in databases.items() for part in _database(title, tables)]
    return page("Data dictionary", _INTRO, *chapters, "## Frames between the steps", *map(_frame, SPECS.values()))


def _database(title: str, metadata: MetaData) -> Iterator[str]:
    yield f"## {title}"
    for name in sorted(metadata.tables):
        yield _table(metadata.tables[name])


def _table(described: Table) -> str:
    rows = [
        (
            f"`{column.name}`",
            _type(column),
            _role(column),
            sentence(column.comment or meaning(described.name, column.name)),
        )
        for column in described.columns
    ]
    parts = [
        f"### `{described.name}`",
        described.comment or "",
        table(("Column", "Type", "Null and key", "Meaning"), rows),
    ]
    rules = sorted(_rules(described))
    return "\n\n".join(part for part in (*parts, "\n".join(f"- {rule}" for rule in rules)) if part)


def _type(column: Column[object]) -> str:
    return column.type.compile()


def _role(column: Column[object]) -> str:
    if column.primary_key:
        return "key"
    return "may be null" if column.nullable else "never null"


def _rules(described: Table) -> Iterator[str]:
    for constraint in described.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield f"unique: {', '.join(f'`{column.name}`' for column in constraint.columns)}"
        elif isinstance(constraint, ForeignKeyConstraint):
            columns = ", ".join(f"`{element.parent.name}`" for element in constraint.elements)
            yield f"refers to `{constraint.referred_table.name}`: {columns}"
        elif isinstance(constraint, CheckConstraint):
            yield f"check: `{' '.join(str(constraint.sqltext).split())}`"
    for index in described.indexes:
        if index.unique:
            yield f"unique: {', '.join(f'`{column.name}`' for column in index.columns)}"


def _frame(spec: FrameSpec) -> str:
    key = ", ".join(f"`{name}`" for name in spec.key) or "none"
    rows = [(f"`{name}`", f"`{dtype}`", sentence(spec.notes.get(name) or meaning(spec.name, name))) for name, dtype in spec.columns.items()]
    return f"### `{spec.name}`\n\nGrain: {spec.grain}. Key: {key}.\n\n{table(('Column', 'Type', 'Meaning'), rows)}"
