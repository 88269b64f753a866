"""``hesi-erp audit``: log, database and anchors against each other, after real runs."""

from __future__ import annotations

import json
import shutil

import pytest

from etl.config.settings import load_settings
from etl.pipeline.ledger_check import check_ledger_once
from etl.store import ledger_schema
from etl.store.ledger import Ledger
from tests.evidence.conftest import MONTH_BEFORE, NOW, PUBLIC, History


def problems(history: History, *arguments: str) -> list[str]:
    told = history.command("audit", "check", "--json", *arguments)
    found: list[str] = json.loads(told.out)["problems"]
    assert told.status == (1 if found else 0)
    return found


def test_after_its_runs_everything_agrees(history: History) -> None:
    assert problems(history, "--all", "--key", PUBLIC.hex()) == []


def test_the_log_tells_who_ran_what_and_how_it_ended(history: History) -> None:
    bodies = [entry["body"] for entry in history.entries()]
    starts, ends = ([body for body in bodies if body["kind"] == kind] for kind in ("run_started", "run_ended"))
    assert [(end["status"], end["verdict"]) for end in ends] == [("finished", "amber"), ("stopped", "red"), ("finished", "amber")]
    assert [body["run_id"] for body in starts] == [body["run_id"] for body in ends]
    assert starts[0]["mappings"] == starts[1]["mappings"] != starts[2]["mappings"]


def test_every_posted_voucher_and_every_open_entry_is_in_the_log(history: History) -> None:
    bodies = [entry["body"] for entry in history.entries()]
    logged = {(row[0], row[2], row[3], row[4], row[9]) for body in bodies if body["kind"] == "posted" for row in body["rows"]}
    assert logged == set(history.ask("SELECT claim_id, entry_kind, part_no, revision, payload_sha256 FROM voucher"))
    decided = {(row[0], row[2], row[3], row[4]) for body in bodies if body["kind"] == "decisions" for row in body["rows"]}
    assert decided == set(history.ask("SELECT claim_id, entry_kind, part_no, state FROM claim_state"))


def test_every_number_sent_to_hesi_is_in_the_log(history: History) -> None:
    bodies = [entry["body"] for entry in history.entries()]
    sent = {(row[0], row[1], row[2]) for body in bodies if body["kind"] in {"number_sent", "number_decided"} for row in body["rows"]}
    outbox = history.ask("SELECT claim_id, voucher_number, status FROM writeback_outbox WHERE status IN ('DONE', 'BLOCKED', 'FAILED')")
    assert outbox
    assert set(outbox) <= sent


def test_a_run_with_nothing_new_writes_its_start_and_end_and_no_decision(history: History) -> None:
    starts = [place for place, entry in enumerate(history.entries()) if entry["body"]["kind"] == "run_started"]
    last = [entry["body"]["kind"] for entry in history.entries()][starts[-1] :]
    assert last == ["run_started", "head", "run_ended", "head"]


def test_the_batch_holds_the_head_that_announced_it(history: History) -> None:
    ((seq, text),) = history.ask("SELECT audit_seq, audit_head FROM posting_batch")
    head = json.loads(text)
    entry = next(entry for entry in history.entries() if entry["seq"] == seq)
    assert (entry["body"]["kind"], entry["hash"], head["seq"]) == ("posting_intended", head["hash"], seq)


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("UPDATE voucher SET summary = 'x' WHERE rowid = 1", "ALTERED"),
        ("UPDATE voucher_line SET account_code = '9999' WHERE rowid = 1", "ALTERED"),
        ("UPDATE voucher SET payload_sha256 = '" + "0" * 64 + "' WHERE rowid = 1", "REPLACED"),
        ("DELETE FROM voucher WHERE rowid = 1", "COUNT"),
        ('UPDATE posting_batch SET audit_head = replace(audit_head, \'"hash":"\', \'"hash":"0\') ', "REPLACED"),
    ],
)
def test_a_row_changed_by_hand_is_named(own: History, sql: str, word: str) -> None:
    own.change(sql)
    found = problems(own, "--all")
    assert [text for text in found if text.startswith(word)], found


def test_a_database_restored_from_an_older_copy_lacks_batches_the_log_confirms(own: History) -> None:
    for table in ("voucher_line_dimension", "voucher_line_source", "voucher_invoice", "voucher_line", "voucher", "posting_batch"):
        own.change(f"DELETE FROM {table}")  # noqa: S608 - names of our own tables
    found = problems(own)
    assert len(found) == 1
    assert "restored from an older copy" in found[0]


def test_a_log_restored_from_an_older_copy_is_named_with_its_place(own: History) -> None:
    lines = own.log.read_bytes().splitlines(keepends=True)
    own.log.write_bytes(b"".join(lines[:6]))
    found = problems(own)
    assert any(text.startswith("TRUNCATED at seq 7") for text in found)
    assert any(text.startswith("UNKNOWN batch") for text in found)


def test_a_lost_log_is_named_by_the_batches_that_know_it(own: History) -> None:
    shutil.rmtree(own.home / "audit")
    assert any("not here: lost, or kept on another machine" in text for text in problems(own))


def test_a_gap_is_red_until_somebody_acknowledges_it_by_name(own: History) -> None:
    lines = own.log.read_bytes().splitlines(keepends=True)
    own.log.write_bytes(b"".join(lines[:-2]))
    assert check_ledger_once(load_settings(**own.environment()), now=NOW).verdict == "amber"
    assert [text.split(" at ")[0] for text in problems(own)] == ["GAP"]

    told = own.command("audit", "acknowledge", "--by", "王会计", "--reason", "disk replaced")

    assert told.status == 0
    assert problems(own) == []
    assert "王会计" in own.command("audit", "check").out
    assert own.command("audit", "acknowledge", "--by", "x", "--reason", "y").out == "the log has no gap to acknowledge\n"


def test_an_acknowledgement_without_a_name_or_reason_is_refused(own: History) -> None:
    assert own.command("audit", "acknowledge", "--by", " ", "--reason", "x").status == 2


def test_a_wrong_key_is_named(own: History) -> None:
    assert all(text.startswith("SIGNATURE") for text in problems(own, "--key", "00" * 32))


def test_without_key_and_anchors_the_check_says_what_it_cannot_see(own: History) -> None:
    told = own.command("audit", "check", HESI_ERP_SIGNING_KEY="", HESI_ERP_ANCHOR_DIR="")
    assert told.status == 0
    assert "signatures were not checked" in told.out
    assert "HESI_ERP_ANCHOR_DIR is not set" in told.out


def test_a_new_key_pair_fits_the_settings_and_the_check(own: History) -> None:
    pair = json.loads(own.command("audit", "new-key", "--json").out)
    settings = load_settings(**own.environment() | {"HESI_ERP_SIGNING_KEY": pair["private"]})
    assert settings.signing_key.get_secret_value() == pair["private"]
    assert len(bytes.fromhex(pair["public"])) == 32


def test_a_voucher_changed_by_hand_turns_the_nightly_reconciliation_red_and_is_named(own: History) -> None:
    ((claim, code),) = own.ask("SELECT claim_id, claim_code FROM voucher WHERE fiscal_period = 10 AND company_code = 'C01' LIMIT 1")
    own.change("UPDATE voucher SET attachment_count = attachment_count + 1 WHERE claim_id = ?", claim)

    outcome = check_ledger_once(load_settings(**own.environment()), now=NOW)

    assert outcome.verdict == "red"
    assert "voucher C01" in outcome.cause
    with Ledger.open(f"sqlite:///{own.home / 'ledger.db'}") as ledger:
        findings = [row for row in ledger.rows(ledger_schema.run_finding, outcome.run_id) if row["rule"] == "VOUCHER_ALTERED"]
    assert {row["claim_code"] for row in findings} == {code}


def test_no_run_starts_on_a_log_somebody_changed(own: History) -> None:
    whole = own.log.read_bytes()
    own.log.write_bytes(whole[:-10] + bytes([whole[-10] ^ 1]) + whole[-9:])

    told = own.command("reconcile")

    assert told.status == 1
    assert "AUDIT_LOG_ALTERED" in told.err
    with Ledger.open(f"sqlite:///{own.home / 'ledger.db'}") as ledger:
        assert (ledger.recent_runs(1)[0].status, ledger.recent_runs(1)[0].cause_code) == ("stopped", "AUDIT_LOG_ALTERED")


def test_a_signing_key_that_is_none_is_a_wrong_setting_and_is_not_repeated(own: History) -> None:
    told = own.command("check-config", HESI_ERP_SIGNING_KEY="canary-no-key")
    assert told.status == 2
    assert "HESI_ERP_SIGNING_KEY: expected an Ed25519 private key" in told.out
    assert "canary-no-key" not in told.out + told.err


def test_the_night_looks_at_its_month_and_the_one_before(own: History) -> None:
    own.change("UPDATE voucher SET attachment_count = attachment_count + 1 WHERE fiscal_period = 10")
    assert check_ledger_once(load_settings(**own.environment()), now=MONTH_BEFORE).verdict == "amber"
    assert check_ledger_once(load_settings(**own.environment()), now=NOW.replace(month=11)).verdict == "red"
