"""From a claim to every voucher line and back: rule, version, validation, batch; or why it is not posted and whose turn it is.

Read from the ERP database and, for validation results and history, the run ledger; without the ledger's history the
vouchers are explained all the same. Summaries are left out: they carry names and say nothing the figures do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, RowMapping

from etl.erp import schema
from etl.erp.engine import reading
from etl.erp.standing import standing_ids, standing_of
from etl.errors import ConfigError
from etl.explain.history import History
from etl.explain.model import Batch, Claim, Dimension, Drift, Entry, Explanation, Invoice, Line, Refusal, Source, Standing, Voucher, VoucherOf, WriteBack
from etl.masking import mask_name
from etl.money import exponent
from etl.rejects import CATALOGUE

Row: TypeAlias = RowMapping
# company/period/word-number; company and period may be left out.
_NUMBER = re.compile(r"(?:(?P<company>[^/]+)/)?(?:(?P<year>\d{4})-(?P<month>\d{2})/)?(?P<word>[^/]+)-(?P<number>\d{1,9})")
# Other dimensions may be people: their codes are shown, their names masked.
_NAMED_DIMENSIONS = ("department", "project")

# A claim nobody could read, or that a run has only just read: only its standing is known.
_UNREAD = {"form_type": "", "hesi_state": "", "hesi_voucher_no": "", "claimant_name": "", "department_code": "", "updated_at": None}


def explain(query: str, erp: Engine, ledger: Engine) -> Explanation:
    """Everything known about a claim, or whose voucher a number is.

    Args:
        query: a claim's number or id; else a voucher as ``C01/2026-03/记-12``, ``2026-03/记-12`` or ``记-12``, or the number as
            it was written to Hesi.
        erp: the ERP database.
        ledger: the run ledger.

    Raises:
        ConfigError: nothing is known by that name.
    """
    with reading(erp) as connection:
        ids = _claim_ids(connection, query)
        found_as = "claim" if ids else "voucher"
        vouchers = [] if ids else _vouchers_of(connection, query)
        if vouchers:
            ids = list(dict.fromkeys(voucher.claim_id for voucher in vouchers))
        if not ids:
            raise ConfigError(
                f"expected a claim number or a voucher like C01/2026-03/记-12, found nothing known as {query!r}; "
                "a claim is known from the first run after its approval on"
            )
        several = found_as == "voucher" and len(ids) > 1
        with reading(ledger) as history:
            claims = [] if several else [_claim(connection, claim_id, History(history)) for claim_id in ids]
    return Explanation(query, found_as, vouchers, claims)


def _claim_ids(connection: Connection, query: str) -> list[str]:
    table = schema.claim_state
    named = sa.or_(table.c.claim_code == query, table.c.claim_id == query)
    decided = list(connection.execute(sa.select(table.c.claim_id).where(named).distinct().order_by(table.c.claim_id)).scalars())
    return decided or standing_ids(connection, query)


def _vouchers_of(connection: Connection, query: str) -> list[VoucherOf]:
    table, outbox = schema.voucher, schema.writeback_outbox
    written = sa.select(outbox.c.claim_id).where(outbox.c.voucher_number == query)
    fits = sa.and_(table.c.claim_id.in_(written), table.c.entry_kind == "EXPENSE")
    number = _NUMBER.fullmatch(query)
    if number:
        wanted = {
            "company_code": number["company"],
            "fiscal_year": number["year"] and int(number["year"]),
            "fiscal_period": number["month"] and int(number["month"]),
            "voucher_word": number["word"],
            "voucher_no": int(number["number"]),
        }
        fits = sa.or_(fits, sa.and_(*(table.c[name] == value for name, value in wanted.items() if value is not None)))
    order = ("company_code", "fiscal_year", "fiscal_period", "book_code", "voucher_word", "voucher_no")
    rows = connection.execute(sa.select(table).where(fits).order_by(*(table.c[name] for name in order))).mappings()
    return [VoucherOf(voucher_number(row), row["voucher_date"], row["entry_kind"], row["claim_code"], row["claim_id"], row["status"]) for row in rows]


def voucher_number(voucher: Row) -> str:
    """``company/period/word-number`` of a voucher row: enough to find it again in any book of one company."""
    period = f"{voucher['fiscal_year']:04d}-{voucher['fiscal_period']:02d}"
    return f"{voucher['company_code']}/{period}/{voucher['voucher_word']}-{voucher['voucher_no']}"


def _claim(connection: Connection, claim_id: str, history: History) -> Claim:
    states = _rows(connection, schema.claim_state, claim_id)
    standing = standing_of(connection, claim_id)
    first = dict(states[0]) if states else {**_UNREAD, "claim_code": standing[-1]["claim_code"]}
    refusals = {row["entry_kind"]: _refusal(row) for row in _rows(connection, schema.claim_reject, claim_id)}
    drifts = {(row["entry_kind"], row["part_no"]): _drift(row) for row in _rows(connection, schema.claim_drift, claim_id)}
    vouchers = _vouchers(connection, claim_id, history)
    outbox = next(iter(_rows(connection, schema.writeback_outbox, claim_id)), None)
    return Claim(
        claim_id=claim_id,
        claim_code=first["claim_code"],
        form_type=first["form_type"],
        hesi_state=first["hesi_state"],
        hesi_voucher_no=outbox["voucher_number"] if outbox and (outbox["status"], outbox["reason"]) == ("DONE", "") else first["hesi_voucher_no"],
        claimant_name=first["claimant_name"],
        department_code=first["department_code"],
        updated_at=_instant(first["updated_at"]),
        standing=[_standing(row) for row in standing],
        entries=[
            Entry(
                entry_kind=row["entry_kind"],
                part_no=row["part_no"],
                state=row["state"],
                company_code=row["company_code"],
                currency=row["currency"],
                amount=_money(row["amount"], row["currency"]),
                event_date=row["event_date"],
                raw_ref=row["raw_ref"],
                vouchers=vouchers.get((row["entry_kind"], row["part_no"]), []),
                refusal=refusals.get(row["entry_kind"]) if row["state"] in {"held", "rejected"} else None,
                drift=drifts.get((row["entry_kind"], row["part_no"])),
            )
            for row in states
        ],
        write_back=WriteBack(outbox["voucher_number"], outbox["status"], outbox["reason"]) if outbox else None,
        history=history.refused(claim_id),
        remarks=history.remarks(claim_id),
    )


def _vouchers(connection: Connection, claim_id: str, history: History) -> dict[tuple[str, int], list[Voucher]]:
    """Vouchers of the claim by entry kind and part, revisions in order."""
    children = {table.name: _by_voucher(_rows(connection, table, claim_id)) for table in _CHILDREN}
    rows = _rows(connection, schema.voucher, claim_id)
    batches = {row["batch_id"]: row for row in _batches(connection, {row["batch_id"] for row in rows})}
    found: dict[tuple[str, int], list[Voucher]] = {}
    for row in rows:
        key = _voucher_key(row)
        batch = batches[row["batch_id"]]
        voucher = Voucher(
            number=voucher_number(row),
            revision=row["revision"],
            status=row["status"],
            book_code=row["book_code"],
            voucher_date=row["voucher_date"],
            original_date=row["original_date"],
            base_currency=row["base_currency"],
            attachment_count=row["attachment_count"],
            payload_sha256=row["payload_sha256"],
            batch=_batch(batch),
            lines=_lines(row, key, children),
            invoices=[_invoice(invoice, row["base_currency"]) for invoice in children["voucher_invoice"].get(key, ())],
            validation=history.checks(batch["run_id"], f"{row['claim_code']} {row['entry_kind']} {row['part_no']}"),
        )
        found.setdefault((row["entry_kind"], row["part_no"]), []).append(voucher)
    return found


_CHILDREN = (schema.voucher_line, schema.voucher_line_dimension, schema.voucher_line_source, schema.voucher_invoice)


def _lines(voucher: Row, key: tuple[Any, ...], children: Mapping[str, Mapping[tuple[Any, ...], list[Row]]]) -> list[Line]:
    base = voucher["base_currency"]
    dimensions = _by_line(children["voucher_line_dimension"].get(key, ()))
    sources = _by_line(children["voucher_line_source"].get(key, ()))
    return [
        Line(
            line_no=row["line_no"],
            account_code=row["account_code"],
            debit=_money(row["debit"], base),
            credit=_money(row["credit"], base),
            currency=row["currency"],
            amount_fc="" if row["amount_fc"] is None else _money(row["amount_fc"], row["currency"]),
            fx_rate=_plain(row["fx_rate"]),
            tax_code=row["tax_code"] or "",
            tax_rate=_plain(row["tax_rate"]),
            dimensions=[_dimension(dimension) for dimension in dimensions.get(row["line_no"], ())],
            sources=[
                Source(source["source_line_id"], source["source_part"], source["fee_type_code"] or "", _money(source["amount"], base), source["rule"])
                for source in sources.get(row["line_no"], ())
            ],
        )
        for row in children["voucher_line"].get(key, ())
    ]


def _dimension(row: Row) -> Dimension:
    name = row["dim_name"] or ""
    return Dimension(row["dim_type"], row["dim_code"], name if row["dim_type"] in _NAMED_DIMENSIONS else mask_name(name))


def _invoice(row: Row, currency: str) -> Invoice:
    return Invoice(row["invoice_id"], row["invoice_kind"] or "", _money(row["amount"], currency), _money(row["tax"], currency))


def _batch(row: Row) -> Batch:
    created = row["created_at"].replace(tzinfo=UTC)
    return Batch(row["batch_id"], row["run_id"], created, row["mapping_sha256"], row["expectations_sha256"], row["package_version"])


def _refusal(row: Row) -> Refusal:
    code = CATALOGUE.get(row["rule"])
    fix = f"{code.fix_zh} {code.fix_en}" if code else ""
    return Refusal(row["disposition"], row["step"], row["rule"], row["reason"], row["owner"], row["due_date"], row["first_seen_on"], fix)


def _standing(row: Row) -> Standing:
    names = ("entry_kind", "part_no", "claim_version", "state", "cause", "reason", "owner")
    return Standing(**{name: row[name] for name in names}, since=_instant(row["since"]), run_id=row["run_id"] or "")


def _drift(row: Row) -> Drift:
    return Drift(row["cause"], _money(row["posted_amount"], row["currency"]), _money(row["source_amount"], row["currency"]), row["found_on"])


def _rows(connection: Connection, table: sa.Table, claim_id: str) -> Sequence[Row]:
    where = sa.and_(table.c.claim_id == claim_id, table.c.source_system == schema.SOURCE_SYSTEM)
    return connection.execute(sa.select(table).where(where).order_by(*table.primary_key.columns)).mappings().all()


def _batches(connection: Connection, batch_ids: Iterable[str]) -> Sequence[Row]:
    table = schema.posting_batch
    return connection.execute(sa.select(table).where(table.c.batch_id.in_(sorted(batch_ids)))).mappings().all()


def _voucher_key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in schema.VOUCHER_KEY)


def _by_voucher(rows: Iterable[Row]) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(_voucher_key(row), []).append(row)
    return found


def _by_line(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["line_no"], []).append(row)
    return found


def _money(value: Decimal, currency: str) -> str:
    """Decimal text at the currency's scale; more decimals only where the value really has more."""
    scaled = value.quantize(Decimal(1).scaleb(-exponent(currency))) if currency else value
    return f"{scaled if scaled == value else value.normalize():f}"


def _plain(value: Decimal | None) -> str:
    """Decimal text without the zeros the column's scale adds; empty for NULL."""
    return "" if value is None else f"{value.normalize():f}"


def _instant(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=UTC)
