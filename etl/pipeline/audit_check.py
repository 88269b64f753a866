"""The audit log against itself, the ERP database and the anchors: everything that is not as it was written, with its position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from etl.audit.anchor import AnchorFolder, Head, Kept
from etl.audit.canonical import Entry
from etl.audit.check import Checked, check_log
from etl.audit.decisions import VOUCHER_COLUMNS
from etl.audit.log import AuditLog
from etl.erp import schema
from etl.erp.engine import reading
from etl.erp.heads import BatchHead, batch_heads
from etl.erp.lookup import among
from etl.erp.rehash import altered_vouchers
from etl.periods import FiscalPeriod

_CLAIM, _FINGERPRINT = VOUCHER_COLUMNS.index("claim_id"), VOUCHER_COLUMNS.index("payload_sha256")


class AuditReport(msgspec.Struct, frozen=True):
    """The answer: ``problems`` is empty when log, database and anchors agree; ``notes`` are known and explained."""

    log_id: str
    entries: int
    last_seq: int
    signed_heads: int
    unsigned_heads: int
    batches: int
    anchors: int
    vouchers_hashed_again: str
    problems: list[str]
    notes: list[str]


def check_audit(log: AuditLog, erp: Engine, *, anchors: AnchorFolder | None, keys: Sequence[bytes], periods: Sequence[FiscalPeriod] | None) -> AuditReport:
    """Reads everything and changes nothing.

    Args:
        log: the log.
        erp: the ERP database.
        anchors: where heads are kept besides.
        keys: trusted public keys; none = signatures are not checked, and a note says so.
        periods: months whose vouchers are hashed again; None = every voucher, and each compared with the log's fingerprint.
    """
    with reading(erp) as connection:
        batches = batch_heads(connection)
        stored = Counter({row[0]: row[1] for row in connection.execute(_counts())})
    log_id = log.log_id() if log.path.exists() and log.path.stat().st_size else ""
    anchored, broken = anchors.read(log_id) if anchors and log_id else ([], [])
    found = check_log(log.lines(), keys=keys, elsewhere=[*_of_batches(batches), *anchored])
    problems = [*broken, *(str(problem) for problem in found.problems), *_batch_problems(found, batches, stored)]
    if periods is None and not found.problems:
        problems += _fingerprints(log, erp)
    problems += _altered(erp, periods)
    hashed = "all" if periods is None else ", ".join(map(str, periods))
    return AuditReport(
        found.log_id, found.entries, found.last_seq, found.signed_heads, found.unsigned_heads, len(batches), len(anchored), hashed, problems,
        list(_notes(found, batches, keys=keys, anchors=anchors)),
    )  # fmt: skip


def _counts() -> sa.Select[Any]:
    table = schema.voucher
    return sa.select(table.c.batch_id, sa.func.count()).group_by(table.c.batch_id)


def _of_batches(batches: Sequence[BatchHead]) -> Iterator[Kept]:
    for batch in batches:
        if batch.audit_head:
            yield Kept(Head.parse(batch.audit_head), f"posting_batch {batch.batch_id}")


def _batch_problems(found: Checked, batches: Sequence[BatchHead], stored: Counter[str]) -> Iterator[str]:
    """Batches the log does not confirm, confirmed batches the database does not hold, and counts that differ."""
    known = {batch.batch_id: batch for batch in batches}
    for batch_id, body in found.postings.items():
        batch, count = known.get(batch_id), int(body["vouchers"])
        if count and batch is None:
            told = f"the log (seq {body['audit_seq']}) confirmed {count} vouchers, the database holds none; it was restored from an older copy"
            yield f"MISSING batch {batch_id}: {told}"
        elif batch is not None and stored[batch_id] != count:
            yield f"COUNT batch {batch_id}: the log confirmed {count} vouchers, the database holds {stored[batch_id]}"
    for batch in batches:
        if batch.audit_seq is not None and batch.batch_id not in found.postings and batch.batch_id not in found.open_intents:
            head = Head.parse(batch.audit_head)
            where = "this log" if head.log_id == found.log_id else f"log {head.log_id}, which is not here: lost, or kept on another machine"
            yield f"UNKNOWN batch {batch.batch_id}: announced at seq {batch.audit_seq} of {where}, and not confirmed here"


def _altered(erp: Engine, periods: Sequence[FiscalPeriod] | None) -> Iterator[str]:
    for period in (None,) if periods is None else periods:
        for row in altered_vouchers(erp, period).to_dict("records"):
            yield (
                f"ALTERED voucher {row['company_code']} {row['voucher_word']}-{row['voucher_no']} of claim {row['claim_code']}: "
                f"posted as {row['posted_sha256']}, now {row['found_sha256']}"
            )


def _fingerprints(log: AuditLog, erp: Engine) -> Iterator[str]:
    """Vouchers whose stored fingerprint is not the one the log recorded: content and fingerprint were changed together."""
    with reading(erp) as connection:
        for entry in log.entries():
            if entry.kind == "posted":
                yield from _compared(connection, entry)


def _compared(connection: Connection, entry: Entry) -> Iterator[str]:
    table = schema.voucher
    claims = [row[_CLAIM] for row in entry.body["rows"]]
    names = (table.c.claim_id, table.c.entry_kind, table.c.part_no, table.c.revision, table.c.payload_sha256)
    query = sa.select(*names).where(among(table.c.claim_id, claims, connection.dialect.name), table.c.batch_id == entry.body["batch_id"])
    held = {tuple(row[:4]): row[4] for row in connection.execute(query)}
    for row in entry.body["rows"]:
        now = held.get((row[_CLAIM], *row[2:5]))
        if now != row[_FINGERPRINT]:
            told = f"the log (seq {entry.seq}) recorded {row[_FINGERPRINT]}, the database holds {now or 'none'}"
            yield f"REPLACED voucher of claim {row[1]} {row[2]} {row[3]}: {told}"


def _notes(found: Checked, batches: Sequence[BatchHead], *, keys: Sequence[bytes], anchors: AnchorFolder | None) -> Iterator[str]:
    if not keys:
        yield "signatures were not checked: no key is configured (HESI_ERP_SIGNING_KEY, or --key with the public one)"
    if anchors is None:
        yield "no anchors: HESI_ERP_ANCHOR_DIR is not set, so a log cut off after its last posting would go unnoticed"
    old = sum(1 for batch in batches if batch.audit_seq is None)
    if old:
        yield f"{old} batches were posted before there was an audit log"
    for batch_id, seq in found.open_intents.items():
        yield f"posting {batch_id} was announced at seq {seq} and not settled yet; the next posting looks it up"
    if found.after_last_head:
        yield f"{found.after_last_head} entries at the end are not covered by a head yet; the next append signs them"
    yield from found.acknowledged
    yield from found.repairs
