"""What an auditor finds in the pack, and that it follows from the databases and files alone."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.evidence.conftest import COMPANY, PERIOD, PRIVATE, PUBLIC, History

PROJECT = Path(__file__).resolve().parents[2]


def files(pack: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(pack)) as container:
        return {name: container.read(name) for name in container.namelist()}


def rows(pack: bytes, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files(pack)[name].decode("utf-8-sig"), newline="")))


def control(pack: bytes, number: str) -> dict[str, str]:
    return next(row for row in rows(pack, "8-controls/control_map.csv") if row["id"] == number)


def test_the_same_databases_and_files_give_the_same_bytes(history: History, pack: bytes) -> None:
    assert history.pack() == pack


def test_another_seed_draws_other_vouchers(history: History, pack: bytes) -> None:
    other = history.pack("--seed", "7", "--out", str(history.home / "evidence"))
    history.pack()
    assert json.loads(files(other)["manifest.json"])["seed"] == 7
    assert other != pack


def test_every_voucher_of_the_month_is_in_the_pack_and_no_other(history: History, pack: bytes) -> None:
    wanted = history.ask(
        "SELECT voucher_word, voucher_no, claim_code, payload_sha256 FROM voucher WHERE company_code = 'C01' AND fiscal_year = 2026 AND fiscal_period = 10"
    )
    found = [(row["voucher_word"], int(row["voucher_no"]), row["claim_code"], row["payload_sha256"]) for row in rows(pack, "1-population/vouchers.csv")]
    assert len(wanted) > 3
    assert sorted(found) == sorted(wanted)


def test_every_line_is_in_the_pack_to_the_cent(history: History, pack: bytes) -> None:
    (wanted,) = history.ask(
        "SELECT COUNT(*), CAST(ROUND(SUM(l.debit) * 100) AS INTEGER) FROM voucher v JOIN voucher_line l"
        " USING (claim_id, entry_kind, part_no, revision, company_code)"
        " WHERE company_code = 'C01' AND fiscal_year = 2026 AND fiscal_period = 10"
    )
    lines = rows(pack, "1-population/voucher_lines.csv")
    assert (len(lines), sum(Decimal(row["debit"]) for row in lines) * 100) == wanted


def test_every_entry_of_the_month_is_posted_or_named_with_its_reason(history: History, pack: bytes) -> None:
    (count,) = history.ask("SELECT COUNT(*) FROM claim_state WHERE company_code IN ('C01', '') AND event_date BETWEEN '2026-10-01' AND '2026-10-31'")
    found = rows(pack, "1-population/entries.csv")
    assert (len(found),) == count
    assert [row for row in found if row["state"] in {"held", "rejected"} and not (row["rule"] and row["reason"] and row["owner"] and row["due_date"])] == []


def test_what_is_posted_is_what_the_raw_page_says(pack: bytes) -> None:
    tie = rows(pack, "1-population/source_tie.csv")
    assert len(tie) > 3
    assert {row["difference"] for row in tie} == {"0.00"}
    assert [row for row in tie if row["raw_amount"] != row["posted_amount"]] == []
    assert control(pack, "K05")["attention"] == "False"


def test_a_posted_amount_that_is_not_the_sources_is_named(own: History) -> None:
    (claim,) = own.ask("SELECT claim_id FROM voucher WHERE company_code = 'C01' AND fiscal_period = 10 AND entry_kind = 'EXPENSE' LIMIT 1")
    own.change("UPDATE voucher_line SET debit = debit + 1 WHERE claim_id = ? AND entry_kind = 'EXPENSE' AND line_no = 1 AND debit > 0", *claim)
    altered = own.pack()
    assert [row["difference"] for row in rows(altered, "1-population/source_tie.csv") if row["difference"] != "0.00"] == ["-1.00"]
    assert (control(altered, "K05")["attention"], control(altered, "K03")["attention"]) == ("True", "True")


def test_pages_are_listed_with_hash_and_time_and_without_token(pack: bytes) -> None:
    pages = rows(pack, "2-extraction/pages.csv")
    assert len(pages) > 5
    assert {row["kept"] for row in pages} == {"kept"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", row["sha256"]) and row["fetched_at"] and "accessToken" not in row["url"] for row in pages)


def test_a_raw_page_changed_or_lost_is_named(own: History) -> None:
    pages = sorted((own.home / "raw").glob("*/1-expense-active-*.json"))
    pages[0].chmod(0o600)
    pages[0].write_bytes(pages[0].read_bytes().replace(b"standard", b"Standard", 1))
    pages[1].unlink()
    changed = own.pack()
    assert {row["kept"] for row in rows(changed, "2-extraction/pages.csv")} == {"kept", "missing", "altered"}
    assert control(changed, "K06")["attention"] == "True"


def test_rules_in_force_are_there_with_their_files_and_first_use(history: History, pack: bytes) -> None:
    versions = rows(pack, "3-rules/versions.csv")
    assert [row["kept"] for row in versions if row["kept"] != "True"] == []
    assert {row["what"] for row in versions} == {"mappings", "suites", "settings"}
    shown = files(pack)
    assert all(row["place"] in shown for row in versions)
    newest = [row for row in versions if row["file"] == "companies/C01.yaml"][-1]
    assert shown[newest["place"]] == (history.folder / "mappings" / "companies" / "C01.yaml").read_bytes()


def test_a_change_of_the_mapping_is_shown_as_a_difference(pack: bytes) -> None:
    differences = {name: text.decode() for name, text in files(pack).items() if name.endswith(".diff") and "mappings" in name}
    assert len(differences) == 1
    (text,) = differences.values()
    assert [line for line in text.splitlines() if line[:1] == "+" and line[:3] != "+++"] == ["+# The auditor asked for this line."]
    assert [line for line in text.splitlines() if line[:1] == "-" and line[:3] != "---"] == []


def test_validation_results_name_every_failing_key(pack: bytes) -> None:
    results = rows(pack, "4-validation/results.csv")
    assert len(results) > 5
    assert len(rows(pack, "4-validation/failing_keys.csv")) == sum(int(row["failed"]) for row in results)


def test_who_started_each_run_is_told(history: History, pack: bytes) -> None:
    starts = rows(pack, "5-people/run_starts.csv")
    assert len(starts) == 3
    assert all(row["started_by"] == "cli" and row["os_user"] and row["host"] for row in starts)


def test_approvals_carry_ids_and_no_names(pack: bytes) -> None:
    approvals = rows(pack, "5-people/approvals.csv")
    assert {"freeflow.submit", "freeflow.agree"} <= {row["action"] for row in approvals}
    assert all(row["operator_id"] and row["at"] for row in approvals)


def test_a_stopped_run_is_an_incident_with_what_followed(pack: bytes) -> None:
    incidents = rows(pack, "7-incidents/incidents.csv")
    assert [(row["kind"], row["cause_code"], row["followed_verdict"]) for row in incidents] == [("run stopped", "AUTHENTICATION_FAILED", "amber")]
    assert "wrong-secret" not in str(incidents)


def test_a_voucher_that_is_gone_is_a_gap_explained_by_the_log(own: History) -> None:
    (last,) = own.ask(
        "SELECT claim_id, entry_kind, part_no, voucher_no, claim_code FROM voucher WHERE company_code = 'C01' AND fiscal_period = 10"
        " ORDER BY voucher_no DESC LIMIT 1"
    )
    for table in ("voucher_line_dimension", "voucher_line_source", "voucher_invoice", "voucher_line", "voucher"):
        own.change(f"DELETE FROM {table} WHERE claim_id = ? AND entry_kind = ? AND part_no = ?", *last[:3])  # noqa: S608 - names of our own tables
    gaps = rows(own.pack(), "1-population/number_gaps.csv")
    assert [row["voucher_no"] for row in gaps] == [str(last[3])]
    assert f"posted for claim {last[4]} in batch" in gaps[0]["explanation"]


def test_names_are_masked_outside_the_accounting_record(history: History, pack: bytes) -> None:
    found = history.ask("SELECT DISTINCT dim_name FROM voucher_line_dimension WHERE dim_type = 'employee' AND company_code = 'C01'")
    names = {name for (name,) in found}
    assert len(names) > 3
    record = {"1-population/vouchers.csv", "1-population/voucher_lines.csv", "6-samples/traces.jsonl"}
    shown = [(name, text) for name, text in files(pack).items() if name not in record]
    assert [(file, name) for file, text in shown for name in names if name.encode() in text] == []
    for line in files(pack)["6-samples/traces.jsonl"].decode().splitlines():
        for item in json.loads(line)["lines"]:
            assert [name for name in names for dimension in item["dimensions"] if dimension["name"] == name] == []


def test_no_secret_is_in_the_pack(history: History, pack: bytes) -> None:
    secrets = [PRIVATE.hex(), "wrong-secret", "accessToken="]
    assert [(name, secret) for name, text in files(pack).items() if name != "verify.py" for secret in secrets if secret.encode() in text] == []


def test_the_log_of_the_pack_withholds_other_companies_claims(history: History, pack: bytes) -> None:
    entries = [json.loads(line) for line in files(pack)["9-audit-log/log.jsonl"].splitlines()]
    withheld = [entry for entry in entries if "body" not in entry]
    assert withheld
    assert {entry["body"]["company"] for entry in entries if entry.get("body", {}).get("kind") in {"decisions", "posted"}} <= {COMPANY, ""}
    whole = {entry["seq"]: entry["hash"] for entry in history.entries()}
    assert [entry["seq"] for entry in entries if whole[entry["seq"]] != entry["hash"]] == []


def test_every_file_has_a_retention_class(pack: bytes) -> None:
    listed = {row["file"]: row["years"] for row in rows(pack, "retention.csv")}
    assert listed["1-population/vouchers.csv"] == "30"
    assert listed["4-validation/results.csv"] == "10"


def test_every_control_names_a_test_that_exists_and_a_file_that_is_there(pack: bytes) -> None:
    controls = rows(pack, "8-controls/control_map.csv")
    assert len(controls) >= 10
    shown = files(pack)
    for row in controls:
        file, _, test = row["test"].partition("::")
        assert f"def {test}(" in (PROJECT / file).read_text(encoding="utf-8"), row["test"]
        assert row["file"] in shown


@pytest.mark.parametrize(("language", "word"), [("zh", "会计证据包"), ("en", "Accounting evidence pack")])
def test_the_index_stands_alone_in_both_languages(pack: bytes, language: str, word: str) -> None:
    page = files(pack)[f"index.{language}.html"].decode()
    assert word in page
    assert PERIOD in page
    assert re.findall(r"(?:src|href)=|https?://|<script", page) == []


def test_a_month_without_anything_is_a_wrong_argument(history: History) -> None:
    told = history.command("evidence", "--period", "2019-01")
    assert told.status == 2
    assert "expected a month with vouchers or claims" in told.err


@pytest.mark.parametrize("period", ["2026-13", "October", ""])
def test_a_period_that_is_no_month_is_a_wrong_argument(history: History, period: str) -> None:
    assert history.command("evidence", "--period", period).status == 2


def test_without_a_company_each_one_gets_its_pack(own: History) -> None:
    told = own.command("evidence", "--period", PERIOD, "--json")
    packs: list[dict[str, Any]] = json.loads(told.out)["packs"]
    seen = own.ask(
        "SELECT company_code FROM claim_state WHERE event_date LIKE '2026-10-%' AND company_code <> ''"
        " UNION SELECT company_code FROM voucher WHERE fiscal_period = 10"
    )
    assert len(seen) > 1
    assert [item["company"] for item in packs] == sorted(company for (company,) in seen)
    assert all(Path(item["path"]).is_file() for item in packs)


def test_a_pack_without_a_key_says_that_it_proves_no_author(own: History) -> None:
    told = own.command("evidence", "--period", PERIOD, "--company", COMPANY, HESI_ERP_SIGNING_KEY="")
    assert "NOT SIGNED" in told.out
    assert "--unsigned" in told.out
    made = (own.home / "evidence" / f"evidence-{PERIOD}-{COMPANY}.zip").read_bytes()
    assert files(made)["manifest.sig"] == b"unsigned\n"
    assert json.loads(files(made)["manifest.json"])["key"] == ""
    assert PUBLIC.hex() not in told.out
