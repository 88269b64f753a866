"""What was done to the tenant, one JSON line per change, so that a second start continues where the first ended."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import orjson

from sandbox.money import Json


class StateMismatch(Exception):
    """The state directory belongs to a tenant with another seed or size."""


class Journal:
    """An append-only file; without a directory nothing is kept."""

    def __init__(self, directory: Path | None, identity: Json) -> None:
        self._path = directory / "changes.jsonl" if directory else None
        self._identity = identity
        self._file: BinaryIO | None = None

    def replay(self) -> Iterator[Json]:
        """Every change of earlier starts in order; a last line cut off by a crash is dropped."""
        if self._path is None or not self._path.exists():
            return
        lines = self._path.read_bytes().split(b"\n")
        complete = lines[:-1]
        if complete and orjson.loads(complete[0]) != self._identity:
            raise StateMismatch(
                f"{self._path} was written by a tenant {complete[0].decode()}, this one is "
                f"{orjson.dumps(self._identity).decode()}: start with the same values or choose another state directory"
            )
        if lines[-1]:
            os.truncate(self._path, sum(len(line) + 1 for line in complete))
        for line in complete[1:]:
            yield orjson.loads(line)

    def append(self, change: Json) -> None:
        """Keep one change; it is on the operating system's side when this returns."""
        if self._path is None:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not self._path.exists() or self._path.stat().st_size == 0
            self._file = self._path.open("ab")
            if fresh:
                self._file.write(orjson.dumps(self._identity) + b"\n")
        self._file.write(orjson.dumps(change) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
