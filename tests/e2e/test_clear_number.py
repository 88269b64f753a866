"""`hesi-erp clear-number`: the number of a reversed voucher leaves Hesi when somebody asks for it, and no other number does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli_world import World, world

FEE = "form.details.0.feeTypeId"
ERP_VOUCHER = "/api/openapi/v2.1/flow/data/erpVoucher"


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, claims=60) as made:
        assert made.command("run").status == 0
        yield made


@pytest.fixture
def reversed_claim(tenant: World) -> tuple[str, str, str]:
    """Id, code and true fee type of a claim Hesi shows as paid, with our number, whose voucher was reversed: its new version is refused."""
    written = tenant.ask(
        "SELECT o.claim_id, o.claim_code FROM writeback_outbox o WHERE o.status = 'DONE' AND o.hesi_state = 'paid' "
        "AND NOT EXISTS (SELECT 1 FROM voucher v WHERE v.claim_id = o.claim_id AND v.entry_kind <> 'EXPENSE') ORDER BY 1"
    )
    claim_id, code = written[0]
    fee = tenant.hesi.tenant.flow(claim_id)["form"]["details"][0]["feeTypeId"]
    tenant.hesi.tenant.edit(claim_id, {FEE: "nobody"})
    assert tenant.command("run").status == 0
    assert tenant.ask("SELECT state FROM claim_state WHERE claim_id = ? AND entry_kind = 'EXPENSE'", claim_id) == [("rejected",)]
    return claim_id, code, fee


def shown(tenant: World, claim_id: str) -> str:
    return str(tenant.hesi.tenant.flow(claim_id)["form"]["voucherNo"])


def written(tenant: World) -> int:
    return sum(request.method == "PUT" and request.path == ERP_VOUCHER for request in tenant.hesi.requests)


def test_the_number_of_a_reversed_voucher_stays_until_it_is_cleared_and_comes_again_with_the_next_one(tenant: World, reversed_claim: tuple[str, str]) -> None:
    claim_id, code, fee = reversed_claim
    number = shown(tenant, claim_id)
    assert number
    told = tenant.command("clear-number", code, "--json")
    assert (told.status, told.document["numbers"]) == (0, {code: f"cleared: {number} is out of Hesi"}), told.err
    assert shown(tenant, claim_id) == ""
    before = tenant.dump()
    assert tenant.command("run").status == 0
    assert tenant.dump() == before
    tenant.hesi.tenant.edit(claim_id, {FEE: fee})
    assert tenant.command("run").status == 0
    assert shown(tenant, claim_id) not in {"", number}


def test_a_number_whose_voucher_stands_is_left(tenant: World) -> None:
    ((claim_id, code),) = tenant.ask("SELECT claim_id, claim_code FROM writeback_outbox WHERE status = 'DONE' ORDER BY 1 LIMIT 1")
    number, before, sent = shown(tenant, claim_id), tenant.dump(), written(tenant)
    told = tenant.command("clear-number", code)
    assert told.status == 0
    assert f"{code} left: its voucher stands" in told.out
    assert (shown(tenant, claim_id), tenant.dump(), written(tenant)) == (number, before, sent)


def test_a_number_somebody_else_wrote_is_left(tenant: World, reversed_claim: tuple[str, str, str]) -> None:
    claim_id, code, _ = reversed_claim
    tenant.hesi.tenant.write_vouchers([(claim_id, "转-77", 1)])
    told = tenant.command("clear-number", code)
    assert "left: Hesi shows 转-77, which is not" in told.out
    assert shown(tenant, claim_id) == "转-77"


def test_an_archived_claim_keeps_its_number_because_hesi_changes_none(tenant: World, reversed_claim: tuple[str, str, str]) -> None:
    claim_id, code, _ = reversed_claim
    number = shown(tenant, claim_id)
    tenant.hesi.tenant.change_state(claim_id, "archived")
    told = tenant.command("clear-number", code)
    assert f"{code} left: Hesi changes numbers of paid claims only" in told.out
    assert shown(tenant, claim_id) == number


def test_a_try_whose_answer_was_lost_is_settled_by_looking(tenant: World, reversed_claim: tuple[str, str, str]) -> None:
    claim_id, code, _ = reversed_claim
    number = shown(tenant, claim_id)
    tenant.hesi.tenant.write_vouchers([(claim_id, "", 1)])  # Hesi did it and nobody heard of it
    sent = written(tenant)
    told = tenant.command("clear-number", code)
    assert f"{code} cleared: Hesi shows no number where {number} was" in told.out
    assert written(tenant) == sent
    assert tenant.ask("SELECT count(*) FROM writeback_outbox WHERE claim_id = ?", claim_id) == [(0,)]


def test_a_claim_without_a_number_is_a_wrong_argument_and_starts_no_run(tenant: World) -> None:
    before = tenant.dump()
    told = tenant.command("clear-number", "B99999999", "--json")
    assert told.status == 2
    assert "B99999999" in told.document["error"]["message"]
    assert tenant.dump() == before
