"""The same evidence from PostgreSQL: posted, checked, packed, verified."""

from __future__ import annotations

import shutil
from pathlib import Path

from etl.config.settings import PROJECT, load_settings
from etl.evidence.verify import problems
from etl.pipeline.drive import run_once
from sandbox.testing import Sandbox
from tests.evidence.conftest import NOW, PERIOD, PUBLIC, History


def test_a_pack_from_postgresql_is_whole_and_the_log_agrees_with_the_database(tmp_path: Path, pg_url: str) -> None:
    made = History(tmp_path)
    shutil.copytree(PROJECT / "mappings", tmp_path / "mappings")
    with Sandbox(claims=60, seed=2) as hesi:
        source = {"HESI_BASE_URL": hesi.base_url, "HESI_APP_KEY": hesi.app_key, "HESI_APP_SECURITY": hesi.app_security, "HESI_REQUESTS_PER_SECOND": "0"}
        settings = load_settings(**{**made.environment(), **source, "ERP_URL": pg_url})
        assert run_once(settings, now=NOW).verdict != "red"
        assert run_once(settings, now=NOW).counts.get("posted", 0) == 0

    checked = made.command("audit", "check", "--all", "--key", PUBLIC.hex(), ERP_URL=pg_url)
    packed = made.command("evidence", "--period", PERIOD, ERP_URL=pg_url)

    assert (checked.status, packed.status) == (0, 0), checked.out + packed.err
    packs = sorted((made.home / "evidence").glob("*.zip"))
    assert packs
    for path in packs:
        assert [found for found in problems(path.read_bytes(), [PUBLIC]) if found[1] and found[0] != "attention"] == []
