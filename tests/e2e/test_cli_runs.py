"""`hesi-erp run`, `explain` and `reconcile` on a small tenant: what they print is what the database holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from etl.config.settings import PROJECT
from tests.e2e.cli_world import APP_SECURITY, Told, World, world


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("cli"), claims=220) as made:
        yield made


@pytest.fixture(scope="module")
def first(tenant: World) -> Told:
    return tenant.command("run", "--verbose")


def one(tenant: World, sql: str, *parameters: object) -> Any:
    rows = tenant.ask(sql, *parameters)
    assert rows, sql
    return rows[0][0]


def test_the_first_run_posts_and_says_so(tenant: World, first: Told) -> None:
    assert first.status == 0, first.err
    posted = one(tenant, "SELECT COUNT(*) FROM voucher")
    assert posted > 200
    lines = first.out.splitlines()
    assert re.match(r"(GREEN|AMBER) nightly run \d{8}T\d{9}-[0-9a-f]{4}", lines[0])
    assert lines[-2] == f"posted {posted}"
    assert Path(lines[-1].removeprefix("report ")).is_file()


def test_a_run_over_a_calm_tenant_is_green_with_every_number_in_hesi(tmp_path: Path) -> None:
    with world(tmp_path, claims=150, calm=True) as calm:
        told = calm.command("run")
        assert told.status == 0, told.err
        assert told.out.startswith("GREEN nightly run ")
        assert one(calm, "SELECT COUNT(*) FROM voucher") > 150
        assert one(calm, "SELECT COUNT(*) FROM claim_reject") == 0
        paid = set(calm.hesi.flow_ids("paid"))
        assert {flow_id for flow_id in paid if not calm.hesi.tenant.flow(flow_id)["form"]["voucherNo"]} == set()
        assert paid == {row[0] for row in calm.ask("SELECT claim_id FROM writeback_outbox WHERE status = 'DONE'")}


def test_the_run_tells_each_step_on_standard_error(first: Told) -> None:
    steps = re.findall(r"^\[(\d)/9\] (\w+) \.\.\. ", first.err, flags=re.MULTILINE)
    names = ["extract", "stage", "map_fields", "check_budget", "validate", "load", "reconcile", "write_back", "report"]
    assert steps == [(str(number), name) for number, name in enumerate(names, start=1)]


def test_the_money_shown_is_the_money_in_the_database(tenant: World, first: Told) -> None:
    shown = {
        tuple(cells[:3]): [Decimal(cell.replace(",", "")) for cell in cells[3:]]
        for line in first.out.splitlines()
        if (cells := line.split()) and len(cells) == 11 and cells[0] in {"EXPENSE", "PAYMENT", "LOAN", "RECEIPT"}
    }
    debits = tenant.ask(
        "SELECT v.entry_kind, v.company_code, v.base_currency, SUM(CAST(ROUND(l.debit * 10000) AS INTEGER)) FROM voucher v JOIN voucher_line l"
        " USING (source_system, claim_id, entry_kind, company_code, book_code, part_no, revision) GROUP BY 1, 2, 3"
    )
    assert {key: shown[key][1] for *key_parts, _ in debits if (key := tuple(key_parts))} == {
        (kind, company, currency): Decimal(total) / 10_000 for kind, company, currency, total in debits
    }
    assert [row for row in shown.values() if row[-1] != 0 or row[0] != sum(row[1:-1])] == []


def test_a_second_run_posts_nothing_and_changes_nothing(tenant: World, first: Told) -> None:
    before = tenant.dump()
    again = tenant.command("run", "--json")
    assert again.status == 0
    document = again.document
    assert (document["posted"], document["kind"], document["differences"]) == (0, "nightly", 0)
    assert document["verdict"] in {"green", "amber"}
    assert {"run_id", "verdict", "cause", "counts", "totals", "report"} <= document.keys()
    assert tenant.dump() == before


def test_a_full_run_reads_everything_again_and_posts_nothing(tenant: World, first: Told) -> None:
    full = tenant.command("run", "--full", "--json").document
    assert (full["kind"], full["posted"]) == ("full", 0)
    assert sum(measures.get("extracted", 0) for measures in full["counts"].values()) >= 220


def test_a_claim_is_explained_down_to_every_voucher_line(tenant: World, first: Told) -> None:
    code = one(tenant, "SELECT claim_code FROM voucher WHERE entry_kind = 'EXPENSE' ORDER BY claim_code LIMIT 1")
    told = tenant.command("explain", code, "--json")
    assert told.status == 0
    claim = told.document["claims"][0]
    vouchers = [voucher for entry in claim["entries"] for voucher in entry["vouchers"]]
    lines = [(v["number"], line["line_no"], line["account_code"], Decimal(line["debit"]), Decimal(line["credit"])) for v in vouchers for line in v["lines"]]
    stored = tenant.ask(
        "SELECT v.company_code, v.fiscal_year, v.fiscal_period, v.voucher_word, v.voucher_no, l.line_no, l.account_code, l.debit, l.credit FROM voucher v"
        " JOIN voucher_line l USING (source_system, claim_id, entry_kind, company_code, book_code, part_no, revision) WHERE v.claim_code = ?",
        code,
    )
    assert sorted(lines) == sorted(
        (f"{company}/{year}-{period:02d}/{word}-{number}", line_no, account, Decimal(str(debit)), Decimal(str(credit)))
        for company, year, period, word, number, line_no, account, debit, credit in stored
    )


def test_every_explained_line_names_its_rule_and_every_voucher_its_versions_checks_and_batch(tenant: World, first: Told) -> None:
    code = one(tenant, "SELECT claim_code FROM voucher WHERE entry_kind = 'EXPENSE' ORDER BY claim_code LIMIT 1")
    claim = tenant.command("explain", code, "--json").document["claims"][0]
    vouchers = [voucher for entry in claim["entries"] for voucher in entry["vouchers"]]
    assert vouchers
    versions = tenant.ask("SELECT batch_id, run_id, mapping_sha256, expectations_sha256 FROM posting_batch")
    for voucher in vouchers:
        batch = voucher["batch"]
        assert (batch["batch_id"], batch["run_id"], batch["mapping_sha256"], batch["expectations_sha256"]) in versions
        assert {check["suite"] for check in voucher["validation"]} == {"staged_claims", "voucher_lines", "batch_totals"}
        assert [check for check in voucher["validation"] if check["names_this_entry"]] == []
        for line in voucher["lines"]:
            assert line["sources"]
            assert [source for source in line["sources"] if not re.match(r"companies/C0\d\.yaml:\w+", source["rule"])] == []


def test_a_voucher_number_leads_back_to_its_claim(tenant: World, first: Told) -> None:
    ((company, period, number, code),) = tenant.ask(
        "SELECT company_code, printf('%04d-%02d', fiscal_year, fiscal_period), voucher_word || '-' || voucher_no, claim_code FROM voucher"
        " WHERE entry_kind = 'PAYMENT' ORDER BY claim_code LIMIT 1"
    )
    found = tenant.command("explain", f"{company}/{period}/{number}", "--json").document
    assert found["found_as"] == "voucher"
    assert [voucher["claim_code"] for voucher in found["vouchers"]] == [code]
    assert [claim["claim_code"] for claim in found["claims"]] == [code]


def test_a_number_without_company_and_period_lists_every_voucher_it_fits(tenant: World, first: Told) -> None:
    word, number = tenant.ask("SELECT voucher_word, voucher_no FROM voucher GROUP BY 1, 2 ORDER BY COUNT(*) DESC LIMIT 1")[0]
    codes = [code for (code,) in tenant.ask("SELECT claim_code FROM voucher WHERE voucher_word = ? AND voucher_no = ?", word, number)]
    assert len(codes) > 1
    told = tenant.command("explain", f"{word}-{number}")
    assert told.status == 0
    assert [code for code in codes if code not in told.out] == []
    assert len([line for line in told.out.splitlines() if "POSTED" in line]) == len(codes)


@pytest.mark.parametrize("disposition", ["rejected", "held"])
def test_a_claim_that_is_not_posted_is_explained_by_reason_owner_and_due_date(disposition: str, tenant: World, first: Told) -> None:
    code, rule, reason, owner, due = tenant.ask(
        "SELECT claim_code, rule, reason, owner, due_date FROM claim_reject WHERE disposition = ? AND entry_kind = 'EXPENSE' LIMIT 1", disposition
    )[0]
    out = tenant.command("explain", code).out
    assert f"{disposition} in " in out
    assert f"by {rule}: {reason}" in out
    assert f"owner {owner}, due {due}" in out
    assert "what to do:" in out


def test_an_unknown_claim_is_a_wrong_argument(tenant: World, first: Told) -> None:
    told = tenant.command("explain", "B99999999", "--json")
    assert told.status == 2
    assert "B99999999" in told.document["error"]["message"]


def test_explain_tells_where_each_version_of_a_claim_stands(tenant: World, first: Told) -> None:
    ((claim_id, code),) = tenant.ask("SELECT claim_id, claim_code FROM claim_state WHERE state = 'posted' AND entry_kind = 'PAYMENT' LIMIT 1")
    told = tenant.ask("SELECT entry_kind, state, run_id FROM claim_standing WHERE claim_id = ? ORDER BY entry_kind", claim_id)
    standing = tenant.command("explain", code, "--json").document["claims"][0]["standing"]

    assert [(row["entry_kind"], row["state"], row["run_id"]) for row in standing] == told
    assert ("EXPENSE", "settled") in {row[:2] for row in told}
    assert "settled" in tenant.command("explain", code).out


def test_a_claim_a_run_has_only_read_is_explained_as_far_as_it_is_known(tenant: World, first: Told) -> None:
    row = ("R1", 0, "unknown", "COMMIT_UNKNOWN", '[["ID_new", "B-new", 3]]', "2026-01-01 00:00:00.000000")
    tenant.change("INSERT INTO claim_in_hand (run_id, chunk_no, state, cause, claims, updated_at) VALUES (?, ?, ?, ?, ?, ?)", *row)
    told = tenant.command("explain", "B-new")
    tenant.change("DELETE FROM claim_in_hand WHERE run_id = 'R1'")

    assert told.status == 0
    assert "unknown" in told.out
    assert "COMMIT_UNKNOWN" in told.out


def test_explain_before_the_first_run_says_so_and_makes_no_database(tenant: World, tmp_path: Path) -> None:
    told = tenant.command("explain", "B1", ERP_URL=f"sqlite:///{tmp_path / 'erp.db'}")
    assert told.status == 2
    assert "start `hesi-erp run` first" in told.err
    assert list(tmp_path.iterdir()) == []


def test_explaining_loads_neither_the_validator_nor_the_scheduler(tenant: World, first: Told) -> None:
    code = one(tenant, "SELECT claim_code FROM voucher LIMIT 1")
    script = "import sys\nfrom etl.cli import main\nstatus = main(sys.argv[1:])\nsys.stderr.write(' '.join(sys.modules))\nsys.exit(status)"
    for arguments in (["explain", code], ["reconcile"]):
        command, settings = [sys.executable, "-c", script, *arguments], {**os.environ, **tenant.settings()}
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT, env=settings, timeout=120)
        loaded = {name.partition(".")[0] for name in done.stderr.split()}
        assert "sqlalchemy" in loaded
        assert loaded & {"great_expectations", "airflow"} == set()


def test_reconcile_asks_nobody_and_ties_out(tenant: World, first: Told) -> None:
    before, requests = tenant.dump(), len(tenant.hesi.requests)
    told = tenant.command("reconcile", "--json", HESI_APP_KEY="", HESI_APP_SECURITY="")
    assert told.status == 0
    assert (told.document["kind"], told.document["posted"], told.document["differences"]) == ("reconcile", 0, 0)
    assert told.document["totals"]
    assert (tenant.dump(), len(tenant.hesi.requests)) == (before, requests)


@pytest.mark.parametrize(
    ("table", "column"), [("voucher_line", "debit"), ("claim_state", "amount")], ids=["a cent in a voucher", "a cent in the claim's state"]
)
def test_one_altered_cent_makes_reconcile_red(table: str, column: str, tenant: World, first: Told) -> None:
    row, amount = tenant.ask(f"SELECT rowid, {column} FROM {table} WHERE {column} > 1 AND entry_kind = 'EXPENSE' AND company_code = 'C01' LIMIT 1")[0]  # noqa: S608 - names from above
    tenant.change(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", str(Decimal(str(amount)) + Decimal("0.01")), row)  # noqa: S608
    try:
        told = tenant.command("reconcile", "--json")
        text = tenant.command("reconcile")
    finally:
        tenant.change(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", str(Decimal(str(amount))), row)  # noqa: S608
    assert told.status == text.status == 1
    assert (told.document["verdict"], told.document["cause_code"]) == ("red", "CONTROL_TOTAL_MISMATCH")
    wrong = [total for total in told.document["totals"] if Decimal(total["difference"])]
    assert [(total["entry_kind"], total["company_code"], abs(Decimal(total["difference"]))) for total in wrong] == [("EXPENSE", "C01", Decimal("0.01"))]
    assert "DIFFERENCES: the report lists them" in text.out


def test_a_wrong_application_secret_is_red_without_a_traceback(tenant: World, tmp_path: Path) -> None:
    told = tenant.command(
        "run", "--json", HESI_APP_SECURITY="another-secret-51ac", HESI_ERP_HOME=str(tmp_path / "home"), ERP_URL=f"sqlite:///{tmp_path / 'erp.db'}"
    )
    assert told.status == 1
    assert (told.document["verdict"], told.document["cause_code"], told.document["posted"]) == ("red", "AUTHENTICATION_FAILED", 0)
    assert "Traceback" not in told.err
    assert "another-secret-51ac" not in told.out + told.err


def test_an_unreachable_database_is_red_and_its_password_is_not_shown(tenant: World, tmp_path: Path) -> None:
    address = "postgresql://erp:canary-password-3d7e@127.0.0.1:9/erp"
    told = tenant.command("run", ERP_URL=address, HESI_ERP_HOME=str(tmp_path / "home"))
    assert told.status == 1
    assert "SINK_UNAVAILABLE" in told.out + told.err
    assert "Traceback" not in told.err
    kept = "".join(path.read_bytes().decode("utf-8", "replace") for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert "canary-password-3d7e" not in told.out + told.err + kept


def test_no_secret_is_printed_logged_reported_or_stored(tenant: World, first: Told) -> None:
    tenant.command("run", "--verbose", "--full")
    tokens = {request.query["accessToken"] for request in tenant.hesi.requests if "accessToken" in request.query}
    assert tokens
    secrets = [secret.encode() for secret in {APP_SECURITY, *tokens, *(token.partition(":")[2] for token in tokens)}]
    files = [path for path in tenant.folder.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"erp.db", "ledger.db", "run-report.html", "run-report.xlsx", "run-report.json", "pages.json"} <= names
    assert [path for path in files if path.suffix == ".log"]
    assert [path for path in files if any(secret in path.read_bytes() for secret in secrets)] == []
    printed = "".join(told.out + told.err for told in tenant.told).encode()
    assert b"step_finished" in printed
    assert [secret for secret in secrets if secret in printed] == []
