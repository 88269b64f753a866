"""Where a command's log lines go: a private file per day under ``HESI_ERP_HOME/logs``, and standard error."""

from __future__ import annotations

import logging
import os
import sys
import time
from io import TextIOWrapper
from pathlib import Path

from etl.periods import local_day
from etl.redaction import RedactingFilter, quiet_http_loggers

_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class PrivateFileHandler(logging.FileHandler):
    """A log file only its owner can read; made when the first line is written, so that a question leaves no folder behind."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace", delay=True)

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(handle, "a", encoding=self.encoding, errors=self.errors)


def log_file(home: Path) -> Path:
    """The log file of today's accounting day."""
    return home / "logs" / f"{local_day(time.time_ns() // 1_000_000).isoformat()}.log"


def start_logging(home: Path, *, verbose: bool) -> list[logging.Handler]:
    """Handlers now on the root logger, every line redacted; :func:`stop_logging` takes them off again.

    The file gets INFO and above, standard error warnings, or as much as the file when ``verbose``.
    """
    file, console = PrivateFileHandler(log_file(home)), logging.StreamHandler(sys.stderr)
    console.setLevel(logging.INFO if verbose else logging.WARNING)
    file.setLevel(logging.INFO)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    handlers: list[logging.Handler] = [file, console]
    for handler in handlers:
        handler.setFormatter(logging.Formatter(_FORMAT))
        handler.addFilter(RedactingFilter())
        root.addHandler(handler)
    quiet_http_loggers()
    # Alembic tells at INFO which dialect it guessed, at every start.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return handlers


def stop_logging(handlers: list[logging.Handler]) -> None:
    """Takes the handlers off the root logger and closes their files."""
    for handler in handlers:
        logging.getLogger().removeHandler(handler)
        handler.close()
