"""`hesi-erp replay`: open claims are decided again as they are in Hesi now, and only they."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli_world import World, world

FEE = "OFFICE"


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[World]:
    """A tenant after a run in which one fee type of one company was not mapped; less than 100 claims, so nothing stops it."""
    with world(tmp_path, claims=90) as made:
        company = made.mappings / "companies" / "C01.yaml"
        complete = company.read_text(encoding="utf-8")
        assert complete.count(f"codes: [{FEE}]") == 1
        company.write_text(complete.replace(f"codes: [{FEE}]", "codes: [NOBODY-USES-THIS]"), encoding="utf-8")
        assert made.command("run").status == 0
        company.write_text(complete, encoding="utf-8")
        yield made


def unmapped(tenant: World) -> list[tuple[str, str]]:
    """(claim code, claim id) rejected for want of the fee type alone."""
    found = tenant.ask("SELECT claim_code, claim_id FROM claim_reject WHERE rule = 'FEE_TYPE_UNMAPPED' AND reason NOT LIKE '%|%' ORDER BY claim_code")
    assert len(found) > 2
    return [(code, claim_id) for code, claim_id in found]


def expense_vouchers(tenant: World) -> set[str]:
    return {code for (code,) in tenant.ask("SELECT claim_code FROM voucher WHERE entry_kind = 'EXPENSE'")}


def test_a_named_claim_is_posted_after_the_mapping_was_repaired_and_no_other(tenant: World) -> None:
    (code, _), *others = unmapped(tenant)
    before, lists = expense_vouchers(tenant), sum("getApplyList" in request.path for request in tenant.hesi.requests)
    assert lists > 0
    told = tenant.command("replay", code, "--json")
    assert told.status == 0, told.err
    assert (told.document["kind"], told.document["differences"]) == ("replay", 0)
    assert expense_vouchers(tenant) - before == {code}
    assert [claim for claim in unmapped(tenant) if claim[0] == code] == []
    assert unmapped(tenant) == others
    assert sum("getApplyList" in request.path for request in tenant.hesi.requests) == lists


def test_without_a_name_every_open_claim_is_decided_again_and_watermarks_stay(tenant: World) -> None:
    codes = {code for code, _ in unmapped(tenant)}
    watermarks = tenant.ask("SELECT * FROM watermark ORDER BY stream")
    told = tenant.command("replay", "--json")
    assert told.status == 0, told.err
    assert codes <= expense_vouchers(tenant)
    assert tenant.ask("SELECT * FROM watermark ORDER BY stream") == watermarks
    again = tenant.command("replay", "--json")
    assert (again.status, again.document["posted"]) == (0, 0)


def test_a_claim_that_was_sent_back_in_hesi_meanwhile_is_not_posted(tenant: World) -> None:
    (code, claim_id), *_ = unmapped(tenant)
    tenant.hesi.tenant.change_state(claim_id, "rejected")
    told = tenant.command("replay", code, "--json")
    assert told.status == 0, told.err
    assert told.document["posted"] == 0
    assert code not in expense_vouchers(tenant)


def test_a_claim_that_was_deleted_in_hesi_meanwhile_is_left_to_the_next_run(tenant: World) -> None:
    (code, claim_id), *_ = unmapped(tenant)
    tenant.hesi.tenant.delete(claim_id)
    told = tenant.command("replay", code, "--json")
    assert told.status == 0, told.err
    assert (told.document["posted"], code in expense_vouchers(tenant)) == (0, False)
    assert "replay_claim_gone" in told.err
    assert tenant.command("run").status == 0
    assert code not in expense_vouchers(tenant)
    assert tenant.ask("SELECT 1 FROM claim_reject WHERE claim_code = ?", code) == []


def test_a_claim_that_is_not_open_is_a_wrong_argument_and_starts_no_run(tenant: World) -> None:
    posted = sorted(expense_vouchers(tenant))[0]
    before, raw = tenant.dump(), sorted(path.name for path in (tenant.home / "raw").iterdir())
    told = tenant.command("replay", posted, "B99999999", "--json")
    assert told.status == 2
    assert f"{posted}, B99999999 not among" in told.document["error"]["message"]
    assert (tenant.dump(), sorted(path.name for path in (tenant.home / "raw").iterdir())) == (before, raw)


def test_an_explained_claim_tells_why_it_was_late(tenant: World) -> None:
    (code, _), *_ = unmapped(tenant)
    tenant.command("replay", code)
    told = tenant.command("explain", code)
    assert "EXPENSE: POSTED" in told.out
    assert "EXPENSE rejected by FEE_TYPE_UNMAPPED" in told.out
