"""The rig's oracle finds what it is there to find: one promise broken by hand at a time, in a ledger where all of them hold."""

from __future__ import annotations

import ast
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etl.config.settings import load_settings
from etl.pipeline.drive import run_once
from faults import oracle
from faults.databases import SqliteErp
from sandbox.testing import Sandbox

SECRET = "canary-of-the-oracle-3f"


@pytest.fixture(scope="module")
def posted(tmp_path_factory: pytest.TempPathFactory) -> oracle.Evidence:
    """A small tenant after one whole run."""
    folder = tmp_path_factory.mktemp("oracle")
    with Sandbox(claims=150, seed=1, app_security=SECRET) as hesi:
        settings = load_settings(
            HESI_BASE_URL=hesi.base_url, HESI_APP_KEY=hesi.app_key, HESI_APP_SECURITY=SECRET, HESI_REQUESTS_PER_SECOND="0",
            HESI_ERP_HOME=str(folder / "home"), ERP_URL=f"sqlite:///{folder}/erp.db",
        )  # fmt: skip
        run_once(settings, now=datetime.fromtimestamp(hesi.clock.now() / 1000, UTC))
        flows = [hesi.tenant.store.flow(head.seq) for head in hesi.tenant.store.heads]
    return oracle.Evidence(SqliteErp(folder / "erp.db"), flows, folder / "home", (), {SECRET})


@pytest.fixture
def evidence(posted: oracle.Evidence, tmp_path: Path) -> oracle.Evidence:
    """A copy to be spoilt."""
    assert isinstance(posted.erp, SqliteErp)
    shutil.copy(posted.erp.path, tmp_path / "erp.db")
    shutil.copytree(posted.home, tmp_path / "home")
    return replace(posted, erp=SqliteErp(tmp_path / "erp.db"), home=tmp_path / "home")


def spoil(evidence: oracle.Evidence, statement: str) -> list[str]:
    """What the oracle says after a statement that changes rows, without its invariant's details."""
    assert isinstance(evidence.erp, SqliteErp)
    with closing(sqlite3.connect(evidence.erp.path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        assert connection.execute(statement).rowcount > 0
    return sorted({problem.split()[0] for problem in oracle.problems(evidence)})


def test_it_has_nothing_to_say_about_a_run_that_went_well(evidence: oracle.Evidence) -> None:
    assert oracle.problems(evidence) == []


ONE_CLAIM = "(SELECT min(claim_id) FROM claim_state WHERE entry_kind = 'EXPENSE' AND state = 'posted')"


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE voucher_line SET debit = debit + 0.01 WHERE rowid = (SELECT min(rowid) FROM voucher_line WHERE debit > 0)", "I1"),
        ("DELETE FROM voucher_line WHERE rowid = (SELECT min(rowid) FROM voucher_line WHERE debit > 0)", "I1"),
        ("DELETE FROM voucher WHERE entry_kind = 'EXPENSE' AND claim_id = ONE_CLAIM", "I1"),
        ("UPDATE posting_batch SET voucher_count = voucher_count + 1", "I1"),
        ("UPDATE claim_state SET state = 'waiting' WHERE entry_kind = 'EXPENSE' AND claim_id = ONE_CLAIM", "I2"),
        ("UPDATE voucher SET status = 'REVERSED' WHERE entry_kind = 'EXPENSE' AND claim_id = ONE_CLAIM", "I2"),
        (
            "INSERT INTO voucher SELECT source_system, claim_id, claim_code, entry_kind, company_code, book_code, part_no, 1, claim_version, voucher_word, "
            "9999, voucher_date, original_date, fiscal_year, fiscal_period, attachment_count, maker, summary, base_currency, NULL, status, erp_id, erp_number, "
            "payload_sha256, batch_id FROM voucher WHERE entry_kind = 'EXPENSE' AND claim_id = ONE_CLAIM",
            "I2",
        ),
        ("UPDATE voucher SET voucher_no = 4711 WHERE rowid = (SELECT min(rowid) FROM voucher)", "I2"),
        ("DELETE FROM claim_state WHERE entry_kind = 'EXPENSE' AND claim_id = ONE_CLAIM", "I3"),
        ("DELETE FROM claim_reject", "I3"),
        ("UPDATE claim_reject SET owner = '' WHERE rowid = (SELECT min(rowid) FROM claim_reject)", "I4"),
        ("DELETE FROM claim_state WHERE claim_id = (SELECT min(claim_id) FROM writeback_outbox WHERE hesi_state = 'archived')", "I5"),
        ("UPDATE voucher SET voucher_date = '2020-02-29' WHERE rowid = (SELECT min(rowid) FROM voucher)", "I6"),
        ("UPDATE writeback_outbox SET voucher_number = 'X' WHERE claim_id = (SELECT min(claim_id) FROM writeback_outbox WHERE status = 'DONE')", "I7"),
        ("DELETE FROM writeback_outbox WHERE claim_id = (SELECT min(claim_id) FROM writeback_outbox)", "I7"),
        ("UPDATE posting_batch SET batch_id = 'unannounced'", "I8"),
        ("UPDATE claim_state SET claimant_name = 'A_SECRET' WHERE claim_id = ONE_CLAIM", "I10"),
        ("UPDATE voucher SET summary = '13800130001' WHERE claim_id = ONE_CLAIM", "I10"),
    ],
)
def test_it_names_the_promise_that_a_changed_row_breaks(evidence: oracle.Evidence, statement: str, told: str) -> None:
    assert told in spoil(evidence, statement.replace("ONE_CLAIM", ONE_CLAIM).replace("A_SECRET", SECRET))


def test_it_finds_a_claim_of_the_source_that_is_nowhere(evidence: oracle.Evidence) -> None:
    lost = next(flow for flow in evidence.flows if flow["formType"] == "expense" and flow["state"] == "paid")
    more = replace(evidence, flows=[*evidence.flows, {**lost, "id": "lost", "updateTime": 1_600_000_000_000}])
    assert {problem.split()[0] for problem in oracle.problems(more)} == {"I3", "I5"}


def test_it_finds_a_voucher_in_a_period_that_was_closed(evidence: oracle.Evidence) -> None:
    company, year, month = evidence.erp.rows("SELECT company_code, fiscal_year, fiscal_period FROM voucher")[0]
    found = oracle.problems(replace(evidence, closed={(company, int(year), int(month))}))
    assert {problem.split()[0] for problem in found} == {"I6"}


def test_it_finds_an_edited_entry_of_the_audit_log(evidence: oracle.Evidence) -> None:
    path = evidence.home / "audit" / "log.jsonl"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"started_by":"cli"', '"started_by":"eve"', 1), encoding="utf-8")
    assert text != path.read_text(encoding="utf-8")
    assert any(problem.startswith("I8 entry") for problem in oracle.problems(evidence))


@pytest.mark.parametrize("content", [f"token {SECRET}", "tel 13800130001", "card 6222000000000000001"])
def test_it_finds_a_secret_or_a_personal_number_in_a_log_or_report(evidence: oracle.Evidence, content: str) -> None:
    (evidence.home / "logs" / "today.log").write_text(content, encoding="utf-8")
    assert {problem.split()[0] for problem in oracle.problems(evidence)} == {"I10"}


def test_the_end_state_differs_by_a_single_cent_and_not_by_a_voucher_number(evidence: oracle.Evidence) -> None:
    before = oracle.end_state(evidence)
    spoil(evidence, "UPDATE voucher SET voucher_no = 4711 WHERE rowid = (SELECT min(rowid) FROM voucher)")
    assert oracle.end_state(evidence) == before
    spoil(evidence, "UPDATE voucher_line SET debit = debit + 0.01 WHERE rowid = (SELECT min(rowid) FROM voucher_line WHERE debit > 0)")
    assert oracle.end_state(evidence) != before


def test_the_oracle_imports_nothing_of_the_product() -> None:
    tree = ast.parse(Path(oracle.__file__).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names
    assert not {name.partition(".")[0] for name in names} & {"etl", "sandbox", "faults", "pandas", "sqlalchemy"}
