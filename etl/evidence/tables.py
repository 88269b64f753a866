"""The files of a pack while it is built: CSV for people and spreadsheets, hashed as they are written.

CSV is UTF-8 with a byte order mark and CR LF, as spreadsheets expect it. Text that a spreadsheet would take for a formula gets
an apostrophe in front; amounts and other numbers are written as they are.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Self

from etl.money import exponent

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_BLANKS = " \u00a0\u3000"


@dataclass(frozen=True)
class Written:
    """One file of a pack; ``rows`` only for tables."""

    path: str
    sha256: str
    bytes: int
    rows: int | None = None


@dataclass
class PackFiles:
    """The folder a pack is collected in."""

    folder: Path
    written: dict[str, Written] = field(default_factory=dict)

    def table(self, path: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Writes a CSV and returns its number of rows; rows are read one by one."""
        with _Hashed(self._place(path)) as file:
            file.write("\ufeff")
            writer = csv.writer(file)
            writer.writerow(columns)
            count = 0
            for row in rows:
                writer.writerow([cell(value) for value in row])
                count += 1
        self.written[path] = Written(path, file.sha256.hexdigest(), file.size, count)
        return count

    def file(self, path: str, content: bytes | Iterable[bytes]) -> None:
        """Writes bytes, whole or piece by piece."""
        with _Hashed(self._place(path)) as file:
            for piece in (content,) if isinstance(content, bytes) else content:
                file.write_bytes(piece)
        self.written[path] = Written(path, file.sha256.hexdigest(), file.size)

    def place(self, path: str) -> Path:
        """Where a written file lies until the pack is closed."""
        return self.folder / path

    def _place(self, path: str) -> Path:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return place


class _Hashed:
    """A new private file that knows its hash and size; text goes in as UTF-8."""

    def __init__(self, path: Path) -> None:
        self.sha256, self.size = hashlib.sha256(), 0
        self._file: BinaryIO = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=1 << 20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, text: str) -> int:
        """What the csv module calls."""
        self.write_bytes(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Appends bytes."""
        self.sha256.update(data)
        self.size += len(data)
        self._file.write(data)


def cell(value: Any) -> str:
    """A value as CSV text: empty for None, plain decimals, ISO dates, no formulas.

    >>> cell("=1+1"), cell(Decimal("-5.00")), cell(None)
    ("'=1+1", '-5.00', '')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.lstrip(_BLANKS).startswith(_FORMULA) and not _is_number(value) else value
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _is_number(text: str) -> bool:
    digits = text[1:].replace(".", "", 1)
    return text[0] == "-" and digits.isascii() and digits.isdigit()


def money(value: Decimal | None, currency: str) -> str:
    """Decimal text at the currency's scale; with all decimals where there are more, so that nothing is rounded away."""
    if value is None:
        return ""
    scaled = value.quantize(Decimal(1).scaleb(-exponent(currency)))
    return f"{scaled if scaled == value else value.normalize():f}"
