"""One posting transaction: chunk by chunk into the tables, then the proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from etl.erp import arrow, control, lookup, outbox, schema, states
from etl.erp.arrow import Ints
from etl.erp.fitness import refuse_unfit
from etl.erp.numbering import SERIES, Numbering, Series
from etl.erp.port import ControlTotal, LoadReceipt, PostingBatch, PostingChunk
from etl.erp.rows import Selection, select, voucher_tables
from etl.erp.standing import put_down
from etl.erp.statistics import refresh_statistics
from etl.erp.storable import storable
from etl.erp.writer import writer_for
from etl.errors import AnotherRunActive, BatchRefused
from etl.frames import FrameSpec, day_number


class Posting:
    """The state of one batch inside its transaction; the posting lock is held."""

    def __init__(self, connection: Connection, batch: PostingBatch) -> None:
        self._connection = connection
        self._batch = batch
        self._writer = writer_for(connection)
        self._numbering = Numbering(self._last_number)
        self._sent = control.SentTotals()
        self._today = day_number(batch.business_date)
        self._at = batch.created_at.astimezone(UTC).replace(tzinfo=None)
        self._before: tuple[ControlTotal, ...] = ()
        self._begun = self._posted_before()
        self._already_posted = 0
        self._changed = 0

    def take(self, chunk: PostingChunk) -> None:
        """Posts the chunk's ready entries and brings the states of its claims up to date."""
        refuse_unfit(chunk)
        chunk = replace(
            chunk,
            entries=storable(chunk.entries, schema.claim_state),
            rejects=storable(chunk.rejects, schema.claim_reject),
            commitments=storable(chunk.commitments, schema.commitment),
        )
        claim_ids = arrow.distinct(chunk.entries["claim_id"], chunk.rejects["claim_id"])
        chunk = replace(chunk, entries=chunk.entries[chunk.entries["disposition"] != "gone"])
        known = lookup.known_states(self._connection, claim_ids) if claim_ids else states.nothing_known()
        posted = known[known["posted"]]
        ready = chunk.entries[chunk.entries["disposition"] == "ready"]
        revisions = chunk.vouchers[~chunk.vouchers["entry_no"].isin(chunk.entries["entry_no"])]
        undone = revisions.loc[revisions["reverses_revision"] >= 0]
        standing = posted[~states.member(posted, _taken_back(revisions), states.ENTRY)]
        repeated = states.member(ready, standing, states.ENTRY)
        self._already_posted += int(repeated.sum())
        new = ready[~repeated]
        _accruals_come_first(new[~new["claim_id"].isin(self._batch.suspense)], posted)
        self._undo(undone)
        known = outbox.withdrawn(known, undone)
        if len(new) or len(revisions):
            self._post(chunk, new, revisions, queued=known.loc[known["outbox_status"] != "", "claim_id"])
        self._update_states(chunk, known, claim_ids, standing)

    def finish(self) -> LoadReceipt:
        """Watermarks, the batch's counts and the proof of what was written; then the run has nothing in hand any more.

        Raises:
            ControlTotalMismatch: what was read back differs from what was sent.
        """
        self._move_watermarks()
        self._refresh_statistics()
        found, unbalanced = control.read_back(self._connection, self._batch.batch_id) if self._begun else ((), 0)
        control.prove(self._sent, found, before=self._before, unbalanced=unbalanced)
        counts = self._sent.taken
        if self._begun:
            table = schema.posting_batch
            self._connection.execute(
                table.update()
                .where(table.c.batch_id == self._batch.batch_id)
                .values(voucher_count=sum(total.vouchers for total in found), line_count=sum(total.lines for total in found))
            )
        put_down(self._connection, self._batch.run_id, self._batch.fence)
        return LoadReceipt(
            self._batch.batch_id,
            vouchers=sum(total.vouchers for total in found),
            lines=sum(total.lines for total in found),
            dimensions=counts["voucher_line_dimension"],
            sources=counts["voucher_line_source"],
            invoices=counts["voucher_invoice"],
            already_posted=self._already_posted,
            rejects_open=int(self._connection.execute(sa.select(sa.func.count()).select_from(schema.claim_reject)).scalar_one()),
            totals=found,
            numbers=self._numbering.ranges(),
            changed_rows=self._changed,
        )

    def _post(self, chunk: PostingChunk, new: pd.DataFrame, revisions: pd.DataFrame, *, queued: pd.Series) -> None:
        selection = select(chunk, np.concatenate([new["entry_no"].to_numpy(), revisions["entry_no"].to_numpy()]))
        self._begin_batch()
        numbers = self._numbering.assign(selection.vouchers)
        for place, part in selection.slices():
            tables = voucher_tables(part, numbers=numbers[place], batch_id=self._batch.batch_id)
            self._sent.sent(tables, tables["voucher"].column("base_currency").take(pa.array(part.lines.owner)))
            for name, rows in tables.items():
                self._sent.taken[name] += self._writer.insert(schema.metadata.tables[name], rows)
        self._queue_numbers(selection, new, numbers, queued=queued)

    def _undo(self, undone: pd.DataFrame) -> None:
        """A posted voucher becomes REVERSED only here, together with the red voucher that reverses it."""
        table = schema.voucher
        for row in undone.to_dict("records"):
            key = {name: row[name] for name in ("claim_id", "entry_kind", "company_code", "book_code", "part_no")}
            found = [table.c[name] == value for name, value in key.items()]
            done = self._connection.execute(
                table.update()
                .where(*found, table.c.source_system == schema.SOURCE_SYSTEM, table.c.revision == row["reverses_revision"], table.c.status == "POSTED")
                .values(status="REVERSED")
            )
            if done.rowcount != 1:
                raise AnotherRunActive(
                    f"claim {row['claim_code']}: expected revision {row['reverses_revision']} of its {row['entry_kind']} voucher to stand, "
                    "another run reversed it; run again"
                )
            if row["entry_kind"] == "EXPENSE":
                self._connection.execute(outbox.withdraw(row["claim_id"], self._at, run_id=self._batch.run_id))

    def _queue_numbers(self, selection: Selection, new: pd.DataFrame, numbers: Ints, *, queued: pd.Series) -> None:
        """Numbers of new accruals go into the outbox, in the place of a reversed one's (accounting-rules 27)."""
        own = selection.vouchers["entry_no"].isin(new["entry_no"]).to_numpy()
        accruals = selection.vouchers[own & (selection.vouchers["entry_kind"] == "EXPENSE").to_numpy()]
        for claim_id in accruals.loc[(accruals["revision"] > 0) | accruals["claim_id"].isin(queued), "claim_id"]:
            self._connection.execute(outbox.forget(claim_id))
        rows = outbox.outbox_rows(
            selection.vouchers[own].reset_index(drop=True), new, numbers[own], template=self._batch.number_template, created_at=self._batch.created_at
        )
        rows = rows.append_column("run_id", arrow.constant(self._batch.run_id, len(rows)))
        self._changed += self._writer.insert(schema.writeback_outbox, rows)

    def _begin_batch(self) -> None:
        if self._begun:
            return
        batch = self._batch
        self._connection.execute(
            sa.insert(schema.posting_batch).values(
                batch_id=batch.batch_id,
                run_id=batch.run_id,
                mapping_sha256=batch.mapping_sha256,
                expectations_sha256=batch.expectations_sha256,
                package_version=batch.package_version,
                voucher_count=0,
                line_count=0,
                created_at=self._at,
                audit_seq=batch.audit_seq,
                audit_head=batch.audit_head,
            )
        )
        self._begun = True

    def _posted_before(self) -> bool:
        """Whether an earlier try of this very batch was committed; its vouchers belong to the receipt again."""
        table = schema.posting_batch
        query = sa.select(sa.func.count()).select_from(table).where(table.c.batch_id == self._batch.batch_id)
        if not self._connection.execute(query).scalar_one():
            return False
        self._before, _ = control.read_back(self._connection, self._batch.batch_id)
        return True

    def _last_number(self, series: Series) -> int:
        table = schema.voucher
        query = sa.select(sa.func.max(table.c.voucher_no)).where(*(table.c[name] == value for name, value in zip(SERIES, series, strict=True)))
        return int(self._connection.execute(query).scalar() or 0)

    def _update_states(self, chunk: PostingChunk, known: pd.DataFrame, claim_ids: list[str], standing: pd.DataFrame) -> None:
        entries = chunk.entries
        self._apply(schema.claim_state, states.STATE_ROWS, states.state_changes(entries, known, standing))
        if len(known):
            self._move_states(entries, known, claim_ids)
        rejects = self._stored(schema.claim_reject, states.REJECT_ROWS, claim_ids)
        self._apply(schema.claim_reject, states.REJECT_ROWS, states.reject_changes(entries, chunk.rejects, rejects, today=self._today))
        if known["posted"].any():
            drift = self._stored(schema.claim_drift, states.DRIFT_ROWS, claim_ids)
            self._apply(schema.claim_drift, states.DRIFT_ROWS, states.drift_changes(entries, known, drift, today=self._today))
        if len(chunk.commitments):
            stored = self._stored(schema.commitment, states.COMMITMENT_ROWS, list(chunk.commitments["claim_id"]))
            self._apply(schema.commitment, states.COMMITMENT_ROWS, states.commitment_changes(chunk.commitments, stored))

    def _stored(self, table: sa.Table, spec: FrameSpec, claim_ids: list[str]) -> pd.DataFrame:
        return lookup.stored(self._connection, table, spec, claim_ids=claim_ids) if claim_ids else spec.empty()

    def _apply(self, table: sa.Table, spec: FrameSpec, changes: states.Changes) -> None:
        if not changes.count:
            return
        self._writer.delete(table, _state_table(changes.remove, table, spec))
        rows = _state_table(changes.write, table, spec)
        if "run_id" in table.c:
            rows = rows.append_column("loaded_at", arrow.moment(self._batch.created_at, len(rows)))
            rows = rows.append_column("run_id", arrow.constant(self._batch.run_id, len(rows)))
        self._writer.insert(table, rows)
        self._changed += changes.count

    def _move_states(self, entries: pd.DataFrame, known: pd.DataFrame, claim_ids: list[str]) -> None:
        moved = states.moved_in_hesi(entries, known)
        rows = [{"updated_at": _utc(row.pop("source_updated_ms")), "loaded_at": self._at} | row for row in moved.to_dict("records")]
        self._update(schema.claim_state, states.ENTRY, rows)
        stored = lookup.outbox_facts(self._connection, claim_ids)
        queued = entries.loc[(entries["disposition"] == "ready") & (entries["entry_kind"] == "EXPENSE"), "claim_id"]
        seen = entries[~entries["claim_id"].isin(queued)]  # what Hesi shows says nothing yet about a number given just now
        moves = outbox.outbox_moves(seen, known, stored, run_id=self._batch.run_id)
        moves = [{**move, "updated_at": self._at, "run_id": self._batch.run_id} for move in moves]
        self._update(schema.writeback_outbox, ["claim_id"], moves)

    def _update(self, table: sa.Table, key: list[str], rows: list[dict[Any, Any]]) -> None:
        """Sets the other values of rows that are found by ``key``."""
        if not rows:
            return
        found = [table.c[name] == sa.bindparam(f"old_{name}") for name in key]
        values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in rows[0] if name not in key}
        bound = [{f"old_{name}" if name in key else f"new_{name}": value for name, value in row.items()} for row in rows]
        statement = table.update().where(*found, table.c.source_system == schema.SOURCE_SYSTEM).values(**values)
        self._connection.execute(statement, bound)
        self._changed += len(rows)

    def _refresh_statistics(self) -> None:
        """Before anything is read back: the states and numbers of a batch grow with its vouchers."""
        if self._begun:
            vouchers = self._sent.taken["voucher"]
            refresh_statistics(self._connection, {**self._sent.taken, "claim_state": vouchers, "writeback_outbox": vouchers, "posting_batch": 1})

    def _move_watermarks(self) -> None:
        table = schema.watermark
        stored = {row.stream: lookup.milliseconds(row.updated_at) for row in self._connection.execute(sa.select(table))}
        for stream, value in self._batch.watermarks.items():
            if value <= stored.get(stream, -1):
                continue
            change = table.update().where(table.c.stream == stream) if stream in stored else sa.insert(table)
            self._connection.execute(change.values(stream=stream, updated_at=_utc(value)))


def _taken_back(revisions: pd.DataFrame) -> pd.DataFrame:
    """Entries whose posted voucher stands no more after these revisions: reversed, or led to nothing or to a new version by a correction."""
    corrects = revisions["entry_kind"] == "CORRECTION"
    moved = revisions[corrects | (revisions["reverses_revision"] >= 0)]
    return moved.assign(entry_kind=moved["entry_kind"].mask(moved["entry_kind"] == "CORRECTION", "EXPENSE"))[states.ENTRY]


def _accruals_come_first(new: pd.DataFrame, posted: pd.DataFrame) -> None:
    """Nothing when every payment of an expense claim follows its accrual, posted before or in this chunk."""
    payments = new[(new["entry_kind"] == "PAYMENT") & (new["form_type"] == "expense")]
    if not len(payments):
        return
    accruals = pd.concat([frame.loc[frame["entry_kind"] == "EXPENSE", "claim_id"] for frame in (posted, new)])
    early = payments[~arrow.isin(payments["claim_id"], accruals)]
    if len(early):
        raise BatchRefused(f"payment of claim {early['claim_code'].iloc[0]}: expected its accrual to be posted first; map it as waiting")


def _state_table(frame: pd.DataFrame, table: sa.Table, spec: FrameSpec) -> pa.Table:
    """Rows of a state table from the frame of the same columns; a frame of the key alone gives keys."""
    columns: dict[str, pa.Array] = {"source_system": arrow.constant(schema.SOURCE_SYSTEM, len(frame))}
    decimals = arrow.exponents(frame["currency"]) if "currency" in frame else np.empty(0, dtype=np.int64)
    for name in frame.columns:
        column = lookup.stored_column(name, table)
        if name.endswith("_minor"):
            columns[column] = arrow.amounts(frame[name], decimals)
        elif name.endswith("_day"):
            columns[column] = arrow.days(frame[name])
        elif name.endswith("_ms"):
            columns[column] = arrow.instants(frame[name])
        else:
            columns[column] = arrow.text(frame[name]) if spec.columns[name] == "str" else pa.array(frame[name].to_numpy())
    return arrow.table(columns)


def _utc(milliseconds: int) -> datetime | None:
    if not 0 <= milliseconds <= arrow.LAST_INSTANT_MS:
        return None
    seconds, rest = divmod(int(milliseconds), 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000, tzinfo=None)
