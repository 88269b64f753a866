"""One case's world: a small tenant, an ERP database, a home, and runs in processes of their own."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults import oracle
from faults.databases import DSN_PASSWORD, Erp, PostgresErp, Templates, dump
from faults.runner import Ended, LiveRun, Order, RigError, Runner
from sandbox.testing import Sandbox

PROJECT = Path(__file__).resolve().parents[1]
STEP_MS = 600_000  # between two runs
RECOVERIES = 3


@dataclass
class World:
    """Everything a case can break."""

    folder: Path
    hesi: Sandbox
    erp: Erp
    runner: Runner
    seed: int
    settings: dict[str, str]
    ends: list[Ended] = field(default_factory=list)
    closed: set[tuple[str, int, int]] = field(default_factory=set)
    disturbed: bool = False
    # Hesi speaks plain HTTP on this machine: reading the machine's trust store in every run proves nothing.
    environment: dict[str, str] = field(default_factory=lambda: {"SSL_CERT_FILE": os.devnull})

    @property
    def home(self) -> Path:
        """HESI_ERP_HOME."""
        return self.folder / "home"

    @property
    def postgres(self) -> PostgresErp:
        """The database of a case that asked for PostgreSQL."""
        if not isinstance(self.erp, PostgresErp):
            raise RigError("this case needs PostgreSQL")
        return self.erp

    def start(self, *, full: bool = False, skew_ms: int = 0, task: str = "run", **settings: str) -> LiveRun:
        """A new run, ten minutes after the one before, paused before it begins."""
        self.hesi.clock.advance(STEP_MS)
        now, output = self.hesi.clock.now(), self.folder / f"output-{self.hesi.clock.now()}.txt"
        return self.runner.start(Order({**self.settings, **settings}, now + skew_ms, output, full=full, task=task, environment=self.environment))

    def run(self, *, full: bool = False, skew_ms: int = 0, **settings: str) -> Ended:
        """A run from beginning to end."""
        return self.note(self.start(full=full, skew_ms=skew_ms, **settings).end())

    def note(self, ended: Ended) -> Ended:
        """Remembers how a run ended."""
        self.ends.append(ended)
        return ended

    def own(self, name: str) -> Path:
        """This world's own copy of ``mappings`` or ``expectations``, to be spoilt."""
        target = self.folder / name
        if not target.exists():
            shutil.copytree(PROJECT / name, target)
        self.settings[f"HESI_ERP_{name.upper()}"] = str(target)
        return target

    def restore(self, name: str) -> None:
        """Takes the copy back to what the project ships."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        shutil.copytree(PROJECT / name, self.folder / name)

    def count(self, query: str) -> int:
        """One number of the ERP database."""
        return int(self.erp.rows(query)[0][0])

    @property
    def vouchers(self) -> int:
        """Posted so far."""
        return self.count("SELECT count(*) FROM voucher")

    def evidence(self) -> oracle.Evidence:
        """What the oracle looks at, as it is now."""
        tenant = self.hesi.tenant
        flows: list[dict[str, Any]] = []
        for head in tenant.store.heads:
            indexed = {"id": head.id, "formType": head.form_type, "state": head.state, "active": head.active, "updateTime": head.updated, "form": {}}
            try:
                flow: Any = tenant.store.flow(head.seq)
            except ValueError:  # its bytes are no JSON: the index still knows what it is
                flow = indexed
            flows.append(flow if isinstance(flow, dict) and "id" in flow else indexed)
        tokens = {request.query["accessToken"] for request in self.hesi.requests if request.query.get("accessToken")}
        secrets = {self.hesi.app_security, DSN_PASSWORD, self.settings["HESI_ERP_SIGNING_KEY"], *tokens}
        return oracle.Evidence(self.erp, flows, self.home, sorted(self.folder.glob("output-*.txt")), secrets, self.closed)

    def recover(self) -> None:
        """Runs without any fault until one ends well and changes nothing; after a good run the next one has to (I9)."""
        good = bool(self.ends) and self.ends[-1].well and not self.disturbed
        before = dump(self.erp, oracle.TABLES)
        for _ in range(RECOVERIES + 1):
            ended = self.run()
            after = dump(self.erp, oracle.TABLES)
            if ended.well and before == after:
                return
            assert not good or ended.well, f"the run after the recovery ended with {ended.told}: {ended.message}"
            assert not good, f"I9 a run with nothing new changed rows: {sorted({*before} ^ {*after})[:6]}"
            good, before = ended.well, after
        raise AssertionError(f"no recovery: {[f'{end.told} {end.message}' for end in self.ends]}")

    def _unfinished(self) -> list[str]:
        """No run of the past is still called running."""
        with closing(sqlite3.connect(self.home / "ledger.db")) as connection:
            rows = connection.execute("SELECT run_id FROM run WHERE status = 'running'").fetchall()
        return [f"run {run_id} is still called running" for (run_id,) in rows]

    def check(self) -> None:
        """Asks the oracle.

        Raises:
            AssertionError: names what is wrong.
        """
        found = oracle.problems(self.evidence()) + self._unfinished()
        assert not found, "; ".join(found[:8])


@contextmanager
def world(templates: Templates, *, folder: Path, database: str, seed: int, claims: int = 200) -> Iterator[World]:
    """A world that ends with the block; enter it in a process without threads."""
    runner = Runner()
    with ExitStack() as stack:
        stack.callback(runner.close)
        erp = stack.enter_context(templates.erp(database, folder=folder))
        templates.ledger(folder / "home")
        secret = f"canary-app-security-{seed}-7d0e"
        hesi = stack.enter_context(Sandbox(claims=claims, seed=seed, app_security=secret))
        settings = {
            "HESI_BASE_URL": hesi.base_url, "HESI_APP_KEY": hesi.app_key, "HESI_APP_SECURITY": secret, "HESI_REQUESTS_PER_SECOND": "0",
            "HESI_ERP_HOME": str(folder / "home"), "ERP_URL": erp.url, "HESI_ERP_ANCHOR_DIR": str(folder / "anchors"),
            "HESI_ERP_SIGNING_KEY": hashlib.sha256(f"signing key {seed}".encode()).hexdigest(),
        }  # fmt: skip
        yield World(folder, hesi, erp, runner, seed, settings)
