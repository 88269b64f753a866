"""Whether the promises held: an independent, slow and simple re-computation that imports nothing of the product.

It looks at the source as it is now, at the ERP database, at the audit log and at every file that was written, and says what is
wrong in a sentence each, beginning with the invariant: I1 to I10 of the reliability page.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Protocol

DUE = {"paying", "PROCESSING", "paid", "archived"}
KEY = "claim_id, entry_kind, company_code, book_code, part_no, revision"
NEVER = {"raw", "work", "quarantine"}  # what stays on the machine that reads Hesi; everything else is shown to people
# The sandbox's mobile and bank card numbers: every one of a person begins like this.
PERSONAL = re.compile(rb"1380013\d{4}|622200\d{13}")
TABLES = (
    "voucher", "voucher_line", "voucher_line_dimension", "voucher_line_source", "voucher_invoice", "claim_state", "claim_reject", "claim_drift",
    "writeback_outbox", "commitment", "watermark", "posting_batch",
)  # fmt: skip
Rows = list[tuple[Any, ...]]


class Database(Protocol):
    """Plain SQL."""

    def rows(self, sql: str) -> Rows:
        """The rows of a query, amounts as Decimal and days as text."""

    def columns(self, table: str) -> list[str]:
        """Column names of a table."""


@dataclass(frozen=True)
class Evidence:
    """Everything the oracle looks at."""

    erp: Database
    flows: list[dict[str, Any]]  # every flow of the source as it is served now
    home: Path
    outputs: Iterable[Path]  # files besides the home that people or logs see
    secrets: Collection[str]
    closed: Collection[tuple[str, int, int]] = ()  # company, year, month


def problems(evidence: Evidence) -> list[str]:
    """Everything that is wrong; empty when all promises held."""
    checks = (balanced, live_once, tied_out, owned, cursor_behind_data, open_periods, numbers, written_back, chained, silent)
    return [problem for check in checks for problem in check(evidence)]


def balanced(evidence: Evidence) -> Iterator[str]:
    """I1: debits equal credits per voucher, every voucher has lines and its header's batch."""
    erp = evidence.erp
    sums: dict[tuple[Any, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for *entry, debit, credit in erp.rows(f"SELECT {KEY}, debit, credit FROM voucher_line"):
        sums[tuple(entry)][0] += debit
        sums[tuple(entry)][1] += credit
        if (debit == 0) == (credit == 0):
            yield f"I1 {entry}: a line has debit {debit} and credit {credit}"
    vouchers = [tuple(row) for row in erp.rows(f"SELECT {KEY} FROM voucher")]
    for found in {*vouchers} ^ {*sums}:
        yield f"I1 {found}: a voucher without lines, or lines without a voucher"
    yield from (f"I1 {key}: debits {debit} and credits {credit} differ" for key, (debit, credit) in sums.items() if debit != credit)
    for table in ("voucher_line_dimension", "voucher_line_source", "voucher_invoice"):
        orphans = {tuple(row) for row in erp.rows(f"SELECT {KEY} FROM {table}")} - {*vouchers}
        yield from (f"I1 {key}: rows of {table} without their voucher" for key in orphans)
    batches: dict[str, Decimal] = dict(erp.rows("SELECT batch_id, voucher_count FROM posting_batch"))
    counted = Counter(row[0] for row in erp.rows("SELECT batch_id FROM voucher"))
    if batches != {**counted}:
        yield f"I1 batches say {batches}, their vouchers are {dict(counted)}"


def live_once(evidence: Evidence) -> Iterator[str]:
    """I2: at most one voucher of an entry stands, and every reversal is the exact negative of what it names."""
    live: Counter[tuple[Any, ...]] = Counter()
    for claim, kind, part, status, reverses in evidence.erp.rows("SELECT claim_id, entry_kind, part_no, status, reverses_revision FROM voucher"):
        live[claim, kind, part] += status == "POSTED" and reverses is None
    yield from (f"I2 {key}: {count} live vouchers" for key, count in live.items() if count > 1)
    posted = {tuple(row) for row in evidence.erp.rows("SELECT claim_id, entry_kind, part_no FROM claim_state WHERE state = 'posted'")}
    standing = {key for key, count in live.items() if count and key[1] in {"EXPENSE", "PAYMENT", "LOAN", "RECEIPT"}}
    yield from (f"I2 {key}: state and vouchers disagree on whether it is posted" for key in posted ^ standing)
    yield from _reversals(evidence.erp)


def _reversals(erp: Database) -> Iterator[str]:
    lines: dict[tuple[Any, ...], Counter[tuple[Any, ...]]] = defaultdict(Counter)
    for claim, kind, company, book, part, revision, account, debit, credit in erp.rows(f"SELECT {KEY}, account_code, debit, credit FROM voucher_line"):
        lines[claim, kind, company, book, part, revision][account, debit, credit] += 1
    named = set()
    for *key, reverses in erp.rows(f"SELECT {KEY}, reverses_revision FROM voucher WHERE reverses_revision IS NOT NULL"):
        undone = (*key[:5], reverses)
        named.add(undone)
        negative = Counter({(account, -debit, -credit): count for (account, debit, credit), count in lines[undone].items()})
        if lines[tuple(key)] != negative:
            yield f"I2 {key}: not the negative of revision {reverses}"
    reversed_ = {tuple(row) for row in erp.rows(f"SELECT {KEY} FROM voucher WHERE status = 'REVERSED'")}
    yield from (f"I2 {key}: REVERSED without its reversal, or the other way round" for key in reversed_ ^ named)


def tied_out(evidence: Evidence) -> Iterator[str]:
    """I3: every due claim of the source is posted to the cent, held, rejected, skipped or listed as drift; nothing else is."""
    erp = evidence.erp
    states: dict[str, str] = dict(erp.rows("SELECT claim_id, state FROM claim_state WHERE entry_kind = 'EXPENSE'"))
    refused = {row[0] for row in erp.rows("SELECT claim_id FROM claim_reject WHERE entry_kind = 'EXPENSE' OR entry_kind = ''")}
    drift = {row[0] for row in erp.rows("SELECT claim_id FROM claim_drift")}
    debits = _standing_debits(erp)
    totals: dict[str, Decimal] = defaultdict(Decimal)
    due = {flow["id"]: flow for flow in evidence.flows if flow.get("active") and flow.get("formType") == "expense" and flow.get("state") in DUE}
    for claim, flow in due.items():
        state = states.get(claim) or ("rejected" if claim in refused else "lost")
        amount = _amount(flow)
        totals[state] += amount or 0
        if state == "lost":
            yield f"I3 claim {claim} of {amount} is nowhere"
        elif state == "posted" and claim not in drift and debits.get(claim) != amount:
            yield f"I3 claim {claim}: source {amount}, posted {debits.get(claim)}"
        elif state in {"held", "rejected"} and claim not in refused:
            yield f"I3 claim {claim} is {state} and not listed"
    source = sum((_amount(flow) or Decimal(0) for flow in due.values()), Decimal(0))
    if source != sum(totals.values()):
        yield f"I3 source {source} is not the sum of {dict(totals)}"
    yield from (f"I3 claim {claim} is posted and not due in the source" for claim in debits.keys() - due.keys() - drift)


def _standing_debits(erp: Database) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    query = """SELECT l.claim_id, l.debit FROM voucher_line l JOIN voucher v ON v.claim_id = l.claim_id AND v.entry_kind = l.entry_kind
        AND v.part_no = l.part_no AND v.revision = l.revision AND v.company_code = l.company_code AND v.book_code = l.book_code
        WHERE v.entry_kind = 'EXPENSE' AND v.status = 'POSTED' AND v.reverses_revision IS NULL"""
    for claim, debit in erp.rows(query):
        sums[claim] += debit
    return sums


def _amount(flow: dict[str, Any]) -> Decimal | None:
    money = flow["form"].get("expenseMoney") if isinstance(flow.get("form"), dict) else None
    try:
        return Decimal(str(money["standard"]).strip()) if isinstance(money, dict) else None
    except (InvalidOperation, KeyError):
        return None


def owned(evidence: Evidence) -> Iterator[str]:
    """I4: whatever is not posted has a rule, a reason, an owner and a date."""
    for claim, *facts in evidence.erp.rows("SELECT claim_id, rule, reason, owner, due_date FROM claim_reject"):
        if not all(facts):
            yield f"I4 claim {claim}: rule, reason, owner, due date are {facts}"


def cursor_behind_data(evidence: Evidence) -> Iterator[str]:
    """I5: what lies behind the cursor of the expense list is known to the ledger."""
    stored: dict[str, str] = dict(evidence.erp.rows("SELECT stream, updated_at FROM watermark"))
    cursor = str(stored.get("expense:active", ""))[:23]
    known = {row[0] for row in evidence.erp.rows("SELECT claim_id FROM claim_state UNION SELECT claim_id FROM claim_reject")}
    for flow in evidence.flows:
        if flow.get("formType") == "expense" and flow.get("active") and flow.get("state") in DUE and flow["id"] not in known:
            at = _utc(flow["updateTime"])
            if at <= cursor:
                yield f"I5 claim {flow['id']} of {at} lies behind the cursor {cursor} and is unknown"


def _utc(milliseconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:23]


def open_periods(evidence: Evidence) -> Iterator[str]:
    """I6: dates lie inside their period, and nothing is in a closed one."""
    for company, day, year, month in evidence.erp.rows("SELECT company_code, voucher_date, fiscal_year, fiscal_period FROM voucher"):
        period = (company, int(year), int(month))
        if str(day)[:7] != f"{period[1]:04d}-{period[2]:02d}":
            yield f"I6 a voucher of {day} is in period {period}"
        if period in evidence.closed:
            yield f"I6 a voucher is in the closed period {period}"


def numbers(evidence: Evidence) -> Iterator[str]:
    """I2: voucher numbers of every series are 1, 2, 3, ... without a gap."""
    series: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for *key, number in evidence.erp.rows("SELECT company_code, book_code, fiscal_year, fiscal_period, voucher_word, voucher_no FROM voucher"):
        series[tuple(key)].append(int(number))
    yield from (f"I2 numbers of {key} are not continuous" for key, found in series.items() if sorted(found) != list(range(1, len(found) + 1)))


def written_back(evidence: Evidence) -> Iterator[str]:
    """I7: what Hesi shows is what was posted; a number still to be written is listed."""
    erp = evidence.erp
    shown = {flow["id"]: flow["form"].get("voucherNo") or "" for flow in evidence.flows if isinstance(flow.get("form"), dict)}
    query = "SELECT claim_id, voucher_number, status, reason FROM writeback_outbox"
    outbox = {claim: (number, status, reason) for claim, number, status, reason in erp.rows(query)}
    for claim, (number, status, reason) in outbox.items():
        if status == "DONE" and shown.get(claim) != number:
            yield f"I7 claim {claim}: {number} is marked as written, Hesi shows {shown.get(claim)!r}"
        if status in {"BLOCKED", "FAILED"} and not reason:
            yield f"I7 claim {claim}: {status} without a reason"
    accruals = erp.rows("SELECT claim_id FROM voucher WHERE entry_kind = 'EXPENSE' AND status = 'POSTED' AND reverses_revision IS NULL")
    yield from (f"I7 claim {claim} is posted and has no number to write back" for claim in {row[0] for row in accruals} - outbox.keys())
    written = {claim: outbox[claim][1] for claim, number in shown.items() if claim in outbox and number == outbox[claim][0]}
    yield from (f"I7 claim {claim}: Hesi shows our number, the outbox says {status}" for claim, status in written.items() if status not in {"DONE", "BLOCKED"})


def chained(evidence: Evidence) -> Iterator[str]:
    """I8: the audit log's chain holds from the first entry to the last, and every batch is announced and confirmed in it."""
    path = evidence.home / "audit" / "log.jsonl"
    before = "0" * 64
    told: dict[str, set[str]] = defaultdict(set)
    for seq, line in enumerate(path.read_bytes().splitlines() if path.exists() else (), start=1):
        entry = json.loads(line)
        body = hashlib.sha256(_canonical(entry["body"])).hexdigest()
        link = hashlib.sha256(_canonical({"body_sha256": body, "prev": entry["prev"], "seq": entry["seq"]})).hexdigest()
        if (entry["seq"], entry["prev"], entry["hash"]) != (seq, before, link):
            yield f"I8 entry {seq} of the audit log is not chained"
            return
        before = link
        if entry["body"].get("batch_id"):
            told[entry["body"]["kind"]].add(entry["body"]["batch_id"])
    batches = {row[0] for row in evidence.erp.rows("SELECT batch_id FROM posting_batch")}
    for kind in ("posting_intended", "posting_confirmed"):
        yield from (f"I8 batch {batch} has no {kind} in the audit log" for batch in batches - told[kind])
    yield from (f"I8 batch {batch} is called abandoned and is in the database" for batch in batches & told["posting_abandoned"])


def _canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def silent(evidence: Evidence) -> Iterator[str]:
    """I10: no secret and no personal number in any output."""
    secrets = [secret.encode() for secret in evidence.secrets]
    files = [path for path in evidence.home.rglob("*") if path.is_file() and path.relative_to(evidence.home).parts[0] not in NEVER]
    shown = [(str(path.name), path.read_bytes()) for path in (*files, *evidence.outputs)]
    shown += [(table, repr(evidence.erp.rows(f"SELECT * FROM {table}")).encode()) for table in TABLES]
    for name, content in shown:
        yield from (f"I10 {name} holds the secret that begins with {secret[:8].decode()}" for secret in secrets if secret in content)
        if found := PERSONAL.search(content):
            yield f"I10 {name} holds a personal number at byte {found.start()}"


# What a fault may move: when rows were written, in which batch and under which number, and where a raw page was kept.
_FREE = {"updated_at", "loaded_at", "created_at", "batch_id", "run_id", "voucher_no", "voucher_number", "voucher_created_ms", "payload_sha256", "raw_ref",
         "audit_seq", "audit_head", "voucher_count", "line_count", "first_seen_on", "found_on", "hesi_voucher_no"}  # fmt: skip


def end_state(evidence: Evidence) -> list[str]:
    """What a fault must not change, as sorted lines: every row of every table, and what Hesi shows."""
    lines = []
    for table in TABLES:
        names = [name for name in sorted(evidence.erp.columns(table)) if name not in _FREE]
        if table != "posting_batch":
            lines += [f"{table} {row!r}" for row in evidence.erp.rows(f"SELECT {', '.join(names)} FROM {table}")]
    # Nobody can tell which claim an unreadable text was: its reject stays listed after the claim has been repaired.
    lines = [line for line in lines if "'unreadable:" not in line]
    lines += [f"hesi {flow['id']} {bool(flow['form'].get('voucherNo'))}" for flow in evidence.flows if isinstance(flow.get("form"), dict)]
    return sorted(re.sub(r"记-\d+", "记-N", line) for line in lines)
