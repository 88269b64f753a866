"""The first ERP tables: batches, vouchers, the states that decide posting, outbox, watermark and lock."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from etl.erp.columns import amount, identifier, instant, percent, rate, words

revision = "0001"
down_revision = None

_KEY = ("claim_id", "entry_kind", "part_no", "revision", "company_code", "book_code", "source_system")
_STATE_KEY = ("claim_id", "entry_kind", "part_no", "source_system")
_OPEN = sa.text("state <> 'posted'")


def upgrade() -> None:
    """Forward only: a downgrade would give up posted vouchers."""
    _batches()
    _vouchers()
    _lines()
    _details()
    _claim_states()
    _claim_rejects_and_drift()
    _outbox()
    _commitments_watermarks_and_lock()
    op.bulk_insert(sa.table("posting_lock", sa.column("id", sa.Integer)), [{"id": 1}])


def _key() -> list[sa.Column[Any]]:
    return [
        sa.Column("source_system", identifier(20), nullable=False),
        sa.Column("claim_id", identifier(64), nullable=False),
        sa.Column("entry_kind", identifier(16), nullable=False),
        sa.Column("company_code", identifier(60), nullable=False),
        sa.Column("book_code", identifier(60), nullable=False),
        sa.Column("part_no", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
    ]


def _entry() -> list[sa.Column[Any]]:
    return [column for column in _key() if column.name not in {"company_code", "book_code", "revision"}]


def _to_voucher() -> sa.ForeignKeyConstraint:
    return _where_cheap(sa.ForeignKeyConstraint(_KEY, [f"voucher.{name}" for name in _KEY]))


def _where_cheap(key: sa.ForeignKeyConstraint) -> sa.ForeignKeyConstraint:
    return key.ddl_if(dialect=("sqlite", "mssql"))  # type: ignore[arg-type]  # a tuple is documented, the annotation is narrower


def _key_where_cheap(*names: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*_KEY, *names).ddl_if(dialect=("sqlite", "mssql"))  # type: ignore[arg-type]


def _batches() -> None:
    op.create_table(
        "posting_batch",
        sa.Column("batch_id", identifier(64), nullable=False),
        sa.Column("run_id", identifier(64), nullable=False),
        sa.Column("mapping_sha256", identifier(64), nullable=False),
        sa.Column("expectations_sha256", identifier(64), nullable=False),
        sa.Column("package_version", identifier(40), nullable=False),
        sa.Column("voucher_count", sa.Integer, nullable=False),
        sa.Column("line_count", sa.Integer, nullable=False),
        sa.Column("created_at", instant(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id"),
    )


def _vouchers() -> None:
    op.create_table(
        "voucher",
        *_key()[:2],
        sa.Column("claim_code", identifier(64), nullable=False),
        *_key()[2:],
        sa.Column("claim_version", sa.BigInteger, nullable=False),
        sa.Column("voucher_word", identifier(8), nullable=False),
        sa.Column("voucher_no", sa.Integer, nullable=False),
        sa.Column("voucher_date", sa.Date, nullable=False),
        sa.Column("original_date", sa.Date),
        sa.Column("fiscal_year", sa.Integer, nullable=False),
        sa.Column("fiscal_period", sa.Integer, nullable=False),
        sa.Column("attachment_count", sa.Integer, nullable=False),
        sa.Column("maker", words(64), nullable=False),
        sa.Column("summary", words(1000), nullable=False),
        sa.Column("base_currency", identifier(3), nullable=False),
        sa.Column("reverses_revision", sa.Integer),
        sa.Column("status", identifier(10), nullable=False),
        sa.Column("erp_id", identifier(80)),
        sa.Column("erp_number", identifier(40)),
        sa.Column("payload_sha256", identifier(64), nullable=False),
        sa.Column("batch_id", identifier(64), nullable=False),
        sa.PrimaryKeyConstraint(*_KEY),
        _where_cheap(sa.ForeignKeyConstraint(["batch_id"], ["posting_batch.batch_id"])),
        sa.CheckConstraint("YEAR(voucher_date) = fiscal_year AND MONTH(voucher_date) = fiscal_period", name="date_in_period").ddl_if(dialect="mssql"),
        sa.CheckConstraint("EXTRACT(YEAR FROM voucher_date) = fiscal_year AND EXTRACT(MONTH FROM voucher_date) = fiscal_period", name="date_in_period").ddl_if(
            dialect="postgresql"
        ),
        sa.CheckConstraint("strftime('%Y-%m', voucher_date) = printf('%04d-%02d', fiscal_year, fiscal_period)", name="date_in_period").ddl_if(dialect="sqlite"),
        sa.CheckConstraint("fiscal_period BETWEEN 1 AND 12", name="fiscal_period"),
        sa.CheckConstraint("status IN ('POSTED', 'REVERSED')", name="status"),
        sa.CheckConstraint("voucher_no > 0", name="voucher_no"),
    )
    op.create_index(
        "uq_voucher_number",
        "voucher",
        ["fiscal_year", "fiscal_period", "company_code", "book_code", "voucher_word", "voucher_no"],
        unique=True,
        mssql_where=sa.text("voucher_no IS NOT NULL"),
    )
    op.create_index("ix_voucher_batch_id", "voucher", ["batch_id"])
    op.create_index("ix_voucher_claim_code", "voucher", ["claim_code"])


def _lines() -> None:
    op.create_table(
        "voucher_line",
        *_key(),
        sa.Column("line_no", sa.Integer, nullable=False),
        sa.Column("summary", words(1000), nullable=False),
        sa.Column("account_code", identifier(60), nullable=False),
        sa.Column("currency", identifier(3), nullable=False),
        sa.Column("fx_rate", rate()),
        sa.Column("amount_fc", amount()),
        sa.Column("debit", amount(), nullable=False),
        sa.Column("credit", amount(), nullable=False),
        sa.Column("tax_code", identifier(60)),
        sa.Column("tax_rate", percent()),
        sa.Column("settlement_no", words(120)),
        sa.Column("cash_flow_item", identifier(60)),
        sa.Column("due_date", sa.Date),
        sa.Column("business_date", sa.Date),
        sa.Column("source_line_id", identifier(120)),
        sa.PrimaryKeyConstraint(*_KEY, "line_no"),
        _to_voucher(),
        sa.CheckConstraint("(debit = 0 AND credit <> 0) OR (debit <> 0 AND credit = 0)", name="one_side"),
    )


def _details() -> None:
    op.create_table(
        "voucher_line_dimension",
        *_key(),
        sa.Column("line_no", sa.Integer, nullable=False),
        sa.Column("dim_type", identifier(60), nullable=False),
        sa.Column("dim_code", identifier(120), nullable=False),
        sa.Column("dim_name", words(200)),
        _key_where_cheap("line_no", "dim_type"),
        _to_voucher(),
    )
    op.create_table(
        "voucher_line_source",
        *_key(),
        sa.Column("line_no", sa.Integer, nullable=False),
        sa.Column("source_line_id", identifier(120), nullable=False),
        sa.Column("source_part", identifier(100), nullable=False),
        sa.Column("amount", amount(), nullable=False),
        sa.Column("fee_type_code", identifier(120)),
        sa.Column("rule", words(400), nullable=False),
        _key_where_cheap("line_no", "source_line_id", "source_part"),
        _to_voucher(),
    )
    op.create_table(
        "voucher_invoice",
        *_key(),
        sa.Column("invoice_id", identifier(120), nullable=False),
        sa.Column("invoice_kind", identifier(60)),
        sa.Column("amount", amount(), nullable=False),
        sa.Column("tax", amount(), nullable=False),
        sa.PrimaryKeyConstraint("invoice_id", *_KEY),
        _to_voucher(),
    )
    if op.get_context().dialect.name == "postgresql":
        for table in ("voucher_line_dimension", "voucher_line_source"):
            op.create_index(f"ix_{table}_claim_id", table, ["claim_id"])


def _claim_states() -> None:
    op.create_table(
        "claim_state",
        *_entry(),
        sa.Column("claim_code", identifier(64), nullable=False),
        sa.Column("form_type", identifier(20), nullable=False),
        sa.Column("hesi_state", identifier(40), nullable=False),
        sa.Column("hesi_voucher_no", words(120), nullable=False),
        sa.Column("state", identifier(10), nullable=False),
        sa.Column("company_code", identifier(60), nullable=False),
        sa.Column("currency", identifier(3), nullable=False),
        sa.Column("amount", amount(), nullable=False),
        sa.Column("claimant_name", words(200), nullable=False),
        sa.Column("department_code", identifier(120), nullable=False),
        sa.Column("event_date", sa.Date),
        sa.Column("claim_version", sa.BigInteger, nullable=False),
        sa.Column("source_sha256", identifier(64), nullable=False),
        sa.Column("raw_ref", identifier(300), nullable=False),
        sa.Column("updated_at", instant()),
        sa.Column("loaded_at", instant(), nullable=False),
        sa.PrimaryKeyConstraint(*_STATE_KEY),
        sa.CheckConstraint("state IN ('posted', 'waiting', 'held', 'rejected', 'skipped', 'reversed')", name="state"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("ix_claim_state_open", "claim_state", ["state"], sqlite_where=_OPEN, postgresql_where=_OPEN, mssql_where=_OPEN)


def _claim_rejects_and_drift() -> None:
    op.create_table(
        "claim_reject",
        *_entry()[:3],
        sa.Column("claim_code", identifier(64), nullable=False),
        sa.Column("form_type", identifier(20), nullable=False),
        sa.Column("disposition", identifier(10), nullable=False),
        sa.Column("step", identifier(20), nullable=False),
        sa.Column("rule", identifier(60), nullable=False),
        sa.Column("reason", words(2000), nullable=False),
        sa.Column("owner", words(40), nullable=False),
        sa.Column("due_date", sa.Date, nullable=False),
        sa.Column("company_code", identifier(60), nullable=False),
        sa.Column("currency", identifier(3), nullable=False),
        sa.Column("amount", amount(), nullable=False),
        sa.Column("claimant_name", words(200), nullable=False),
        sa.Column("department_code", identifier(120), nullable=False),
        sa.Column("raw_ref", identifier(300), nullable=False),
        sa.Column("first_seen_on", sa.Date, nullable=False),
        sa.PrimaryKeyConstraint("claim_id", "entry_kind", "source_system"),
        sa.CheckConstraint("disposition IN ('rejected', 'held')", name="disposition"),
    )
    op.create_table(
        "claim_drift",
        *_entry(),
        sa.Column("claim_code", identifier(64), nullable=False),
        sa.Column("company_code", identifier(60), nullable=False),
        sa.Column("currency", identifier(3), nullable=False),
        sa.Column("posted_amount", amount(), nullable=False),
        sa.Column("source_amount", amount(), nullable=False),
        sa.Column("cause", identifier(10), nullable=False),
        sa.Column("found_on", sa.Date, nullable=False),
        sa.Column("raw_ref", identifier(300), nullable=False),
        sa.Column("updated_at", instant()),
        sa.PrimaryKeyConstraint(*_STATE_KEY),
        sa.CheckConstraint("cause IN ('changed', 'vanished')", name="cause"),
    )


def _outbox() -> None:
    op.create_table(
        "writeback_outbox",
        *_entry()[:2],
        sa.Column("claim_code", identifier(64), nullable=False),
        sa.Column("voucher_number", words(120), nullable=False),
        sa.Column("fiscal_period", identifier(7), nullable=False),
        sa.Column("voucher_created_ms", sa.BigInteger, nullable=False),
        sa.Column("status", identifier(10), nullable=False),
        sa.Column("reason", words(500), nullable=False),
        sa.Column("hesi_state", identifier(40), nullable=False),
        sa.Column("created_at", instant(), nullable=False),
        sa.Column("updated_at", instant(), nullable=False),
        sa.PrimaryKeyConstraint("claim_id", "source_system"),
        sa.CheckConstraint("status IN ('PENDING', 'RETRY', 'FAILED', 'BLOCKED', 'DONE')", name="status"),
        sa.CheckConstraint("voucher_number <> ''", name="voucher_number"),
    )
    op.create_index("ix_writeback_outbox_status", "writeback_outbox", ["status"])


def _commitments_watermarks_and_lock() -> None:
    op.create_table(
        "commitment",
        *_entry()[:2],
        sa.Column("claim_code", identifier(64), nullable=False),
        sa.Column("hesi_state", identifier(40), nullable=False),
        sa.Column("company_code", identifier(60), nullable=False),
        sa.Column("department_id", identifier(120), nullable=False),
        sa.Column("currency", identifier(3), nullable=False),
        sa.Column("amount", amount(), nullable=False),
        sa.Column("updated_at", instant()),
        sa.PrimaryKeyConstraint("claim_id", "source_system"),
    )
    op.create_table(
        "watermark",
        sa.Column("stream", identifier(60), nullable=False),
        sa.Column("updated_at", instant(), nullable=False),
        sa.PrimaryKeyConstraint("stream"),
    )
    op.create_table(
        "posting_lock",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("id"),
    )
