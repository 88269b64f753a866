"""Runs the ledger's migrations on the connection :func:`etl.store.migrations.migrate` hands over."""

from alembic import context

from etl.store.ledger_schema import metadata
from etl.store.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
