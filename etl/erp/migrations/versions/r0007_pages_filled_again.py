"""Pages of claim_state are filled on PostgreSQL again: a number that was written is only noted in writeback_outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Pages written from now on."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(sa.text("ALTER TABLE claim_state RESET (fillfactor)"))
