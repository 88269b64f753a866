"""A small tenant and the command line on it: what a command printed, and what the ERP database holds."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from etl.cli import main
from etl.config.settings import PROJECT
from sandbox.tenant import build
from sandbox.testing import Sandbox

APP_SECURITY = "canary-app-security-9b2e"


@dataclass(frozen=True)
class Told:
    """One command: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)


@dataclass
class World:
    """A tenant, the settings pointing to it, and everything its commands printed so far."""

    folder: Path
    hesi: Sandbox
    told: list[Told] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """HESI_ERP_HOME."""
        return self.folder / "home"

    @property
    def mappings(self) -> Path:
        """This world's own copy of the mappings."""
        return self.folder / "mappings"

    @property
    def erp_file(self) -> Path:
        """The ERP database."""
        return self.folder / "erp.db"

    def settings(self) -> dict[str, str]:
        """The environment of a command."""
        return {
            "HESI_BASE_URL": self.hesi.base_url,
            "HESI_APP_KEY": self.hesi.app_key,
            "HESI_APP_SECURITY": self.hesi.app_security,
            "HESI_REQUESTS_PER_SECOND": "0",
            "HESI_ERP_HOME": str(self.home),
            "HESI_ERP_MAPPINGS": str(self.mappings),
            "ERP_URL": f"sqlite:///{self.erp_file}",
        }

    def command(self, *arguments: str, **settings: str) -> Told:
        """A command in this process, with this world's settings."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            for name, value in {**self.settings(), **settings}.items():
                patch.setitem(os.environ, name, value)
            status = main(arguments)
        self.told.append(Told(status, out.getvalue(), err.getvalue()))
        return self.told[-1]

    def ask(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of the ERP database, read without any code of ours."""
        with contextlib.closing(sqlite3.connect(self.erp_file)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def change(self, sql: str, *parameters: object) -> None:
        """Somebody edits the ERP database by hand."""
        with contextlib.closing(sqlite3.connect(self.erp_file)) as connection, connection:
            connection.execute(sql, parameters)

    def dump(self) -> list[str]:
        """The whole ERP database as text, without the columns a re-run may move."""
        tables = [name for (name,) in self.ask("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        rows = []
        for table in tables:
            columns = [row[1] for row in self.ask(f"PRAGMA table_info({table})") if row[1] not in {"updated_at", "loaded_at"}]
            rows += [f"{table} {row}" for row in sorted(map(repr, self.ask(f"SELECT {', '.join(columns)} FROM {table}")))]  # noqa: S608 - names of our own tables
        return rows


@contextlib.contextmanager
def world(folder: Path, *, claims: int, seed: int = 1, calm: bool = False) -> Iterator[World]:
    """A world that ends with the block."""
    shutil.copytree(PROJECT / "mappings", folder / "mappings")
    with Sandbox(tenant=build(claims, seed, calm=calm), app_security=APP_SECURITY) as hesi:
        yield World(folder, hesi)
