"""The log entries of the pack's runs in one piece, the batches and anchors that hold its heads.

Entries about another company's claims are withheld: what stands in their place is the hash of their content, so the chain can
still be proved link by link.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from etl.audit.anchor import AnchorFolder
from etl.audit.canonical import Entry, canonical, sha256_hex
from etl.erp import schema
from etl.evidence.scope import COMPANY_KINDS, Scope
from etl.evidence.tables import PackFiles

BATCHES = "batch_id run_id created_at mapping_sha256 expectations_sha256 package_version vouchers_of_pack audit_seq audit_head".split()


@dataclass
class Slice:
    """Which part of the log the pack holds."""

    log_id: str = ""
    first_seq: int = 0
    last_seq: int = 0
    entries: int = 0
    withheld: int = 0
    signed: bool = False


def write_audit_log(pack: PackFiles, scope: Scope, anchors: AnchorFolder | None) -> Slice:
    """Writes the slice, the batches and the anchors; tells what the slice is."""
    part = Slice(log_id=scope.log.log_id())
    first, last = _range(scope)
    pack.file("9-audit-log/log.jsonl", _lines(scope, part, first, last))
    counts = dict(_counts(scope))
    rows = ([*(row[name] for name in BATCHES[:6]), counts.get(row["batch_id"], 0), row["audit_seq"], row["audit_head"]] for row in scope.batches)
    pack.table("9-audit-log/batches.csv", BATCHES, rows)
    kept = anchors.read(part.log_id)[0] if anchors and part.log_id else []
    pack.file("9-audit-log/anchors.jsonl", (f"{item.head.text}\n".encode() for item in kept if first <= item.head.seq <= last))
    return part


def _range(scope: Scope) -> tuple[int, int]:
    """From the first entry of the first run to the head behind the last entry of the last run."""
    wanted = set(scope.run_ids)
    first = last = 0
    for entry in scope.log.entries():
        mine = entry.body["run_id"] in wanted
        first = first or (entry.seq if mine else 0)
        if mine:
            last = entry.seq
    return first, last


def _lines(scope: Scope, part: Slice, first: int, last: int) -> Iterator[bytes]:
    for entry in scope.log.entries():
        if not first <= entry.seq <= last or not first:
            continue
        part.first_seq = part.first_seq or entry.seq
        part.last_seq, part.entries = entry.seq, part.entries + 1
        if entry.kind == "head":
            part.signed = bool(entry.body["signature"])
        shown = entry.kind not in COMPANY_KINDS or entry.body["company"] in {scope.company, ""}
        part.withheld += not shown
        yield (_whole(entry) if shown else _withheld(entry)) + b"\n"


def _whole(entry: Entry) -> bytes:
    return canonical({"body": dict(entry.body), "hash": entry.hash, "prev": entry.prev, "seq": entry.seq})


def _withheld(entry: Entry) -> bytes:
    return canonical({"body_sha256": sha256_hex(canonical(dict(entry.body))), "hash": entry.hash, "prev": entry.prev, "seq": entry.seq})


def _counts(scope: Scope) -> Iterator[tuple[str, Any]]:
    table = schema.voucher
    for row in scope.erp_rows(sa.select(table.c.batch_id, sa.func.count().label("vouchers")).where(scope.of_period).group_by(table.c.batch_id)):
        yield row["batch_id"], row["vouchers"]
