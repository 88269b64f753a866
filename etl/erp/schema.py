"""The tables of the ERP database: vouchers as others read them, and everything that decides posting.

The voucher key (source_system, claim_id, entry_kind, company_code, book_code, part_no, revision) is the idempotency key: a
voucher is posted once and never edited. Primary keys start with ``claim_id`` because it tells rows apart at the first
comparison, which makes a bulk load about 20 % cheaper, and because people look for claims.

Vouchers refer to their batch, and lines, dimensions, sources and invoices to their voucher, by foreign key on SQLite and SQL
Server. On PostgreSQL the per-row trigger of such a key costs more than the rest of the load (measured: 9 µs a line against
4 µs for writing it), so there the load proves the same thing once per batch, inside the transaction, by joining what it wrote
(:mod:`etl.erp.control`).

For the same reason lines, dimensions, sources and invoices have no unique index on PostgreSQL, only one to find them: eight to
ten columns, most of them text, cost as much as everything else about such a row (measured: a fifth of the load for the lines and
invoices alone). A voucher is inserted once and whole, its own key is unique, so its details are unique when those of the chunk
are, which :func:`etl.erp.rows.select` proves before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from etl.erp.columns import amount, document, identifier, instant, percent, rate, words

SOURCE_SYSTEM = "hesi"
VOUCHER_KEY = ("claim_id", "entry_kind", "part_no", "revision", "company_code", "book_code", "source_system")
STATE_KEY = ("claim_id", "entry_kind", "part_no", "source_system")
VERSION_TABLE = "erp_schema_version"
_OPEN = sa.text("state <> 'posted'")
BATCH_TABLES = ("voucher", "voucher_line", "voucher_line_dimension", "voucher_line_source", "voucher_invoice")

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def _key(*, revision: bool = True) -> list[sa.Column[Any]]:
    columns: list[sa.Column[Any]] = [
        sa.Column("source_system", identifier(20), nullable=False, comment="Always hesi"),
        sa.Column("claim_id", identifier(64), nullable=False, comment="Hesi's flow id"),
        sa.Column("entry_kind", identifier(16), nullable=False, comment="EXPENSE, PAYMENT, LOAN or RECEIPT"),
        sa.Column("company_code", identifier(60), nullable=False, comment="Company of the mapping"),
        sa.Column("book_code", identifier(60), nullable=False, comment="Book of the company"),
        sa.Column("part_no", sa.Integer, nullable=False, comment="0 for the accrual, 1, 2, ... for payments"),
        sa.Column("revision", sa.Integer, nullable=False, comment="0 = first posting; a reversal is the next revision"),
    ]
    return columns if revision else [c for c in columns if c.name not in {"company_code", "book_code", "revision"}]


def _to_voucher() -> sa.ForeignKeyConstraint:
    return _where_cheap(sa.ForeignKeyConstraint(VOUCHER_KEY, [f"voucher.{name}" for name in VOUCHER_KEY]))


def _where_cheap(key: sa.ForeignKeyConstraint) -> sa.ForeignKeyConstraint:
    return key.ddl_if(dialect=("sqlite", "mssql"))  # type: ignore[arg-type]  # a tuple is documented, the annotation is narrower


def _key_and_look_up(table: str, *names: str) -> tuple[sa.PrimaryKeyConstraint, sa.Index]:
    """The primary key; on PostgreSQL only a look-up by its first column in its place."""
    look_up = sa.Index(f"ix_{table}_{names[0]}", names[0]).ddl_if(dialect="postgresql")
    key = sa.PrimaryKeyConstraint(*names).ddl_if(dialect=("sqlite", "mssql"))  # type: ignore[arg-type]  # see above
    return key, look_up


def _by_dialect(name: str, rules: Iterable[tuple[str, str]]) -> list[sa.CheckConstraint]:
    return [sa.CheckConstraint(rule, name=name).ddl_if(dialect=dialect) for dialect, rule in rules]


posting_batch = sa.Table(
    "posting_batch",
    metadata,
    sa.Column("batch_id", identifier(64), primary_key=True),
    sa.Column("run_id", identifier(64), nullable=False, comment="Run of the ledger that posted the batch"),
    sa.Column("mapping_sha256", identifier(64), nullable=False, comment="Version of the rules that made the vouchers"),
    sa.Column("expectations_sha256", identifier(64), nullable=False, comment="Version of the validation suites passed"),
    sa.Column("package_version", identifier(40), nullable=False),
    sa.Column("voucher_count", sa.Integer, nullable=False, comment="Read back before the commit"),
    sa.Column("line_count", sa.Integer, nullable=False, comment="Read back before the commit"),
    sa.Column("created_at", instant(), nullable=False, comment="UTC"),
    sa.Column("audit_seq", sa.BigInteger, comment="Entry of the audit log that announced the batch"),
    sa.Column("audit_head", identifier(600), comment="Signed head of the audit log at that entry, canonical JSON"),
    comment="One row per transaction that posted vouchers",
)

voucher = sa.Table(
    "voucher",
    metadata,
    *_key()[:2],
    sa.Column("claim_code", identifier(64), nullable=False, comment="Number people know: form.code"),
    *_key()[2:],
    sa.Column("claim_version", sa.BigInteger, nullable=False, comment="Hesi's version, information only: it orders nothing"),
    sa.Column("voucher_word", identifier(8), nullable=False),
    sa.Column("voucher_no", sa.Integer, nullable=False, comment="Continuous per company, book, year, period and word"),
    sa.Column("voucher_date", sa.Date, nullable=False, comment="Inside the fiscal period"),
    sa.Column("original_date", sa.Date, comment="Day of the event, before any shift to an open period"),
    sa.Column("fiscal_year", sa.Integer, nullable=False),
    sa.Column("fiscal_period", sa.Integer, nullable=False, comment="1 to 12"),
    sa.Column("attachment_count", sa.Integer, nullable=False),
    sa.Column("maker", words(64), nullable=False),
    sa.Column("summary", words(1000), nullable=False),
    sa.Column("base_currency", identifier(3), nullable=False),
    sa.Column("reverses_revision", sa.Integer, comment="Revision this voucher reverses"),
    sa.Column("status", identifier(10), nullable=False, comment="POSTED or REVERSED"),
    sa.Column("erp_id", identifier(80), comment="Key in a target that is not this database"),
    sa.Column("erp_number", identifier(40), comment="Number given by a target that is not this database"),
    sa.Column("payload_sha256", identifier(64), nullable=False, comment="Hash of everything that may never change; see etl/erp/digest.py"),
    sa.Column("batch_id", identifier(64), nullable=False),
    sa.PrimaryKeyConstraint(*VOUCHER_KEY),
    _where_cheap(sa.ForeignKeyConstraint(["batch_id"], ["posting_batch.batch_id"])),
    sa.CheckConstraint("status IN ('POSTED', 'REVERSED')", name="status"),
    sa.CheckConstraint("fiscal_period BETWEEN 1 AND 12", name="fiscal_period"),
    sa.CheckConstraint("voucher_no > 0", name="voucher_no"),
    *_by_dialect(
        "date_in_period",
        (
            ("postgresql", "EXTRACT(YEAR FROM voucher_date) = fiscal_year AND EXTRACT(MONTH FROM voucher_date) = fiscal_period"),
            ("sqlite", "strftime('%Y-%m', voucher_date) = printf('%04d-%02d', fiscal_year, fiscal_period)"),
            ("mssql", "YEAR(voucher_date) = fiscal_year AND MONTH(voucher_date) = fiscal_period"),
        ),
    ),
    # The year stands first: with company and book in front PostgreSQL would take this index for key look-ups.
    sa.Index(
        "uq_voucher_number",
        *("fiscal_year", "fiscal_period", "company_code", "book_code", "voucher_word", "voucher_no"),
        unique=True,
        mssql_where=sa.text("voucher_no IS NOT NULL"),
    ),
    sa.Index("ix_voucher_batch_id", "batch_id"),
    sa.Index("ix_voucher_claim_code", "claim_code"),
    comment="One posted voucher",
)

voucher_line = sa.Table(
    "voucher_line",
    metadata,
    *_key(),
    sa.Column("line_no", sa.Integer, nullable=False, comment="From 1, in print order"),
    sa.Column("summary", words(1000), nullable=False),
    sa.Column("account_code", identifier(60), nullable=False),
    sa.Column("currency", identifier(3), nullable=False, comment="Currency of amount_fc; the base currency without one"),
    sa.Column("fx_rate", rate(), comment="Null in the base currency"),
    sa.Column("amount_fc", amount(), comment="Foreign amount; null in the base currency"),
    sa.Column("debit", amount(), nullable=False, comment="Base currency; negative = red"),
    sa.Column("credit", amount(), nullable=False, comment="Base currency; negative = red"),
    sa.Column("tax_code", identifier(60)),
    sa.Column("tax_rate", percent(), comment="Percent, on VAT lines"),
    sa.Column("settlement_no", words(120)),
    sa.Column("cash_flow_item", identifier(60)),
    sa.Column("due_date", sa.Date),
    sa.Column("business_date", sa.Date),
    sa.Column("source_line_id", identifier(120), comment="First source line; all of them are in voucher_line_source"),
    *_key_and_look_up("voucher_line", *VOUCHER_KEY, "line_no"),
    _to_voucher(),
    sa.CheckConstraint("(debit = 0 AND credit <> 0) OR (debit <> 0 AND credit = 0)", name="one_side"),
    comment="One debit or credit",
)

voucher_line_dimension = sa.Table(
    "voucher_line_dimension",
    metadata,
    *_key(),
    sa.Column("line_no", sa.Integer, nullable=False),
    sa.Column("dim_type", identifier(60), nullable=False, comment="department, project, employee, supplier, or as mapped"),
    sa.Column("dim_code", identifier(120), nullable=False),
    sa.Column("dim_name", words(200)),
    *_key_and_look_up("voucher_line_dimension", *VOUCHER_KEY, "line_no", "dim_type"),
    _to_voucher(),
    comment="One dimension (辅助核算) of a line",
)

voucher_line_source = sa.Table(
    "voucher_line_source",
    metadata,
    *_key(),
    sa.Column("line_no", sa.Integer, nullable=False),
    sa.Column("source_line_id", identifier(120), nullable=False, comment="Line of the claim, or the claim itself"),
    sa.Column("source_part", identifier(100), nullable=False, comment="Share, invoice, write-off or payment row inside it"),
    sa.Column("amount", amount(), nullable=False, comment="Base currency"),
    sa.Column("fee_type_code", identifier(120)),
    sa.Column("rule", words(400), nullable=False, comment="Mapping entry that decided the account"),
    *_key_and_look_up("voucher_line_source", *VOUCHER_KEY, "line_no", "source_line_id", "source_part"),
    _to_voucher(),
    comment="What went into a line (n:m, accounting-rules 21)",
)

voucher_invoice = sa.Table(
    "voucher_invoice",
    metadata,
    *_key(),
    sa.Column("invoice_id", identifier(120), nullable=False),
    sa.Column("invoice_kind", identifier(60)),
    sa.Column("amount", amount(), nullable=False),
    sa.Column("tax", amount(), nullable=False),
    # The invoice stands first: the question is always who booked it before.
    *_key_and_look_up("voucher_invoice", "invoice_id", *VOUCHER_KEY),
    _to_voucher(),
    comment="One invoice booked with a voucher (accounting-rules 17)",
)

claim_state = sa.Table(
    "claim_state",
    metadata,
    *_key(revision=False),
    sa.Column("claim_code", identifier(64), nullable=False),
    sa.Column("form_type", identifier(20), nullable=False),
    sa.Column("hesi_state", identifier(40), nullable=False),
    sa.Column("hesi_voucher_no", words(120), nullable=False, comment="Number Hesi carried when it was last seen; ours, once written, is in writeback_outbox"),
    sa.Column("state", identifier(10), nullable=False),
    sa.Column("company_code", identifier(60), nullable=False),
    sa.Column("currency", identifier(3), nullable=False),
    sa.Column("amount", amount(), nullable=False, comment="Source amount in the base currency; as posted once posted"),
    sa.Column("claimant_name", words(200), nullable=False, comment="Masked"),
    sa.Column("department_code", identifier(120), nullable=False),
    sa.Column("event_date", sa.Date),
    sa.Column("claim_version", sa.BigInteger, nullable=False),
    sa.Column("source_sha256", identifier(64), nullable=False, comment="What the voucher depends on; as posted once posted"),
    sa.Column("raw_ref", identifier(300), nullable=False, comment="Page file and item index of the raw claim"),
    sa.Column("updated_at", instant(), comment="Hesi's updateTime of the version this row was written for, UTC"),
    sa.Column("loaded_at", instant(), nullable=False, comment="UTC"),
    sa.Column("run_id", identifier(64), comment="Run that decided the state"),
    sa.PrimaryKeyConstraint(*STATE_KEY),
    sa.CheckConstraint("state IN ('posted', 'waiting', 'held', 'rejected', 'skipped', 'reversed')", name="state"),
    sa.Index("ix_claim_state_open", "state", sqlite_where=_OPEN, postgresql_where=_OPEN, mssql_where=_OPEN),
    comment="Where every entry of every claim stands",
)

claim_reject = sa.Table(
    "claim_reject",
    metadata,
    *(column for column in _key(revision=False) if column.name != "part_no"),
    sa.Column("claim_code", identifier(64), nullable=False),
    sa.Column("form_type", identifier(20), nullable=False),
    sa.Column("disposition", identifier(10), nullable=False),
    sa.Column("step", identifier(20), nullable=False),
    sa.Column("rule", identifier(60), nullable=False, comment="Code of docs/runbook.md"),
    sa.Column("reason", words(2000), nullable=False),
    sa.Column("owner", words(40), nullable=False),
    sa.Column("due_date", sa.Date, nullable=False, comment="first_seen_on + the days the owner has"),
    sa.Column("company_code", identifier(60), nullable=False),
    sa.Column("currency", identifier(3), nullable=False),
    sa.Column("amount", amount(), nullable=False),
    sa.Column("claimant_name", words(200), nullable=False, comment="Masked"),
    sa.Column("department_code", identifier(120), nullable=False),
    sa.Column("raw_ref", identifier(300), nullable=False),
    sa.Column("first_seen_on", sa.Date, nullable=False),
    sa.Column("loaded_at", instant(), comment="When it came to say this, UTC"),
    sa.Column("run_id", identifier(64), comment="Run that came to say this"),
    sa.PrimaryKeyConstraint("claim_id", "entry_kind", "source_system"),
    sa.CheckConstraint("disposition IN ('rejected', 'held')", name="disposition"),
    comment="Entries that are not posted now, and why; history is in the run ledger",
)

claim_drift = sa.Table(
    "claim_drift",
    metadata,
    *_key(revision=False),
    sa.Column("claim_code", identifier(64), nullable=False),
    sa.Column("company_code", identifier(60), nullable=False),
    sa.Column("currency", identifier(3), nullable=False),
    sa.Column("posted_amount", amount(), nullable=False),
    sa.Column("source_amount", amount(), nullable=False),
    sa.Column("cause", identifier(10), nullable=False),
    sa.Column("found_on", sa.Date, nullable=False),
    sa.Column("raw_ref", identifier(300), nullable=False, comment="Page file and item index of the version that differs"),
    sa.Column("updated_at", instant(), comment="Hesi's updateTime of the version that differs, UTC"),
    sa.PrimaryKeyConstraint(*STATE_KEY),
    sa.CheckConstraint("cause IN ('changed', 'vanished')", name="cause"),
    comment="Posted entries whose source changed or vanished afterwards",
)

writeback_outbox = sa.Table(
    "writeback_outbox",
    metadata,
    *_key(revision=False)[:2],
    sa.Column("claim_code", identifier(64), nullable=False),
    sa.Column("voucher_number", words(120), nullable=False),
    sa.Column("fiscal_period", identifier(7), nullable=False, comment="YYYY-MM"),
    sa.Column("voucher_created_ms", sa.BigInteger, nullable=False, comment="Epoch milliseconds"),
    sa.Column("status", identifier(10), nullable=False),
    sa.Column("reason", words(500), nullable=False, comment="Why it is not DONE, or what happened to it since; may be empty"),
    sa.Column("hesi_state", identifier(40), nullable=False, comment="Only paid claims are sent"),
    sa.Column("created_at", instant(), nullable=False, comment="UTC"),
    sa.Column("updated_at", instant(), nullable=False, comment="UTC"),
    sa.Column("run_id", identifier(64), comment="Run that brought the status"),
    sa.PrimaryKeyConstraint("claim_id", "source_system"),
    sa.CheckConstraint("status IN ('PENDING', 'RETRY', 'FAILED', 'BLOCKED', 'DONE')", name="status"),
    sa.CheckConstraint("voucher_number <> ''", name="voucher_number"),
    comment="Voucher numbers on their way to Hesi",
    postgresql_with={"fillfactor": 70},  # rows change in place, twice each
)

claim_in_hand = sa.Table(
    "claim_in_hand",
    metadata,
    sa.Column("run_id", identifier(64), nullable=False, comment="Also the id of the batch it posts"),
    sa.Column("chunk_no", sa.Integer, nullable=False, comment="From 0"),
    sa.Column("state", identifier(10), nullable=False, comment="Where the run stands, and with it these claims"),
    sa.Column("cause", identifier(60), nullable=False, comment="Why it is unknown or failed: a code of docs/runbook.md; else empty"),
    sa.Column("claims", document(), nullable=False, comment="JSON array of [claim_id, claim_code, claim_version or null]"),
    sa.Column("began_at", instant(), comment="The run's fence, UTC"),
    sa.Column("updated_at", instant(), nullable=False, comment="UTC"),
    sa.PrimaryKeyConstraint("run_id", "chunk_no"),
    sa.CheckConstraint("state IN ('seen', 'staged', 'ready', 'posting', 'unknown', 'failed')", name="state"),
    comment="Claims a run is working on, some thousand a row; the transaction that posts them removes the rows",
)

commitment = sa.Table(
    "commitment",
    metadata,
    *_key(revision=False)[:2],
    sa.Column("claim_code", identifier(64), nullable=False),
    sa.Column("hesi_state", identifier(40), nullable=False),
    sa.Column("company_code", identifier(60), nullable=False),
    sa.Column("department_id", identifier(120), nullable=False),
    sa.Column("currency", identifier(3), nullable=False),
    sa.Column("amount", amount(), nullable=False),
    sa.Column("updated_at", instant(), comment="Hesi's updateTime, UTC"),
    sa.PrimaryKeyConstraint("claim_id", "source_system"),
    comment="Requisitions: money promised but not yet claimed",
)

watermark = sa.Table(
    "watermark",
    metadata,
    sa.Column("stream", identifier(60), primary_key=True, comment="For example expense:active"),
    sa.Column("updated_at", instant(), nullable=False, comment="Everything up to here is finished, UTC"),
    comment="How far each stream of claims is finished",
)

posting_lock = sa.Table(
    "posting_lock",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("updated_at", instant(), comment="When the newest run that has posted began to read, UTC; an older one may not post any more"),
    comment="One row; whoever posts holds it until the end of the transaction",
)
