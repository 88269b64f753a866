"""Two hundred texts that want to be SQL: stored to the letter in both databases, or named as unfit; never executed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.erp import schema
from etl.erp.database import DatabaseSink
from etl.erp.engine import reading
from etl.store import ledger_schema
from etl.store.ledger import Ledger
from tests.conformance.chunks import Chunk, batch
from tests.security.payloads import SQL

TABLES = sorted(schema.metadata.tables)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'erp.db'}" if request.param == "sqlite" else str(request.getfixturevalue("pg_url"))


@pytest.fixture
def sink(url: str) -> Iterator[DatabaseSink]:
    opened = DatabaseSink.open(url)
    yield opened
    opened.close()


def chunk_of(texts: tuple[str, ...]) -> Chunk:
    """A voucher and a reject for each text, with the text wherever a claim can bring one."""
    chunk = Chunk()
    for n, text in enumerate(texts):
        lines = [
            {
                "account_code": "6602.01",
                "debit_minor": 10_000,
                "source_line_id": text,
                "dimensions": {"department": (text[:60], text), "project": (f"P{n}", text)},
            },
            {"account_code": "2241.01", "credit_minor": 10_000, "settlement_no": text[:60], "dimensions": {}},
        ]
        chunk.voucher(text[:60] + f"#{n}", summary=text, lines=lines, claim_code=text[:64], claimant_name=text, department_code=text[:60])
        chunk.reject(text[:60] + f"!{n}", reason=text, claim_code=text[:64], owner=text[:40], claimant_name=text, department_code=text[:60])
    return chunk


def stored(sink: DatabaseSink, table: str, column: str) -> list[str]:
    with reading(sink.engine) as connection:
        return [row[0] for row in connection.execute(sa.select(schema.metadata.tables[table].c[column]))]


def test_there_are_two_hundred_texts() -> None:
    assert len(set(SQL)) == 200


def test_every_text_is_stored_to_the_letter_and_nothing_else_happens(sink: DatabaseSink) -> None:
    built = chunk_of(SQL).build()
    assert sink.unfit(built).empty
    receipt = sink.post(batch(built))
    assert (receipt.vouchers, receipt.lines, receipt.rejects_open) == (200, 400, 200)
    assert sorted(stored(sink, "voucher", "summary")) == sorted(SQL)
    assert sorted(stored(sink, "voucher", "claim_code")) == sorted(text[:64] for text in SQL)
    assert set(stored(sink, "voucher_line_dimension", "dim_name")) == set(SQL)
    assert sorted(stored(sink, "claim_reject", "reason")) == sorted(SQL)
    assert sorted(stored(sink, "writeback_outbox", "claim_code")) == sorted(text[:64] for text in SQL)
    assert sorted(sa.inspect(sink.engine).get_table_names()) == sorted([*TABLES, schema.VERSION_TABLE])
    assert set(stored(sink, "voucher", "status")) == {"POSTED"}
    assert stored(sink, "posting_batch", "voucher_count") == [200]


def test_a_question_with_such_an_id_finds_that_claim_only(sink: DatabaseSink) -> None:
    sink.post(batch(chunk_of(SQL).build()))
    for n in range(0, len(SQL), 10):
        wanted = SQL[n][:60] + f"#{n}"
        assert sink.known_states([wanted])["claim_id"].tolist() == [wanted]
    assert sink.known_states(list(SQL))["claim_id"].tolist() == []


def test_the_run_ledger_stores_them_as_text_too(tmp_path: Path, pg_url: str) -> None:
    for url in (f"sqlite:///{tmp_path / 'ledger.db'}", pg_url):
        with Ledger.open(url) as ledger:
            run_id = ledger.start_run(
                kind="nightly",
                started_by=SQL[1],
                business_date=date(2026, 9, 1),
                mapping_sha256="1" * 64,
                expectations_sha256="2" * 64,
                package_version="1",
                source_host="app.ekuaibao.com",
                interval_to=None,
            )
            findings = [
                {"claim_id": f"c{n}", "claim_code": text[:60], "rule": "VAT_UNVERIFIED", "detail": text, "amount_minor": n, "currency": "CNY"}
                for n, text in enumerate(SQL)
            ]
            ledger.add_findings(run_id, findings, step="map_fields")
            ledger.stop_run(run_id, RuntimeError(SQL[0]))
            assert {row["detail"] for row in ledger.rows(ledger_schema.run_finding, run_id)} == set(SQL)
            assert ledger.recent_runs(10)[0].cause_text == f"RuntimeError: {SQL[0]}"
