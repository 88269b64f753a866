"""The first run ledger: one row a run, and what it counted, totalled, refused, found and read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "run",
        sa.Column("run_id", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("started_by", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=True),
        sa.Column("cause_code", sa.String(length=64), nullable=True),
        sa.Column("cause_text", sa.Text(), nullable=True),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("interval_from", sa.DateTime(), nullable=True),
        sa.Column("interval_to", sa.DateTime(), nullable=True),
        sa.Column("mapping_sha256", sa.String(length=64), nullable=False),
        sa.Column("expectations_sha256", sa.String(length=64), nullable=False),
        sa.Column("package_version", sa.String(length=32), nullable=False),
        sa.Column("source_host", sa.String(length=255), nullable=False),
        sa.Column("previous_run_id", sa.String(length=24), nullable=True),
        sa.Column("peak_rss_mb", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("ix_run_started_at", "run", ["started_at"], unique=False)
    op.create_table(
        "run_account_total",
        sa.Column("run_id", sa.String(length=24), nullable=False),
        sa.Column("entry_kind", sa.String(length=16), nullable=False),
        sa.Column("company_code", sa.String(length=64), nullable=False),
        sa.Column("account_code", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("expected_debit", sa.String(length=40), nullable=False),
        sa.Column("expected_credit", sa.String(length=40), nullable=False),
        sa.Column("posted_debit", sa.String(length=40), nullable=False),
        sa.Column("posted_credit", sa.String(length=40), nullable=False),
        sa.Column("difference", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"]),
        sa.PrimaryKeyConstraint("run_id", "entry_kind", "company_code", "account_code", "currency"),
    )
    op.create_table(
        "run_budget",
        sa.Column("run_id", sa.String(length=24), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("node_id", sa.String(length=255), nullable=False),
        sa.Column("node_name", sa.String(length=255), nullable=False),
        sa.Column("period", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("budget", sa.String(length=40), nullable=False),
        sa.Column("used", sa.String(length=40), nullable=False),
        sa.Column("in_flight", sa.String(length=40), nullable=False),
        sa.Column("this_run", sa.String(length=40), nullable=False),
        sa.Column("available", sa.String(length=40), nullable=False),
        sa.Column("over_percent", sa.String(length=40), nullable=False),
        sa.Column("control", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("claims", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"]),
        sa.PrimaryKeyConstraint("run_id", "n"),
    )
    op.create_table(
        "run_count",
        sa.Column("run_id", sa.String(length=24), nullable=False),
        sa.Column("form_type", sa.String(length=64), nullable=False),
        sa.Column("measure", sa.String(length=64), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"]),
        sa.PrimaryKeyConstraint("run_id", "form_type", "measure"),
    )
    op.create_table(
        "run_finding",
        sa.Column("run_id", sa.String(length=24), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("claim_id", sa.String(length=128), nullable=False),
        sa.Column("claim_code", sa.String(length=128), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"]),
        sa.PrimaryKeyConstraint("run_id", "step", "n"),
    )
    op.create_table(
        "run_page",
        sa.Column("run_id", sa.String(length=24), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("form_type", sa.String(length=32), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("fetched_at", sa.DateTime(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("claims", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"]),
        sa.PrimaryKeyConstraint("run_id", "n"),
    )
    op.create_table(
        "run_reject",
        sa.Column("run_id", sa.String(length=24), nullable=False),
        sa.Column("claim_id", sa.String(length=128), nullable=False),
        sa.Column("entry_kind", sa.String(length=16), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("claim_code", sa.String(length=128), nullable=False),
        sa.Column("form_type", sa.String(length=64), nullable=False),
        sa.Column("disposition", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("company_code", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("claimant_name", sa.String(length=128), nullable=False),
        sa.Column("department_code", sa.String(length=128), nullable=False),
        sa.Column("raw_ref", sa.String(length=255), nullable=False),
        sa.Column("first_seen_on", sa.Date(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("days_open", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"]),
        sa.PrimaryKeyConstraint("run_id", "claim_id", "entry_kind", "step"),
    )
    op.create_table(
        "run_step",
        sa.Column("run_id", sa.String(length=24), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        sa.Column("rows_in", sa.BigInteger(), nullable=False),
        sa.Column("rows_out", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"]),
        sa.PrimaryKeyConstraint("run_id", "step", "attempt"),
    )
    op.create_table(
        "run_total",
        sa.Column("run_id", sa.String(length=24), nullable=False),
        sa.Column("entry_kind", sa.String(length=16), nullable=False),
        sa.Column("company_code", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("posted", sa.String(length=40), nullable=False),
        sa.Column("held", sa.String(length=40), nullable=False),
        sa.Column("rejected", sa.String(length=40), nullable=False),
        sa.Column("skipped", sa.String(length=40), nullable=False),
        sa.Column("waiting", sa.String(length=40), nullable=False),
        sa.Column("drift", sa.String(length=40), nullable=False),
        sa.Column("difference", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"]),
        sa.PrimaryKeyConstraint("run_id", "entry_kind", "company_code", "currency"),
    )
    op.create_table(
        "run_validation",
        sa.Column("run_id", sa.String(length=24), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("suite", sa.String(length=128), nullable=False),
        sa.Column("rule", sa.String(length=128), nullable=False),
        sa.Column("column", sa.String(length=128), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("reject_code", sa.String(length=64), nullable=False),
        sa.Column("evaluated", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("failing_keys", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"]),
        sa.PrimaryKeyConstraint("run_id", "n"),
    )


def downgrade() -> None:
    """Drop the tables with everything in them."""
    op.drop_table("run_validation")
    op.drop_table("run_total")
    op.drop_table("run_step")
    op.drop_table("run_reject")
    op.drop_table("run_page")
    op.drop_table("run_finding")
    op.drop_table("run_count")
    op.drop_table("run_budget")
    op.drop_table("run_account_total")
    op.drop_index("ix_run_started_at", table_name="run")
    op.drop_table("run")
