"""Voucher summaries (摘要) from the mapping's templates, cut in the target's unit.

Pure. Source: accounting-rules 18; the golden cases' wording is the default of the templates.
"""

from __future__ import annotations

import re

from etl.config.mapping import PLACEHOLDERS, VoucherStyle
from etl.masking import mask_text

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_BLANKS = re.compile(r" {2,}")
_EMPTY = dict.fromkeys(PLACEHOLDERS, "")
_ENCODING = {"bytes_gb18030": "gb18030", "bytes_utf8": "utf-8"}


def summary(style: VoucherStyle, template: str, **values: str) -> str:
    """The filled template in one line; what is too long is cut from its middle, so that the claim code stays.

    A voucher names people, and nothing more of them: telephone, card and mail numbers typed into a title are masked.
    """
    code = values.get("code", "")
    text = template.format_map({**_EMPTY, **values, "title": mask_text(values.get("title", ""))})
    if not text.isprintable() or "  " in text:  # one look costs less than two substitutions
        text = _BLANKS.sub(" ", _UNPRINTABLE.sub(" ", text))
    text = text.strip(" ")
    if _length(text, style) <= style.summary_limit:
        return text
    tail = f" {code}" if code and text.endswith(code) else ""
    head = text.removesuffix(tail)
    while head and _length(head + tail, style) > style.summary_limit:
        head = head[:-1]
    return (head.rstrip() + tail).strip()


def _length(text: str, style: VoucherStyle) -> int:
    if style.summary_unit == "characters":
        return len(text)
    return len(text.encode(_ENCODING[style.summary_unit], "surrogatepass"))
