"""Samples an auditor would pull: 25 vouchers at random, and every one that looks unusual, each traced to its raw claim.

The draw needs no random generator: vouchers are ordered by SHA-256 of ``seed:claim_id:entry_kind:part_no:revision`` and the
first ones are taken, so anybody can draw again. Each trace is one line of JSON from the ledger lines back to the raw page.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from etl.audit.canonical import canonical
from etl.erp import schema
from etl.erp.columns import exact_sum
from etl.erp.lookup import among
from etl.evidence.contents.people import AGREE
from etl.evidence.raw_claims import RawClaims, Trail
from etl.evidence.scope import Row, Scope
from etl.evidence.tables import PackFiles, money
from etl.masking import mask_name
from etl.periods import instant, local_day

RANDOM = 25
COLUMNS = "chosen why book_code voucher_word voucher_no claim_code claim_id entry_kind part_no revision currency amount raw_ref".split()
_ROUND = Decimal(1000)
_LIMITS = tuple(Decimal(limit) for limit in (1_000, 5_000, 10_000, 50_000, 100_000, 500_000))
_JUST_UNDER = Decimal("0.98")
_PAGE = 500
_PUBLIC = frozenset({"department", "project"})
_CHILDREN = (schema.voucher_line, schema.voucher_line_dimension, schema.voucher_line_source, schema.voucher_invoice)


def rank(seed: int, voucher: Row) -> str:
    """The voucher's place in the draw of a seed."""
    key = ":".join(str(voucher[name]) for name in ("claim_id", "entry_kind", "part_no", "revision"))
    return hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()


def write_samples(pack: PackFiles, scope: Scope, seed: int) -> dict[str, int]:
    """Writes the list and the traces; returns how many were drawn and how many are unusual."""
    runs = {row["run_id"]: row for row in scope.runs}
    batches = {row["batch_id"]: row for row in scope.batches}
    raw = RawClaims(scope.raw)
    drawn = {rank(seed, row) for row in heapq.nsmallest(RANDOM, scope.erp_rows(_vouchers(scope)), key=lambda row: rank(seed, row))}
    chosen: list[tuple[Row, list[str], bool]] = []
    for row in scope.erp_rows(_vouchers(scope)):
        why = list(unusual(row, runs.get(batches[row["batch_id"]]["run_id"]), raw.trail(row["raw_ref"] or "#")))
        if why or rank(seed, row) in drawn:
            chosen.append((row, why, rank(seed, row) in drawn))
    chosen.sort(key=lambda item: (not item[2], rank(seed, item[0])))
    pack.table("6-samples/samples.csv", COLUMNS, (_listed(*item) for item in chosen))
    pack.file("6-samples/traces.jsonl", _traces(scope, [row for row, _, _ in chosen], batches, raw))
    return {"random": len(drawn), "unusual": sum(1 for _, why, _ in chosen if why)}


def unusual(voucher: Row, run: Row | None, trail: Trail | None) -> Iterator[str]:
    """Why a voucher deserves a look, in the words of the list."""
    amount = abs(voucher["amount"] or Decimal(0))
    if amount and amount % _ROUND == 0:
        yield "round amount"
    if any(limit * _JUST_UNDER <= amount < limit for limit in _LIMITS):
        yield "just under a limit"
    original = voucher["original_date"]
    if original is not None and original.weekday() >= 5:
        yield "event on a weekend"
    if original is not None and (original.year, original.month) != (voucher["fiscal_year"], voucher["fiscal_period"]):
        yield "booked in another month than its event"
    if voucher["reverses_revision"] is not None or voucher["status"] != "POSTED":
        yield "reversal"
    if run is not None and (run["kind"] in {"replay", "full"}):
        yield "run asked for by hand"
    if trail is not None:
        agreed = [log for log in trail.logs if log.action == AGREE]
        if any(log.operatorId in trail.people for log in agreed):
            yield "approved by its own submitter"
        if any(log.time is not None and _at_night(log.time) for log in agreed):
            yield "approved at night"


def _at_night(ms: int) -> bool:
    hour = (instant(ms).hour + 8) % 24  # Asia/Shanghai
    return hour >= 23 or hour < 5


def _vouchers(scope: Scope) -> sa.Select[Any]:
    """Vouchers of the month with their debits and the reference of their claim, in order of the reference."""
    voucher, line, state = schema.voucher, schema.voucher_line, schema.claim_state
    sums = (
        sa.select(*(voucher.c[name] for name in schema.VOUCHER_KEY), exact_sum(line.c.debit).label("amount"))
        .select_from(voucher.join(line, sa.and_(*(voucher.c[name] == line.c[name] for name in schema.VOUCHER_KEY))))
        .where(scope.of_period)
        .group_by(*(voucher.c[name] for name in schema.VOUCHER_KEY))
        .subquery()
    )
    joined = voucher.join(sums, sa.and_(*(voucher.c[name] == sums.c[name] for name in schema.VOUCHER_KEY))).outerjoin(
        state, sa.and_(*(voucher.c[name] == state.c[name] for name in schema.STATE_KEY))
    )
    query = sa.select(*voucher.c, sums.c.amount, state.c.raw_ref, state.c.claimant_name, state.c.department_code).select_from(joined)
    return query.order_by(state.c.raw_ref, *(voucher.c[name] for name in schema.VOUCHER_KEY))


def _listed(row: Row, why: list[str], drawn: bool) -> list[Any]:
    chosen = "random and unusual" if drawn and why else "random" if drawn else "unusual"
    shown = row | {"currency": row["base_currency"], "amount": money(row["amount"], row["base_currency"])}
    return [chosen, "; ".join(why), *(shown[name] for name in COLUMNS[2:])]


def _traces(scope: Scope, vouchers: list[Row], batches: dict[str, Row], raw: RawClaims) -> Iterator[bytes]:
    for start in range(0, len(vouchers), _PAGE):
        page = vouchers[start : start + _PAGE]
        details = {table.name: _details(scope, table, page) for table in _CHILDREN}
        for row in page:
            yield canonical(_trace(row, {name: found.get(_key(row), []) for name, found in details.items()}, batches[row["batch_id"]], raw)) + b"\n"


def _details(scope: Scope, table: sa.Table, vouchers: Iterable[Row]) -> dict[tuple[Any, ...], list[Row]]:
    claims = sorted({row["claim_id"] for row in vouchers})
    mine = sa.and_(table.c.source_system == schema.SOURCE_SYSTEM, among(table.c.claim_id, claims, scope.erp.dialect.name))
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in scope.erp_rows(sa.select(table).where(mine).order_by(*table.primary_key.columns)):
        found.setdefault(_key(row), []).append(row)
    return found


def _trace(row: Row, details: dict[str, list[Row]], batch: Row, raw: RawClaims) -> dict[str, Any]:
    trail = raw.trail(row["raw_ref"] or "#")
    base = row["base_currency"]
    return {
        "voucher": _plain(row, base, leave_out={"claimant_name", "department_code", "raw_ref"}),
        "lines": [
            _plain(line, base)
            | {
                "dimensions": [_dimension(item) for item in details["voucher_line_dimension"] if item["line_no"] == line["line_no"]],
                "sources": [_plain(item, base) for item in details["voucher_line_source"] if item["line_no"] == line["line_no"]],
            }
            for line in details["voucher_line"]
        ],
        "invoices": [_plain(item, base) for item in details["voucher_invoice"]],
        "claim": {"claim_code": row["claim_code"], "claimant": row["claimant_name"] or "", "department": row["department_code"] or ""},
        "approvals": [
            {"action": log.action, "operator_id": log.operatorId or "", "state": log.state or "", "day": local_day(log.time).isoformat() if log.time else ""}
            for log in (trail.logs if trail else ())
        ],
        "raw": {"ref": row["raw_ref"] or "", "page_sha256": raw.sha256(row["raw_ref"] or "#")},
        "batch": {name: str(batch[name] if batch[name] is not None else "") for name in ("batch_id", "run_id", "mapping_sha256", "audit_seq")},
    }


def _dimension(row: Row) -> dict[str, str]:
    name = row["dim_name"] or ""
    return {"type": row["dim_type"], "code": row["dim_code"], "name": name if row["dim_type"] in _PUBLIC else mask_name(name)}


def _plain(row: Row, currency: str, *, leave_out: Iterable[str] = ()) -> dict[str, Any]:
    """The row as canonical JSON can hold it, without the key its voucher has already said."""
    hidden = {*leave_out, *(() if "voucher_no" in row else schema.VOUCHER_KEY), "source_system"}
    return {name: _value(name, value, currency, row) for name, value in row.items() if name not in hidden and value is not None}


def _value(name: str, value: Any, currency: str, row: Row) -> Any:
    if isinstance(value, Decimal):
        if name in {"fx_rate", "tax_rate"}:
            return f"{value.normalize():f}"
        return money(value, row["currency"] if name == "amount_fc" else currency)
    return value if isinstance(value, (str, int)) else value.isoformat()


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in schema.VOUCHER_KEY)
