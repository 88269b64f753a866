"""The ERP tables come from packaged migrations and are what the program thinks they are."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from etl.erp import migrate as migrations
from etl.erp import schema
from etl.erp.database import DatabaseSink
from etl.erp.engine import open_engine
from etl.errors import SchemaOutdated


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).with_name("migrations")))
    return ScriptDirectory.from_config(config)


def differences(engine: sa.Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        found = compare_metadata(context, schema.metadata)
    # Comments are documentation, the data dictionary is generated from them; foreign keys are left out on PostgreSQL and two
    # indexes elsewhere on purpose. Both are compared in full by the tests of constraints below.
    left_out = ("comment", "add_fk") if engine.dialect.name == "postgresql" else ("comment", "add_index")
    return [item for item in found if not any(word in str(item[0]) for word in left_out)]


def test_the_newest_revision_is_the_one_the_program_needs() -> None:
    assert scripts().get_heads() == [migrations.HEAD]


def test_migrations_make_exactly_the_tables_of_the_schema_on_sqlite(tmp_path: Path) -> None:
    sink = DatabaseSink.open(f"sqlite:///{tmp_path}/erp.db")
    assert differences(sink.engine) == []
    sink.close()


def test_migrations_make_exactly_the_tables_of_the_schema_on_postgresql(pg_url: str) -> None:
    sink = DatabaseSink.open(pg_url)
    assert differences(sink.engine) == []
    sink.close()


def test_checks_and_foreign_keys_of_the_migrations_are_those_of_the_schema_on_sqlite(tmp_path: Path) -> None:
    migrated = DatabaseSink.open(f"sqlite:///{tmp_path}/migrated.db")
    created = open_engine(f"sqlite:///{tmp_path}/created.db")
    schema.metadata.create_all(created)

    assert constraints(migrated.engine) == constraints(created)
    migrated.close()
    created.dispose()


def test_checks_and_foreign_keys_of_the_migrations_are_those_of_the_schema_on_postgresql(pg_url: str, pg_url_2: str) -> None:
    migrated, created = DatabaseSink.open(pg_url), open_engine(pg_url_2)
    schema.metadata.create_all(created)

    assert constraints(migrated.engine) == constraints(created)
    migrated.close()
    created.dispose()


def constraints(engine: sa.Engine) -> dict[str, object]:
    inspector = sa.inspect(engine)
    found = {}
    for name in schema.metadata.tables:
        checks = {item["name"]: item["sqltext"] for item in inspector.get_check_constraints(name)}
        keys = {item["name"]: item["constrained_columns"] for item in inspector.get_foreign_keys(name)}
        indexes = {item["name"]: (item["column_names"], item["unique"], _texts(item.get("dialect_options"))) for item in inspector.get_indexes(name)}
        found[name] = (inspector.get_pk_constraint(name), checks, keys, indexes)
    return found


def _texts(options: dict[str, object] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (options or {}).items()}


def test_pages_are_filled_as_the_schema_wants_on_postgresql(pg_url: str, pg_url_2: str) -> None:
    migrated, created = DatabaseSink.open(pg_url), open_engine(pg_url_2)
    schema.metadata.create_all(created)

    assert storage(migrated.engine) == storage(created) == {"writeback_outbox": ["fillfactor=70"]}
    migrated.close()
    created.dispose()


def storage(engine: sa.Engine) -> dict[str, list[str]]:
    query = sa.text("SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL AND relkind = 'r' AND relnamespace = 'public'::regnamespace")
    with engine.connect() as connection:
        return {row.relname: list(row.reloptions) for row in connection.execute(query)}


def test_no_foreign_key_slows_the_load_on_postgresql(pg_url: str) -> None:
    sink = DatabaseSink.open(pg_url)
    inspector = sa.inspect(sink.engine)
    assert [key for name in schema.metadata.tables for key in inspector.get_foreign_keys(name)] == []
    sink.close()


def test_migrating_again_does_nothing(tmp_path: Path) -> None:
    sink = DatabaseSink.open(f"sqlite:///{tmp_path}/erp.db")
    before = (tmp_path / "erp.db").read_bytes()

    sink.prepare()

    assert (tmp_path / "erp.db").read_bytes() == before
    sink.close()


@pytest.mark.parametrize("versions", [["0042"], ["0001", "0000"]])
def test_a_newer_or_unknown_version_is_refused(tmp_path: Path, versions: list[str]) -> None:
    sink = DatabaseSink.open(f"sqlite:///{tmp_path}/erp.db")
    with sink.engine.begin() as connection:
        table = sa.table(schema.VERSION_TABLE, sa.column("version_num"))
        connection.execute(table.delete())
        connection.execute(table.insert(), [{"version_num": version} for version in versions])

    with pytest.raises(SchemaOutdated, match=f"expected schema version {migrations.HEAD} or older"):
        sink.prepare()
    sink.close()


def test_an_up_to_date_check_does_not_import_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/erp.db"
    DatabaseSink.open(url).close()
    code = f"import sys; from etl.erp.database import DatabaseSink; DatabaseSink.open({url!r}); print('alembic' in sys.modules)"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])

    assert answer.stdout.strip() == "False"


def test_two_first_runs_at_once_make_one_set_of_tables(pg_url: str) -> None:
    start, failures = threading.Barrier(2), []

    def first_run() -> None:
        try:
            start.wait()
            DatabaseSink.open(pg_url).close()
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=first_run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
