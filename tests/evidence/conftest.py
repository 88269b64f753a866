"""A small tenant with a history: a run that posted, one that stopped, and one under a changed mapping; built once, copied for each change."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from etl.audit.keys import Signer
from etl.cli import main
from etl.config.settings import PROJECT, load_settings
from etl.pipeline.drive import run_once
from sandbox.testing import Sandbox

PRIVATE = bytes(range(1, 33))
PUBLIC = Signer(PRIVATE).public
PERIOD, COMPANY = "2026-10", "C01"
NOW = datetime(2026, 10, 20, 1, 0, tzinfo=UTC)
MONTH_BEFORE = datetime(2026, 9, 20, 1, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Told:
    """One command."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class History:
    """Everything the runs left, in one folder."""

    folder: Path

    @property
    def home(self) -> Path:
        """HESI_ERP_HOME."""
        return self.folder / "home"

    @property
    def log(self) -> Path:
        """The audit log."""
        return self.home / "audit" / "log.jsonl"

    def environment(self) -> dict[str, str]:
        """Settings of its commands."""
        return {
            "HESI_ERP_HOME": str(self.home),
            "HESI_ERP_MAPPINGS": str(self.folder / "mappings"),
            "HESI_ERP_ANCHOR_DIR": str(self.folder / "anchors"),
            "HESI_ERP_SIGNING_KEY": PRIVATE.hex(),
            "ERP_URL": f"sqlite:///{self.folder / 'erp.db'}",
        }

    def command(self, *arguments: str, **settings: str) -> Told:
        """A command with these settings; an empty one is left out."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            for name, value in {**self.environment(), **settings}.items():
                if value:
                    patch.setitem(os.environ, name, value)
            status = main(arguments)
        return Told(status, out.getvalue(), err.getvalue())

    def pack(self, *arguments: str, company: str = COMPANY, **settings: str) -> bytes:
        """The pack of the month."""
        told = self.command("evidence", "--period", PERIOD, "--company", company, *arguments, **settings)
        assert told.status == 0, told.err
        return (self.home / "evidence" / f"evidence-{PERIOD}-{company}.zip").read_bytes()

    def change(self, sql: str, *parameters: object) -> None:
        """Somebody edits the ERP database by hand."""
        with contextlib.closing(sqlite3.connect(self.folder / "erp.db")) as connection, connection:
            connection.execute(sql, parameters)

    def ask(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of the ERP database."""
        with contextlib.closing(sqlite3.connect(self.folder / "erp.db")) as connection:
            return connection.execute(sql, parameters).fetchall()

    def entries(self) -> list[dict[str, Any]]:
        """Entries of the log, read without any code of ours."""
        return [json.loads(line) for line in self.log.read_bytes().splitlines()]

    def copy(self, target: Path) -> History:
        """The same once more, to be changed."""
        return History(Path(shutil.copytree(self.folder, target / "copy")))


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Posted in October; stopped by a wrong secret; run again under a changed mapping, with nothing new."""
    made = History(tmp_path_factory.mktemp("history"))
    shutil.copytree(PROJECT / "mappings", made.folder / "mappings")
    with Sandbox(claims=150, seed=1) as hesi:
        source = {"HESI_BASE_URL": hesi.base_url, "HESI_APP_KEY": hesi.app_key, "HESI_APP_SECURITY": hesi.app_security, "HESI_REQUESTS_PER_SECOND": "0"}

        def run(now: datetime, **changed: str) -> str:
            return run_once(load_settings(**{**made.environment(), **source, **changed}), now=now).verdict

        assert run(NOW) == "amber"
        assert run(NOW, HESI_APP_SECURITY="wrong-secret") == "red"
        mapping = made.folder / "mappings" / "companies" / "C01.yaml"
        text = mapping.read_text(encoding="utf-8")
        mapping.write_text(f"# The auditor asked for this line.\n{text}", encoding="utf-8")
        assert run(NOW) == "amber"
    yield made
    for path in made.folder.rglob("*"):
        if path.is_file() and not path.stat().st_mode & stat.S_IWUSR:
            path.chmod(0o600)


@pytest.fixture
def own(history: History, tmp_path: Path) -> History:
    """A copy for one test."""
    return history.copy(tmp_path)


@pytest.fixture(scope="session")
def pack(history: History) -> bytes:
    """The pack of the month, signed."""
    return history.pack()
