"""How a command speaks: one JSON document or plain lines on standard output, everything else on standard error.

Text from claims reaches a terminal here, so characters that would steer it are shown as escapes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

import msgspec
from tabulate import tabulate  # type: ignore[import-untyped]


def print_json(document: object) -> None:
    """``document`` as one indented JSON document; Decimals are text, instants ISO 8601, paths text."""
    _write(sys.stdout, msgspec.json.format(msgspec.json.encode(document, enc_hook=_plain), indent=2).decode())


def print_lines(lines: Iterable[str]) -> None:
    """Lines on standard output."""
    for line in lines:
        _write(sys.stdout, line)


def tell(text: str, *, end: str = "\n") -> None:
    """Text for the person at the terminal, on standard error."""
    _write(sys.stderr, text, end=end)


def table(header: Sequence[str], rows: Sequence[Sequence[object]], *, right: Iterable[int] = (), indent: str = "") -> list[str]:
    """Lines of an aligned table; columns whose index is in ``right`` are right-aligned, wide characters count as two."""
    numbers = set(right)
    align = ["right" if index in numbers else "left" for index in range(len(header))]
    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    drawn = tabulate(cells, headers=list(header), tablefmt="simple", colalign=align, disable_numparse=True)
    return [f"{indent}{line.rstrip()}" for line in drawn.splitlines()]


def printable(text: str) -> str:
    """``text`` with control and formatting characters (escape sequences, bidi overrides) as ``\\x1b``-like escapes.

    >>> printable("差旅\\x1b[2J")
    '差旅\\\\x1b[2J'
    """
    return text if text.isprintable() else "".join(_shown(letter) for letter in text)


def _shown(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode("ascii")


def _write(stream: TextIO, text: str, *, end: str = "\n") -> None:
    lines = "\n".join(printable(line) for line in text.split("\n"))
    # A terminal that cannot show Chinese must not stop a run: what it lacks is escaped.
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(lines.encode(encoding, "backslashreplace").decode(encoding) + end)
    stream.flush()


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"expected plain data, found {type(value).__name__}")
