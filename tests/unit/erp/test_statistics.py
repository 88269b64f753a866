"""What the planner knows after a load."""

from __future__ import annotations

import sqlalchemy as sa

from etl.erp.database import DatabaseSink
from etl.erp.engine import reading, writing
from etl.erp.statistics import refresh_statistics
from tests.conformance.chunks import Chunk, batch

VOUCHERS = 60


def loaded(url: str) -> DatabaseSink:
    chunk = Chunk()
    for number in range(VOUCHERS):
        chunk.voucher(f"C{number:03d}")
    sink = DatabaseSink.open(url)
    sink.post(batch(chunk.build()))
    return sink


def test_right_after_a_first_load_the_planner_knows_how_many_rows_there_are(pg_url: str) -> None:
    sink = loaded(pg_url)
    with reading(sink.engine) as connection:
        query = sa.text("SELECT relname, reltuples FROM pg_class WHERE relname IN ('voucher', 'voucher_line', 'posting_batch')")
        counted = {row.relname: row.reltuples for row in connection.execute(query)}
    assert counted == {"voucher": VOUCHERS, "voucher_line": 2 * VOUCHERS, "posting_batch": 1}
    sink.close()


def test_a_table_that_hardly_grew_is_not_looked_at_again(pg_url: str) -> None:
    sink = loaded(pg_url)
    with writing(sink.engine) as connection:
        assert refresh_statistics(connection, {"voucher": 5, "voucher_line": 12, "claim_state": 0}) == ("voucher_line",)
    sink.close()


def test_the_sample_size_of_other_transactions_stays_as_the_server_has_it(pg_url: str) -> None:
    sink = loaded(pg_url)
    with reading(sink.engine) as connection:
        target = connection.execute(sa.text("SHOW default_statistics_target")).scalar_one()
        usual = connection.execute(sa.text("SELECT boot_val FROM pg_settings WHERE name = 'default_statistics_target'")).scalar_one()
    assert target == usual
    sink.close()


def test_other_databases_are_left_alone(tmp_path: object) -> None:
    sink = loaded(f"sqlite:///{tmp_path}/erp.db")
    with writing(sink.engine) as connection:
        assert refresh_statistics(connection, {"voucher": 10_000}) == ()
    sink.close()
