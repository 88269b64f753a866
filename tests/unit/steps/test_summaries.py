"""The one line that describes a voucher: filled, cleaned, and cut so that the claim code stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.config.mapping import VoucherStyle
from etl.steps.summaries import summary

UNITS = {"characters": len, "bytes_gb18030": lambda text: len(text.encode("gb18030")), "bytes_utf8": lambda text: len(text.encode())}
TEMPLATE = "{claimant}报销{fee}{more}{offset} {fx} {code}"


def style(limit: int, unit: str = "characters") -> VoucherStyle:
    return VoucherStyle.model_validate({"summary_limit": limit, "summary_unit": unit})


def test_placeholders_without_a_value_leave_no_gap() -> None:
    assert summary(style(255), TEMPLATE, claimant="张三", fee="差旅费", code="B1") == "张三报销差旅费 B1"
    assert summary(style(255), TEMPLATE, claimant="张三", fee="差旅费", fx="USD1.00", code="B1") == "张三报销差旅费 USD1.00 B1"


@pytest.mark.parametrize(("unit", "text"), [("characters", "长" * 17 + " B1"), ("bytes_gb18030", "长" * 8 + " B1"), ("bytes_utf8", "长" * 5 + " B1")])
def test_the_middle_is_cut_in_the_unit_the_target_counts(unit: str, text: str) -> None:
    assert summary(style(20, unit), "{title} {code}", title="长" * 50, code="B1") == text


def test_a_code_longer_than_the_limit_alone_is_kept_whole_for_validation_to_refuse() -> None:
    assert summary(style(20), "{title} {code}", title="长" * 50, code="B" * 30) == "B" * 30


def test_a_template_without_the_code_is_cut_at_its_end() -> None:
    assert summary(style(20), "{title}", title="abc " * 10, code="B1") == "abc abc abc abc abc"


def test_no_character_is_cut_in_half() -> None:
    assert summary(style(20, "bytes_utf8"), "{title} {code}", title="😀" * 9, code="B1") == "😀" * 4 + " B1"


def test_braces_in_a_title_are_text() -> None:
    assert summary(style(255), "{title} {code}", title="{code} {0} %s", code="B1") == "{code} {0} %s B1"


@given(st.text(max_size=300), st.sampled_from(sorted(UNITS)), st.integers(20, 80))
def test_a_summary_always_fits_and_ends_in_its_code(title: str, unit: str, limit: int) -> None:
    found = summary(style(limit, unit), "{title} {code}", title=title, code="B26030001")
    assert UNITS[unit](found) <= limit
    assert found.endswith("B26030001")
    assert not set(found) & {"\n", "\r", "\t", "\x00", "\u2028", "\u2029"}
