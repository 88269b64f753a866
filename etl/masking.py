"""Personal data made unreadable for ledgers, reports and logs.

Vouchers carry real names because accounting law wants them; whatever is read by people who do not need them
carries these forms instead. Every function is deterministic, so equal values stay comparable, and leaves its
own output as it is, so masking twice changes nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache

MASK = "*"
_CJK = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
# What every number below contains and an amount below 100 million does not; one look costs less than four.
_LONG_NUMBER = re.compile(r"\d(?:\d{3}[ -]?\d{4}|-\d{7})")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
# Chinese mobile numbers, bare, spaced or with the country code. Followed by ".dd" it is an amount.
_MOBILE = re.compile(r"(?<!\d)(?:\+?86[ -]?)?[1１][3-9３-９]\d[ -]?\d{4}[ -]?\d{4}(?!\d|\.\d)")
_LANDLINE = re.compile(r"(?<!\d)0\d{2,3}-\d{7,8}(?!\d)")
_ID_CARD = re.compile(r"(?<!\d)\d{17}[\dXx](?![\dA-Za-z])")
# 15 to 19 digits, bare or in groups of four; 20-digit e-invoice numbers and 13-digit instants stay readable.
_BANK_CARD = re.compile(r"(?<![\d-])(?:\d{15,19}|\d{4}(?:[ -]\d{4}){3}(?:[ -]\d{1,3})?)(?![\d-])")


@lru_cache(maxsize=65_536)
def mask_name(name: str) -> str:
    """The first character of each part of a name, the rest as stars.

    Chinese names keep their length, other names do not.

    >>> mask_name("张三"), mask_name("王小明"), mask_name("Ann Lee")
    ('张*', '王**', 'A*** L***')
    """
    return " ".join(_mask_part(part) for part in name.split())


def mask_phone(phone: str) -> str:
    """A telephone number with only its first three and last four digits.

    >>> mask_phone("13812345678")
    '138****5678'
    """
    return _keep_ends(phone, 3, 4)


def mask_card(number: str) -> str:
    """A bank or identity card number with only its first and last four characters; grouping is dropped.

    >>> mask_card("6222 0212 3456 7890 123")
    '6222****0123'
    """
    return _keep_ends(number, 4, 4)


def mask_email(address: str) -> str:
    """A mail address with the first letter of its mailbox.

    >>> mask_email("zhang.san@example.com")
    'z***@example.com'
    """
    mailbox, _, domain = address.strip().partition("@")
    return f"{mailbox[:1]}{MASK * 3}@{domain}" if domain else MASK * 3


def mask_text(text: str) -> str:
    """Free text in which mail addresses, telephone, identity-card and bank-card numbers are masked.

    Names cannot be told from other words, so text that may hold them does not belong where masking is needed.

    >>> mask_text("联系 13812345678，卡 6222021234567890123，金额 1234.50")
    '联系 138****5678，卡 6222****0123，金额 1234.50'
    """
    if "@" in text:
        text = _EMAIL.sub(lambda found: mask_email(found[0]), text)
    if not _LONG_NUMBER.search(text):
        return text
    text = _ID_CARD.sub(lambda found: mask_card(found[0]), text)
    text = _BANK_CARD.sub(lambda found: mask_card(found[0]), text)
    text = _MOBILE.sub(lambda found: mask_phone(found[0]), text)
    return _LANDLINE.sub(lambda found: mask_phone(found[0]), text)


def _mask_part(part: str) -> str:
    stars = max(len(part) - 1, 1) if _CJK.match(part) else 3
    return part[:1] + MASK * stars


def _keep_ends(value: str, first: int, last: int) -> str:
    compact = re.sub(r"[\s-]", "", value)
    if len(compact) <= first + last:
        return MASK * 4
    return f"{compact[:first]}{MASK * 4}{compact[-last:]}"
