"""The run ledger: every run's start and end, and everything it counted, totalled, refused, found and read.

Writers repeat safely: what a retried task records replaces what its first attempt recorded. The ledger is
history only; no posting is ever decided by it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, delete, select, update
from sqlalchemy.engine import make_url

from etl.codes import RUN_LOST, code_of, told
from etl.errors import ConfigError
from etl.masking import mask_text
from etl.redaction import redact
from etl.store import ledger_schema as tables
from etl.store.ledger_engine import failures_named, ledger_engine
from etl.store.ledger_rows import BATCH, Row, Rows, aged, records, stored
from etl.store.migrations import migrate

Kind: TypeAlias = Literal["nightly", "incremental", "full", "replay", "reconcile", "reference"]
POSTING_KINDS: tuple[Kind, ...] = ("nightly", "incremental", "full", "replay")
Verdict: TypeAlias = Literal["green", "amber", "red"]


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the ledger's ``run`` table; instants are aware UTC."""

    run_id: str
    kind: str
    started_at: datetime
    finished_at: datetime | None
    started_by: str
    status: str
    verdict: str | None
    cause_code: str | None
    cause_text: str | None
    business_date: date
    interval_from: datetime | None
    interval_to: datetime | None
    mapping_sha256: str
    expectations_sha256: str
    package_version: str
    source_host: str
    previous_run_id: str | None
    peak_rss_mb: int | None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """Writes and reads run history; one instance per process, closed at its end."""

    def __init__(self, engine: Engine, *, now: Callable[[], datetime] = _utc_now) -> None:
        self.engine = engine
        self._now = now

    @classmethod
    def open(cls, url: str, *, now: Callable[[], datetime] = _utc_now) -> Ledger:
        """The ledger at a SQLAlchemy address, created and migrated as needed; SQLite files get mode 0600.

        Raises:
            SchemaOutdated: a newer program wrote it.
            SinkUnavailable: the database cannot be reached.
        """
        engine = ledger_engine(make_url(url))
        with failures_named(engine, "open"):
            migrate(engine)
        return cls(engine, now=now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def start_run(
        self,
        *,
        kind: Kind,
        started_by: str,
        business_date: date,
        mapping_sha256: str,
        package_version: str,
        source_host: str,
        expectations_sha256: str = "",
        interval_from: datetime | None = None,
        interval_to: datetime | None = None,
    ) -> str:
        """Id of a new running run, ``YYYYMMDDTHHMMSSmmm-xxxx`` in UTC; the last finished one of its kind precedes it."""
        started_at = self._now()
        stamp = f"{started_at.astimezone(UTC):%Y%m%dT%H%M%S}{started_at.microsecond // 1000:03d}"
        run_id = f"{stamp}-{secrets.token_hex(2)}"
        previous = self.previous_run(kind)
        values = {
            "run_id": run_id,
            "kind": kind,
            "started_at": started_at,
            "started_by": started_by,
            "status": "running",
            "business_date": business_date,
            "interval_from": interval_from,
            "interval_to": interval_to,
            "mapping_sha256": mapping_sha256,
            "expectations_sha256": expectations_sha256,
            "package_version": package_version,
            "source_host": source_host,
            "previous_run_id": previous.run_id if previous else None,
        }
        with self._writing("start_run") as connection:
            connection.execute(tables.run.insert(), values)
        return run_id

    def finish_run(
        self,
        run_id: str,
        verdict: Verdict,
        *,
        cause_code: str | None = None,
        cause_text: str | None = None,
        peak_rss_mb: int | None = None,
    ) -> None:
        """Close a run with its verdict; a red or amber one names its cause. A stopped run may finish after a retry.

        Raises:
            ConfigError: no such run.
        """
        self._close_run(run_id, "finished", verdict, cause_code, cause_text, peak_rss_mb)

    def stop_run(self, run_id: str, error: BaseException, *, peak_rss_mb: int | None = None) -> None:
        """Close a run that an exception ended: status ``stopped``, verdict red, the cause redacted and masked.

        Raises:
            ConfigError: no such run.
        """
        self._close_run(run_id, "stopped", "red", code_of(error), told(error), peak_rss_mb)

    def name_lost_runs(self, run_id: str) -> int:
        """How many older runs of a posting kind never told their end (killed, power cut); they are stopped now, and say so.

        Called by a run that ended well: its posting keeps every older run from posting. One that lives after all writes its own end.
        """
        table = tables.run
        this = self.run(run_id)
        if this.kind not in POSTING_KINDS:
            return 0
        older = table.c.status == "running", table.c.started_at < this.started_at, table.c.kind.in_(POSTING_KINDS)
        cause = f"its process ended without a word; run {run_id} began later and ended well, so nothing of this one is still under way"
        values = {"status": "stopped", "verdict": "red", "finished_at": self._now(), "cause_code": RUN_LOST, "cause_text": cause}
        with self._writing("name_lost_runs") as connection:
            return int(connection.execute(update(table).where(*older).values(values)).rowcount)

    def is_over(self, run_id: str, *, seen_by: str) -> bool:
        """Whether a run does nothing any more, as the run ``seen_by`` may conclude: the same starter began it earlier, or nobody knows it.

        A starter is the command line, whose processes hold what they work on, or one DAG, which runs once at a time.
        """
        table = tables.run
        with self._reading() as connection:
            rows = {row.run_id: row for row in connection.execute(select(table).where(table.c.run_id.in_([run_id, seen_by])))}
        that, this = rows.get(run_id), rows[seen_by]
        return that is None or (that.started_at < this.started_at and _starter(that.started_by) == _starter(this.started_by))

    def record_step(
        self,
        run_id: str,
        step: str,
        *,
        attempt: int = 1,
        started_at: datetime,
        seconds: float,
        cpu_seconds: float,
        rows_in: int = 0,
        rows_out: int = 0,
        rejected: int = 0,
        held: int = 0,
    ) -> None:
        """Store one attempt of one step; the same attempt again replaces the first record."""
        row = {
            "step": step,
            "attempt": attempt,
            "started_at": started_at,
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "rows_in": rows_in,
            "rows_out": rows_out,
            "rejected": rejected,
            "held": held,
        }
        table = tables.run_step
        self._replace(table, run_id, (row,), and_(table.c.step == step, table.c.attempt == attempt))

    def record_counts(self, run_id: str, counts: Mapping[tuple[str, str], int]) -> None:
        """Store counts keyed by (form_type, measure); measures given again are replaced, others stay."""
        table = tables.run_count
        rows = [{"form_type": form, "measure": measure, "value": value} for (form, measure), value in counts.items()]
        measures = sorted({measure for _, measure in counts})
        self._replace(table, run_id, rows, table.c.measure.in_(measures))

    def add_totals(self, run_id: str, rows: Rows) -> None:
        """Store the tie-out per entry kind, company and currency (columns of ``run_total``; Decimal or text amounts)."""
        self._replace(tables.run_total, run_id, records(rows))

    def add_account_totals(self, run_id: str, rows: Rows) -> None:
        """Store the tie-out per account (columns of ``run_account_total``)."""
        self._replace(tables.run_account_total, run_id, records(rows))

    def add_rejects(
        self,
        run_id: str,
        rejects: Rows,
        *,
        business_date: date,
        first_seen: Mapping[tuple[str, str], date] | None = None,
        steps: Sequence[str] | None = None,
    ) -> None:
        """Store what was not posted (columns of ``etl.frames.REJECTS``), masked and aged.

        Args:
            run_id: the run.
            rejects: a frame, several frames, or mappings.
            business_date: the day ages are counted to.
            first_seen: day each (claim_id, entry_kind) was first refused; absent = business_date.
            steps: replace only what these steps had recorded; absent = everything of the run.
        """
        table = tables.run_reject
        where = None if steps is None else table.c.step.in_(list(steps))
        self._replace(table, run_id, aged(records(rejects), first_seen or {}, business_date), where)

    def add_findings(self, run_id: str, findings: Rows, *, step: str) -> None:
        """Store one step's remarks (columns of ``etl.frames.FINDINGS``)."""
        table = tables.run_finding
        self._replace(table, run_id, records(findings), table.c.step == step, step=step)

    def add_budget(self, run_id: str, rows: Rows) -> None:
        """Store the budget nodes this run touched (columns of ``run_budget``)."""
        self._replace(tables.run_budget, run_id, records(rows))

    def add_validation(self, run_id: str, rows: Rows) -> None:
        """Store every rule's result (columns of ``run_validation``)."""
        self._replace(tables.run_validation, run_id, records(rows))

    def add_pages(self, run_id: str, rows: Rows) -> None:
        """Store the raw pages read (columns of ``run_page``; the url without token)."""
        self._replace(tables.run_page, run_id, records(rows))

    def run(self, run_id: str) -> Run:
        """One run.

        Raises:
            ConfigError: no such run.
        """
        with self._reading() as connection:
            row = connection.execute(select(tables.run).where(tables.run.c.run_id == run_id)).mappings().first()
        if row is None:
            raise ConfigError(f"expected a run id of this ledger, found {run_id!r}; the folders of HESI_ERP_HOME/reports are named by run id")
        return Run(**row)

    def previous_run(self, kind: Kind | None = None) -> Run | None:
        """The newest finished run, of one kind or of any; None before the first."""
        found = self._runs(1, tables.run.c.status == "finished", *([tables.run.c.kind == kind] if kind else []))
        return found[0] if found else None

    def recent_runs(self, limit: int = 30) -> list[Run]:
        """The newest runs of every kind and status, newest first."""
        return self._runs(limit)

    def rows(self, table: Table, run_id: str) -> list[dict[str, Any]]:
        """Every row one table holds for a run, in key order (e.g. ``ledger_schema.run_page`` for a replay)."""
        statement = select(table).where(table.c.run_id == run_id).order_by(*table.primary_key.columns)
        with self._reading() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]

    def _runs(self, limit: int, *where: ColumnElement[bool]) -> list[Run]:
        newest_first = tables.run.c.started_at.desc(), tables.run.c.run_id.desc()
        statement = select(tables.run).where(*where).order_by(*newest_first).limit(limit)
        with self._reading() as connection:
            return [Run(**row) for row in connection.execute(statement).mappings()]

    def _close_run(self, run_id: str, status: str, verdict: Verdict, code: str | None, text: str | None, peak_rss_mb: int | None) -> None:
        values = {
            "status": status,
            "verdict": verdict,
            "finished_at": self._now(),
            "cause_code": code,
            "cause_text": None if text is None else mask_text(redact(text)),
            "peak_rss_mb": peak_rss_mb,
        }
        with self._writing("close_run") as connection:
            done = connection.execute(update(tables.run).where(tables.run.c.run_id == run_id).values(values))
        if done.rowcount != 1:
            raise ConfigError(f"expected a run id of this ledger, found {run_id!r}; the run was never started here")

    def _replace(self, table: Table, run_id: str, rows: Iterable[Row], where: ColumnElement[bool] | None = None, **fixed: object) -> None:
        mine = table.c.run_id == run_id if where is None else and_(table.c.run_id == run_id, where)
        with self._writing(table.name) as connection:
            connection.execute(delete(table).where(mine))
            for batch in _batches(stored(table, rows, run_id=run_id, **fixed)):
                connection.execute(table.insert(), batch)

    @contextmanager
    def _writing(self, what: str) -> Iterator[Connection]:
        with failures_named(self.engine, what), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with failures_named(self.engine, "read"), self.engine.connect() as connection:
            yield connection


def _starter(started_by: str) -> list[str]:
    """``cli``, or ``airflow`` and the DAG without its run."""
    return started_by.split(":")[:2]


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
