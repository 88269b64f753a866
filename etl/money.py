"""Exact money: int64 minor units inside frames, Decimal or text at the edges, float never.

Amounts are always next to a currency; the exponent comes from ISO 4217. Rounding happens in two places only: :func:`half_up` where a
tax is computed, and :func:`allocate` where an amount is split (accounting-rules 9).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import numpy.typing as npt

# Currencies whose minor unit is not 1/100; everything else has two decimals (ISO 4217).
_EXPONENTS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}
MAX_MINOR = 10**14  # leaves room to add 90,000 such amounts in int64; far above any claim


class MoneyError(ValueError):
    """The text is no exact amount of the currency."""


def exponent(currency: str) -> int:
    """Decimals of ``currency``: 2 for CNY, 0 for JPY."""
    return _EXPONENTS.get(currency, 2)


def to_minor(value: str | int | Decimal, currency: str) -> int:
    """Minor units of an exact amount; never rounds.

    >>> to_minor(" 33.00", "CNY")
    3300

    Raises:
        MoneyError: not plain decimal text, more decimals than the currency has, or out of range.
    """
    text = str(value).strip()
    digits = text[1:] if text[:1] == "-" else text
    whole, _, fraction = digits.partition(".")
    if not (whole.isascii() and whole.isdigit()) or not (fraction == "" or (fraction.isascii() and fraction.isdigit())):
        raise MoneyError(f"expected plain decimal text like 1234.50, found {text[:40]!r}")
    scale = exponent(currency)
    if fraction[scale:].strip("0"):
        raise MoneyError(f"{text[:40]} has more than the {scale} decimals of {currency}")
    minor: int = int(whole) * 10**scale + int((fraction[:scale] or "0").ljust(scale, "0"))
    if minor > MAX_MINOR:
        raise MoneyError(f"{text[:40]} {currency} is beyond any claim this program posts")
    return -minor if text[:1] == "-" else minor


def to_decimal(minor: int, currency: str) -> Decimal:
    """Amount in major units at the currency's scale.

    >>> str(to_decimal(-5, "CNY"))
    '-0.05'
    """
    return Decimal(int(minor)).scaleb(-exponent(currency))


def to_text(minor: int, currency: str) -> str:
    """Like :func:`to_decimal`, as plain text without exponent."""
    return f"{to_decimal(minor, currency):f}"


def half_up(value: Decimal) -> int:
    """Nearest integer, halves away from zero (rule 9: half-up, never half-even)."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def tax_included(gross_minor: int, rate_percent: Decimal) -> int:
    """Tax contained in a gross amount: half-up of gross x r / (100 + r) (golden cases, common rules)."""
    return half_up(Decimal(gross_minor) * rate_percent / (100 + rate_percent))


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Shares of ``total`` in proportion to ``weights``, adding up to it exactly (accounting-rules 9).

    Each share is floored toward minus infinity; the missing units go one each to the largest fractions,
    ties to the earlier share.

    >>> allocate(5660, [33333, 33333, 33334])
    [1887, 1886, 1887]

    Raises:
        MoneyError: the weights add up to zero while there is something to share.
    """
    whole = sum(weights)
    if whole == 0:
        if total == 0:
            return [0] * len(weights)
        raise MoneyError("shares that add up to zero cannot carry a tax")
    sign = 1 if whole > 0 else -1
    parts = [divmod(total * weight * sign, whole * sign) for weight in weights]
    shares = [share for share, _ in parts]
    missing = total - sum(shares)
    by_fraction = sorted(range(len(parts)), key=lambda i: (-parts[i][1], i))
    for i in by_fraction[:missing]:
        shares[i] += 1
    return shares


def allocate_groups(totals: npt.NDArray[np.int64], weights: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Row-wise :func:`allocate` for many groups at once.

    Args:
        totals: one amount per group, minor units.
        weights: one weight per share, grouped and in share order.
        starts: index of each group's first share; groups are consecutive and not empty.

    Returns:
        One share per weight; each group adds up to its total.

    Raises:
        MoneyError: a group whose weights are zero has a total.
    """
    if not len(totals):
        return np.empty(0, dtype=np.int64)
    sizes = np.diff(np.append(starts, len(weights)))
    group = np.repeat(np.arange(len(totals)), sizes)
    wholes = np.add.reduceat(weights, starts)
    if np.any((wholes == 0) & (totals != 0)):
        raise MoneyError("shares that add up to zero cannot carry a tax")
    peak = int(np.abs(weights).max(initial=0)) * max(int(np.abs(totals).max(initial=0)), 1)
    if peak >= 2**62:  # int64 would overflow: exact Python integers, group by group
        return _allocate_one_by_one(totals, weights, starts, sizes)
    sign = np.where(wholes < 0, -1, 1)
    divisor = np.where(wholes == 0, 1, wholes * sign)[group]
    product = totals[group] * weights * sign[group]
    shares = product // divisor
    missing = totals - np.add.reduceat(shares, starts)
    if missing.any():
        # Largest fraction first within the group; lexsort is stable, so ties stay in share order.
        order = np.lexsort((-(product - shares * divisor), group))
        rank = np.arange(len(weights)) - np.repeat(starts, sizes)
        shares[order[rank < missing[group[order]]]] += 1
    return shares


def _allocate_one_by_one(
    totals: npt.NDArray[np.int64],
    weights: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    parts: list[int] = []
    for total, start, size in zip(totals.tolist(), starts.tolist(), sizes.tolist(), strict=True):
        parts.extend(allocate(total, weights[start : start + size].tolist()))
    return np.array(parts, dtype=np.int64)
