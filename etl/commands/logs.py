"""Where a command's log lines go: a private file per day under ``HESI_ERP_HOME/logs``, and standard error."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from etl.periods import local_day
from etl.redaction import RedactingFilter

_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class PrivateFileHandler(logging.FileHandler):
    """A log file only its owner can read; made when the first line is written, so that a question leaves no folder behind."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace", delay=True)

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        for folder in (path.parent.parent, path.parent):  # mkdir gives its mode to the last folder only
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(handle, "a", encoding=self.encoding, errors=self.errors)


def log_file(home: Path) -> Path:
    """The log file of today's accounting day."""
    return home / "logs" / f"{local_day(time.time_ns() // 1_000_000).isoformat()}.log"


@contextmanager
def logging_to(home: Path, *, verbose: bool) -> Iterator[logging.Handler]:
    """Our lines go to today's file, every one redacted, and to standard error: warnings, or everything when ``verbose``.

    Libraries are heard from WARNING on. Everything is as before when the block ends. Gives the file's handler.
    """
    root, ours = logging.getLogger(), logging.getLogger("etl")
    levels = root.level, ours.level
    file, console = PrivateFileHandler(log_file(home)), logging.StreamHandler(sys.stderr)
    console.setLevel(logging.INFO if verbose else logging.WARNING)
    for handler in (file, console):
        handler.setFormatter(logging.Formatter(_FORMAT))
        handler.addFilter(_worth_keeping)  # not by level: Great Expectations sets its own loggers to INFO
        handler.addFilter(RedactingFilter())
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    ours.setLevel(logging.INFO)
    try:
        yield file
    finally:
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
        for handler in (file, console):
            root.removeHandler(handler)
            handler.close()


def _worth_keeping(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] == "etl"
