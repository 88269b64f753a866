"""A run that cannot begin says so by name, and does not stay under way in the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.config.settings import load_settings
from etl.errors import StorageUnavailable
from etl.pipeline.context import begin
from etl.store.ledger import Ledger


def test_a_home_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where a folder is expected", encoding="utf-8")
    with pytest.raises(StorageUnavailable, match="expected to write it"):
        begin(load_settings(HESI_ERP_HOME=tmp_path / "home" / "below", ERP_URL=f"sqlite:///{tmp_path / 'erp.db'}"), kind="reconcile", started_by="cli")


def test_a_run_that_finds_no_room_while_it_begins_is_stopped_in_the_ledger(tmp_path: Path) -> None:
    settings = load_settings(HESI_ERP_HOME=tmp_path, ERP_URL=f"sqlite:///{tmp_path / 'erp.db'}")
    (tmp_path / "audit" / "log.jsonl").mkdir(parents=True)
    with pytest.raises(StorageUnavailable, match=r"log\.jsonl"):
        begin(settings, kind="reconcile", started_by="cli")
    with Ledger.open(settings.ledger_url.get_secret_value()) as ledger:
        (run,) = ledger.recent_runs()
    assert (run.status, run.cause_code) == ("stopped", "STORAGE_UNAVAILABLE")
