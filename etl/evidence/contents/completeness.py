"""Completeness: every entry of the month is posted, or named with the reason why not; and posted is what the raw page says."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from etl.erp import schema
from etl.erp.columns import exact_sum
from etl.evidence.raw_claims import RawClaims
from etl.evidence.scope import Row, Scope
from etl.evidence.tables import PackFiles, money
from etl.masking import mask_text
from etl.steps.reconcile import Key, source_amounts

TIE = "claim_code claim_id entry_kind part_no currency raw_amount source_amount posted_amount difference raw_ref".split()
ENTRIES = "claim_code claim_id form_type entry_kind part_no state currency amount event_date claimant department_code rule reason owner due_date".split()
Numbers = dict[str, int]


def write_completeness(pack: PackFiles, scope: Scope) -> dict[str, Any]:
    """Writes the tie of each posted entry and the list of all entries; returns counts for the manifest."""
    counts: Numbers = {"tied": 0, "different": 0, "raw_kept": 0}
    pack.table("1-population/source_tie.csv", TIE, _tie(scope, counts))
    sums: dict[tuple[str, str, str], list[Any]] = {}
    pack.table("1-population/entries.csv", ENTRIES, _entries(scope, sums))
    rows = [[*key, count, money(amount, key[2])] for key, (count, amount) in sorted(sums.items())]
    pack.table("1-population/entry_totals.csv", ["entry_kind", "state", "currency", "entries", "amount"], rows)
    return counts


def _tie(scope: Scope, counts: Numbers) -> Iterator[list[Any]]:
    raw, page, amounts = RawClaims(scope.raw), "", dict[Key, tuple[Decimal, str]]()
    corrections = {row["claim_id"]: row["credit"] - row["debit"] for row in scope.erp_rows(_corrections(scope))}
    for row in scope.erp_rows(_posted_entries(scope)):
        currency = row["currency"]
        posted = (row["posted"] or Decimal(0)) + (corrections.get(row["claim_id"], Decimal(0)) if row["entry_kind"] == "EXPENSE" else 0)
        if page != (page := row["raw_ref"].rpartition("#")[0]):
            amounts = source_amounts(raw.page(row["raw_ref"]))
        found = amounts.get((row["claim_id"], row["entry_kind"], row["part_no"]), (None, ""))[0]
        stands = row["state"] == "posted"  # else it was reversed, and nothing may be left of it
        source = found if stands and found is not None else row["amount"] if stands else Decimal(0)
        difference = source - posted
        counts["tied"] += 1
        counts["different"] += bool(difference)
        counts["raw_kept"] += found is not None
        yield [*(row[name] for name in TIE[:5]), *(money(value, currency) for value in (found, row["amount"], posted, difference)), row["raw_ref"]]


def _posted_entries(scope: Scope) -> sa.Select[Any]:
    """Entries with a voucher in the month; ``posted`` is the sum of all their vouchers, whatever the month, so that red ones count."""
    state, voucher, line = schema.claim_state, schema.voucher, schema.voucher_line
    mine = sa.select(*(voucher.c[name] for name in schema.STATE_KEY)).where(scope.of_period).distinct().subquery()
    joined = sa.and_(*(voucher.c[name] == line.c[name] for name in schema.VOUCHER_KEY))
    sums = (
        sa.select(*(voucher.c[name] for name in schema.STATE_KEY), exact_sum(line.c.debit).label("posted"))
        .select_from(voucher.join(line, joined).join(mine, sa.and_(*(voucher.c[name] == mine.c[name] for name in schema.STATE_KEY))))
        .group_by(*(voucher.c[name] for name in schema.STATE_KEY))
        .subquery()
    )
    together = sa.and_(*(state.c[name] == sums.c[name] for name in schema.STATE_KEY))
    columns = (state.c[name] for name in ("claim_code", "claim_id", "entry_kind", "part_no", "currency", "state", "amount", "raw_ref"))
    return sa.select(*columns, sums.c.posted).select_from(state.join(sums, together)).order_by(state.c.raw_ref, *_key(state))


def _corrections(scope: Scope) -> sa.Select[Any]:
    """What correcting vouchers change at the counterparties, by claim (accounting-rules 25)."""
    voucher, line, dimension = schema.voucher, schema.voucher_line, schema.voucher_line_dimension
    joined = voucher.join(line, sa.and_(*(voucher.c[name] == line.c[name] for name in schema.VOUCHER_KEY)))
    same = sa.and_(*(dimension.c[name] == line.c[name] for name in (*schema.VOUCHER_KEY, "line_no")))
    party = sa.exists().where(same, dimension.c.dim_type.in_(scope.parties))
    sums = exact_sum(line.c.credit).label("credit"), exact_sum(line.c.debit).label("debit")
    mine = sa.and_(voucher.c.company_code == scope.company, voucher.c.entry_kind == "CORRECTION", party)
    return sa.select(voucher.c.claim_id, *sums).select_from(joined).where(mine).group_by(voucher.c.claim_id)


def _entries(scope: Scope, sums: dict[tuple[str, str, str], list[Any]]) -> Iterator[list[Any]]:
    state, reject = schema.claim_state, schema.claim_reject
    same = sa.and_(*(state.c[name] == reject.c[name] for name in ("claim_id", "entry_kind", "source_system")))
    reasons = (reject.c[name] for name in ("rule", "reason", "owner", "due_date"))
    inside = state.c.event_date.between(scope.period.first_day, scope.period.last_day)
    # An entry whose company could not be told may be this company's: it is listed in every pack.
    query = (
        sa.select(*state.c, *reasons)
        .select_from(state.outerjoin(reject, same))
        .where(inside, state.c.company_code.in_([scope.company, ""]))
        .order_by(state.c.claim_code, *_key(state))
    )
    for row in scope.erp_rows(query):
        total = sums.setdefault((row["entry_kind"], row["state"], row["currency"]), [0, Decimal(0)])
        total[0] += 1
        total[1] += row["amount"]
        yield _entry(row)


def _entry(row: Row) -> list[Any]:
    refused = row["state"] in {"held", "rejected"}
    told = [row["rule"], mask_text(row["reason"] or ""), row["owner"], row["due_date"]] if refused else [""] * 4
    own = ("claim_code", "claim_id", "form_type", "entry_kind", "part_no", "state", "currency")
    return [*(row[name] for name in own), money(row["amount"], row["currency"]), row["event_date"], row["claimant_name"], row["department_code"], *told]


def _key(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    return [table.c[name] for name in schema.STATE_KEY]
