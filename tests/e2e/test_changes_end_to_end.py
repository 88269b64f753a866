"""Claims that change in Hesi between runs, through the whole program: found by the next run, undone and posted anew in the ledger."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from etl.config.settings import Settings, load_settings
from etl.pipeline.drive import run_once
from etl.pipeline.run import Outcome
from sandbox.testing import Sandbox

DAY_MS = 86_400_000
OVERLAP_HOURS = 48


@dataclass(frozen=True)
class Tenant:
    """A tenant of 120 claims and the ledger they are posted to."""

    hesi: Sandbox
    folder: Path

    def run(self, *, full: bool = False, reversals: str = "auto") -> Outcome:
        """The next night: a day later, everything that happened in Hesi before is visible."""
        self.hesi.tenant.set_clock(self.hesi.clock.now() + DAY_MS)
        now = datetime.fromtimestamp(self.hesi.clock.now() / 1000, UTC) + timedelta(minutes=1)
        outcome = run_once(self.settings(reversals), full=full, now=now)
        assert outcome.verdict != "red", outcome.cause
        return outcome

    def settings(self, reversals: str = "auto") -> Settings:
        """Settings of the run."""
        return load_settings(
            HESI_BASE_URL=self.hesi.base_url,
            HESI_APP_KEY=self.hesi.app_key,
            HESI_APP_SECURITY=self.hesi.app_security,
            HESI_REQUESTS_PER_SECOND="0",
            HESI_ERP_HOME=str(self.folder / "home"),
            ERP_URL=f"sqlite:///{self.folder / 'erp.db'}",
            HESI_ERP_OVERLAP_HOURS=str(OVERLAP_HOURS),
            HESI_ERP_REVERSALS=reversals,
        )

    def ask(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of the ledger, read without any code of ours."""
        with contextlib.closing(sqlite3.connect(self.folder / "erp.db")) as connection:
            return connection.execute(sql, parameters).fetchall()

    def plain(self, state: str) -> list[str]:
        """Posted claims in a state with one detail, no deductible tax and one payee who is paid everything."""
        accrued = {claim for (claim,) in self.ask("SELECT claim_id FROM claim_state WHERE entry_kind = 'EXPENSE' AND state = 'posted'")}
        return [claim for claim in self.hesi.flow_ids(state) if claim in accrued and _is_plain(self.hesi.tenant.flow(claim)["form"])]

    def set_amount(self, claim: str, amount: str, *, touch: bool = True) -> None:
        """Somebody edits the amount of a plain claim."""
        places = ("form.expenseMoney.standard", "form.payMoney.standard", "form.details.0.feeTypeForm.amount.standard")
        self.hesi.tenant.edit(claim, dict.fromkeys(places, amount), touch=touch)

    def accrued(self, claim: str) -> Decimal:
        """What the accruals of a claim say it cost: debits, added up over every voucher."""
        rows = self.ask("SELECT debit FROM voucher_line WHERE claim_id = ? AND entry_kind = 'EXPENSE'", claim)
        return sum((Decimal(str(debit)) for (debit,) in rows), Decimal(0))

    def vouchers(self, claim: str) -> list[tuple[Any, ...]]:
        """(revision, status, reversed revision) of a claim's accruals."""
        return self.ask("SELECT revision, status, reverses_revision FROM voucher WHERE claim_id = ? AND entry_kind = 'EXPENSE' ORDER BY revision", claim)

    def state(self, claim: str) -> tuple[str, str | None]:
        """State of the accrual, and the cause on the drift list."""
        ((state,),) = self.ask("SELECT state FROM claim_state WHERE claim_id = ? AND entry_kind = 'EXPENSE'", claim)
        drift = self.ask("SELECT cause FROM claim_drift WHERE claim_id = ? AND entry_kind = 'EXPENSE'", claim)
        return state, drift[0][0] if drift else None

    def everything(self) -> list[str]:
        """The ledger as text, without what a re-run may move."""
        found = []
        for (table,) in self.ask("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"):
            kept = [row[1] for row in self.ask(f"PRAGMA table_info({table})") if row[1] not in {"updated_at", "loaded_at"}]
            found += [f"{table} {row}" for row in sorted(map(repr, self.ask(f"SELECT {', '.join(kept)} FROM {table}")))]  # noqa: S608 - our own names
        return found


def _is_plain(form: dict[str, Any]) -> bool:
    details = form.get("details") or []
    if len(details) != 1 or form.get("payPlan") or "foreign" in form["expenseMoney"]:
        return False
    line = details[0]["feeTypeForm"]
    offset = sum(Decimal(str(form[name]["standard"])) for name in ("writtenOffMoney", "companyRealPay"))
    return not offset and not line.get("apportions") and not (line.get("invoiceForm") or {}).get("invoices")


UNDONE = [(0, "REVERSED", None), (1, "POSTED", 0)]
REVISED = [(0, "REVERSED", None), (1, "POSTED", 0), (2, "POSTED", None)]


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[Tenant]:
    """A tenant after its first night."""
    with Sandbox(claims=120, seed=1) as hesi:
        made = Tenant(hesi, tmp_path)
        made.run()
        yield made


def test_every_change_since_the_last_night_is_found_and_answered_and_the_night_after_changes_nothing(tenant: Tenant) -> None:
    grown, shrunk, deleted, *_ = tenant.plain("paid")
    sent_back, voided, *_ = tenant.plain("paying")
    tenant.set_amount(grown, "900.00")
    tenant.set_amount(shrunk, "12.34")
    tenant.hesi.tenant.delete(deleted)
    tenant.hesi.tenant.change_state(sent_back, "rejected")
    tenant.hesi.tenant.nullify(voided)
    tenant.run()
    assert [tenant.accrued(claim) for claim in (grown, shrunk, deleted, sent_back, voided)] == [Decimal("900.00"), Decimal("12.34"), 0, 0, 0]
    assert tenant.vouchers(grown) == tenant.vouchers(shrunk) == REVISED
    assert [tenant.vouchers(claim) for claim in (deleted, sent_back, voided)] == [UNDONE] * 3
    assert [tenant.state(claim)[0] for claim in (grown, shrunk, deleted, sent_back, voided)] == ["posted", "posted", "reversed", "reversed", "reversed"]
    assert tenant.ask("SELECT count(*) FROM voucher WHERE entry_kind = 'PAYMENT' AND status = 'REVERSED'") == [(0,)]
    before = tenant.everything()
    tenant.run()
    assert tenant.everything() == before


def test_hesi_ends_with_the_number_of_the_newest_voucher(tenant: Tenant) -> None:
    claim = tenant.plain("paid")[0]
    first = tenant.hesi.tenant.flow(claim)["form"]["voucherNo"]
    tenant.set_amount(claim, "900.00")
    tenant.run()
    ((number,),) = tenant.ask("SELECT voucher_no FROM voucher WHERE claim_id = ? AND entry_kind = 'EXPENSE' AND revision = 2", claim)
    second = tenant.hesi.tenant.flow(claim)["form"]["voucherNo"]
    assert second != first
    assert str(number) in second
    assert tenant.ask("SELECT status, voucher_number FROM writeback_outbox WHERE claim_id = ?", claim) == [("DONE", second)]
    tenant.set_amount(claim, "800.00")
    tenant.run()
    assert tenant.accrued(claim) == Decimal("800.00")
    assert tenant.hesi.tenant.flow(claim)["form"]["voucherNo"] not in {first, second}


def test_a_claim_sent_back_and_approved_again_posts_as_the_next_revision(tenant: Tenant) -> None:
    claim = tenant.plain("paying")[0]
    tenant.hesi.tenant.change_state(claim, "rejected")
    tenant.run()
    tenant.set_amount(claim, "77.00")
    tenant.hesi.tenant.change_state(claim, "paying")
    tenant.run()
    tenant.hesi.tenant.pay(claim)
    tenant.run()
    assert (tenant.accrued(claim), tenant.vouchers(claim), tenant.state(claim)) == (Decimal("77.00"), REVISED, ("posted", None))
    assert tenant.ask("SELECT part_no, status FROM voucher WHERE claim_id = ? AND entry_kind = 'PAYMENT'", claim) == [(1, "POSTED")]


def test_an_edit_long_after_the_claim_was_posted_is_found_because_hesi_moves_its_update_time(tenant: Tenant) -> None:
    claim = tenant.plain("paid")[0]
    for _ in range(OVERLAP_HOURS // 24 + 1):
        tenant.run()
    tenant.set_amount(claim, "900.00")
    tenant.run()
    assert (tenant.accrued(claim), tenant.vouchers(claim)) == (Decimal("900.00"), REVISED)


def test_an_edit_older_than_the_overlap_is_found_by_the_full_run_of_the_week(tenant: Tenant) -> None:
    claim = tenant.plain("paid")[0]
    posted = tenant.accrued(claim)
    tenant.hesi.tenant.set_clock(tenant.hesi.clock.now() + (OVERLAP_HOURS // 24 + 1) * DAY_MS)
    tenant.hesi.tenant.add_claims(1)
    tenant.run()  # moves the watermark to the new claim, further than the overlap reaches back
    tenant.set_amount(claim, "900.00", touch=False)
    tenant.run()
    assert (tenant.accrued(claim), tenant.state(claim)) == (posted, ("posted", None))
    tenant.run(full=True)
    assert (tenant.accrued(claim), tenant.vouchers(claim)) == (Decimal("900.00"), REVISED)


def test_with_propose_a_change_is_only_listed_until_it_ties_again(tenant: Tenant) -> None:
    changed, deleted, *_ = tenant.plain("paid")
    posted = tenant.accrued(changed)
    before = tenant.ask("SELECT count(*) FROM voucher")
    tenant.set_amount(changed, "900.00")
    tenant.hesi.tenant.delete(deleted)
    outcome = tenant.run(reversals="propose")
    assert outcome.verdict == "amber"
    assert [tenant.state(claim) for claim in (changed, deleted)] == [("posted", "changed"), ("posted", "vanished")]
    assert tenant.ask("SELECT count(*) FROM voucher") == before
    tenant.set_amount(changed, f"{posted:.2f}")
    tenant.run(reversals="propose")
    assert tenant.state(changed) == ("posted", None)


def test_a_paid_claim_voided_and_approved_again_leaves_nothing_receivable(tenant: Tenant) -> None:
    claim = tenant.plain("paid")[0]
    tenant.hesi.tenant.nullify(claim)
    tenant.run()
    receivable = "SELECT status FROM voucher WHERE claim_id = ? AND entry_kind = 'RECLASS' AND reverses_revision IS NULL"
    assert tenant.ask(receivable, claim) == [("POSTED",)]
    tenant.hesi.tenant.edit(claim, {"state": "paid"})
    tenant.run()
    assert (tenant.vouchers(claim), tenant.ask(receivable, claim)) == (REVISED, [("REVERSED",)])


def test_a_claim_deleted_after_its_changed_version_was_rejected_goes_on_counting_revisions(tenant: Tenant) -> None:
    claim = tenant.plain("paying")[0]
    fee, amount = "form.details.0.feeTypeId", "form.expenseMoney.standard"
    flow = tenant.hesi.tenant.flow(claim)["form"]
    tenant.hesi.tenant.edit(claim, {fee: "nobody", amount: flow["expenseMoney"]["standard"]})
    tenant.run()
    tenant.hesi.tenant.delete(claim)
    tenant.run()
    tenant.hesi.tenant.edit(claim, {fee: flow["details"][0]["feeTypeId"], "active": True})
    tenant.run()
    assert (tenant.vouchers(claim), tenant.state(claim)) == (REVISED, ("posted", None))
