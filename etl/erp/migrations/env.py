"""How Alembic reaches the ERP database: over the connection and transaction of :func:`etl.erp.migrate.migrate`.

``alembic upgrade head --sql`` style output for a database administrator: :func:`etl.erp.migrate.migration_sql`.
"""

from __future__ import annotations

from alembic import context

from etl.erp.schema import VERSION_TABLE, metadata

connection = context.config.attributes.get("connection")
dialect = context.config.attributes.get("dialect")
options = {"target_metadata": metadata, "version_table": VERSION_TABLE}
if context.is_offline_mode():
    context.configure(dialect_name=dialect, literal_binds=True, output_buffer=context.config.output_buffer, **options)
else:
    context.configure(connection=connection, **options)
context.run_migrations()
