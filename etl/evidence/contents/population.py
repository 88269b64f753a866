"""Population proof: every voucher and line of the month, numbers without gaps, and the tie to what Hesi said.

Sums are made by the database, rows are written one by one: ``verify.py`` adds the rows and compares. Summaries carry real names
because they are the accounting record; names of people in dimensions are masked as in every report.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from etl.erp import schema
from etl.erp.columns import exact_sum
from etl.evidence.scope import Row, Scope
from etl.evidence.tables import PackFiles, money
from etl.masking import mask_name

_NUMBER = ("book_code", "voucher_word", "voucher_no")
_PUBLIC_DIMENSIONS = frozenset({"department", "project"})
VOUCHERS = (
    "book_code voucher_word voucher_no voucher_date original_date claim_code claim_id entry_kind part_no revision reverses_revision status currency "
    "summary attachment_count maker mapping_sha256 payload_sha256 batch_id"
).split()
LINES = (
    "book_code voucher_word voucher_no line_no summary account_code debit credit base_currency currency fx_rate amount_fc tax_code tax_rate "
    "settlement_no cash_flow_item due_date business_date source_line_id"
).split()


def write_population(pack: PackFiles, scope: Scope) -> dict[str, Any]:
    """Writes the tables; returns the totals that go into the manifest."""
    vouchers = pack.table("1-population/vouchers.csv", VOUCHERS, _vouchers(scope))
    lines = pack.table("1-population/voucher_lines.csv", LINES, _lines(scope))
    pack.table("1-population/line_dimensions.csv", [*_NUMBER, "line_no", "dim_type", "dim_code", "dim_name"], _dimensions(scope))
    source_columns = [*_NUMBER, "line_no", "source_line_id", "source_part", "fee_type_code", "amount", "rule"]
    pack.table("1-population/line_sources.csv", source_columns, _sources(scope))
    pack.table("1-population/invoices.csv", [*_NUMBER, "invoice_id", "invoice_kind", "amount", "tax"], _invoices(scope))
    totals = list(_totals(scope))
    pack.table("1-population/totals.csv", ["entry_kind", "currency", "vouchers", "lines", "debit", "credit"], totals)
    pack.table("1-population/account_totals.csv", ["account_code", "currency", "lines", "debit", "credit"], _accounts(scope))
    sequences, gaps = _sequences(scope)
    pack.table("1-population/number_sequences.csv", ["book_code", "voucher_word", "first", "last", "vouchers", "missing"], sequences)
    pack.table("1-population/number_gaps.csv", [*_NUMBER, "explanation"], gaps)
    return {"vouchers": vouchers, "lines": lines, "gaps": len(gaps), "totals": [[str(value) for value in row] for row in totals]}


def _joined(table: sa.Table) -> sa.Join:
    voucher = schema.voucher
    return voucher.join(table, sa.and_(*(voucher.c[name] == table.c[name] for name in schema.VOUCHER_KEY)))


def _in_order(*more: sa.ColumnElement[Any]) -> list[sa.ColumnElement[Any]]:
    voucher = schema.voucher
    # The company and the month are fixed, so the number tells vouchers apart.
    return [*(voucher.c[name] for name in _NUMBER), *more]


def _vouchers(scope: Scope) -> Iterator[list[Any]]:
    rules = {row["batch_id"]: row["mapping_sha256"] for row in scope.batches}
    for row in scope.erp_rows(sa.select(schema.voucher).where(scope.of_period).order_by(*_in_order())):
        row |= {"currency": row["base_currency"], "mapping_sha256": rules[row["batch_id"]]}
        yield [row[name] for name in VOUCHERS]


def _lines(scope: Scope) -> Iterator[list[Any]]:
    line, voucher = schema.voucher_line, schema.voucher
    numbers = (voucher.c[name] for name in (*_NUMBER, "base_currency"))
    own = (column for column in line.c if column.name not in schema.VOUCHER_KEY)
    query = sa.select(*numbers, *own).select_from(_joined(line)).where(scope.of_period).order_by(*_in_order(line.c.line_no))
    for row in scope.erp_rows(query):
        base = row["base_currency"]
        row |= {"debit": money(row["debit"], base), "credit": money(row["credit"], base), "amount_fc": money(row["amount_fc"], row["currency"])}
        row |= {name: "" if row[name] is None else f"{row[name].normalize():f}" for name in ("fx_rate", "tax_rate")}
        yield [row[name] for name in LINES]


def _dimensions(scope: Scope) -> Iterator[list[Any]]:
    table = schema.voucher_line_dimension
    for row in _details(scope, table, table.c.line_no, table.c.dim_type):
        name = row["dim_name"] or ""
        shown = name if row["dim_type"] in _PUBLIC_DIMENSIONS else mask_name(name)
        yield [*(row[key] for key in _NUMBER), row["line_no"], row["dim_type"], row["dim_code"], shown]


def _sources(scope: Scope) -> Iterator[list[Any]]:
    table = schema.voucher_line_source
    for row in _details(scope, table, table.c.line_no, table.c.source_line_id, table.c.source_part):
        amount = money(row["amount"], row["base_currency"])
        yield [*(row[key] for key in _NUMBER), *(row[key] for key in ("line_no", "source_line_id", "source_part", "fee_type_code")), amount, row["rule"]]


def _invoices(scope: Scope) -> Iterator[list[Any]]:
    for row in _details(scope, schema.voucher_invoice, schema.voucher_invoice.c.invoice_id):
        amounts = (money(row[key], row["base_currency"]) for key in ("amount", "tax"))
        yield [*(row[key] for key in _NUMBER), row["invoice_id"], row["invoice_kind"], *amounts]


def _details(scope: Scope, table: sa.Table, *order: sa.ColumnElement[Any]) -> Iterator[Row]:
    voucher = schema.voucher
    numbers = (voucher.c[name] for name in ("voucher_word", "voucher_no", "base_currency"))
    query = sa.select(*numbers, *table.c).select_from(_joined(table)).where(scope.of_period).order_by(*_in_order(*order))
    yield from scope.erp_rows(query)


def _totals(scope: Scope) -> Iterator[list[Any]]:
    voucher, line = schema.voucher, schema.voucher_line
    group = (voucher.c.entry_kind, voucher.c.base_currency)
    per_voucher = (
        sa.select(*group, sa.func.count(line.c.line_no).label("lines"), exact_sum(line.c.debit).label("debit"), exact_sum(line.c.credit).label("credit"))
        .select_from(voucher.outerjoin(line, sa.and_(*(voucher.c[name] == line.c[name] for name in schema.VOUCHER_KEY))))
        .where(scope.of_period)
        .group_by(*(voucher.c[name] for name in schema.VOUCHER_KEY), voucher.c.base_currency)
        .subquery()
    )
    keys = (per_voucher.c.entry_kind, per_voucher.c.base_currency)
    sums = (sa.func.count().label("vouchers"), sa.func.sum(per_voucher.c.lines).label("lines"))
    amounts = (exact_sum(per_voucher.c.debit).label("debit"), exact_sum(per_voucher.c.credit).label("credit"))
    for row in scope.erp_rows(sa.select(*keys, *sums, *amounts).group_by(*keys).order_by(*keys)):
        currency = row["base_currency"]
        debit, credit = (money(row[name] or Decimal(0), currency) for name in ("debit", "credit"))
        yield [row["entry_kind"], currency, row["vouchers"], int(row["lines"]), debit, credit]


def _accounts(scope: Scope) -> Iterator[list[Any]]:
    voucher, line = schema.voucher, schema.voucher_line
    keys = (line.c.account_code, voucher.c.base_currency)
    sums = (sa.func.count().label("lines"), exact_sum(line.c.debit).label("debit"), exact_sum(line.c.credit).label("credit"))
    query = sa.select(*keys, *sums).select_from(_joined(line)).where(scope.of_period).group_by(*keys).order_by(*keys)
    for row in scope.erp_rows(query):
        currency = row["base_currency"]
        yield [row["account_code"], currency, row["lines"], money(row["debit"], currency), money(row["credit"], currency)]


def _sequences(scope: Scope) -> tuple[list[list[Any]], list[list[Any]]]:
    """Each series of numbers, and each number that is missing from it, with what the audit log says of it."""
    series: dict[tuple[str, str], list[int]] = {}
    query = sa.select(*(schema.voucher.c[name] for name in _NUMBER)).where(scope.of_period).order_by(*_in_order())
    for row in scope.erp_rows(query):
        series.setdefault((row["book_code"], row["voucher_word"]), []).append(row["voucher_no"])
    held = {(book, word, number) for (book, word), numbers in series.items() for number in numbers}
    told = _gone(scope, held)
    missing = {(book, word, number) for (book, word), numbers in series.items() for number in range(1, numbers[-1] + 1)} - held | told.keys()
    gaps = [[*key, told.get(key, "never given by this program: no entry of the audit log has it")] for key in sorted(missing)]
    rows = [
        [book, word, numbers[0], numbers[-1], len(numbers), sum(1 for gap in missing if gap[:2] == (book, word))] for (book, word), numbers in series.items()
    ]
    return rows, gaps


def _gone(scope: Scope, held: set[tuple[str, str, int]]) -> dict[tuple[str, str, int], str]:
    """Numbers of the company and month that the log saw given and no voucher has any more."""
    told: dict[tuple[str, str, int], str] = {}
    for entry in scope.log.entries():
        if entry.kind == "posted" and entry.body["company"] == scope.company:
            where = f"in batch {entry.body['batch_id']} (log seq {entry.seq}); its row is gone from the ERP database"
            rows = (row for row in entry.body["rows"] if row[6] == str(scope.period) and (row[5], row[7], row[8]) not in held)
            told |= {(row[5], row[7], row[8]): f"posted for claim {row[1]} {where}" for row in rows}
    return told
