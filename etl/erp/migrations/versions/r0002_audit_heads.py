"""Batches name the audit log's head at their posting."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.erp.columns import identifier

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Batches of earlier versions keep both columns empty."""
    op.add_column("posting_batch", sa.Column("audit_seq", sa.BigInteger))
    op.add_column("posting_batch", sa.Column("audit_head", identifier(600)))
