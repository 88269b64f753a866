"""The client against the sandbox over real HTTP: everything is read, whatever goes wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from etl.hesi import budgets, flows, invoices, loans, reference, vouchers
from etl.hesi.client import HesiClient
from etl.hesi.vouchers import VoucherNumber, WriteBack
from sandbox.testing import Sandbox

TYPES = ("expense", "loan", "payment", "requisition", "receipt", "custom")
FAR = 4_000_000_000_000
Connect = Callable[..., HesiClient]


@pytest.fixture(scope="module")
def tenant() -> Iterator[Sandbox]:
    with Sandbox(claims=700, seed=5) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(tenant: Sandbox) -> Iterator[Sandbox]:
    tenant.faults.clear()
    yield tenant
    tenant.faults.clear()


@pytest.fixture
def session(sandbox: Sandbox) -> Iterator[HesiClient]:
    with HesiClient(
        sandbox.base_url,
        sandbox.app_key,
        sandbox.app_security,
        allowed_hosts=["127.0.0.1"],
        requests_per_second=0,
        max_retry_after_seconds=60,
        sleep=lambda _: None,
    ) as client:
        yield client


def read(client: HesiClient, form_type: str, *, active: bool = True) -> dict[str, int | None]:
    pages = flows.iter_pages(client, form_type, active=active, since_ms=None, cutoff_ms=FAR)
    return {page.claim_ids[i]: page.update_times[i] for page in pages for i in page.accepted}


def heads(sandbox: Sandbox, form_type: str, *, active: bool = True) -> dict[str, int | None]:
    return {h.id: h.updated for h in sandbox.tenant.store.heads if (h.form_type, h.active) == (form_type, active)}


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("form_type", TYPES)
def test_every_claim_of_every_type_is_read(sandbox: Sandbox, session: HesiClient, form_type: str, active: bool) -> None:
    assert read(session, form_type, active=active).keys() == heads(sandbox, form_type, active=active).keys()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 504}),
        ("forbidden", {}),
        ("revoke", {}),
        ("rate_limited", {"retry_after": 7}),
        ("html", {}),
        ("reset", {}),
        ("drift", {}),
        ("duplicate_page", {}),
        ("empty_page", {}),
        ("zero_count", {"times": 0}),
        ("unknown_keys", {"times": 0}),
        ("truncated", {}),
        ("cut_json", {}),
        ("lost_answer", {}),
    ],
)
@pytest.mark.parametrize("at", [1, 3])
def test_a_fault_while_reading_costs_no_claim(sandbox: Sandbox, session: HesiClient, kind: str, options: dict[str, Any], at: int) -> None:
    before = heads(sandbox, "expense")
    fault = sandbox.faults.add(kind, path="getApplyList", at=at, **options)
    found = read(session, "expense")
    assert fault.fired or kind == "zero_count"
    assert found.keys() >= before.keys()


def test_all_reference_data_can_be_read(session: HesiClient) -> None:
    assert reference.rows_by_id(reference.fee_types(session))
    assert reference.rows_by_id(reference.departments(session))
    assert reference.rows_by_id(reference.staffs(session))
    assert reference.rows_by_id(reference.payer_accounts(session))
    assert [page.rows for page in reference.currencies(session)]
    named = reference.rows_by_id(reference.dimensions(session))
    assert any(reference.rows_by_id(reference.dimension_items(session, dimension)) for dimension in named)
    known = reference.rows_by_id(reference.payees(session))
    some = list(known)[:30]
    assert set(reference.rows_by_id(reference.payees_by_id(session, some))) == set(some)


def test_published_budgets_are_read_to_their_last_node(session: HesiClient) -> None:
    published = budgets.published_budgets(session)
    assert published
    for budget in published:
        tree = budgets.read_tree(session, budget["id"])
        parents = {node.get("parentId") for node in tree.nodes.values()}
        assert parents - {"", None} <= set(tree.nodes)
        assert tree.monies


def test_invoices_of_all_claims_come_in_few_calls(sandbox: Sandbox, session: HesiClient) -> None:
    claims = list(heads(sandbox, "expense"))
    before = len(sandbox.requests)
    refs = [ref for _, found in invoices.invoice_refs(session, claims) for ref in found]
    headers = [row for batch in invoices.invoice_headers(session, refs) for row in batch.rows]
    assert {row.id for row in headers} <= {ref.invoice_id for ref in refs}
    assert headers
    assert len(sandbox.requests) - before < len(claims) / 10


def test_numbers_are_written_to_paid_claims_only(sandbox: Sandbox, session: HesiClient) -> None:
    paid, other = sandbox.flow_ids("paid")[:30], sandbox.flow_ids("archived")[:2]
    wanted = [VoucherNumber(id_, f"记-{n}", 1) for n, id_ in enumerate([*paid[:15], *other, "unknown-1", *paid[15:]])]
    outcome = {result.flow_id: result.outcome for result in vouchers.write_numbers(session, wanted)}
    assert {outcome[id_] for id_ in paid} == {WriteBack.WRITTEN}
    assert {outcome[id_] for id_ in other} == {WriteBack.NOT_PAID}
    assert outcome["unknown-1"] is WriteBack.UNKNOWN
    detail = flows.detail(session, paid[0])
    assert detail is not None
    assert detail.value["form"]["voucherNo"] == "记-0"


def test_claims_and_loan_packages_nobody_knows_are_values(session: HesiClient) -> None:
    assert flows.detail(session, "unknown-1") is None
    (package,) = loans.loan_packages(session, ["unknown-1"])
    assert package.answer is None
