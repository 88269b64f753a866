"""Where every claim version stands: the view ``claim_standing``, and what it cannot derive, the claims a run has in hand.

The view is made of the tables that decide posting, so it cannot disagree with them (docs/adr/0010). What no table knows yet is a
run's own intent: which claims it has read, and that it is about to post. A run records it before it acts; the transaction that posts
removes it, so rows that are still there say by themselves that nothing of them was committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, RowMapping

from etl.erp import schema
from etl.erp.columns import identifier, instant, words
from etl.erp.engine import writing
from etl.erp.storable import REPLACEMENT, stored_id

InHand = Literal["seen", "staged", "ready", "posting", "unknown", "failed"]
Claim: TypeAlias = tuple[str, str, int | None]  # claim_id, claim_code, claim_version; empty and None while nobody has read them

views = sa.MetaData()
claim_standing = sa.Table(
    "claim_standing",
    views,
    sa.Column("source_system", identifier(20), nullable=False, comment="Always hesi"),
    sa.Column("claim_id", identifier(64), nullable=False, comment="Hesi's flow id"),
    sa.Column("claim_code", identifier(64), nullable=False, comment="Number people know; empty while a claim is only seen"),
    sa.Column("entry_kind", identifier(16), nullable=False, comment="EXPENSE, PAYMENT, LOAN or RECEIPT; empty while a run has the claim in hand"),
    sa.Column("part_no", sa.Integer, nullable=False, comment="0 for the accrual, 1, 2, ... for payments"),
    sa.Column("claim_version", sa.BigInteger, comment="Hesi's version; null where nobody could read it"),
    sa.Column(
        "state",
        identifier(20),
        nullable=False,
        comment="seen, staged, ready, posting, unknown or failed in hand; held, rejected, waiting or skipped; posted, write_back_pending, "
        "written_back, settled (every PAYMENT is posted) or reversed",
    ),
    sa.Column("since", instant(), comment="UTC; null for what versions before this view refused"),
    sa.Column("cause", identifier(60), nullable=False, comment="Code of docs/runbook.md, status of the number, REVERSED or CORRECTED; may be empty"),
    sa.Column("reason", words(2000), nullable=False, comment="In words; may be empty"),
    sa.Column("run_id", identifier(64), comment="Run that brought it here; null as above"),
    sa.Column("owner", words(40), nullable=False, comment="Who has to act; empty: nobody"),
    comment="A view: where every version of every claim stands, derived from the tables that decide posting",
)


def standing_ids(connection: Connection, name: str) -> list[str]:
    """Ids of claims known by this id or number, also those a run has only read."""
    table = claim_standing
    named = sa.or_(table.c.claim_code == name, table.c.claim_id == name)
    return list(connection.execute(sa.select(table.c.claim_id).where(named).distinct().order_by(table.c.claim_id)).scalars())


def standing_of(connection: Connection, claim_id: str) -> Sequence[RowMapping]:
    """Rows of one claim, oldest version first, each version's accrual before its payments."""
    table = claim_standing
    query = sa.select(table).where(table.c.claim_id == stored_id(claim_id))
    return connection.execute(query.order_by(table.c.claim_version, table.c.entry_kind, table.c.part_no, table.c.since)).mappings().all()


class ClaimsInHand:
    """What runs have in hand, in one ERP database; instants are UTC without zone, as stored."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take(self, run_id: str, claims: Sequence[str], *, state: InHand, began_at: datetime | None, at: datetime) -> None:
        """Records these claims, :func:`packed` chunk by chunk, as what the run has in hand, in place of what it had."""
        table = schema.claim_in_hand
        common = {"run_id": run_id, "state": state, "cause": "", "began_at": began_at, "updated_at": at}
        with writing(self._engine) as connection:
            connection.execute(table.delete().where(table.c.run_id == run_id))
            for number, some in enumerate(claims):
                connection.execute(table.insert(), {**common, "chunk_no": number, "claims": some})

    def move(self, run_id: str, state: InHand, *, at: datetime, cause: str = "") -> bool:
        """Whether the run still has something in hand, which stands at ``state`` now; False once it was posted.

        It waits for a transaction of the run that the database has not ended yet, so the answer is final.
        """
        table = schema.claim_in_hand
        with writing(self._engine) as connection:
            done = connection.execute(table.update().where(table.c.run_id == run_id).values(state=state, cause=cause, updated_at=at))
        return done.rowcount > 0

    def question(self, *, at: datetime) -> None:
        """Postings that were announced and of which nothing was heard become unknown, unless somebody is posting at this moment."""
        table, lock = schema.claim_in_hand, schema.posting_lock
        free = sa.select(lock.c.id).with_for_update(skip_locked=True).with_hint(lock, "WITH (UPDLOCK, READPAST)", "mssql")
        with writing(self._engine) as connection:
            if connection.execute(free).first() is not None:
                announced = table.update().where(table.c.state == "posting")
                connection.execute(announced.values(state="unknown", cause="COMMIT_UNKNOWN", updated_at=at))


def put_down(connection: Connection, run_id: str, fence: datetime | None) -> None:
    """What the run had in hand is decided now, by the transaction this is part of; runs the fence ends have nothing in hand any more."""
    table = schema.claim_in_hand
    mine = table.c.run_id == run_id
    connection.execute(table.delete().where(mine if fence is None else sa.or_(mine, table.c.began_at < fence)))


def packed(claims: Iterable[Claim]) -> str:
    """Some thousand claims as one row keeps them. A run packs each chunk as it passes: a list of all its claims would pin the memory between."""
    width = schema.voucher.c.claim_code.type.length  # type: ignore[attr-defined]
    items = [(stored_id(claim_id), code.replace("\0", REPLACEMENT)[:width], version) for claim_id, code, version in claims]
    return msgspec.json.encode(items).decode()
