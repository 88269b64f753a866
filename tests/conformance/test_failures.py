"""What happens when two post at once, the connection breaks, or the database is not what was sent."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from etl.erp import schema
from etl.erp.database import DatabaseSink
from etl.erp.port import PostingChunk
from etl.errors import AnotherRunActive, ConfigError, ControlTotalMismatch, SchemaOutdated, SinkUnavailable
from tests.conformance.chunks import Chunk, batch, one

SPOIL = {
    "sqlite": [
        "CREATE TRIGGER spoil AFTER INSERT ON voucher_line WHEN NEW.debit <> 0 BEGIN UPDATE voucher_line SET debit = debit + 0.01 WHERE rowid = NEW.rowid; END"
    ],
    "postgresql": [
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.debit <> 0 THEN NEW.debit := NEW.debit + 0.01; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER spoil BEFORE INSERT ON voucher_line FOR EACH ROW EXECUTE FUNCTION spoil()",
    ],
}
LOSE = {
    "sqlite": ["CREATE TRIGGER lose AFTER INSERT ON voucher_line WHEN NEW.line_no = 2 BEGIN DELETE FROM voucher_line WHERE rowid = NEW.rowid; END"],
    "postgresql": [
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN NEW.line_no = 2 THEN NULL ELSE NEW END; END $$",
        "CREATE TRIGGER lose BEFORE INSERT ON voucher_line FOR EACH ROW EXECUTE FUNCTION lose()",
    ],
}


@pytest.fixture
def sink(database_url: str) -> Iterator[DatabaseSink]:
    opened = DatabaseSink.open(database_url, lock_wait_seconds=1)
    yield opened
    opened.close()


def count(sink: DatabaseSink, table: str = "voucher") -> int:
    with sink.engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(schema.metadata.tables[table])).scalar_one())


@pytest.mark.parametrize(("damage", "told"), [(SPOIL, "expected C01 CNY 1 vouchers 2 lines Dr 100.0"), (LOSE, "expected (2 rows|C01 CNY 1 vouchers 2 lines)")])
def test_a_target_that_keeps_something_else_than_was_sent_keeps_nothing(sink: DatabaseSink, damage: dict[str, list[str]], told: str) -> None:
    with sink.engine.begin() as connection:
        for statement in damage[sink.engine.dialect.name]:
            connection.exec_driver_sql(statement)

    with pytest.raises(ControlTotalMismatch, match=told):
        sink.post(batch(one("C1"), watermarks={"expense:active": 1}))

    assert [count(sink, table) for table in ("voucher", "voucher_line", "claim_state", "writeback_outbox", "posting_batch", "watermark")] == [0] * 6


def test_two_posters_at_once_share_one_series_without_gap_or_double(database_url: str) -> None:
    DatabaseSink.open(database_url).close()
    start = threading.Barrier(2)
    failures: list[BaseException] = []

    def post(name: str) -> None:
        sink = DatabaseSink.open(database_url)
        try:
            start.wait()
            for number in range(4):
                chunk = Chunk()
                for claim in range(5):
                    chunk.voucher(f"{name}-{number}-{claim}")
                sink.post(batch(chunk.build(), batch_id=f"{name}-{number}"))
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)
        finally:
            sink.close()

    threads = [threading.Thread(target=post, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    sink = DatabaseSink.open(database_url)
    with sink.engine.connect() as connection:
        numbers = connection.exec_driver_sql("SELECT voucher_no FROM voucher ORDER BY voucher_no").scalars().all()
    sink.close()
    assert numbers == list(range(1, 41))


def test_whoever_waits_too_long_for_the_lock_is_told_so(sink: DatabaseSink, database_url: str) -> None:
    other = DatabaseSink.open(database_url, lock_wait_seconds=1)

    def chunks() -> Iterator[PostingChunk]:
        yield one("C1")
        with pytest.raises(AnotherRunActive, match="another run holds the posting lock"):
            other.post(batch(one("C2"), batch_id="other"))

    sink.post(replace(batch(), chunks=chunks()))

    assert count(sink) == 1
    other.close()


def test_a_lock_row_that_is_missing_stops_the_post(sink: DatabaseSink) -> None:
    with sink.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM posting_lock")

    with pytest.raises(ControlTotalMismatch, match="insert the row"):
        sink.post(batch(one("C1")))


def test_a_connection_lost_in_the_middle_leaves_nothing_behind(pg_url: str) -> None:
    sink = DatabaseSink.open(pg_url)

    def chunks() -> Iterator[PostingChunk]:
        yield one("C1")
        with psycopg.connect(pg_url.replace("+psycopg", ""), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        yield one("C2")

    with pytest.raises(SinkUnavailable, match="nothing was committed"):
        sink.post(replace(batch(), chunks=chunks()))

    assert count(sink) == 0
    assert sink.post(batch(one("C1"), one("C2"))).vouchers == 2
    sink.close()


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(SinkUnavailable) as caught:
        DatabaseSink.open("postgresql://poster:s3cret-Pass@127.0.0.1:1/erp")

    assert "postgresql database erp did not answer" in str(caught.value)
    assert "s3cret-Pass" not in repr(caught.value) + str(caught.value.__cause__)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("url", ["mysql://u@h/d", "sqlite://", "sqlite:///:memory:", "not a url"])
def test_an_address_that_cannot_keep_vouchers_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ConfigError, match="ERP_URL"):
        DatabaseSink.open(url)


def test_a_new_sqlite_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    DatabaseSink.open(f"sqlite:///{tmp_path}/new/erp.db").close()

    assert os.stat(tmp_path / "new" / "erp.db").st_mode & 0o777 == 0o600


def test_tables_that_are_missing_are_a_schema_problem(tmp_path: Path) -> None:
    sink = DatabaseSink.open(f"sqlite:///{tmp_path}/erp.db")
    with sink.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE voucher_invoice")

    with pytest.raises(SchemaOutdated, match="the tables are not those of this version"):
        sink.post(batch(one("C1")))
    sink.close()
