"""The outbox: voucher numbers on their way to Hesi, decided in the transaction that posts and marked after each answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from etl.erp import arrow, schema
from etl.erp.engine import reading, writing
from etl.erp.fence import take_posting_lock
from etl.erp.lookup import among

Status = Literal["PENDING", "RETRY", "FAILED", "BLOCKED", "DONE"]
Taken = Literal["cleared", "left"]
ARCHIVED = "ARCHIVED: Hesi refuses voucher numbers on archived claims"
FOREIGN = "FOREIGN_NUMBER: the claim carries another voucher number"
REMOVED = "REMOVED: Hesi has our number and showed the claim without it afterwards"
ANSWER_LOST = "ANSWER_LOST: sent to Hesi, whose answer is not known; the claim is asked for its number before it is sent again"
SENT_STATE = "paid"
_UNSENT = ("PENDING", "RETRY", "FAILED")


@dataclass(frozen=True)
class OutboxRow:
    """One voucher number to write to Hesi."""

    claim_id: str
    claim_code: str
    voucher_number: str
    fiscal_period: str
    voucher_created_ms: int
    status: str
    reason: str
    hesi_state: str


@dataclass(frozen=True)
class Outcome:
    """What became of one row: DONE, or why not."""

    claim_id: str
    status: Status
    reason: str = ""


def outbox_rows(vouchers: pd.DataFrame, entries: pd.DataFrame, numbers: arrow.Ints, *, template: str, created_at: datetime) -> pa.Table:
    """writeback_outbox rows of the accruals among the vouchers being posted, PENDING or BLOCKED; one per claim."""
    numbered = vouchers.assign(voucher_no=numbers)
    accruals = numbered[numbered["entry_kind"] == "EXPENSE"].sort_values("part_no").drop_duplicates("claim_id")
    states = entries.drop_duplicates("entry_no").set_index("entry_no")["hesi_state"].reindex(accruals["entry_no"])
    archived = (states == "archived").tolist()
    periods = [f"{year:04d}-{month:02d}" for year, month in zip(accruals["fiscal_year"].tolist(), accruals["fiscal_period"].tolist(), strict=True)]
    words, companies = (arrow.text(accruals[name]).to_pylist() for name in ("voucher_word", "company_code"))
    parts = zip(words, accruals["voucher_no"].tolist(), companies, periods, strict=True)
    written = [template.format(voucher_word=w, voucher_no=n, company_code=c, fiscal_period=p) for w, n, c, p in parts]
    size = len(accruals)
    return arrow.table(
        {
            "source_system": arrow.constant(schema.SOURCE_SYSTEM, size),
            "claim_id": arrow.text(accruals["claim_id"]),
            "claim_code": arrow.text(accruals["claim_code"]),
            "voucher_number": pa.array(written, arrow.TEXT),
            "fiscal_period": pa.array(periods, arrow.TEXT),
            "voucher_created_ms": pa.repeat(pa.scalar(int(created_at.timestamp() * 1000)), size),
            "status": pa.array(["BLOCKED" if blocked else "PENDING" for blocked in archived], arrow.TEXT),
            "reason": pa.array([ARCHIVED if blocked else "" for blocked in archived], arrow.TEXT),
            "hesi_state": arrow.text(states.reset_index(drop=True)),
            "created_at": arrow.moment(created_at, size),
            "updated_at": arrow.moment(created_at, size),
        }
    )


def outbox_moves(entries: pd.DataFrame, known: pd.DataFrame, stored: pd.DataFrame, *, run_id: str) -> list[dict[str, Any]]:
    """Rows whose status follows from what Hesi shows now: key, status, reason and hesi_state.

    Own number seen: DONE. Another number: BLOCKED, unless it stood there when ours was given: that of the voucher we reversed.
    Archived: BLOCKED. A number that was foreign and is gone: PENDING again. Our own that is gone: still DONE, but it is said, unless
    this run wrote it: what it shows was read before that, when its posting is repeated.

    Args:
        entries: ENTRIES of the chunk.
        known: KNOWN_STATES of its claims; only claims with an outbox row matter.
        stored: claim_id, reason, hesi_state and run_id of these outbox rows.
        run_id: of the run whose entries these are.
    """
    numbers = known.loc[known["outbox_status"] != "", ["claim_id", "entry_kind", "hesi_voucher_no", "outbox_number", "outbox_status"]]
    rows = numbers.sort_values("entry_kind").drop_duplicates("claim_id").rename(columns={"hesi_voucher_no": "number_before"})
    seen = entries[["claim_id", "hesi_state", "hesi_voucher_no"]].drop_duplicates("claim_id")
    moves = []
    for row in rows.merge(seen, on="claim_id").merge(stored, on="claim_id", suffixes=("", "_stored")).itertuples(index=False):
        status, reason = _status_now(row, run_id)
        if (status, reason, row.hesi_state) != (row.outbox_status, row.reason, row.hesi_state_stored):
            moves.append({"claim_id": row.claim_id, "status": status, "reason": reason, "hesi_state": row.hesi_state})
    return moves


def _status_now(row: Any, run_id: str) -> tuple[str, str]:
    if row.hesi_voucher_no == row.outbox_number:
        return "DONE", ""
    if row.hesi_voucher_no and not (row.outbox_status in _UNSENT and row.hesi_voucher_no == row.number_before):
        return "BLOCKED", f"{FOREIGN} ({row.hesi_voucher_no})"[:500]
    if row.outbox_status == "BLOCKED" and row.reason.startswith(FOREIGN):
        return ("BLOCKED", ARCHIVED) if row.hesi_state == "archived" else ("PENDING", "")
    if row.outbox_status in _UNSENT and row.hesi_state == "archived":
        return "BLOCKED", ARCHIVED
    if row.outbox_status == "DONE" and row.run_id != run_id:
        return "DONE", REMOVED
    return row.outbox_status, row.reason


def forget(claim_id: str) -> sa.Delete:
    """Removes the row of a reversed voucher before its successor's is written."""
    table = schema.writeback_outbox
    return table.delete().where(table.c.claim_id == claim_id, table.c.source_system == schema.SOURCE_SYSTEM)


def withdraw(claim_id: str, at: datetime, *, run_id: str) -> sa.Update:
    """A number not sent yet is not sent any more; one already in Hesi stays until the next revision overwrites it."""
    table = schema.writeback_outbox
    mine = table.c.claim_id == claim_id, table.c.source_system == schema.SOURCE_SYSTEM, table.c.status.in_(_UNSENT)
    return table.update().where(*mine).values(status="BLOCKED", reason="the voucher is reversed", updated_at=at, run_id=run_id)


def withdrawn(known: pd.DataFrame, undone: pd.DataFrame) -> pd.DataFrame:
    """KNOWN_STATES after :func:`withdraw` of every accrual among the undone vouchers."""
    claims = undone.loc[undone["entry_kind"] == "EXPENSE", "claim_id"]
    blocked = known["claim_id"].isin(claims) & known["outbox_status"].isin(_UNSENT)
    return known.assign(outbox_status=known["outbox_status"].mask(blocked, "BLOCKED"))


class Outbox:
    """The outbox of one ERP database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def pending(self, statuses: Sequence[Status] = ("PENDING", "RETRY"), *, limit: int | None = None) -> list[OutboxRow]:
        """Rows that may be sent now: their claim is paid. Oldest first, those of one batch by claim.

        Neighbours in a table's key are written together later, which halves the database's work (measured).
        """
        table = schema.writeback_outbox
        query = (
            sa.select(*(table.c[name] for name in OutboxRow.__dataclass_fields__))
            .where(table.c.status.in_(statuses), table.c.hesi_state == SENT_STATE)
            .order_by(table.c.voucher_created_ms, table.c.claim_id)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [OutboxRow(*row) for row in connection.execute(query).all()]

    def counts(self) -> dict[str, int]:
        """Status -> rows."""
        table = schema.writeback_outbox
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(table.c.status, sa.func.count()).group_by(table.c.status)).all()
        return {str(status): int(count) for status, count in rows}

    def mark(self, outcomes: Sequence[Outcome], *, at: datetime, run_id: str = "") -> None:
        """Records outcomes in a transaction of its own; the number of a DONE row is the one Hesi is known to carry."""
        if not outcomes:
            return
        with writing(self._engine) as connection:
            _mark(connection, outcomes, at.astimezone(UTC).replace(tzinfo=None), run_id)

    def take_back(self, claim_id: str, ask: Callable[[OutboxRow], tuple[Taken, str]]) -> tuple[OutboxRow | None, Taken, str]:
        """Takes the number of a reversed accrual out of Hesi (accounting-rules 27), while nobody can post; repeating it changes nothing.

        Args:
            claim_id: of a claim whose number was sent, or was to be sent.
            ask: takes the row's number out of Hesi and says what became of it; it is not called while a voucher stands.

        Returns:
            The row, what became of its number, and why. A number that is gone from Hesi has no row any more.
        """
        table, state, voucher = schema.writeback_outbox, schema.claim_state, schema.voucher
        mine = table.c.source_system == schema.SOURCE_SYSTEM, table.c.claim_id == claim_id
        stands = sa.select(sa.literal(1)).where(
            voucher.c.source_system == schema.SOURCE_SYSTEM,
            voucher.c.claim_id == claim_id,
            voucher.c.entry_kind == "EXPENSE",
            voucher.c.status == "POSTED",
            voucher.c.reverses_revision.is_(None),
        )
        with writing(self._engine) as connection:
            take_posting_lock(connection)
            found = connection.execute(sa.select(*(table.c[name] for name in OutboxRow.__dataclass_fields__)).where(*mine)).one_or_none()
            if found is None:
                return None, "left", "no voucher of this claim has a number"
            row = OutboxRow(*found)
            if connection.execute(stands).first() is not None:
                return row, "left", "its voucher stands"
            taken, reason = ask(row)
            if taken == "cleared":
                connection.execute(forget(claim_id))
                numbered = state.c.source_system == schema.SOURCE_SYSTEM, state.c.claim_id == claim_id
                connection.execute(state.update().where(*numbered).values(hesi_voucher_no=""))
            return row, taken, reason


def _mark(connection: Connection, outcomes: Sequence[Outcome], at: datetime, run_id: str) -> None:
    outbox, dialect = schema.writeback_outbox, connection.dialect.name
    alike: dict[tuple[Status, str], list[str]] = {}
    for outcome in {outcome.claim_id: outcome for outcome in outcomes}.values():
        alike.setdefault((outcome.status, outcome.reason[:500]), []).append(outcome.claim_id)
    for (status, reason), claim_ids in alike.items():
        mine = outbox.c.source_system == schema.SOURCE_SYSTEM, among(outbox.c.claim_id, claim_ids, dialect)
        connection.execute(outbox.update().where(*mine).values(status=status, reason=reason, updated_at=at, run_id=run_id))
