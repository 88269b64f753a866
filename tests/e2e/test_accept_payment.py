"""`hesi-erp accept-payment`: money that left is booked to suspense while its claim is refused, and leaves it when the claim posts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.cli_world import World, world

SUSPENSE = "1221.98"
WHO = ("--by", "王会计", "--reason", "close of the month")


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[World]:
    """A tenant whose office expenses nobody mapped for C01: some of them were paid all the same."""
    with world(tmp_path, claims=90) as made:
        company = made.mappings / "companies" / "C01.yaml"
        company.write_text(company.read_text(encoding="utf-8").replace("codes: [OFFICE]", "codes: [NOBODY-USES-THIS]"), encoding="utf-8")
        assert made.command("run").status == 0
        yield made


def repair(tenant: World) -> None:
    company = tenant.mappings / "companies" / "C01.yaml"
    company.write_text(company.read_text(encoding="utf-8").replace("codes: [NOBODY-USES-THIS]", "codes: [OFFICE]"), encoding="utf-8")


def waiting(tenant: World) -> list[str]:
    """Claims whose one payment waits for want of the fee type alone."""
    rows = tenant.ask(
        "SELECT s.claim_code FROM claim_state s JOIN claim_reject r ON r.claim_id = s.claim_id AND r.entry_kind = 'EXPENSE' "
        "WHERE s.entry_kind = 'PAYMENT' AND s.state = 'waiting' AND r.rule = 'FEE_TYPE_UNMAPPED' AND r.reason NOT LIKE '%|%' "
        "GROUP BY s.claim_code HAVING count(*) = 1 ORDER BY 1"
    )
    return [code for (code,) in rows]


def balance(tenant: World, code: str, account: str = SUSPENSE) -> Decimal:
    rows = tenant.ask(
        "SELECT l.debit, l.credit FROM voucher_line l JOIN voucher v USING (claim_id, entry_kind, company_code, book_code, part_no, revision) "
        "WHERE l.account_code = ? AND v.claim_code = ?",
        account,
        code,
    )
    return sum((Decimal(str(debit)) - Decimal(str(credit)) for debit, credit in rows), Decimal(0))


def accepted(tenant: World) -> list[dict[str, str]]:
    lines = [json.loads(line) for path in sorted((tenant.home / "audit").glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line["body"] for line in lines if line["body"]["kind"] == "payment_accepted"]


@pytest.mark.parametrize("reversals", ["auto", "propose"])
def test_a_payment_goes_to_suspense_once_and_to_the_payable_with_its_claim(tenant: World, reversals: str) -> None:
    code, *others = waiting(tenant)
    told = tenant.command("accept-payment", code, *WHO, "--json")
    assert (told.status, told.document["posted"], told.document["differences"]) == (0, 1, 0), told.err
    paid = balance(tenant, code)
    assert paid > 0
    assert waiting(tenant) == others
    assert tenant.ask("SELECT disposition FROM claim_reject WHERE claim_code = ? AND entry_kind = 'EXPENSE'", code) != []
    assert [(entry["claim_code"], entry["company"], entry["by"], entry["reason"]) for entry in accepted(tenant)] == [(code, "C01", "王会计", WHO[3])]
    before = tenant.dump()
    assert tenant.command("run", HESI_ERP_REVERSALS=reversals).status == 0
    assert tenant.dump() == before
    repair(tenant)
    told = tenant.command("run", "--json", HESI_ERP_REVERSALS=reversals)
    assert (told.status, told.document["differences"]) == (0, 0)
    assert balance(tenant, code) == 0
    assert tenant.ask("SELECT entry_kind, status FROM voucher WHERE claim_code = ? ORDER BY 1", code) == [
        ("EXPENSE", "POSTED"),
        ("PAYMENT", "POSTED"),
        ("RECLASS", "POSTED"),
    ]
    before = tenant.dump()
    assert tenant.command("run").status == 0
    assert tenant.dump() == before


def test_an_accrual_that_budget_refuses_after_mapping_leaves_the_money_on_suspense(tenant: World) -> None:
    code, *_ = waiting(tenant)
    assert tenant.command("accept-payment", code, *WHO).status == 0
    paid = balance(tenant, code)
    repair(tenant)
    (tenant.mappings / "budget.yaml").write_text('version: "1"\nsource: {kind: csv, file: budget.csv}\npolicy: hold\n', encoding="utf-8")
    rows = [f"C01-{year},{year},0.01,CNY,C01" for year in (2025, 2026, 2027)]
    (tenant.mappings / "budget.csv").write_text("\n".join(["node_id,period,budget,currency,company_code", *rows, ""]), encoding="utf-8")
    assert tenant.command("run").status == 0
    assert tenant.ask("SELECT rule FROM claim_reject WHERE claim_code = ? AND entry_kind = 'EXPENSE'", code) == [("BUDGET_EXCEEDED",)]
    assert balance(tenant, code) == paid
    assert tenant.ask("SELECT count(*) FROM voucher WHERE claim_code = ? AND entry_kind <> 'PAYMENT'", code) == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("B99999999", *WHO), "B99999999 not among"),
        (("B99999999", "--by", "王会计"), "expected a name with --by and a reason with --reason"),
    ],
)
def test_a_wrong_argument_starts_no_run(tenant: World, arguments: tuple[str, ...], said: str) -> None:
    before = tenant.dump()
    told = tenant.command("accept-payment", *arguments, "--json")
    assert told.status == 2
    assert said in told.document["error"]["message"]
    assert tenant.dump() == before


def test_a_company_without_a_suspense_account_is_told_where_to_name_one(tenant: World) -> None:
    company = tenant.mappings / "companies" / "C01.yaml"
    company.write_text(company.read_text(encoding="utf-8").replace(f'  suspense: "{SUSPENSE}"\n', ""), encoding="utf-8")
    before = tenant.dump()
    told = tenant.command("accept-payment", waiting(tenant)[0], *WHO, "--json")
    assert told.status == 2
    assert "payables.suspense in companies/C01.yaml" in told.document["error"]["message"]
    assert tenant.dump() == before
