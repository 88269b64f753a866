"""A claim whose text nobody can read has a reject of its own; the reject goes when the source provably no longer shows that text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli_world import World, world


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, claims=60) as made:
        yield made


def paid_claim(tenant: World) -> str:
    store = tenant.hesi.tenant.store
    return next(head.id for head in store.heads if (head.form_type, head.state, head.active) == ("expense", "paid", True))


def text_of(tenant: World, claim: str) -> str:
    store = tenant.hesi.tenant.store
    return str(store.body(tenant.hesi.tenant.seq(claim)).decode())


def served(tenant: World, claim: str, text: str) -> None:
    """Hesi sends this text for a claim from now on, as its newest version."""
    hesi = tenant.hesi.tenant
    hesi.override(claim, re.sub(r'"updateTime":\d+', f'"updateTime":{hesi.clock.advance(1000)}', text))
    hesi.clock.advance(10_000)


def without_id(text: str) -> str:
    flow: dict[str, Any] = json.loads(text)
    del flow["id"]
    return json.dumps(flow, ensure_ascii=False, separators=(",", ":"))


def unreadable(tenant: World) -> list[str]:
    states, rejects = (tenant.ask(f"SELECT claim_id FROM {table} WHERE claim_id LIKE 'unreadable:%'") for table in ("claim_state", "claim_reject"))  # noqa: S608
    assert sorted(states) == sorted(rejects)
    return [name for (name,) in rejects]


def posted(tenant: World, claim: str) -> int:
    return len(tenant.ask("SELECT 1 FROM voucher WHERE claim_id = ? AND entry_kind = 'EXPENSE'", claim))


def test_reading_an_unreadable_claim_again_lists_it_once(tenant: World) -> None:
    claim = paid_claim(tenant)
    served(tenant, claim, without_id(text_of(tenant, claim)))
    for _ in range(3):
        assert tenant.command("run").status == 0
        assert len(unreadable(tenant)) == 1


def test_a_full_run_takes_a_text_off_the_list_that_hesi_no_longer_shows(tenant: World) -> None:
    claim = paid_claim(tenant)
    original = text_of(tenant, claim)
    served(tenant, claim, without_id(text_of(tenant, claim)))
    assert tenant.command("run").status == 0
    served(tenant, claim, original)
    assert tenant.command("run").status == 0
    assert posted(tenant, claim) == 1
    assert len(unreadable(tenant)) == 1, "nothing a partial reading shows says which claim the text was"
    assert tenant.command("run", "--full").status == 0
    assert unreadable(tenant) == []
    assert [path for path in (tenant.home / "quarantine").iterdir() if "unreadable:" in path.read_text(encoding="utf-8")] == []


def test_a_full_run_keeps_a_text_on_the_list_that_hesi_still_shows(tenant: World) -> None:
    claim = paid_claim(tenant)
    served(tenant, claim, without_id(text_of(tenant, claim)))
    assert tenant.command("run").status == 0
    before = unreadable(tenant)
    assert tenant.command("run", "--full").status == 0
    assert unreadable(tenant) == before != []


def test_a_replay_asks_hesi_for_no_claim_without_an_id(tenant: World) -> None:
    claim = paid_claim(tenant)
    served(tenant, claim, without_id(text_of(tenant, claim)))
    assert tenant.command("run").status == 0
    assert tenant.command("replay").status == 0
    assert len(unreadable(tenant)) == 1
    assert not [request for request in tenant.hesi.requests if "unreadable" in str(request)]
