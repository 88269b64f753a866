"""Sums and lists read back by SQL: the ledger side of the tie-out and what the run report names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from etl.erp import schema
from etl.erp.columns import exact_sum
from etl.frames import FINDINGS, REJECTS
from etl.money import exponent, to_minor


def state_totals(connection: Connection) -> list[tuple[str, str, str, str, Decimal]]:
    """(entry_kind, company, currency, state, amount) sums of claim_state."""
    table = schema.claim_state
    columns = (table.c.entry_kind, table.c.company_code, table.c.currency, table.c.state)
    query = sa.select(*columns, exact_sum(table.c.amount)).group_by(*columns)
    return [(row[0], row[1], row[2], row[3], _exact(row[4], row[2])) for row in connection.execute(query)]


class LedgerTotals(NamedTuple):
    """What the lines of all vouchers add up to.

    Attributes:
        posted: debits net of reversals by (entry_kind, company, base currency). A correction counts with the accruals by what it changes
            at the counterparties; a reclassification moves nothing between source and ledger and is left out.
        accounts: debits and credits of one batch by (entry_kind, company, account, base currency).
    """

    posted: dict[tuple[str, str, str], Decimal]
    accounts: dict[tuple[str, str, str, str], tuple[Decimal, Decimal]]


def ledger_totals(connection: Connection, parties: Sequence[str], batch_id: str) -> LedgerTotals:
    """Both sums in one pass over the lines, each joined through its voucher.

    Args:
        connection: of the ERP database.
        parties: dimension types that name a counterparty.
        batch_id: of the batch whose accounts are asked for; may be empty.
    """
    voucher, line = schema.voucher, schema.voucher_line
    columns = (voucher.c.entry_kind, voucher.c.company_code, line.c.account_code, voucher.c.base_currency)
    of_batch = (exact_sum(sa.case((voucher.c.batch_id == batch_id, amount), else_=None)) for amount in (line.c.debit, line.c.credit))
    query = sa.select(*columns, exact_sum(line.c.debit), *of_batch).select_from(_voucher_lines()).group_by(*columns)
    totals = LedgerTotals(_corrected(connection, parties), {})
    for kind, company, account, currency, all_debits, debits, credits_ in connection.execute(query):
        if debits is not None:
            totals.accounts[kind, company, account, currency] = (_exact(debits, currency), _exact(credits_, currency))
        if kind not in {"CORRECTION", "RECLASS"}:
            before = totals.posted.get((kind, company, currency), Decimal(0))
            totals.posted[kind, company, currency] = before + _exact(all_debits, currency)
    return totals


def _corrected(connection: Connection, parties: Sequence[str]) -> dict[tuple[str, str, str], Decimal]:
    """What corrections change at the counterparties, by (EXPENSE, company, base currency)."""
    voucher, line, dimension = schema.voucher, schema.voucher_line, schema.voucher_line_dimension
    same = sa.and_(*(dimension.c[name] == line.c[name] for name in (*schema.VOUCHER_KEY, "line_no")), dimension.c.dim_type.in_(parties))
    query = (
        sa.select(voucher.c.company_code, voucher.c.base_currency, exact_sum(line.c.credit), exact_sum(line.c.debit))
        .select_from(_voucher_lines().join(dimension, same))
        .where(voucher.c.entry_kind == "CORRECTION")
        .group_by(voucher.c.company_code, voucher.c.base_currency)
    )
    rows = connection.execute(query).all()
    return {("EXPENSE", company, currency): _exact(credit, currency) - _exact(debit, currency) for company, currency, credit, debit in rows}


def drift_totals(connection: Connection) -> list[tuple[str, str, str, Decimal, Decimal]]:
    """(entry_kind, company, currency, posted amount, source amount) of every posted entry whose source moved."""
    table = schema.claim_drift
    query = sa.select(table.c.entry_kind, table.c.company_code, table.c.currency, table.c.posted_amount, table.c.source_amount)
    return [(row[0], row[1], row[2], _exact(row[3], row[2]), _exact(row[4], row[2])) for row in connection.execute(query)]


def drift_refs(connection: Connection) -> list[tuple[str, str, str]]:
    """(claim code, claim id, raw_ref) of every posted entry whose source moved."""
    table = schema.claim_drift
    return [(row[0], row[1], row[2]) for row in connection.execute(sa.select(table.c.claim_code, table.c.claim_id, table.c.raw_ref).order_by(table.c.claim_id))]


def state_counts(connection: Connection) -> dict[str, int]:
    """State -> entries."""
    table = schema.claim_state
    return {row[0]: int(row[1]) for row in connection.execute(sa.select(table.c.state, sa.func.count()).group_by(table.c.state))}


def open_requisitions(connection: Connection) -> dict[str, int]:
    """Requisition id -> minor units still promised."""
    table = schema.commitment
    rows = connection.execute(sa.select(table.c.claim_id, table.c.amount, table.c.currency).where(table.c.amount != 0))
    return {row[0]: to_minor(_exact(row[1], row[2]), row[2]) for row in rows}


def open_rejects(connection: Connection) -> tuple[pd.DataFrame, dict[tuple[str, str], date]]:
    """Everything not posted now as REJECTS, and the day each was first seen."""
    table = schema.claim_reject
    rows, seen = [], {}
    for row in connection.execute(sa.select(table).order_by(table.c.claim_code, table.c.claim_id, table.c.entry_kind)).mappings():
        currency = row["currency"] or "CNY"
        values = {**row, "amount_minor": to_minor(_exact(row["amount"], currency), currency)}
        rows.append(tuple(values[name] for name in REJECTS.columns))
        seen[row["claim_id"], row["entry_kind"]] = row["first_seen_on"]
    return REJECTS.from_rows(rows), seen


def reused_invoices(connection: Connection, batch_id: str) -> pd.DataFrame:
    """Findings: invoices of this batch that another claim has booked too, in any company and year (rule 17)."""
    mine, other, voucher = schema.voucher_invoice.alias("mine"), schema.voucher_invoice.alias("other"), schema.voucher
    same = sa.and_(*(mine.c[name] == voucher.c[name] for name in schema.VOUCHER_KEY))
    query = (
        sa.select(mine.c.claim_id, voucher.c.claim_code, mine.c.invoice_id, mine.c.amount, voucher.c.base_currency, sa.func.min(other.c.claim_id))
        .select_from(mine.join(voucher, same).join(other, sa.and_(other.c.invoice_id == mine.c.invoice_id, other.c.claim_id != mine.c.claim_id)))
        .where(voucher.c.batch_id == batch_id)
        .group_by(mine.c.claim_id, voucher.c.claim_code, mine.c.invoice_id, mine.c.amount, voucher.c.base_currency)
        .order_by(voucher.c.claim_code, mine.c.invoice_id)
    )
    return FINDINGS.from_rows(
        [
            (row[0], row[1], "INVOICE_REUSED", f"invoice {row[2]} is also booked by claim {row[5]}", to_minor(_exact(row[3], row[4]), row[4]), row[4])
            for row in connection.execute(query)
        ]
    )


def _voucher_lines() -> sa.Join:
    voucher, line = schema.voucher, schema.voucher_line
    return voucher.join(line, sa.and_(*(voucher.c[name] == line.c[name] for name in schema.VOUCHER_KEY)))


def _exact(value: Decimal | None, currency: str) -> Decimal:
    """A stored amount at its currency's scale; a part of a minor unit stays visible."""
    amount = Decimal(0) if value is None else Decimal(value)
    scaled = amount.quantize(Decimal(1).scaleb(-exponent(currency or "CNY")))
    return scaled if scaled == amount else amount
