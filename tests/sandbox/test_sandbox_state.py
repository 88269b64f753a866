"""Changes outlive the process that made them, and only for the tenant they belong to."""

from pathlib import Path

import pytest

from sandbox.client import Client
from sandbox.journal import StateMismatch
from sandbox.testing import Sandbox


def _bytes(hesi: Sandbox) -> list[bytes]:
    return [hesi.tenant.store.body(head.seq) for head in hesi.tenant.store.heads]


def test_a_second_start_has_what_the_first_one_changed(tmp_path: Path) -> None:
    with Sandbox(claims=150, seed=4, state_dir=tmp_path) as first:
        client = Client(first)
        paid, paying = first.flow_ids("paid"), first.flow_ids("paying")
        client.number(paid[0], paid[1], voucher_no="记-5")
        first.tenant.pay(paying[0])
        first.tenant.delete(paid[2])
        first.tenant.edit(paid[3], {"form.title": "改过"})
        first.tenant.override(paid[4], '{"broken":')
        first.tenant.add_claims(3)
        first.tenant.set_clock(first.clock.now() + 60_000)
        first.tenant.drift(2, "expense")
        kept, now, tick = _bytes(first), first.clock.now(), first.clock.tick()
        client.close()
    with Sandbox(claims=150, seed=4, state_dir=tmp_path) as second:
        assert _bytes(second) == kept
        assert second.clock.now() == now
        assert second.clock.tick() >= tick
        assert second.tenant.flow(paid[0])["form"]["voucherNo"] == "记-5"


def test_nothing_changed_leaves_no_file(tmp_path: Path) -> None:
    with Sandbox(claims=20, seed=4, state_dir=tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_last_line_cut_off_by_a_crash_is_dropped(tmp_path: Path) -> None:
    with Sandbox(claims=150, seed=4, state_dir=tmp_path) as first:
        flow_id = first.flow_ids("paid")[0]
        first.tenant.edit(flow_id, {"form.title": "一"})
    journal = tmp_path / "changes.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"op":"edit","id":')
    with Sandbox(claims=150, seed=4, state_dir=tmp_path) as second:
        assert second.tenant.flow(flow_id)["form"]["title"] == "一"
        second.tenant.edit(flow_id, {"form.title": "二"})
    with Sandbox(claims=150, seed=4, state_dir=tmp_path) as third:
        assert third.tenant.flow(flow_id)["form"]["title"] == "二"


def test_the_state_of_another_tenant_is_refused(tmp_path: Path) -> None:
    with Sandbox(claims=150, seed=4, state_dir=tmp_path) as first:
        first.tenant.comment(first.flow_ids("paid")[0])
    with pytest.raises(StateMismatch, match="choose another state directory"):
        Sandbox(claims=150, seed=5, state_dir=tmp_path)
