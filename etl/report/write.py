"""Report files of one run, complete or not there at all: HTML, XLSX and JSON, readable by their owner only."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine

from etl.files import on_disk
from etl.report.figures import build_figures
from etl.report.html import render_html
from etl.report.json import render_json
from etl.report.words import Language
from etl.report.xlsx import render_xlsx


class RunLedger(Protocol):
    """What the report needs of the run ledger: its database."""

    @property
    def engine(self) -> Engine:
        """Engine of the ledger database."""


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Where the three forms of one report lie."""

    html: Path
    xlsx: Path
    json: Path


def write_report(ledger: RunLedger, erp_engine: Engine, *, run_id: str, folder: Path, language: Language = "zh") -> ReportFiles:
    """Files ``<folder>/<run_id>/run-report.{html,xlsx,json}`` and a copy of the page at ``<folder>/latest.html``.

    Each is written beside its place and renamed, so that a reader never sees half of one; mode 0600.

    Raises:
        ConfigError: the ledger does not know the run; StorageUnavailable: the folder takes no file.
    """
    figures = build_figures(ledger.engine, erp_engine, run_id)
    page = render_html(figures, language=language).encode()
    home = folder / run_id
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = ReportFiles(home / "run-report.html", home / "run-report.xlsx", home / "run-report.json")
    _write(files.json, render_json(figures))
    _write(files.xlsx, render_xlsx(figures, language=language))
    _write(files.html, page)
    _write(folder / "latest.html", page)
    return files


def _write(path: Path, content: bytes) -> None:
    with on_disk(path):
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
