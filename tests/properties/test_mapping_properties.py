"""Whatever a valid claim looks like: its voucher balances, carries its amount and its tax, and does not depend on company it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.pipeline.transform import assert_conserved
from etl.steps.mapped import Known, MappedClaims
from tests.cases.situation import shipped_mappings
from tests.properties.random_claims import RandomClaim, batches
from tests.support.claims import CORP, detail, expense, map_flows, reference, stage_flows

EXAMPLES = settings(max_examples=15)
FEW = settings(max_examples=8)  # these map every claim several times


def mapped_from(claims: Sequence[RandomClaim], *, known: Any = None, flows: Sequence[dict[str, Any]] | None = None) -> MappedClaims:
    lists = reference(invoices=[item for claim in claims for item in claim.invoices], loan_owners={"J1": f"{CORP}:E003"})
    return map_flows([claim.flow for claim in claims] if flows is None else flows, mappings=shipped_mappings(), lists=lists, known=known)


def as_posted(mapped: MappedClaims) -> dict[tuple[str, str, int], Known]:
    return {
        (row.claim_id, row.entry_kind, row.part_no): Known("posted", row.source_sha256, row.claim_code, row.company_code, row.currency, row.amount_minor)
        for row in mapped.entries.itertuples()
    }


def vouchers(mapped: MappedClaims) -> dict[tuple[str, str, int], tuple[Any, ...]]:
    """Everything of each voucher but its number in the run."""
    found = {}
    for head in mapped.vouchers.itertuples(index=False):
        parts: list[Any] = [tuple(value for name, value in head._asdict().items() if name != "entry_no")]
        for frame in (mapped.voucher_lines, mapped.line_dimensions, mapped.line_sources, mapped.voucher_invoices, mapped.budget_lines):
            own = frame[frame["entry_no"] == head.entry_no].drop(columns="entry_no")
            parts.append(sorted(own.itertuples(index=False, name=None)))
        found[head.claim_id, head.entry_kind, head.part_no] = tuple(parts)
    return found


@given(batches())
@EXAMPLES
def test_every_valid_claim_becomes_a_balanced_voucher_of_its_amount_and_tax(claims: list[RandomClaim]) -> None:
    mapped = mapped_from(claims)
    assert mapped.rejects.empty, mapped.rejects.iloc[0].to_dict()
    assert set(mapped.entries["disposition"]) == {"ready"}
    accruals = mapped.vouchers[mapped.vouchers["entry_kind"] == "EXPENSE"].set_index("claim_id")
    lines = mapped.voucher_lines.merge(mapped.vouchers[["entry_no", "claim_id", "entry_kind"]], on="entry_no")
    sums = lines.groupby("entry_no")[["debit_minor", "credit_minor"]].sum()
    assert (sums["debit_minor"] == sums["credit_minor"]).all()
    assert ((lines["debit_minor"] != 0) ^ (lines["credit_minor"] != 0)).all()
    for claim in claims:
        # A claim of 0.00 in sum still has its lines; its voucher then adds up to nothing.
        own = lines[(lines["claim_id"] == claim.flow["id"]) & (lines["entry_kind"] == "EXPENSE")]
        assert int(own["debit_minor"].sum()) == int(accruals.loc[claim.flow["id"], "total_minor"]) == claim.total
        assert int(own.loc[own["tax_rate"] != "", "debit_minor"].sum()) == claim.tax


@given(batches())
@EXAMPLES
def test_shares_conserve_gross_net_and_tax_of_each_claim(claims: list[RandomClaim]) -> None:
    mapped = mapped_from(claims)
    by_claim = mapped.budget_lines.groupby("claim_id")[["gross_minor", "net_minor"]].sum()
    for claim in claims:
        assert int(by_claim.loc[claim.flow["id"], "gross_minor"]) == claim.total
        assert int(by_claim.loc[claim.flow["id"], "net_minor"]) == claim.total - claim.tax


@given(batches())
@EXAMPLES
def test_claims_in_are_claims_out_to_the_cent(claims: list[RandomClaim]) -> None:
    staged = stage_flows([claim.flow for claim in claims], shipped_mappings())
    mapped = mapped_from(claims)
    assert_conserved(staged, mapped, 1)
    assert set(mapped.entries["claim_id"]) == {claim.flow["id"] for claim in claims}


@given(batches(), st.data())
@FEW
def test_a_cent_off_anywhere_rejects_that_claim_and_leaves_the_others_alone(claims: list[RandomClaim], data: st.DataObject) -> None:
    broken = data.draw(st.integers(0, len(claims) - 1))
    before = vouchers(mapped_from(claims))
    form = claims[broken].flow["form"]
    field = data.draw(st.sampled_from(["expenseMoney", "payMoney", "companyRealPay", "writtenOffMoney"]))
    whole, _, cents = form[field]["standard"].partition(".")
    form[field]["standard"] = f"{whole}.{(int(cents) + 1) % 100:02d}"
    mapped = mapped_from(claims)
    assert set(mapped.rejects["claim_id"]) == {claims[broken].flow["id"]}
    assert set(mapped.rejects["rule"]) <= {"AMOUNT_IDENTITY", "PAYPLAN_SUM", "LOAN_STATE"}
    id_ = claims[broken].flow["id"]
    assert vouchers(mapped) == {key: value for key, value in before.items() if key[0] != id_}


@given(batches())
@FEW
def test_mapping_what_is_posted_already_gives_no_voucher_at_all(claims: list[RandomClaim]) -> None:
    again = mapped_from(claims, known=as_posted(mapped_from(claims)))
    assert again.vouchers.empty
    assert again.rejects.empty
    assert set(again.entries["disposition"]) == {"unchanged"}


@given(batches(), st.randoms(use_true_random=False))
@FEW
def test_the_order_of_claims_changes_no_voucher(claims: list[RandomClaim], random: Any) -> None:
    before = vouchers(mapped_from(claims))
    shuffled = [claim.flow for claim in claims]
    random.shuffle(shuffled)
    assert vouchers(mapped_from(claims, flows=shuffled)) == before


@given(batches())
@FEW
def test_a_claim_alone_gets_the_voucher_it_gets_among_others(claims: list[RandomClaim]) -> None:
    together = vouchers(mapped_from(claims))
    alone: dict[Any, Any] = {}
    for claim in claims:
        alone |= vouchers(mapped_from(claims, flows=[claim.flow]))
    assert alone == together


@given(batches())
@FEW
def test_paying_a_claim_changes_nothing_about_its_accrual(claims: list[RandomClaim]) -> None:
    def accruals(mapped: MappedClaims) -> pd.DataFrame:
        return mapped.entries[mapped.entries["entry_kind"] == "EXPENSE"][["claim_id", "source_sha256", "event_day"]].reset_index(drop=True)

    before = []
    for claim in claims:
        form = {key: value for key, value in claim.flow["form"].items() if key not in {"payDate", "paymentAccountId", "paymentChannel"}}
        before.append({**claim.flow, "state": "paying", "form": form, "logs": []})
    pd.testing.assert_frame_equal(accruals(mapped_from(claims, flows=before)), accruals(mapped_from(claims)))


def test_the_generator_draws_every_awkwardness_it_promises() -> None:
    seen = set()

    @given(batches())
    @settings(max_examples=40, database=None)
    def look(claims: list[RandomClaim]) -> None:
        for claim in claims:
            form = claim.flow["form"]
            seen.update(name for name in ("payPlan", "writtenOffRecords") if form.get(name))
            seen.update({"tax"} if claim.tax else ())
            seen.update({"negative"} if claim.total < 0 else ())
            seen.update({"shares"} if any("apportions" in line["feeTypeForm"] for line in form["details"]) else ())

    look()
    assert seen == {"payPlan", "writtenOffRecords", "tax", "negative", "shares"}


def test_a_claim_of_five_thousand_lines_is_one_exact_voucher() -> None:
    size = 5_000
    flow = expense("50000.00", details=[detail("10.00", department="D10", id=f"d{n}") for n in range(size)])
    mapped = map_flows([flow], mappings=shipped_mappings())
    accrual = mapped.vouchers[mapped.vouchers["entry_kind"] == "EXPENSE"].iloc[0]
    lines = mapped.voucher_lines[mapped.voucher_lines["entry_no"] == accrual["entry_no"]]
    assert (len(lines), int(lines["debit_minor"].sum()), int(lines["credit_minor"].sum())) == (size + 1, 5_000_000, 5_000_000)
    assert lines["line_no"].tolist() == list(range(1, size + 2))
