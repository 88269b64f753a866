"""Golden cases of changes after posting (G08) and of returned payments (the red part of G12), through a real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from etl.config.mapping import Mappings
from etl.erp import schema
from tests.cases.test_golden_cases import DIMS, ENTRY_KINDS, read
from tests.support.claims import demo_mappings, detail, expense, invoice, money, ms, reference
from tests.support.ledger import SmallLedger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SmallLedger]:
    found = SmallLedger(tmp_path)
    yield found
    found.close()


def closed(period: str, on: str) -> Mappings:
    mappings = demo_mappings()
    first = mappings.companies[0]
    periods = first.periods.model_validate({"closed": [{"period": period, "closed_on": on}]})
    return mappings.model_copy(update={"companies": [first.model_copy(update={"periods": periods}), *mappings.companies[1:]]})


def changed(**settings: Any) -> Mappings:
    mappings = demo_mappings()
    first = mappings.companies[0]
    return mappings.model_copy(update={"companies": [type(first).model_validate(first.model_dump(by_alias=True) | settings), *mappings.companies[1:]]})


def claim(code: str, amount: str, tax: str, inv: str, *, approved: str, paid: str | None = None, changed: str | None = None, **rest: Any) -> dict[str, Any]:
    use = {"invoiceId": inv, "taxAmount": money(tax), "taxRate": "6", "itemIds": []}
    return expense(
        amount,
        details=[detail(amount, department="D10", invoices=[use])],
        id=code,
        code=code,
        approved=approved,
        paid=paid,
        state="paid",
        updated=ms(changed or approved),
        **rest,
    )


def lists() -> Any:
    return reference(invoices=[invoice("I8", gross=106000, tax=6000), invoice("I8r", gross=95400, tax=5400)])


def shown(voucher: dict[str, Any]) -> dict[str, str]:
    return {
        "company": voucher["company_code"],
        "kind": voucher["entry_kind"],
        "part": str(voucher["part_no"]),
        "rev": str(voucher["revision"]),
        "date": str(voucher["voucher_date"]),
        "period": f"{voucher['fiscal_year']}-{voucher['fiscal_period']:02d}",
        "attach": str(voucher["attachment_count"]),
        "summary": voucher["summary"],
    }


def shown_lines(voucher: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    short = {value: key for key, value in DIMS.items()}
    rows = []
    for line in voucher["lines"]:
        texts = [f"{short[kind]}={code}" for kind, code in line["dims"].items()]
        if line["tax_rate"] is not None:
            texts.append(f"tax={line['tax_rate'].normalize():f}")
        rows.append(
            (line["account_code"], ";".join(sorted(texts)), f"{line['debit']:.2f}" if line["debit"] else "", f"{line['credit']:.2f}" if line["credit"] else "")
        )
    return rows


def expected(case: str, names: list[str]) -> list[tuple[dict[str, str], list[tuple[str, str, str, str]]]]:
    _, headers, lines, _ = read(case)
    found = {row["v"]: row for row in headers}
    result = []
    for name in names:
        head = {key: value for key, value in found[name].items() if key not in {"v", "reverses"}}
        head["kind"] = ENTRY_KINDS.get(head["kind"], head["kind"].upper())
        result.append((head, [(row["account"], row["dimensions"], row["debit"], row["credit"]) for row in lines if row["voucher"] == name]))
    return result


def compare(ledger: SmallLedger, case: str, names: list[str]) -> None:
    found = [(shown(voucher), shown_lines(voucher)) for voucher in ledger.vouchers()]
    assert sorted(found, key=repr) == sorted(expected(case, names), key=repr)


def ends(ledger: SmallLedger, case: str, variant: str) -> None:
    for row in read(case)[3]:
        if row["variant"] == variant and row["company"] == "C01":
            assert ledger.balance(*row["account"].split("+")) == Decimal(row["balance"]), row


BEFORE = {"code": "B26030008", "amount": "1060.00", "tax": "60.00", "inv": "I8"}
AFTER = {"code": "B26030008", "amount": "954.00", "tax": "54.00", "inv": "I8r"}


def test_a_change_in_the_same_open_period_is_a_red_and_a_blue_voucher(ledger: SmallLedger) -> None:
    ledger.run([claim(**BEFORE, approved="2026-03-28")], day="2026-03-28", lists=lists())
    ledger.renumber(45, revision=0)
    ledger.run([claim(**AFTER, approved="2026-03-28", changed="2026-03-30")], day="2026-03-30", lists=lists())
    compare(ledger, "G08", ["v1", "v2", "v3"])
    ends(ledger, "G08", "a")
    status = {voucher["revision"]: (voucher["status"], voucher["reverses_revision"]) for voucher in ledger.vouchers()}
    assert status == {0: ("REVERSED", None), 1: ("POSTED", 0), 2: ("POSTED", None)}


def test_a_change_seen_after_the_period_was_closed_goes_into_the_first_open_one(ledger: SmallLedger) -> None:
    ledger.run([claim(**BEFORE, approved="2026-03-28")], day="2026-03-28", lists=lists())
    ledger.renumber(45, revision=0)
    ledger.run([claim(**AFTER, approved="2026-03-28", changed="2026-03-30")], day="2026-04-03", lists=lists(), mappings=closed("2026-03", "2026-04-02"))
    compare(ledger, "G08", ["v1", "v4", "v5"])
    ends(ledger, "G08", "b")


def test_a_change_of_an_earlier_year_is_one_blue_correcting_voucher(ledger: SmallLedger) -> None:
    ledger.run([claim(**BEFORE, approved="2026-12-20")], day="2026-12-20", lists=lists())
    ledger.renumber(310, revision=0)
    ledger.run([claim(**AFTER, approved="2026-12-20", changed="2026-12-30")], day="2027-01-08", lists=lists(), mappings=closed("2026-12", "2027-01-05"))
    compare(ledger, "G08", ["v6", "v7"])
    ends(ledger, "G08", "c")


def test_a_material_change_of_an_earlier_year_goes_through_prior_year_adjustments(ledger: SmallLedger) -> None:
    """G08 c with policy prior_year_material: 6901 is credited instead of 6602.01."""
    rules = changed(prior_year=[{"account": "6901", "material_from_minor": 10_000}])
    ledger.run([claim(**BEFORE, approved="2026-12-20")], day="2026-12-20", lists=lists(), mappings=rules)
    ledger.renumber(310, revision=0)
    ledger.run([claim(**AFTER, approved="2026-12-20", changed="2027-01-01")], day="2027-01-08", lists=lists(), mappings=rules)
    first, (correction, lines) = expected("G08", ["v6", "v7"])
    lines = [("6901", "", *line[2:]) if line[0] == "6602.01" else line for line in lines]
    assert [(shown(voucher), shown_lines(voucher)) for voucher in ledger.vouchers()] == [first, (correction, lines)]
    assert ledger.balance("6901") == Decimal("-100.00")


def test_a_change_of_amounts_alone_is_one_voucher_for_the_difference_where_the_mapping_says_so(ledger: SmallLedger) -> None:
    """G08 a with correction: difference: v2 and v3 become one red voucher that quotes the original like v3."""
    rules = changed(correction="difference")
    ledger.run([claim(**BEFORE, approved="2026-03-28")], day="2026-03-28", lists=lists(), mappings=rules)
    ledger.renumber(45, revision=0)
    ledger.run([claim(**AFTER, approved="2026-03-28", changed="2026-03-30")], day="2026-03-30", lists=lists(), mappings=rules)
    (first, _), (restated, lines) = expected("G08", ["v1", "v3"])
    amounts = [("-100.00", ""), ("-6.00", ""), ("", "-106.00")]
    said = {shown(voucher)["kind"]: (shown(voucher), shown_lines(voucher)) for voucher in ledger.vouchers()}
    assert said["EXPENSE"][0] == first
    booked = {(row["entry_kind"], row["invoice_id"], row["tax"]) for row in ledger.rows(schema.voucher_invoice)}
    assert booked == {("EXPENSE", "I8", Decimal("60.00")), ("CORRECTION", "I8r", Decimal("54.00"))}
    assert said["CORRECTION"] == (restated | {"kind": "CORRECTION", "rev": "0"}, [(*line[:2], *amount) for line, amount in zip(lines, amounts, strict=True)])
    ends(ledger, "G08", "a")


def test_what_was_paid_too_much_is_reclassified_and_the_bank_voucher_stays(ledger: SmallLedger) -> None:
    ledger.run([claim(**BEFORE, approved="2026-03-28", paid="2026-03-29")], day="2026-03-29", lists=lists())
    ledger.renumber(45, revision=0, entry_kind="EXPENSE")
    ledger.run([claim(**AFTER, approved="2026-03-28", paid="2026-03-29", changed="2026-03-30")], day="2026-03-30", lists=lists())
    compare(ledger, "G08", ["v1", "v8", "v2", "v3", "v9"])
    ends(ledger, "G08", "d")


def test_a_change_is_answered_once_and_the_next_run_changes_nothing(ledger: SmallLedger) -> None:
    after = claim(**AFTER, approved="2026-03-28", changed="2026-03-30")
    ledger.run([claim(**BEFORE, approved="2026-03-28")], day="2026-03-28", lists=lists())
    ledger.run([after], day="2026-03-30", lists=lists())
    before = [ledger.vouchers(), ledger.rows(schema.claim_state), ledger.rows(schema.writeback_outbox), ledger.rows(schema.posting_batch)]
    ledger.run([after], day="2026-03-31", lists=lists())
    assert [ledger.vouchers(), ledger.rows(schema.claim_state), ledger.rows(schema.writeback_outbox), ledger.rows(schema.posting_batch)] == before


def test_propose_only_lists_the_change(ledger: SmallLedger) -> None:
    ledger.run([claim(**BEFORE, approved="2026-03-28")], day="2026-03-28", lists=lists())
    ledger.run([claim(**AFTER, approved="2026-03-28", changed="2026-03-30")], day="2026-03-30", lists=lists(), propose=True)
    drift = ledger.rows(schema.claim_drift)
    assert [(row["posted_amount"], row["source_amount"], row["cause"]) for row in drift] == [(Decimal("1060.00"), Decimal("954.00"), "changed")]
    assert len(ledger.vouchers()) == 1


def returned(code: str, *, again: bool = False) -> dict[str, Any]:
    flow = expense(
        "500.00",
        details=[detail("500.00", fee="OFFICE", department="D10", invoices=[{"invoiceId": "X3", "taxAmount": money("0.00"), "itemIds": []}])],
        id=code,
        code=code,
        approved="2026-06-08",
        paid="2026-06-10",
        updated=ms("2026-06-12"),
    )
    flow["logs"] = [
        {"action": "freeflow.pay", "state": "paid", "time": ms("2026-06-10"), "attributes": {"channelTradeNo": "T10", "failureReason": ""}},
        {
            "action": "freeflow.paying",
            "state": "paying",
            "time": ms("2026-06-12"),
            "attributes": {"channelTradeNo": "T10", "failureReason": "账号户名不符，银行退票"},
        },
    ]
    if again:
        flow["logs"].append({"action": "freeflow.pay", "state": "paid", "time": ms("2026-06-16"), "attributes": {"channelTradeNo": "T16"}})
    return flow


def test_a_payment_returned_by_the_bank_is_a_red_payment_voucher_and_paying_again_a_new_part(ledger: SmallLedger) -> None:
    paid = returned("B26060012")
    paid["logs"] = paid["logs"][:1]
    ledger.run([paid], day="2026-06-11", lists=reference())
    ledger.renumber(88, entry_kind="PAYMENT")
    ledger.run([returned("B26060012")], day="2026-06-13", lists=reference())
    compare(ledger, "G12", ["v1", "v2", "v3"])
    ledger.run([returned("B26060012", again=True)], day="2026-06-17", lists=reference())
    parts = [
        (voucher["entry_kind"], voucher["part_no"], voucher["revision"], str(voucher["voucher_date"]))
        for voucher in ledger.vouchers()
        if voucher["entry_kind"] == "PAYMENT"
    ]
    assert parts == [("PAYMENT", 1, 0, "2026-06-10"), ("PAYMENT", 1, 1, "2026-06-12"), ("PAYMENT", 2, 0, "2026-06-16")]
    assert ledger.balance("2241.01") == 0
    assert ledger.balance("1002.01") == Decimal("-500.00")


def test_a_payment_from_another_company_is_held_until_intercompany_vouchers_exist(ledger: SmallLedger) -> None:
    flow = returned("B26060012", again=True)
    flow["form"]["paymentAccountId"] = "corp:BANK-CNY-02"
    mapped = ledger.run([flow], day="2026-06-17", lists=reference())
    assert {(row.entry_kind, row.disposition, row.rule) for row in mapped.rejects.itertuples()} <= {
        ("PAYMENT", "held", "INTERCOMPANY"),
        ("PAYMENT", "rejected", "BANK_UNMAPPED"),
    }
