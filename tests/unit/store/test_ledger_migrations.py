"""The ledger's schema comes from its migrations, and they say the same as the table definitions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.exc import OperationalError

from etl.errors import SchemaOutdated
from etl.store import migrations
from etl.store.ledger_schema import metadata
from etl.store.migrations import HEAD, VERSION_TABLE, migrate


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield engine
    engine.dispose()


def test_a_migrated_database_has_exactly_the_defined_tables(engine: Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    migrate(engine)
    before = inspect(engine).get_table_names()
    migrate(engine)
    assert inspect(engine).get_table_names() == before


def test_the_head_the_program_knows_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_database_of_a_newer_program_is_refused(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))  # noqa: S608
    with pytest.raises(SchemaOutdated, match=r"schema version 9999; this program knows versions up to"):
        migrate(engine)


def test_an_interrupted_first_migration_is_finished_later(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL)"))
    migrate(engine)
    assert "run" in inspect(engine).get_table_names()


def test_an_up_to_date_ledger_opens_without_importing_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    code = "import sys; from etl.store.ledger import Ledger; Ledger.open(sys.argv[1]).close(); print('alembic' in sys.modules)"
    answers = [subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True).stdout.strip() for _ in range(2)]
    assert answers == ["True", "False"]


def test_a_migration_that_is_stopped_half_way_leaves_nothing_and_the_next_one_is_whole(engine: Engine, tmp_path: Path) -> None:
    small = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")

    @event.listens_for(small, "connect")
    def few_pages(connection: Any, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 6")

    with pytest.raises(OperationalError, match="full"):
        migrate(small)
    small.dispose()
    migrate(engine)
    assert metadata.tables.keys() <= set(inspect(engine).get_table_names())
