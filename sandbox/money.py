"""Money objects in every form Hesi writes them (section 6); amounts inside are integer minor units."""

from collections.abc import Callable
from typing import Any, NamedTuple

Json = dict[str, Any]


class Currency(NamedTuple):
    """One currency as Hesi describes it."""

    code: str
    number: str
    scale: int
    symbol: str
    unit: str
    name: str


CURRENCIES = {
    "CNY": Currency("CNY", "156", 2, "¥", "元", "人民币"),
    "USD": Currency("USD", "840", 2, "$", "美元", "美元"),
    "EUR": Currency("EUR", "978", 2, "€", "欧元", "欧元"),
    "JPY": Currency("JPY", "392", 0, "J¥", "圆", "日圆"),
    "HKD": Currency("HKD", "344", 2, "HK$", "港元", "港元"),
}
_STANDARD = {
    code: {
        "standardUnit": currency.unit,
        "standardScale": currency.scale,
        "standardSymbol": currency.symbol,
        "standardNumCode": currency.number,
        "standardStrCode": code,
    }
    for code, currency in CURRENCIES.items()
}
_STANDARD_TEXT_SCALE = {code: {**keys, "standardScale": str(keys["standardScale"])} for code, keys in _STANDARD.items()}
_FOREIGN = {
    code: {
        "foreignUnit": currency.unit,
        "foreignScale": currency.scale,
        "foreignSymbol": currency.symbol,
        "foreignNumCode": currency.number,
        "foreignStrCode": code,
    }
    for code, currency in CURRENCIES.items()
}
_FOREIGN_NULL: Json = {"foreign": None, "foreignStrCode": None, "rate": None, "budget": None, "budgetStrCode": None}


def plain(minor: int, scale: int = 2) -> str:
    """The amount as text with exactly `scale` decimals: 3350 -> "33.50"."""
    if scale == 0:
        return str(minor)
    sign = "-" if minor < 0 else ""
    whole, part = divmod(abs(minor), 100)
    return f"{sign}{whole}.{part:02d}"


def loose(minor: int, chance: float, scale: int = 2) -> str:
    """The amount as people's clients sent it: "33", "33.5", " 33.50 " or "33.50", chosen by a number in [0, 1)."""
    if scale == 0:
        return str(minor)
    if chance < 0.35 and minor % 100 == 0:
        return str(minor // 100)
    if chance < 0.50 and minor % 10 == 0:
        return plain(minor)[:-1]
    if chance > 0.98:
        return f"  {plain(minor)} "
    return plain(minor)


def line_money(minor: int, currency: str, random: Callable[[], float]) -> Json:
    """Money of a detail, share or form total: loose text, scale a number in six of seven."""
    keys = _STANDARD[currency] if random() < 0.86 else _STANDARD_TEXT_SCALE[currency]
    text = loose(minor, random(), CURRENCIES[currency].scale)
    style = random()
    if style < 0.04:
        return {"standard": text, **keys, **_FOREIGN_NULL}
    if style < 0.14:
        return {**keys, "standard": text}
    return {"standard": text, **keys}


def header_money(minor: int, currency: str, random: Callable[[], float]) -> Json:
    """Money of a header total: text with all decimals, scale a number or a text within one answer."""
    keys = _STANDARD_TEXT_SCALE[currency] if random() < 0.5 else _STANDARD[currency]
    return {"standard": plain(minor, CURRENCIES[currency].scale), **keys}


def tax_money(minor: int, currency: str, random: Callable[[], float]) -> Json:
    """Deductible tax of an invoice: a JSON number (integer or decimal) in most, a text in others."""
    number = minor // 100 if minor % 100 == 0 else minor / 100
    return {"standard": number if random() < 0.65 else plain(minor), **_STANDARD[currency]}


def exact_money(minor: int, currency: str) -> Json:
    """Money of a business object: text with all decimals, scale as text."""
    return {"standard": plain(minor, CURRENCIES[currency].scale), **_STANDARD_TEXT_SCALE[currency]}


def foreign_money(standard: int, base: str, foreign: int, *, code: str, rate: str, system_rate: str) -> Json:
    """Money in a foreign currency beside its base amount; `standard = foreign x rate`."""
    return {
        "standard": plain(standard, CURRENCIES[base].scale),
        **_STANDARD[base],
        "foreign": plain(foreign, CURRENCIES[code].scale),
        **_FOREIGN[code],
        "rate": rate,
        "sysRate": system_rate,
    }


def half_up(numerator: int, denominator: int) -> int:
    """The quotient of non-negative integers rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)
