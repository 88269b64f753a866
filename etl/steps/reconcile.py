"""Does it tie out: source against ledger, per entry kind, company and currency, and per account (accounting-rules 29).

Pure. The source side is added up here again from the raw pages, with Decimal and without any code of ``stage`` or
``map_fields``: a check that shares the code it checks cannot fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import msgspec
from msgspec import Raw

from etl.payload import page_items

_DUE = {"paying", "PROCESSING", "paid", "archived"}
_SETTLED = {"paid", "archived"}
Key = tuple[str, str, int]  # claim id, entry kind, part


class _Money(msgspec.Struct):
    standard: Raw = Raw(b'""')
    standardStrCode: str | None = None


class _PlanRow(msgspec.Struct):
    dataLinkForm: dict[str, Raw]


class _Form(msgspec.Struct):
    expenseMoney: _Money | None = None
    loanMoney: _Money | None = None
    receiptMoney: _Money | None = None
    payMoney: _Money | None = None
    payDate: int | None = None
    paymentAccountId: str | None = None
    payPlan: list[_PlanRow] | None = None


class _Bank(msgspec.Struct):
    channelTradeNo: str | None = None
    failureReason: str | None = None


class _Log(msgspec.Struct):
    action: str | None = None
    attributes: _Bank | None = None


class _Flow(msgspec.Struct):
    id: str
    form: _Form
    formType: str
    state: str | None = None
    active: bool = True
    logs: list[_Log] | None = None


class _Page(msgspec.Struct):
    items: list[_Flow]


_DECODER, _PAGE = msgspec.json.Decoder(_Flow), msgspec.json.Decoder(_Page)
_UNREADABLE = (msgspec.MsgspecError, InvalidOperation, UnicodeDecodeError, RecursionError)


def page_amounts(page: bytes, taken: Sequence[int]) -> dict[Key, tuple[Decimal, str]]:
    """:func:`source_amounts` of these claims of a raw page, which is decoded in one go where every claim can be read."""
    try:
        flows = _PAGE.decode(page).items
    except _UNREADABLE:
        items = page_items(page)
        return source_amounts(items[item] for item in taken)
    return _all_amounts(flows[item] for item in taken)


def source_amounts(items: Iterable[Raw]) -> dict[Key, tuple[Decimal, str]]:
    """Amount and currency of every entry the raw claims give rise to; what cannot be read is left out (it is a reject)."""
    return _all_amounts(_readable(items))


def _readable(items: Iterable[Raw]) -> Iterator[_Flow]:
    for raw in items:
        with suppress(*_UNREADABLE):
            yield _DECODER.decode(raw)


def _all_amounts(flows: Iterable[_Flow]) -> dict[Key, tuple[Decimal, str]]:
    found: dict[Key, tuple[Decimal, str]] = {}
    for flow in flows:
        if flow.active and flow.state in _DUE:
            with suppress(*_UNREADABLE):
                found.update(_amounts(flow))
    return found


def _amounts(flow: _Flow) -> dict[Key, tuple[Decimal, str]]:
    form, settled = flow.form, flow.state in _SETTLED
    found: dict[Key, tuple[Decimal, str]] = {}
    if flow.formType == "expense":
        found[flow.id, "EXPENSE", 0] = _decimal(form.expenseMoney)
    if flow.formType == "receipt" and settled:
        found[flow.id, "RECEIPT", 1] = _decimal(form.receiptMoney)
    if not settled or not form.paymentAccountId or flow.formType not in {"expense", "loan", "payment"}:
        return found
    kind = "LOAN" if flow.formType == "loan" else "PAYMENT"
    rows = [_plan_row(row) for row in form.payPlan or ()]
    if not rows:
        amount = form.payMoney or (form.loanMoney if kind == "LOAN" else None)
        rows = [(*_decimal(amount), form.payDate)] if amount else []
    sent_back = {log.attributes.channelTradeNo for log in flow.logs or () if log.attributes is not None and log.attributes.failureReason}
    if sent_back and not form.payPlan and rows:  # money that came back is no payment; what was paid again is one
        attempts = [
            log.attributes.channelTradeNo
            for log in flow.logs or ()
            if log.action == "freeflow.pay" and log.attributes is not None and not log.attributes.failureReason
        ]
        return found | {
            (flow.id, kind, number): (Decimal(0) if trade in sent_back else rows[0][0], rows[0][1]) for number, trade in enumerate(attempts, start=1)
        }
    dated = form.payPlan and any(paid for *_, paid in rows)
    for number, (amount_, currency, paid) in enumerate(rows, start=1):
        if (paid if dated else form.payDate) and amount_:
            found[flow.id, kind, number] = (amount_, currency)
    return found


def _plan_row(row: _PlanRow) -> tuple[Decimal, str, int | None]:
    money = next((value for key, value in row.dataLinkForm.items() if key.endswith("支付金额")), Raw(b"null"))
    paid = next((value for key, value in row.dataLinkForm.items() if key.endswith(("支付时间", "支付日期"))), Raw(b"null"))
    return (*_decimal(msgspec.json.decode(money, type=_Money | None)), msgspec.json.decode(paid, type=int | None))


def _decimal(money: _Money | None) -> tuple[Decimal, str]:
    if money is None:
        raise InvalidOperation
    amount = Decimal(bytes(money.standard).decode().strip('" '))
    if not amount.is_finite():
        raise InvalidOperation
    return amount, money.standardStrCode or ""


@dataclass(frozen=True)
class Total:
    """One tie-out line: ``difference`` = source - posted - held - rejected - skipped - waiting - drift, and must be 0."""

    entry_kind: str
    company_code: str
    currency: str
    source: Decimal
    posted: Decimal
    held: Decimal
    rejected: Decimal
    skipped: Decimal
    waiting: Decimal
    drift: Decimal

    @property
    def difference(self) -> Decimal:
        """What is not explained."""
        return self.source - self.posted - self.held - self.rejected - self.skipped - self.waiting - self.drift

    def as_row(self) -> dict[str, object]:
        """The line as a ledger row."""
        return {**self.__dict__, "difference": self.difference}


def tie_out(
    states: Iterable[tuple[str, str, str, str, Decimal]],
    posted: Mapping[tuple[str, str, str], Decimal],
    drifts: Iterable[tuple[str, str, str, Decimal, Decimal]],
) -> list[Total]:
    """Tie-out lines over everything the ledger knows.

    Args:
        states: (entry_kind, company, currency, state, source amount) sums of claim_state.
        posted: voucher debits by (entry_kind, company, currency), read back by SQL from the lines.
        drifts: (entry_kind, company, currency, posted amount, source amount) of posted entries whose source moved.
    """
    sums: dict[tuple[str, str, str], dict[str, Decimal]] = {}
    for kind, company, currency, state, amount in states:
        bucket = sums.setdefault((kind, company, currency), {})
        bucket[state] = bucket.get(state, Decimal(0)) + amount
    moved: dict[tuple[str, str, str], Decimal] = {}
    for kind, company, currency, before, now in drifts:
        moved[kind, company, currency] = moved.get((kind, company, currency), Decimal(0)) + now - before
    totals = []
    for key in sorted({*sums, *posted, *moved}):
        bucket, drift = sums.get(key, {}), moved.get(key, Decimal(0))
        zero = Decimal(0)
        totals.append(
            Total(
                *key,
                source=sum(bucket.values(), zero) + drift,
                posted=posted.get(key, zero),
                held=bucket.get("held", zero),
                rejected=bucket.get("rejected", zero),
                skipped=bucket.get("skipped", zero),
                waiting=bucket.get("waiting", zero),
                drift=drift,
            )
        )
    return totals


def source_differences(
    source: Mapping[Key, tuple[Decimal, str]], ledger: Mapping[Key, tuple[Decimal, str]]
) -> list[tuple[Key, Decimal | None, Decimal | None]]:
    """Entries whose raw amount and ledger amount differ, with both; None where one side has none."""
    wrong: list[tuple[Key, Decimal | None, Decimal | None]] = []
    for key, (amount, _) in source.items():
        known = ledger.get(key)
        if known is None or known[0] != amount:
            wrong.append((key, amount, None if known is None else known[0]))
    return wrong
