"""Markdown as the reference pages need it: escaped table cells and headings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

GENERATED = "<!-- Written by `python -m etl.config.generate`; edit the code it names, not this file. -->"


def cell(text: object) -> str:
    """Text that stays inside one table cell."""
    return " ".join(str(text).split()).replace("|", "\\|")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; an empty cell shows as a dash."""
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(cell(value) or "–" for value in row) + " |" for row in rows]
    return "\n".join(lines)


def sentence(text: str) -> str:
    """Text with a capital first letter, so that notes from different places read alike."""
    return text[:1].upper() + text[1:]


def page(title: str, *parts: str) -> str:
    """A whole page, with the notice that it is generated."""
    return "\n\n".join((f"# {title}", GENERATED, *(part.strip() for part in parts if part.strip()))) + "\n"


def first_sentence(docstring: str | None) -> str:
    """The first paragraph of a docstring on one line, without Sphinx roles."""
    paragraph = (docstring or "").strip().split("\n\n")[0]
    return " ".join(paragraph.replace(":class:", "").replace(":mod:", "").replace(":data:", "").replace("``", "`").split())
