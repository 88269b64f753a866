"""Single values of a claim's JSON, read exactly: amounts, rates, ids, days, payments and when the event happened.

Pure. What cannot be read exactly is :class:`Unreadable`: one claim's reject, never a guess. Source: hesi-openapi sections 6 and 9;
accounting-rules 1 and 2 for the dates.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from etl.frames import NO_AMOUNT, NO_INSTANT
from etl.money import MAX_MINOR, exponent
from etl.payload import DatePeriod, Instant, Money

_AMOUNT = re.compile(rb'"?\s*(-?)([0-9]{1,30})(?:\.([0-9]{1,30}))?\s*"?')
_NULL = b"null"
NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Unreadable(Exception):
    """One claim cannot be staged: rule and reason become its reject."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(rule, reason)
        self.rule, self.reason = rule, reason


def parse_amount(raw: Any, currency: str, where: str) -> int:
    """Minor units of a JSON amount, text or number; absent and null are 0 (section 6: all forms exact)."""
    if raw is UNSET:
        return 0
    text = bytes(raw)
    if text[-4:-3] == b"." and text[:1] == b'"' and len(text) <= 16 and exponent(currency) == 2:
        digits = text[1:-4] + text[-3:-1]
        if digits.isdigit() and len(digits) > 2:
            return int(digits)  # "1234.50": nearly all amounts; the rest is judged below
    match = _AMOUNT.fullmatch(raw)
    if match is None:
        text = bytes(raw)
        if text == _NULL:
            return 0
        raise Unreadable("MONEY_INVALID", f"{where}: expected plain decimal text like 1234.50, found {text[:40].decode('utf-8', 'replace')}")
    sign, whole, fraction = match.groups()
    scale = exponent(currency)
    if fraction is None:
        minor: int = int(whole) * 10**scale
    elif len(fraction) <= scale:
        minor = int(whole + fraction) * 10 ** (scale - len(fraction))
    elif fraction[scale:].strip(b"0"):
        raise Unreadable("MONEY_INVALID", f"{where}: {bytes(raw)[:40].decode()} has more than the {scale} decimals of {currency}")
    else:
        minor = int(whole + fraction[:scale])
    if minor > MAX_MINOR:
        raise Unreadable("MONEY_INVALID", f"{where}: {bytes(raw)[:40].decode()} {currency} is beyond any claim this program posts")
    return -minor if sign else minor


def base_money(money: Money | None, where: str, currency: str = "") -> tuple[int, str]:
    """Base amount and base currency, which must be ``currency`` where that is given; (0, "") where the field is absent."""
    if money is None:
        return 0, ""
    found = money.standardStrCode or ""
    if len(found) != 3 or found != (currency or found):
        raise Unreadable("MONEY_INVALID", f"{where}: expected {currency or 'a currency code'} in standardStrCode, found {found!r}")
    return parse_amount(money.standard, found, where), found


def foreign_money(money: Money, where: str) -> tuple[int, str, str]:
    """Foreign amount, currency and rate; (0, "", "") in base currency."""
    currency = money.foreignStrCode
    if not currency or currency == money.standardStrCode or money.foreign is UNSET or bytes(money.foreign) == _NULL:
        return 0, "", ""
    if len(currency) != 3:
        raise Unreadable("MONEY_INVALID", f"{where}: expected a currency code in foreignStrCode, found {currency!r}")
    rate = "" if money.rate is UNSET else bytes(money.rate).strip(b'" ').decode("utf-8", "replace")
    return parse_amount(money.foreign, currency, where), currency, "" if rate == "null" else rate


def optional_amount(money: Money | None, where: str, currency: str) -> int:
    if money is None or money.standard is UNSET or bytes(money.standard) == _NULL:
        return NO_AMOUNT
    if money.standardStrCode not in (None, "", currency):
        raise Unreadable("MONEY_INVALID", f"{where}: expected {currency} like the detail, found {money.standardStrCode!r}")
    return parse_amount(money.standard, currency, where)


def id_text(value: Any) -> str:
    """A custom field as text: id, number or the ids of a list; empty when unset.

    Several ids stay together, so that no look-up knows them: taking one of them, or none, would be a silent default.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        return ",".join(id_text(item) for item in value)
    if isinstance(value, dict):
        return id_text(value.get("id") or value.get("dataLinkId"))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def rate_text(value: str | float | None) -> str:
    """A tax rate as percent text: "6", 6, "6%" and 0.06 all mean 6."""
    if value is None:
        return ""
    text = str(value).strip().removesuffix("%")
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return ""
    if text.startswith("0.") and "%" not in str(value):
        text = format(Decimal(text) * 100, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def count_of(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def plan_row(form: dict[str, Raw], where: str, currency: str) -> tuple[Any, ...]:
    """Payee, amount, foreign amount, currency, rate, paid instant and bank number of a payPlan row; keys by their suffix."""
    money: Money | None = None
    payee, paid_ms, trade_no = "", NO_INSTANT, ""
    try:
        for key, value in form.items():
            if key.endswith("支付金额"):
                money = msgspec.json.decode(value, type=Money)
            elif key.endswith("收款信息"):
                payee = id_text(msgspec.json.decode(value))
            elif key.endswith(("支付时间", "支付日期")):
                paid_ms = msgspec.json.decode(value, type=Instant) or NO_INSTANT
            elif key.endswith("流水号"):
                trade_no = msgspec.json.decode(value, type=str | None) or ""
    except NOT_DECODED as error:
        raise Unreadable("PAYLOAD_INVALID", f"{where}: {error}") from None
    if money is None:
        raise Unreadable("PAYPLAN_SUM", f"{where}: the amount (…支付金额) is missing")
    amount, _ = base_money(money, where, currency)
    return (payee, amount, *foreign_money(money, where), paid_ms, trade_no)


def fee_ms(line: Any, where: str) -> int:
    if isinstance(line.feeDate, int):
        return line.feeDate
    if line.feeDate:
        raise Unreadable("PAYLOAD_INVALID", f"{where}.feeDate: expected epoch milliseconds, found {line.feeDate[:40]!r}")
    period = line.feeDatePeriod
    return period.end or period.start or NO_INSTANT if isinstance(period, DatePeriod) else NO_INSTANT


def paid_attempts(logs: list[Any] | None) -> list[tuple[str, int]]:
    """Bank batch and time of every payment in the log, in order."""
    return [
        (log.attributes.channelTradeNo, log.time)
        for log in logs or ()
        if log.action == "freeflow.pay" and log.time and log.attributes is not None and log.attributes.channelTradeNo and not log.attributes.failureReason
    ]


def returned_attempts(logs: list[Any] | None) -> dict[str, int]:
    """Bank batch -> when the bank sent it back: a later log entry of the same batch carries a failureReason (rule 26)."""
    paid = dict(paid_attempts(logs))
    return {
        log.attributes.channelTradeNo: log.time
        for log in logs or ()
        if log.attributes is not None and log.attributes.failureReason and log.time and log.time >= paid.get(log.attributes.channelTradeNo, log.time + 1)
    }


def last_trade_no(logs: list[Any] | None) -> str:
    for log in reversed(logs or ()):
        if log.action == "freeflow.pay" and log.attributes is not None and log.attributes.channelTradeNo:
            return str(log.attributes.channelTradeNo)
    return ""


def event_ms_of(flow: Any) -> int:
    """When the event of the form happened (accounting-rules 1, 2)."""
    form = flow.form
    if flow.formType == "receipt":
        return form.receiptDate or form.payDate or form.flowEndTime or NO_INSTANT
    if flow.formType in {"loan", "payment"}:
        return form.payDate or NO_INSTANT
    approved = form.timeToEnterPendingPayment or form.flowEndTime
    if not approved:
        approved = max((log.time for log in flow.logs or () if log.action == "freeflow.agree" and log.time), default=None)
    return approved or NO_INSTANT
