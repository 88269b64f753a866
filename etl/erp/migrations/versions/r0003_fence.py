"""The posting lock remembers the newest run that passed it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.erp.columns import instant

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Empty until the first posting: every run may pass."""
    op.add_column("posting_lock", sa.Column("updated_at", instant()))
