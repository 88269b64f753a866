"""Ledger schema at its newest version, whatever it was before."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from etl.errors import SchemaOutdated

HEAD = "0001"
VERSION_TABLE = "ledger_schema_version"
_KNOWN = ("0001",)


def migrate(engine: Engine) -> None:
    """Bring the ledger's tables to :data:`HEAD`; does nothing, and imports nothing, when they are there already.

    Raises:
        SchemaOutdated: the database was written by a newer program.
    """
    with engine.connect() as connection:
        found = _version(connection)
    if found == HEAD:
        return
    if found is not None and found not in _KNOWN:
        raise SchemaOutdated(
            f"The run ledger has schema version {found}; this program knows versions up to {HEAD}. "
            "Install the newer hesi-erp, or point HESI_ERP_LEDGER_URL to another database."
        )
    _upgrade(engine)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
    return None if found is None else str(found)


def _upgrade(engine: Engine) -> None:
    # Alembic takes longer to import than the check above takes to run.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":  # its driver begins no transaction for tables: a run stopped here would leave half of them
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
