"""What the tenant amounts to, added up from its own bytes: the independent side of a reconciliation."""

from collections import defaultdict
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from sandbox.money import Json
from sandbox.store import FlowStore

_HEADER_MONEY = (
    "expenseMoney", "payMoney", "companyRealPay", "writtenOffMoney", "loanMoney", "receiptMoney", "requisitionMoney",
)  # fmt: skip
_CENT = Decimal("0.01")


def totals(store: FlowStore, company_codes: dict[str, str]) -> Json:
    """Counts and sums per form type, company, currency, state and whether it is deleted; amounts as text.

    A flow without a legal entity counts under company "". Header amounts that are no number count as `unreadable`.
    """
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    sums: dict[tuple[str, ...], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    vouchers = unreadable = 0
    for head in store.heads:
        try:
            flow = store.flow(head.seq)
        except orjson.JSONDecodeError:
            unreadable += 1
            continue
        form = flow["form"]
        amounts = {key: form[key] for key in _HEADER_MONEY if isinstance(form.get(key), dict)}
        currency = next((money.get("standardStrCode") or "" for money in amounts.values()), "")
        company = company_codes.get(form.get("法人实体") or "", "")
        key = (flow["formType"], company, currency, str(flow["state"]), "live" if flow["active"] else "deleted")
        counts[key] += 1
        vouchers += bool(form.get("voucherNo"))
        for name, money in amounts.items():
            amount = _amount(money.get("standard"))
            if amount is None:
                unreadable += 1
            else:
                sums[key][name] += amount
    names = ("formType", "company", "currency", "state", "presence")
    rows = [
        {
            **dict(zip(names, key, strict=True)),
            "count": count,
            "sums": {name: str(amount.quantize(_CENT)) for name, amount in sorted(sums[key].items())},
        }
        for key, count in sorted(counts.items())
    ]
    return {"flows": len(store.heads), "withVoucher": vouchers, "unreadable": unreadable, "rows": rows}


def _amount(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value).strip())
    except InvalidOperation:
        return None
