"""Counts and sums read back from the target inside the transaction, and their comparison with what was sent."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from etl.erp import schema
from etl.erp.columns import exact_sum
from etl.erp.port import ControlTotal
from etl.errors import ControlTotalMismatch
from etl.money import exponent


@dataclass
class _Sum:
    vouchers: int = 0
    lines: int = 0
    debit: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)


@dataclass
class SentTotals:
    """What was handed to the target, added up from the rows themselves."""

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(schema.BATCH_TABLES, 0))
    taken: dict[str, int] = field(default_factory=lambda: dict.fromkeys(schema.BATCH_TABLES, 0))
    sums: dict[tuple[str, str], _Sum] = field(default_factory=lambda: defaultdict(_Sum))

    def sent(self, tables: dict[str, pa.Table], base_currency: pa.Array) -> None:
        """Counts rows and adds debits and credits of the lines; ``base_currency`` is that of each line's voucher."""
        for name, rows in tables.items():
            self.rows[name] += len(rows)
        vouchers = tables["voucher"].group_by(["company_code", "base_currency"]).aggregate([([], "count_all")])
        for company, currency, count in zip(*(vouchers[name].to_pylist() for name in ("company_code", "base_currency", "count_all")), strict=True):
            self.sums[company, currency].vouchers += count
        lines = tables["voucher_line"].select(["company_code", "debit", "credit"]).append_column("base_currency", base_currency)
        added = lines.group_by(["company_code", "base_currency"]).aggregate([("debit", "sum"), ("credit", "sum"), ([], "count_all")])
        for row in added.to_pylist():
            total = self.sums[row["company_code"], row["base_currency"]]
            total.debit += row["debit_sum"]
            total.credit += row["credit_sum"]
            total.lines += row["count_all"]

    def totals(self, before: tuple[ControlTotal, ...]) -> tuple[ControlTotal, ...]:
        """Per company and base currency, on top of what was there before."""
        added = {key: ControlTotal(*key, s.vouchers, s.lines, s.debit, s.credit) for key, s in self.sums.items()}
        for old in before:
            new = added.get((old.company_code, old.currency))
            added[old.company_code, old.currency] = old if new is None else _together(old, new)
        return tuple(sorted(added.values()))


def read_back(connection: Connection, batch_id: str) -> tuple[tuple[ControlTotal, ...], int]:
    """What the target holds of the batch per company and base currency, and how many of its vouchers do not balance.

    Lines are joined through their vouchers, so a line without its voucher shows as a missing line.
    """
    voucher, line = schema.voucher, schema.voucher_line
    joined = sa.and_(*(voucher.c[name] == line.c[name] for name in schema.VOUCHER_KEY))
    per_voucher = (
        sa.select(
            voucher.c.company_code,
            voucher.c.base_currency,
            sa.func.count(line.c.line_no).label("lines"),
            exact_sum(line.c.debit).label("debit"),
            exact_sum(line.c.credit).label("credit"),
        )
        .select_from(voucher.outerjoin(line, joined))
        .where(voucher.c.batch_id == batch_id)
        .group_by(*(voucher.c[name] for name in schema.VOUCHER_KEY), voucher.c.base_currency)
        .subquery()
    )
    unbalanced = sa.case((sa.func.coalesce(per_voucher.c.debit != per_voucher.c.credit, sa.true()), 1), else_=0)
    query = sa.select(
        per_voucher.c.company_code,
        per_voucher.c.base_currency,
        sa.func.count().label("vouchers"),
        sa.func.sum(per_voucher.c.lines),
        exact_sum(per_voucher.c.debit),
        exact_sum(per_voucher.c.credit),
        sa.func.sum(unbalanced),
    ).group_by(per_voucher.c.company_code, per_voucher.c.base_currency)
    rows = connection.execute(query).all()
    totals = (ControlTotal(r[0], r[1], int(r[2]), int(r[3] or 0), _at_scale(r[4], r[1]), _at_scale(r[5], r[1])) for r in rows)
    return tuple(sorted(totals)), sum(int(row[6]) for row in rows)


def prove(sent: SentTotals, found: tuple[ControlTotal, ...], *, before: tuple[ControlTotal, ...] = (), unbalanced: int = 0) -> None:
    """Nothing when what was read back is what was sent and every voucher balances.

    Args:
        sent: what was handed over in this transaction.
        found: what the target holds of the batch now.
        before: what it held of the same batch when the transaction began.
        unbalanced: vouchers of the batch whose debits and credits differ.

    Raises:
        ControlTotalMismatch: names the first difference; the transaction must be rolled back.
    """
    for name, count in sent.rows.items():
        if sent.taken[name] != count:
            raise ControlTotalMismatch(
                f"{name}: expected {count} rows, the target took {sent.taken[name]}; nothing was committed, run again and report it if it repeats"
            )
    expected = sent.totals(before)
    if found != expected:
        difference = next(iter(sorted({*expected} ^ {*found})))
        raise ControlTotalMismatch(
            f"read back of company {difference.company_code} {difference.currency}: expected {_shown(expected)}, found {_shown(found)}; "
            "nothing was committed, run again and report it if it repeats"
        )
    if unbalanced:
        raise ControlTotalMismatch(f"{unbalanced} vouchers of the batch do not balance; nothing was committed, report this as a defect")


def _together(one: ControlTotal, other: ControlTotal) -> ControlTotal:
    return ControlTotal(
        one.company_code,
        one.currency,
        one.vouchers + other.vouchers,
        one.lines + other.lines,
        one.debit + other.debit,
        one.credit + other.credit,
    )


def _at_scale(value: Decimal | None, currency: str) -> Decimal:
    """The sum with its currency's decimals; with all of them where there are more, so that no difference is rounded away."""
    exact = value or Decimal(0)
    shown = exact.quantize(Decimal(1).scaleb(-exponent(currency)))
    return shown if shown == exact else exact


def _shown(totals: tuple[ControlTotal, ...]) -> str:
    return "; ".join(f"{t.company_code} {t.currency} {t.vouchers} vouchers {t.lines} lines Dr {t.debit} Cr {t.credit}" for t in totals) or "nothing"
