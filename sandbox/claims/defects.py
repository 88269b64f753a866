"""Deliberately bad claims: each kind spoils one thing and leaves the rest right (listed in `tenant.defects`)."""

from sandbox.ids import CORPORATION, Kind, opaque
from sandbox.money import CURRENCIES, Json

_USD = CURRENCIES["USD"]


def spoil(flow: Json, defect: str) -> None:
    """Make the flow bad in the named way; `unmapped fee type` and `""` leave it as it is (the former is drawn so)."""
    form = flow["form"]
    if defect == "lines do not add up":
        form["expenseMoney"]["standard"] = _plus(form["expenseMoney"]["standard"], 1_000)
        form["payMoney"]["standard"] = _plus(form["payMoney"]["standard"], 1_000)
    elif defect == "unknown state":
        flow["state"] = "settling"
    elif defect == "money text with thousands separator":
        form["details"][0]["feeTypeForm"]["amount"]["standard"] = "1,234.50"
    elif defect == "apportion sum wrong":
        form["details"][0]["feeTypeForm"]["apportions"] = _wrong_shares(form)
    elif defect == "department missing on file":
        _dangling_department(form)
    elif defect == "foreign voucher number":
        form |= {"voucherNo": "OLD-2026-0815", "voucherStatus": "已生成", "voucherCreateTime": form["flowEndTime"]}
    elif defect == "payPlan sum wrong":
        money = form["payPlan"][0]["dataLinkForm"]["E_system_支付计划_支付金额"]
        money["standard"] = _plus(money["standard"], 137)
    elif defect == "wrong base currency":
        _dollars(form)


def _plus(text: str, cents: int) -> str:
    """The amount text with so many cents more."""
    whole, _, part = text.strip().partition(".")
    total = int(whole) * 100 + int(part.ljust(2, "0") or "0") + cents
    return f"{total // 100}.{total % 100:02d}"


def _wrong_shares(form: Json) -> list[Json]:
    """Two shares that miss the line's amount, gross or net, by far more than rounding."""
    amount = form["details"][0]["feeTypeForm"]["amount"]
    template = f"{CORPORATION}:报销部门分摊:0000000000000000000000000000000000000000"
    rows = []
    for number, percent in enumerate(("50.00", "50.00")):
        share = {
            "apportionId": opaque(Kind.SHARE, (1 << 34) + number),
            "apportionMoney": {**amount, "standard": _plus(amount["standard"], 11_111)},
            "apportionPercent": percent,
            "expenseDepartment": form["expenseDepartment"],
        }
        rows.append({"apportionForm": share, "specificationId": template})
    return rows


def _dangling_department(form: Json) -> None:
    gone = f"{CORPORATION}:{opaque(Kind.DEPARTMENT, 9_999)}"
    form["expenseDepartment"] = gone
    for detail in form["details"]:
        detail["feeTypeForm"].pop("apportions", None)
        detail["feeTypeForm"]["expenseDepartment"] = gone


def _dollars(form: Json) -> None:
    """Re-label every amount of the claim as US dollars, in a company that keeps its books in another currency."""
    monies = [form[key] for key in ("expenseMoney", "payMoney", "companyRealPay", "writtenOffMoney")]
    monies += [detail["feeTypeForm"]["amount"] for detail in form["details"]]
    for money in monies:
        money |= {
            "standardStrCode": "USD", "standardNumCode": _USD.number, "standardSymbol": _USD.symbol,
            "standardUnit": _USD.unit,
        }  # fmt: skip
