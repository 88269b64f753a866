"""The ERP tables at the version this program needs, by Alembic revisions packaged beside this file."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from etl.erp import schema
from etl.erp.engine import reading, writing
from etl.errors import SchemaOutdated

HEAD = "0008"
_SCRIPTS = Path(__file__).with_name("migrations")
_LOCK_KEY = 4_215_001  # advisory lock of PostgreSQL: two first runs at once must not both create the tables
_version = sa.table(schema.VERSION_TABLE, sa.column("version_num"))


def migrate(engine: Engine) -> None:
    """Creates or upgrades the tables; one query and nothing else when they are up to date.

    Raises:
        SchemaOutdated: the database was written by a newer or an unknown version of this program.
        SinkUnavailable: the database does not answer.
    """
    with reading(engine) as connection:
        if _current(connection) == HEAD:
            return
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_KEY)))
        _upgrade(connection)


def _current(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(schema.VERSION_TABLE):
        return None
    versions = connection.execute(sa.select(_version.c.version_num)).scalars().all()
    return str(versions[0]) if len(versions) == 1 else "several" if versions else None


def _upgrade(connection: Connection) -> None:
    from alembic import command  # only here: importing Alembic takes longer than a whole up-to-date check
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    current = _current(connection)
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise SchemaOutdated(
            f"{connection.engine.url.database}: expected schema version {HEAD} or older, found {current}; install the version of hesi-erp that wrote it"
        )
    command.upgrade(config, "head")
