"""What must be true of a ledger after every run, however the claim changed: slow, simple, and none of the product's arithmetic.

What a fresh ledger would post for the claim as it is now comes from mapping it without a past; everything else is added up
here from the rows of the ledger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from etl.erp import schema
from etl.erp.rehash import altered_vouchers
from etl.money import to_decimal
from tests.cases.change_steps import Step, run_number
from tests.support.claims import map_flows
from tests.support.ledger import SmallLedger

Voucher = Mapping[str, Any]
Nets = dict[tuple[Any, ...], Decimal]
VAT, RECEIVABLE, SUSPENSE = "2221.", "1221.02", "1221.98"
_KEY = ("claim_id", "entry_kind", "company_code", "part_no")


def nets(vouchers: Iterable[Voucher], *kinds: str) -> Nets:
    """Debits less credits by company, account, dimensions and currency; tax accounts together, nothing that is zero."""
    found: Nets = defaultdict(Decimal)
    for voucher in vouchers:
        if voucher["entry_kind"] in kinds:
            for line in voucher["lines"]:
                account = VAT if line["account_code"].startswith(VAT) else line["account_code"]
                dims = tuple(sorted(line["dims"].items()))
                found[voucher["company_code"], account, dims, line["currency"]] += line["debit"] - line["credit"]
                foreign = line["amount_fc"] or Decimal(0)
                found[voucher["company_code"], account, dims, line["currency"], "foreign"] += foreign if line["debit"] else -foreign
    return {key: net for key, net in found.items() if net}


def fresh(step: Step) -> list[Voucher]:
    """What a ledger without a past would post; to it, our own number on the claim would be a stranger's."""
    flow = {**step.flow, "form": {**step.flow["form"], "voucherNo": ""}}
    mapped = map_flows([flow], mappings=step.mappings, lists=step.lists, run_day=step.day)
    dims: dict[tuple[int, int], dict[str, str]] = defaultdict(dict)
    for row in mapped.line_dimensions.itertuples():
        dims[row.entry_no, row.line_no][row.dim_type] = row.dim_code
    vouchers = []
    for head in mapped.vouchers.itertuples():
        lines = [
            {
                "account_code": line.account_code,
                "currency": line.currency,
                "dims": dims[head.entry_no, line.line_no],
                "debit": to_decimal(line.debit_minor, head.base_currency),
                "credit": to_decimal(line.credit_minor, head.base_currency),
                "amount_fc": to_decimal(line.amount_fc_minor, line.currency) if line.fx_rate else None,
            }
            for line in mapped.voucher_lines[mapped.voucher_lines["entry_no"] == head.entry_no].itertuples()
        ]
        vouchers.append({"entry_kind": head.entry_kind, "company_code": head.company_code, "lines": lines})
    return vouchers


def assert_sound(vouchers: Sequence[Voucher], ledger: SmallLedger) -> None:
    """Balanced, numbered without gaps, reversed exactly once by the exact negative, one live voucher a key, nothing edited."""
    for voucher in vouchers:
        assert sum(line["debit"] - line["credit"] for line in voucher["lines"]) == 0, voucher
    series = defaultdict(list)
    for voucher in vouchers:
        series[tuple(voucher[name] for name in ("company_code", "book_code", "fiscal_year", "fiscal_period", "voucher_word"))].append(voucher["voucher_no"])
    assert all(sorted(numbers) == list(range(1, len(numbers) + 1)) for numbers in series.values()), series
    by_revision = {(*_key(voucher), voucher["revision"]): voucher for voucher in vouchers}
    reds = [voucher for voucher in vouchers if voucher["reverses_revision"] is not None]
    undone = [by_revision[*_key(red), red["reverses_revision"]] for red in reds]
    for red, original in zip(reds, undone, strict=True):
        assert [_amounts(line) for line in red["lines"]] == [_amounts(line, sign=-1) for line in original["lines"]]
        assert (original["status"], red["status"]) == ("REVERSED", "POSTED")
        assert run_number(original) < run_number(red)
        assert red["voucher_date"] >= original["voucher_date"]
    assert Counter(map(id, undone)) == Counter(id(voucher) for voucher in vouchers if voucher["status"] == "REVERSED")
    live = Counter(_key(voucher) for voucher in standing(vouchers) if voucher["entry_kind"] != "CORRECTION")
    assert all(count == 1 for count in live.values()), live
    assert altered_vouchers(ledger.sink.engine).empty


def standing(vouchers: Iterable[Voucher]) -> list[Voucher]:
    """Vouchers that are neither reversed nor reverse another."""
    return [voucher for voucher in vouchers if voucher["status"] == "POSTED" and voucher["reverses_revision"] is None]


def assert_nets_to_source(vouchers: Sequence[Voucher], before: Sequence[Voucher], step: Step, ledger: SmallLedger) -> None:
    """The accrual is what a fresh ledger would post, or untouched where the change waits; overpayments are receivable, the rest payable.

    What was paid to suspense has gone from there once an accrual stands, and stays away.
    """
    ours = nets(vouchers, "EXPENSE", "CORRECTION")
    accrued = ours if _waits(ledger) else nets(fresh(step), "EXPENSE")
    assert ours == (nets(before, "EXPENSE", "CORRECTION") if _waits(ledger) else accrued)
    paid, reclassified = nets(vouchers, "PAYMENT"), nets(vouchers, "RECLASS")
    for company, party in {(key[0], key[2]) for found in (accrued, paid) for key in found if key[1] in {"2241.01", SUSPENSE}}:
        due = sum(-net for key, net in accrued.items() if key[:3] == (company, "2241.01", party))
        suspended, cleared = paid.get((company, SUSPENSE, party, "CNY"), Decimal(0)), -reclassified.get((company, SUSPENSE, party, "CNY"), Decimal(0))
        assert cleared == suspended or (cleared == 0 and not accrued)
        money = cleared + sum(net for key, net in paid.items() if key[:3] == (company, "2241.01", party))
        beyond = max(money - due, Decimal(0))
        assert reclassified.get((company, RECEIVABLE, party, "CNY"), Decimal(0)) == beyond
        assert reclassified.get((company, "2241.01", party, "CNY"), Decimal(0)) == cleared - beyond


def _waits(ledger: SmallLedger) -> bool:
    """Whether the accrual is on the drift list: held after payment, or unreadable."""
    return any(row["entry_kind"] == "EXPENSE" for row in ledger.rows(schema.claim_drift))


def assert_money_is_kept(vouchers: Sequence[Voucher], step: Step) -> None:
    """No payment is reversed but on the bank's word."""
    returned = [log for log in step.flow["logs"] if log["attributes"].get("failureReason")]
    assert len([voucher for voucher in vouchers if voucher["entry_kind"] == "PAYMENT" and voucher["status"] == "REVERSED"]) == len(returned)


def assert_newest_number_is_queued(vouchers: Sequence[Voucher], step: Step, ledger: SmallLedger) -> None:
    """Hesi has or gets the number of the standing accrual, the last one where a company changed; without one nothing is sent any more."""
    rows = ledger.rows(schema.writeback_outbox)
    accruals = [voucher for voucher in standing(vouchers) if voucher["entry_kind"] == "EXPENSE"]
    if not accruals:
        assert all(row["status"] in {"BLOCKED", "DONE"} for row in rows)
        return
    last = max(accruals, key=run_number)
    number = f"{last['voucher_word']}-{last['voucher_no']}"
    assert [(row["voucher_number"], row["status"]) for row in rows] == [(number, "DONE" if step.flow["form"]["voucherNo"] == number else "PENDING")]


def everything(ledger: SmallLedger) -> dict[str, list[str]]:
    """Every row of every table, without the two columns a re-run may move."""
    return {
        name: sorted(repr({key: value for key, value in row.items() if key not in {"updated_at", "loaded_at"}}) for row in ledger.rows(table))
        for name, table in schema.metadata.tables.items()
    }


def _key(voucher: Voucher) -> tuple[Any, ...]:
    return tuple(voucher[name] for name in _KEY)


def _amounts(line: Mapping[str, Any], *, sign: int = 1) -> tuple[Any, ...]:
    amounts = (sign * line["debit"], sign * line["credit"], sign * (line["amount_fc"] or Decimal(0)))
    return line["account_code"], line["dims"], line["currency"], line["tax_rate"], amounts
