"""Claims that cannot be read are kept where an engineer finds them."""

from __future__ import annotations

from pathlib import Path

from etl.store.quarantine import Quarantine
from tests.support.claims import demo_mappings, expense, stage_flows


def test_an_unreadable_claim_is_kept_with_reason_and_place_and_goes_when_it_can_be_read(tmp_path: Path) -> None:
    broken = expense("1,234.50", id="flow1", code="B1")
    staged = stage_flows([broken], demo_mappings())
    quarantine = Quarantine(tmp_path)
    quarantine.keep(staged.rejects)
    (found,) = quarantine.claims()
    assert (found["claim_id"], found["rule"], found["raw_ref"]) == ("flow1", "MONEY_INVALID", "page.json#0")
    (file,) = (tmp_path / "quarantine").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    quarantine.release(stage_flows([expense("1234.50", id="flow1", code="B1")], demo_mappings()).claims["claim_id"])
    assert quarantine.claims() == []


def test_a_claim_id_never_becomes_a_path(tmp_path: Path) -> None:
    staged = stage_flows([expense("1,2", id="../../etc/passwd", code="B1")], demo_mappings())
    Quarantine(tmp_path).keep(staged.rejects)
    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / "quarantine"]


def test_a_number_of_a_person_is_masked_in_the_reason(tmp_path: Path) -> None:
    staged = stage_flows([expense("13911112222x", id="flow1", code="B1")], demo_mappings())
    quarantine = Quarantine(tmp_path)
    quarantine.keep(staged.rejects)
    (found,) = quarantine.claims()
    assert "MONEY_INVALID" in found["rule"]
    assert "13911112222" not in found["reason"]
