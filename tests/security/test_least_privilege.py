"""The database role of SECURITY.md is enough for a run, and cannot change what is posted even when it tries."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from etl.erp import schema
from etl.erp.database import DatabaseSink
from etl.erp.engine import reading
from etl.erp.standing import standing_of
from tests.conformance.chunks import batch, one

ROLE = "hesi_erp_runs"
WRITTEN_ONCE = sorted(name for name in schema.metadata.tables if name.startswith("voucher"))
KEPT = sorted(set(schema.metadata.tables) - set(WRITTEN_ONCE))


@pytest.fixture
def url(pg_url: str) -> Iterator[str]:
    """The address of a migrated database, for the role of a run."""
    DatabaseSink.open(pg_url).close()
    grants = [
        f"CREATE ROLE {ROLE} LOGIN",
        f"GRANT USAGE ON SCHEMA public TO {ROLE}",
        f"GRANT SELECT, INSERT ON {', '.join(WRITTEN_ONCE)} TO {ROLE}",
        f"GRANT UPDATE (status, erp_id, erp_number) ON voucher TO {ROLE}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(KEPT)} TO {ROLE}",
        f"GRANT SELECT ON {schema.VERSION_TABLE}, claim_standing TO {ROLE}",
    ]
    with psycopg.connect(pg_url.replace("+psycopg", ""), autocommit=True) as owner:
        for grant in grants:
            owner.execute(grant)
        yield make_url(pg_url).set(username=ROLE).render_as_string(hide_password=False)
        owner.execute(f"DROP OWNED BY {ROLE}")
        owner.execute(f"DROP ROLE {ROLE}")


def test_the_role_of_a_run_posts_and_posts_nothing_twice(url: str) -> None:
    sink = DatabaseSink.open(url)
    assert sink.post(batch(one("C1"))).vouchers == 1
    assert sink.post(batch(one("C1"), batch_id="batch-2")).already_posted == 1
    assert sink.known_states(["C1"])["state"].tolist() == ["posted"]
    with reading(sink.engine) as connection:
        assert [row["state"] for row in standing_of(connection, "C1")] == ["write_back_pending"]
    sink.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE voucher SET summary = 'x'",
        "UPDATE voucher SET voucher_no = 2",
        "UPDATE voucher_line SET debit = debit + 1",
        "UPDATE voucher_line_dimension SET dim_code = 'x'",
        "DELETE FROM voucher",
        "DELETE FROM voucher_line",
        "TRUNCATE voucher_line",
        "DROP TABLE voucher",
        "ALTER TABLE voucher DISABLE TRIGGER ALL",
        "CREATE TABLE mine (x int)",
    ],
)
def test_the_role_of_a_run_cannot_change_what_is_posted(url: str, statement: str) -> None:
    sink = DatabaseSink.open(url)
    sink.post(batch(one("C1")))
    with pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"), sink.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    sink.close()
