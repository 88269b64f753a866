"""Hesi's answer to a voucher number is lost: the number is unknown, and asked for before anything is sent again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.config.settings import load_settings
from etl.pipeline.context import begin
from etl.pipeline.send import write_back
from tests.e2e.cli_world import World, world

ERP_VOUCHER = "/api/openapi/v2.1/flow/data/erpVoucher"
LOST = "SELECT count(*) FROM writeback_outbox WHERE reason LIKE 'ANSWER_LOST%'"


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, claims=60) as made:
        yield made


def sent(tenant: World) -> int:
    return sum(request.method == "PUT" and request.path == ERP_VOUCHER for request in tenant.hesi.requests)


def write_back_alone(tenant: World) -> dict[str, int]:
    """The step by itself: no list of Hesi is read before, which would show the numbers it carries."""
    run = begin(load_settings(**tenant.settings()), kind="replay", started_by="test")
    results = write_back(run)
    run.close()
    return results


@pytest.fixture
def unanswered(tenant: World) -> dict[str, str]:
    """Claim -> its number, which was marked as sent and got no result."""
    tenant.hesi.faults.add("forbidden", path=ERP_VOUCHER, times=0)
    assert tenant.command("run").status == 1
    tenant.hesi.faults.clear()
    ((standing,),) = tenant.ask("SELECT count(*) FROM claim_standing WHERE state = 'unknown'")
    numbers = dict(tenant.ask("SELECT claim_id, voucher_number FROM writeback_outbox WHERE reason LIKE 'ANSWER_LOST%' ORDER BY claim_id"))
    assert standing == len(numbers) > 1
    return numbers


def test_numbers_hesi_took_without_answering_are_found_there_and_not_sent_again(tenant: World, unanswered: dict[str, str]) -> None:
    tenant.hesi.tenant.write_vouchers([(claim_id, number, 1) for claim_id, number in unanswered.items()])
    before = sent(tenant)

    assert write_back_alone(tenant) == {"DONE": len(unanswered)}

    assert sent(tenant) == before
    assert tenant.ask(LOST) == [(0,)]


def test_numbers_hesi_did_not_take_are_looked_up_and_then_sent(tenant: World, unanswered: dict[str, str]) -> None:
    before = sent(tenant)

    assert write_back_alone(tenant) == {"DONE": len(unanswered)}

    assert sent(tenant) > before
    assert tenant.ask(LOST) == [(0,)]


def test_a_number_somebody_else_wrote_meanwhile_is_not_overwritten(tenant: World, unanswered: dict[str, str]) -> None:
    claim_id = next(iter(unanswered))
    tenant.hesi.tenant.write_vouchers([(claim_id, "转-77", 1)])

    assert write_back_alone(tenant) == {"DONE": len(unanswered) - 1, "BLOCKED": 1}

    ((reason,),) = tenant.ask("SELECT reason FROM writeback_outbox WHERE claim_id = ?", claim_id)
    assert reason == "FOREIGN_NUMBER: the claim carries another voucher number (转-77)"
