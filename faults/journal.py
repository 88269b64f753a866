"""Results of the full run on disk, so that an interrupted one goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

from faults.rig import Result


class Journal:
    """One JSON line per case; the last one of a case counts. Failed cases are carried out again.

    Args:
        path: None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def results(self, wanted: Collection[str]) -> dict[str, Result]:
        """Case -> its last result, for cases that survived and still exist."""
        return {result.case: result for result in self._read() if result.survived and result.case in wanted}

    def add(self, result: Result) -> None:
        """Writes one result down."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")

    def seconds(self, latest: float) -> float:
        """How long all sittings took together; each notes its own time."""
        if self._path is None:
            return latest
        times = self._path.with_suffix(".seconds")
        total = (float(times.read_text(encoding="ascii")) if times.exists() else 0.0) + latest
        times.parent.mkdir(parents=True, exist_ok=True)
        times.write_text(f"{total:.1f}\n", encoding="ascii")
        return total

    def _read(self) -> list[Result]:
        if self._path is None or not self._path.exists():
            return []
        lines = self._path.read_text(encoding="utf-8").split("\n")
        return [Result(**json.loads(line)) for line in lines[:-1]]  # a last line without its end was cut off
