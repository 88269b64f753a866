"""One run: its identity, its folders and its connections, the same for the command line and for Airflow tasks."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar
from urllib.parse import urlsplit

import msgspec
from sqlalchemy.engine import Connection, Engine

from etl import __version__
from etl.audit.log import AuditLog
from etl.config.load import load_mappings
from etl.config.mapping import Mappings
from etl.config.settings import Settings, split_keys
from etl.config.suites import Suites, load_suites
from etl.erp.database import DatabaseSink
from etl.erp.engine import open_engine, reading
from etl.errors import ConfigError, EtlError, RulesChanged, ValidatorFailed
from etl.files import on_disk
from etl.hesi.client import HesiClient
from etl.periods import local_day
from etl.pipeline.audit import open_log, record_start
from etl.pipeline.memory import fresh_memory
from etl.store.ledger import Kind, Ledger
from etl.store.raw import RawStore
from etl.store.work import WorkFolder, remove_left_behind

log = logging.getLogger("etl")
P = ParamSpec("P")
T = TypeVar("T")
Rules = TypeVar("Rules", Mappings, Suites)


class Identity(msgspec.Struct, frozen=True):
    """What every task of a run must agree on."""

    run_id: str
    kind: str
    full: bool
    run_day: date
    cutoff_ms: int
    mapping_sha256: str
    suites_sha256: str
    revise: bool = True  # reverse and restate posted accruals whose claim changed; False = propose only
    suspense: tuple[str, ...] = ()  # claims whose payments finance accepted to the suspense account


@dataclass
class StepFacts:
    """What a step counted, for the ledger and the log line."""

    rows_in: int = 0
    rows_out: int = 0
    rejected: int = 0
    held: int = 0


@dataclass
class Run:
    """A run in one process; connections are opened when first used and closed by :meth:`close`."""

    settings: Settings
    identity: Identity
    attempt: int = 1
    _open: list[object] = field(default_factory=list)

    @property
    def run_id(self) -> str:
        """Identifier of the run in ledger, folders and log lines."""
        return self.identity.run_id

    @property
    def home(self) -> Path:
        """``HESI_ERP_HOME``."""
        return self.settings.home

    @cached_property
    def raw(self) -> RawStore:
        """Raw pages."""
        return RawStore(self.home, keys=split_keys(self.settings.raw_keys))

    @cached_property
    def work(self) -> WorkFolder:
        """Hand-over files of this run."""
        return WorkFolder(self.home, self.run_id)

    @cached_property
    def ledger(self) -> Ledger:
        """Run history."""
        ledger = Ledger.open(self.settings.ledger_url.get_secret_value())
        self._open.append(ledger)
        return ledger

    @cached_property
    def audit(self) -> AuditLog:
        """The audit log of this home."""
        return open_log(self.settings)

    @cached_property
    def erp_engine(self) -> Engine:
        """Connections to the ERP database, opened when first used."""
        return open_engine(self.settings.erp_url.get_secret_value())

    @cached_property
    def sink(self) -> DatabaseSink:
        """The ERP database, migrated."""
        sink = DatabaseSink(self.erp_engine)
        sink.prepare()
        self._open.append(sink)
        return sink

    def read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer of one query on the ERP database."""
        with reading(self.sink.engine) as connection:
            return query(connection, *args, **kwargs)

    @cached_property
    def client(self) -> HesiClient:
        """The Hesi session of this process."""
        client = open_client(self.settings)
        self._open.append(client)
        return client

    @cached_property
    def mappings(self) -> Mappings:
        """The mappings the run was started with.

        Raises:
            RulesChanged: a file changed since; a run never mixes two versions of its rules.
        """
        return self._unchanged(load_mappings, self.settings.mappings, self.identity.mapping_sha256)

    @cached_property
    def suites(self) -> Suites:
        """The expectation suites the run was started with; raises as :attr:`mappings`."""
        return self._unchanged(load_suites, self.settings.expectations, self.identity.suites_sha256)

    def _unchanged(self, load: Callable[[Path], Rules], folder: Path, version: str) -> Rules:
        """The rules of a folder, proved to be the version the run was started with, whichever process asks."""
        told = f"{folder}: expected version {version[:12]}, which run {self.run_id} began with, found"
        try:
            rules = load(folder)
        except (ConfigError, ValidatorFailed) as error:  # they were right when the run began
            raise RulesChanged(f"{told} another that is wrong; repair it and start a new run. {error}") from None
        if rules.sha256 != version:
            raise RulesChanged(f"{told} {rules.sha256[:12]}; start a new run")
        return rules

    @contextmanager
    def step(self, name: str) -> Iterator[StepFacts]:
        """Times a step, records it in the ledger and logs its one line."""
        started, wall, cpu = datetime.now(UTC), time.perf_counter(), time.process_time()
        facts = StepFacts()
        log.info("step_started run_id=%s step=%s", self.run_id, name)
        with fresh_memory():
            yield facts
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
        self.ledger.record_step(
            self.run_id,
            name,
            attempt=self.attempt,
            started_at=started,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            rows_in=facts.rows_in,
            rows_out=facts.rows_out,
            rejected=facts.rejected,
            held=facts.held,
        )
        log.info(
            "step_finished run_id=%s step=%s rows_in=%d rows_out=%d rejected=%d held=%d seconds=%.2f",
            self.run_id,
            name,
            facts.rows_in,
            facts.rows_out,
            facts.rejected,
            facts.held,
            seconds,
        )

    def close(self) -> None:
        """Closes what was opened, newest first."""
        while self._open:
            self._open.pop().close()  # type: ignore[attr-defined]
        if "erp_engine" in self.__dict__:
            self.erp_engine.dispose()


def open_client(settings: Settings) -> HesiClient:
    """A client for the configured tenant.

    Raises:
        ConfigError: key or secret is missing.
    """
    settings.require("app_key", "app_security")
    return HesiClient(
        settings.base_url,
        settings.app_key.get_secret_value(),
        settings.app_security.get_secret_value(),
        allowed_hosts=settings.allowed_hosts,
        requests_per_second=settings.requests_per_second,
        max_retry_after_seconds=settings.max_retry_after_seconds,
    )


def begin(
    settings: Settings,
    *,
    kind: Kind,
    started_by: str,
    full: bool = False,
    now: datetime | None = None,
    accept_revisions: bool = False,
    suspense: Iterable[str] = (),
) -> Run:
    """A new run: settings, mappings and suites are proved before anything is read.

    ``accept_revisions`` takes changes of posted claims also where they are only proposed; payments of the claims ``suspense``
    names are posted before their accrual.

    Raises:
        ConfigError: lists everything wrong with settings, mappings or suites.
        StorageUnavailable: the home takes no file.
    """
    with on_disk(settings.home):
        revise = settings.reversals == "auto" or accept_revisions
        return _begin(settings, kind, started_by, full=full, moment=now or datetime.now(UTC), revise=revise, suspense=tuple(suspense))


def _begin(settings: Settings, kind: Kind, started_by: str, *, full: bool, moment: datetime, revise: bool, suspense: tuple[str, ...]) -> Run:
    settings.require("erp_url", *(() if kind == "reconcile" else ("app_key", "app_security")))
    open_engine(settings.erp_url.get_secret_value()).dispose()  # an unsupported database is a wrong setting, found before anything starts
    mappings, suites = load_mappings(settings.mappings), load_suites(settings.expectations)
    now_ms = int(moment.timestamp() * 1000)
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("raw", "reports", "logs", "quarantine", "work", "audit"):
        (settings.home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    ledger = Ledger.open(settings.ledger_url.get_secret_value())
    run_id = ledger.start_run(
        kind=kind,
        started_by=started_by,
        business_date=local_day(now_ms),
        mapping_sha256=mappings.sha256,
        expectations_sha256=suites.sha256,
        package_version=__version__,
        source_host=urlsplit(settings.base_url).hostname or "",
        interval_to=moment - timedelta(seconds=settings.lag_seconds),
    )
    identity = Identity(
        run_id,
        kind,
        full,
        local_day(now_ms),
        now_ms - settings.lag_seconds * 1000,
        mappings.sha256,
        suites.sha256,
        revise,
        suspense,
    )
    run = Run(settings, identity)
    run.__dict__["ledger"] = ledger
    run._open.append(ledger)
    try:
        with on_disk(settings.home):
            run._open.append(run.work.hold())
            run.work.write_value("run", identity)
            removed = remove_left_behind(settings.home, partial(ledger.is_over, seen_by=run_id))
            if removed:
                log.info("work_removed run_id=%s folders=%d; earlier runs that were killed or stopped had left them", run_id, removed)
            record_start(run, mappings, suites)
    except EtlError as error:
        ledger.stop_run(run_id, error)
        run.close()
        raise
    return run


def resume(settings: Settings, run_id: str, *, attempt: int = 1) -> Run:
    """The run another task began, in this process.

    Raises:
        ConfigError: the run is not known here.
    """
    work = WorkFolder(settings.home, run_id)
    identity = work.read_value("run", Identity)
    return Run(settings, identity, attempt, [work.hold()])


def stored_now() -> datetime:
    """This moment as the ERP database stores it: UTC without zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def peak_rss_mb() -> int:
    """Largest resident memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


Mode = Literal["nightly", "incremental", "full", "replay"]
