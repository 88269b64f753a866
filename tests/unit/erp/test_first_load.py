"""What finds rows on PostgreSQL is built after a first load, and stands where it stood whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from etl.erp import schema
from etl.erp.database import DatabaseSink
from etl.erp.engine import open_engine, reading, writing
from etl.erp.first_load import look_ups_built_afterwards
from etl.errors import AnotherRunActive
from tests.conformance.chunks import batch, one
from tests.conformance.test_states import later

LOOK_UPS = {
    "ix_voucher_batch_id",
    "ix_voucher_claim_code",
    "ix_voucher_invoice_invoice_id",
    "ix_voucher_line_claim_id",
    "ix_voucher_line_dimension_claim_id",
    "ix_voucher_line_source_claim_id",
}


@pytest.fixture
def sink(pg_url: str) -> Iterator[DatabaseSink]:
    opened = DatabaseSink.open(pg_url, lock_wait_seconds=5)
    yield opened
    opened.close()


def definitions(engine: sa.Engine) -> dict[str, str]:
    """Every index of the tables and how PostgreSQL would build it."""
    query = sa.text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
    with engine.connect() as connection:
        return {row.indexname: row.indexdef for row in connection.execute(query)}


def numbers(engine: sa.Engine) -> dict[str, int]:
    """Index -> the file it stands in: another one once it was built again."""
    query = sa.text("SELECT relname, relfilenode FROM pg_class WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace")
    with engine.connect() as connection:
        return {row.relname: row.relfilenode for row in connection.execute(query)}


def rebuilt(sink: DatabaseSink, before: dict[str, int]) -> set[str]:
    return {name for name, number in numbers(sink.engine).items() if before.get(name) != number}


def test_a_first_load_builds_the_look_ups_and_no_key_again(sink: DatabaseSink) -> None:
    described, before = definitions(sink.engine), numbers(sink.engine)
    sink.post(batch(one("C1")))

    assert definitions(sink.engine) == described
    assert rebuilt(sink, before) == LOOK_UPS


def test_a_later_load_leaves_them_alone(sink: DatabaseSink) -> None:
    sink.post(batch(one("C1")))
    before = numbers(sink.engine)
    sink.post(batch(one("C2"), **later()))

    assert rebuilt(sink, before) == set()


def test_a_first_load_that_is_refused_leaves_the_indexes_it_found(sink: DatabaseSink) -> None:
    before = numbers(sink.engine)
    with pytest.raises(ZeroDivisionError), writing(sink.engine) as connection, look_ups_built_afterwards(connection):
        raise ZeroDivisionError

    assert numbers(sink.engine) == before


def test_somebody_who_reads_is_not_waited_for(sink: DatabaseSink) -> None:
    before = numbers(sink.engine)
    with sink.engine.connect() as reader:
        reader.execute(sa.select(schema.voucher)).all()
        sink.post(batch(one("C1")))

    assert rebuilt(sink, before) == set()


def test_somebody_who_asks_meanwhile_is_told_to_wait(pg_url: str) -> None:
    sink = DatabaseSink.open(pg_url, lock_wait_seconds=1)
    with (
        writing(sink.engine) as connection,
        look_ups_built_afterwards(connection),
        pytest.raises(AnotherRunActive, match="wait for it to end"),
        reading(sink.engine) as reader,
    ):
        reader.execute(sa.select(schema.voucher)).all()
    sink.close()


def test_a_user_who_does_not_own_the_tables_posts_all_the_same(sink: DatabaseSink) -> None:
    before = numbers(sink.engine)
    with sink.engine.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE poster LOGIN")
        connection.exec_driver_sql("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO poster")
    try:
        poster = DatabaseSink(open_engine(str(sink.engine.url.set(username="poster")), lock_wait_seconds=5))
        assert poster.post(batch(one("C1"))).vouchers == 1
        poster.close()
        assert rebuilt(sink, before) == set()
    finally:
        with sink.engine.begin() as connection:
            connection.exec_driver_sql("DROP OWNED BY poster")
            connection.exec_driver_sql("DROP ROLE poster")


def test_keys_stay_in_force_during_a_first_load(sink: DatabaseSink) -> None:
    with writing(sink.engine) as connection, look_ups_built_afterwards(connection):
        found = sa.inspect(connection)
        assert [index["name"] for index in found.get_indexes("voucher")] == ["uq_voucher_number"]
        assert found.get_pk_constraint("voucher")["constrained_columns"] == list(schema.VOUCHER_KEY)


def test_other_databases_are_left_alone(tmp_path: object) -> None:
    sink = DatabaseSink.open(f"sqlite:///{tmp_path}/erp.db")
    with writing(sink.engine) as connection, look_ups_built_afterwards(connection):
        assert {index["name"] for index in sa.inspect(connection).get_indexes("voucher")} >= {"ix_voucher_batch_id", "ix_voucher_claim_code"}
    sink.close()
