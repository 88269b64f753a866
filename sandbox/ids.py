"""Opaque identifiers that look like Hesi's (section 1.3 of its documentation) and can be decoded by the sandbox alone.

An id carries its kind and number, scrambled by a multiplication modulo 2^42, so neighbours look unrelated, the same
number always gives the same id, and the sandbox finds the claim behind an invoice id without keeping a table.
"""

from enum import IntEnum

CORPORATION = "hEs1DemoCorp00"

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz$_"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_PREFIXES = ("ID_3", "ID01", "-Uk0", "t-0a", "ID_3", "ID01", "ID01", "ID_3")
_BITS = 42
_MASK = (1 << _BITS) - 1
_FACTOR = 0x2545F4914F6CDD1D & _MASK
_SALT = 0x2A9F3C5B71D
_INVERSE = pow(_FACTOR, -1, 1 << _BITS)
_NUMBER_BITS = 36
_LINES_PER_CLAIM = 64


class Kind(IntEnum):
    """What an opaque id stands for."""

    FLOW = 1
    DETAIL = 2
    SHARE = 3
    LOAN_PACKAGE = 4
    TICKET = 5
    INVOICE_ITEM = 6
    DEPARTMENT = 7
    STAFF = 8
    PAYEE = 9
    ACCOUNT = 10
    DIMENSION_ITEM = 11
    FEE_TYPE = 12
    BUDGET = 13
    FILE = 14
    PLAN_ROW = 15
    TEMPLATE = 16
    CURRENCY = 17


def opaque(kind: Kind, number: int) -> str:
    """The id of thing `number` of a kind: 11 characters, may contain `$`, may start with `-`."""
    scrambled = (((kind << _NUMBER_BITS | number) ^ _SALT) * _FACTOR) & _MASK
    prefix = _PREFIXES[scrambled & 7]
    characters = [_ALPHABET[(scrambled >> shift) & 63] for shift in (36, 30, 24, 18, 12, 6, 0)]
    return prefix + "".join(characters)


def number_of(text: str, kind: Kind) -> int | None:
    """The number behind an opaque id, None when the text is no id of that kind."""
    scrambled = 0
    for character in text[4:]:
        value = _VALUES.get(character)
        if value is None:
            return None
        scrambled = scrambled << 6 | value
    plain = ((scrambled * _INVERSE) & _MASK) ^ _SALT
    number = plain & ((1 << _NUMBER_BITS) - 1)
    return number if text == opaque(kind, number) else None


def line_number(claim: int, line: int) -> int:
    """The number of line `line` of claim `claim`, for ids of details, shares and tickets."""
    return claim * _LINES_PER_CLAIM + line


def electronic_invoice(claim: int, line: int) -> str:
    """The id of a fully digital invoice: no invoice code, a 20-digit number."""
    return f"{CORPORATION}::26310000{claim:08d}{line:04d}"


def paper_invoice(claim: int, line: int) -> str:
    """The id of an older VAT invoice: 12-digit code and 8-digit number."""
    return f"{CORPORATION}:03100260{line:04d}:{claim:08d}"


def claim_of_invoice(invoice_id: str) -> int | None:
    """The sequence of the claim an invoice was first used on, None when the id is none of ours."""
    parts = invoice_id.split(":")
    if len(parts) == 3 and parts[0] == CORPORATION and parts[2].isdigit():
        digits = parts[2]
        if parts[1] == "" and len(digits) == 20:
            return int(digits[8:16])
        if len(parts[1]) == 12 and len(digits) == 8:
            return int(digits)
    number = number_of(invoice_id, Kind.TICKET)
    return None if number is None else number // _LINES_PER_CLAIM


def template_version(name: str) -> str:
    """A 40-digit hexadecimal version that stays the same for one template name."""
    value = 0
    for character in name:
        value = (value * 1_000_003 + ord(character)) & ((1 << 160) - 1)
    return f"{value * 0x9E3779B97F4A7C15F39CC0605CEDC835 & ((1 << 160) - 1):040x}"
