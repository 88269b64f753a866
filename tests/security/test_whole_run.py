"""A run over a tenant full of personal data and attacks: every output is searched, raw pages are the only place that may hold it."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet

from sandbox.testing import Sandbox
from tests.e2e.cli_world import APP_SECURITY, Told, World, world
from tests.security.payloads import SQL

PHONE, CARD, ID_CARD, MAIL = "13911112222", "6222021234567890123", "11010119900307123X", "wang.wu@private.example"
TYPED = {PHONE, CARD, ID_CARD, MAIL}
SIGNING_KEY = "5a" * 32
RAW_KEY = base64.urlsafe_b64encode(b"canary-raw-key-of-the-tests-0123"[:32]).decode()
# (table, column) of the ERP database where accounting law wants the full name.
NAMED = {("voucher", "summary"), ("voucher_line", "summary"), ("voucher_line_dimension", "dim_name")}


@dataclass(frozen=True)
class Attacked:
    """The world after its run, and what must not be found in it."""

    world: World
    first: Told
    titles: dict[str, str]  # claim id -> the SQL its title is
    numbers: set[str]
    names: set[str]

    @property
    def outputs(self) -> dict[str, bytes]:
        """Every file but the raw pages and this world's own inputs, archives unpacked."""
        found: dict[str, bytes] = {}
        for path in sorted(self.world.folder.rglob("*")):
            place = path.relative_to(self.world.folder)
            if path.is_file() and place.parts[0] != "mappings" and place.parts[:2] != ("home", "raw"):
                found |= unpacked(str(place), path.read_bytes())
        return found


def unpacked(name: str, content: bytes) -> dict[str, bytes]:
    """The file, and what is inside it where it is an archive (XLSX and evidence packs are)."""
    if not content.startswith(b"PK"):
        return {name: content}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        inside = [unpacked(f"{name}!{member}", archive.read(member)) for member in archive.namelist()]
    return {place: found for each in inside for place, found in each.items()}


def personal(hesi: Sandbox) -> tuple[set[str], set[str]]:
    """Numbers and addresses of the people of the tenant, and their names."""
    parties = hesi.tenant.parties
    people = [row for row in parties.payees if row["owner"] == "INDIVIDUAL"]
    numbers = {row[key] for row in parties.staffs for key in ("cellphone", "email", "showEmail") if row.get(key)}
    numbers |= {row[key] for row in parties.payees for key in ("cardNo", "certificateNo") if row.get(key)}
    return numbers, {row["name"] for row in [*parties.staffs, *people]}


def disturb(hesi: Sandbox) -> dict[str, str]:
    """Personal data wherever a claimant can type, wrong values that carry it, and SQL as titles; returns the latter."""
    paid = hesi.flow_ids("paid")
    typed = f"电话 {PHONE} 卡 {CARD} 证 {ID_CARD} 邮箱 {MAIL}"
    for flow_id in paid[:20]:
        hesi.tenant.edit(
            flow_id, {"form.title": typed, "form.description": typed, "form.details.0.feeTypeForm.consumptionReasons": typed, "form.u_备注": typed}
        )
    wrong = (
        {"form.expenseMoney": {"standard": f"{PHONE}x", "standardStrCode": "CNY"}},
        {"state": CARD},
        {"form.details.0.feeTypeId": f"hEs1DemoCorp00:{ID_CARD}"},
        {"form.法人实体": MAIL},
        {"form.submitterId": f"hEs1DemoCorp00:{PHONE}"},
        {"form.details.0.feeTypeForm.feeDate": PHONE + "x"},
    )
    for flow_id, values in zip(paid[20:], wrong, strict=False):
        hesi.tenant.edit(flow_id, values)
    titles = dict(zip(paid[30:], SQL, strict=False))
    for flow_id, text in titles.items():
        hesi.tenant.edit(flow_id, {"form.title": text, "form.details.0.feeTypeForm.consumptionReasons": text})
    return titles


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with world(tmp_path_factory.mktemp("attacked"), claims=340) as made:
        titles = disturb(made.hesi)
        secrets = {"HESI_ERP_SIGNING_KEY": SIGNING_KEY, "HESI_ERP_ANCHOR_DIR": str(made.folder / "anchors"), "HESI_ERP_REJECT_RATE_PERCENT": "100"}
        first = made.command("run", "--verbose", **secrets)
        made.command("reconcile", "--json", **secrets)
        months = made.ask("SELECT fiscal_year, fiscal_period FROM voucher GROUP BY 1, 2 ORDER BY COUNT(*) DESC LIMIT 1")
        made.command("evidence", "--period", f"{months[0][0]}-{months[0][1]:02d}", "--json", **secrets)
        for (code,) in made.ask("SELECT claim_code FROM claim_state ORDER BY claim_code"):
            made.command("explain", code, **secrets) if code.endswith("7") else None
        yield Attacked(made, first, titles, *personal(made.hesi))


def test_the_world_is_what_these_tests_need(attacked: Attacked) -> None:
    assert attacked.first.status == 0, attacked.first.err
    assert len(attacked.numbers) > 80
    assert len(attacked.names) > 20
    assert len(attacked.titles) >= 150
    raw = b"".join(path.read_bytes() for path in (attacked.world.home / "raw").rglob("*.json"))
    assert [text for text in {*TYPED, *sorted(attacked.numbers)[:5]} if text.encode() not in raw] == []
    names = attacked.outputs.keys()
    for kind in ("erp.db", "ledger.db", "run-report.html", "run-report.json", "run-report.xlsx!", ".log", "log.jsonl", "anchors", "evidence"):
        assert any(kind in name for name in names), kind


def test_no_telephone_card_identity_or_mail_leaves_the_raw_pages(attacked: Attacked) -> None:
    needles = [(text, text.encode()) for text in {*TYPED, *attacked.numbers}]
    found = {(name, text) for name, content in attacked.outputs.items() for text, needle in needles if needle in content}
    assert found == set()


def test_nothing_a_command_prints_shows_them_either(attacked: Attacked) -> None:
    printed = "".join(told.out + told.err for told in attacked.world.told)
    assert len(printed) > 10_000
    assert [text for text in {*TYPED, *attacked.numbers} if text in printed] == []


def test_full_names_stand_only_where_the_voucher_needs_them(attacked: Attacked) -> None:
    found = set()
    for table, columns in tables(attacked.world.erp_file).items():
        for column in columns - {name for owner, name in NAMED if owner == table}:
            values = attacked.world.ask(f"SELECT DISTINCT CAST({column} AS TEXT) FROM {table}")  # noqa: S608 - names of the schema
            found |= {(table, column, name) for (value,) in values for name in attacked.names if name in (value or "")}
    assert found == set()


def test_no_full_name_is_in_ledger_report_log_or_audit_log(attacked: Attacked) -> None:
    needles = [(name, name.encode()) for name in attacked.names]
    found = {
        (place, name)
        for place, content in attacked.outputs.items()
        if place != "erp.db" and "evidence" not in place
        for name, needle in needles
        if needle in content or json.dumps(name).strip('"').encode() in content
    }
    assert found == set()


def tables(file: Path) -> dict[str, set[str]]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")} for name in names}


def test_sql_in_titles_is_stored_to_the_letter_or_the_claim_is_named(attacked: Attacked) -> None:
    summaries = dict(attacked.world.ask("SELECT claim_id, summary FROM voucher WHERE entry_kind = 'EXPENSE' AND revision = 0"))
    states = dict(attacked.world.ask("SELECT claim_id, state FROM claim_state WHERE entry_kind = 'EXPENSE'"))
    with_title = [claim_id for claim_id, title in attacked.titles.items() if title.strip() in summaries.get(claim_id, "")]
    assert len(with_title) > 10  # summaries of employees' claims carry fee type and name instead of the title
    assert [claim_id for claim_id in attacked.titles if states.get(claim_id) not in {"posted", "held", "rejected", "waiting", "skipped"}] == []
    assert attacked.world.ask("SELECT COUNT(*) FROM voucher WHERE status <> 'POSTED'") == [(0,)]
    assert attacked.world.ask("PRAGMA integrity_check") == [("ok",)]


def test_no_secret_is_in_any_file_or_anything_printed(attacked: Attacked) -> None:
    tokens = {request.query["accessToken"] for request in attacked.world.hesi.requests if "accessToken" in request.query}
    assert tokens
    secrets = {APP_SECURITY, SIGNING_KEY, *tokens}
    needles = [form.encode() for secret in secrets for form in {secret, quote(secret, safe="")}]
    raw = {str(path): path.read_bytes() for path in (attacked.world.home / "raw").rglob("*") if path.is_file()}
    assert [name for name, content in {**attacked.outputs, **raw}.items() for needle in needles if needle in content] == []
    printed = "".join(told.out + told.err for told in attacked.world.told).encode()
    assert [needle for needle in needles if needle in printed] == []


def test_every_file_is_private_and_what_must_not_change_is_read_only(attacked: Attacked) -> None:
    home = attacked.world.home
    modes = {path: path.stat().st_mode & 0o777 for path in [home, *home.rglob("*")]}
    open_to_others = {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077}
    assert open_to_others == {}
    assert {modes[path] for path in home.rglob("*") if path.is_dir()} == {0o700}
    assert {modes[path] for path in (home / "raw").rglob("*.json") if path.name != "pages.json"} == {0o400}
    assert attacked.world.erp_file.stat().st_mode & 0o777 == 0o600


def test_the_work_folder_is_gone_and_quarantine_holds_no_personal_data(attacked: Attacked) -> None:
    assert list((attacked.world.home / "work").iterdir()) == []
    kept = b"".join(path.read_bytes() for path in (attacked.world.home / "quarantine").rglob("*") if path.is_file())
    assert [text for text in TYPED if text.encode() in kept] == []


def test_an_encrypted_home_holds_nothing_readable_and_a_new_key_takes_over(tmp_path: Path) -> None:
    new = Fernet.generate_key().decode()
    with world(tmp_path, claims=60) as made:
        assert made.command("run", HESI_ERP_RAW_KEYS=RAW_KEY).status == 0
        posted = made.ask("SELECT COUNT(*) FROM voucher")
        content = b"".join(path.read_bytes() for path in (made.home / "raw").rglob("*") if path.is_file())
        assert b"cellphone" not in content
        assert {path.suffix for path in (made.home / "raw").glob("*/*") if path.name != "pages.json"} == {".enc"}
        again = made.command("run", "--full", HESI_ERP_RAW_KEYS=f"{new},{RAW_KEY}")
        assert again.status == 0, again.err
        assert made.ask("SELECT COUNT(*) FROM voucher") == posted
        refused = made.command("run", HESI_ERP_RAW_KEYS="not a key")
        assert refused.status == 2
        assert "not a key" not in refused.err
        printed = "".join(told.out + told.err for told in made.told)
        logs = b"".join(path.read_bytes() for path in made.home.rglob("*.log"))
        assert RAW_KEY not in printed
        assert RAW_KEY.encode() not in logs + made.erp_file.read_bytes()
