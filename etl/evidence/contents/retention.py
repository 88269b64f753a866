"""How long each file has to be kept, and which raw pages and reports of a home are past that time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from etl.evidence.tables import PackFiles

_RUN_ID = re.compile(r"(\d{4})(\d{2})(\d{2})T\d{9}-[0-9a-f]{4}")


@dataclass(frozen=True)
class RetentionClass:
    """One class of docs/retention.md; the years count from the end of the accounting year."""

    key: str
    years: int
    zh: str
    en: str


CLASSES: Mapping[str, RetentionClass] = {
    item.key: item
    for item in (
        RetentionClass("A30", 30, "会计凭证、账簿及其证明材料：30 年", "vouchers, books and what proves them: 30 years"),
        RetentionClass("B10", 10, "其他会计资料、运行与核对记录：10 年", "other accounting records, runs and reconciliations: 10 years"),
    )
}
# Raw claims are the source documents behind vouchers; reports are reconciliations.
HOME_CLASSES = {"raw": "A30", "reports": "B10", "quarantine": "B10", "logs": "B10"}
_PACK_CLASSES = {"1-population": "A30", "2-extraction": "A30", "3-rules": "A30", "9-audit-log": "A30"}


@dataclass(frozen=True)
class Expired:
    """One folder or file past its time."""

    retention: str
    kept_until: date
    path: str
    files: int
    bytes: int


def write_retention(pack: PackFiles) -> None:
    """Writes the class of each file of the pack."""
    rows = [[path, CLASSES[class_of(path)].key, CLASSES[class_of(path)].years] for path in sorted(pack.written)]
    pack.table("retention.csv", ["file", "class", "years"], rows)


def class_of(path: str) -> str:
    """Retention class of a file of a pack."""
    return _PACK_CLASSES.get(path.partition("/")[0], "B10")


def expired(home: Path, before: date) -> Iterator[Expired]:
    """Run folders and files of a home whose retention ended before a day, oldest first; nothing is deleted.

    A file's accounting year is that of the run that wrote it: a claim of that run can have been booked no earlier.
    """
    found = [item for room, retention in HOME_CLASSES.items() for item in _old(home, room, CLASSES[retention], before)]
    yield from sorted(found, key=lambda item: (item.kept_until, item.path))


def _old(home: Path, room: str, retention: RetentionClass, before: date) -> Iterator[Expired]:
    folder = home / room
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        written = _day_of(path)
        if written is None:
            continue
        until = date(written.year + retention.years, 12, 31)
        if until < before:
            files = [file for file in (path.rglob("*") if path.is_dir() else (path,)) if file.is_file()]
            yield Expired(retention.key, until, path.relative_to(home).as_posix(), len(files), sum(file.stat().st_size for file in files))


def _day_of(path: Path) -> date | None:
    """Day of a run folder or of a dated log file; None for anything else, which no list may name."""
    match = _RUN_ID.fullmatch(path.name)
    try:
        return date(int(match[1]), int(match[2]), int(match[3])) if match else date.fromisoformat(path.stem)
    except ValueError:
        return None
