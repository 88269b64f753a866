"""How Alembic reaches the ERP database: over the connection and transaction of :func:`etl.erp.migrate.migrate`."""

from __future__ import annotations

from alembic import context

from etl.erp.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
