"""What a pack is about: one company's vouchers of one month, the runs behind them, and the log entries of these runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from etl.audit.canonical import Entry
from etl.audit.configuration import ConfigurationStore
from etl.audit.log import AuditLog
from etl.erp import schema
from etl.erp.engine import reading
from etl.periods import FiscalPeriod
from etl.store import ledger_schema as ledger_tables
from etl.store.raw import RawStore

Row = dict[str, Any]
_PAGE = 5_000
# Entries that carry claims of one company; all others are about runs and rules and shown to everybody.
COMPANY_KINDS = frozenset({"decisions", "posted", "payment_accepted"})
_SMALL = frozenset({"run_started", "run_ended", "configuration", "gap", "gap_acknowledged", "repair", "log_opened", "posting_abandoned", "payment_accepted"})


@dataclass
class Scope:
    """One company and month, and where everything about it is found.

    ``parties`` are the dimension types that name a counterparty; ``runs`` the ledger's rows of every run that posted into the
    month or ran in it, oldest first; ``batches`` the posting batches of its vouchers; ``events`` the log's entries about runs and
    rules from its beginning.
    """

    company: str
    period: FiscalPeriod
    erp: Engine
    ledger: Engine
    home: Path
    log: AuditLog
    raw: RawStore
    parties: Sequence[str] = ("employee", "supplier")
    batches: list[Row] = field(default_factory=list)
    runs: list[Row] = field(default_factory=list)
    events: list[Entry] = field(default_factory=list)

    @property
    def configurations(self) -> ConfigurationStore:
        """Contents of every version of the rules."""
        return ConfigurationStore(self.home)

    @property
    def of_period(self) -> sa.ColumnElement[bool]:
        """Vouchers of the company and month."""
        table = schema.voucher
        return sa.and_(table.c.company_code == self.company, table.c.fiscal_year == self.period.year, table.c.fiscal_period == self.period.month)

    @property
    def run_ids(self) -> list[str]:
        """Ids of the runs, oldest first."""
        return [row["run_id"] for row in self.runs]

    def erp_rows(self, query: sa.Select[Any]) -> Iterator[Row]:
        """Rows of the ERP database, a few thousand at a time."""
        with reading(self.erp) as connection:
            yield from _stream(connection, query)

    def ledger_rows(self, table: sa.Table, *, order: Sequence[str]) -> Iterator[Row]:
        """Rows a ledger table holds of the runs, in the order of the runs."""
        for run_id in self.run_ids:
            query = sa.select(table).where(table.c.run_id == run_id).order_by(*(table.c[name] for name in order))
            with self.ledger.connect() as connection:
                yield from _stream(connection, query)


def open_scope(scope: Scope) -> Scope:
    """The scope itself, with its batches, runs and events read."""
    period = scope.period
    batch, voucher = schema.posting_batch, schema.voucher
    mine = sa.select(voucher.c.batch_id).where(scope.of_period).distinct()
    scope.batches = list(scope.erp_rows(sa.select(batch).where(batch.c.batch_id.in_(mine)).order_by(batch.c.created_at, batch.c.batch_id)))
    run = ledger_tables.run
    wanted = {row["run_id"] for row in scope.batches}
    with scope.ledger.connect() as connection:
        rows = [dict(row) for row in connection.execute(sa.select(run).order_by(run.c.started_at, run.c.run_id)).mappings()]
    inside = (period.first_day, period.last_day)
    scope.runs = [row for row in rows if row["run_id"] in wanted or inside[0] <= row["business_date"] <= inside[1]]
    scope.events = [entry for entry in scope.log.entries() if entry.kind in _SMALL]
    return scope


def companies_of(erp: Engine, period: FiscalPeriod) -> list[str]:
    """Companies that have vouchers in a month, or claims whose event lies in it."""
    voucher, state = schema.voucher, schema.claim_state
    posted = sa.select(voucher.c.company_code).where(voucher.c.fiscal_year == period.year, voucher.c.fiscal_period == period.month)
    seen = sa.select(state.c.company_code).where(state.c.event_date.between(period.first_day, period.last_day))
    with reading(erp) as connection:
        return sorted({row[0] for query in (posted, seen) for row in connection.execute(query.distinct()) if row[0]})


def _stream(connection: Connection, query: sa.Select[Any]) -> Iterator[Row]:
    with connection.execution_options(yield_per=_PAGE).execute(query) as result:
        for row in result.mappings():
            yield dict(row)
