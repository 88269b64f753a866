"""Personal data leaves the vouchers only in forms that name nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.masking import mask_card, mask_email, mask_name, mask_phone, mask_text

UNTOUCHED = (
    "B2610000001",
    "金额 1234567.89 CNY",
    "金额 13800000000.00",
    "发票 24312000000123456789",
    "时间 1788183600000",
    "2026-10-15",
    "sha256 9f86d081884c7d65",
    "01012345-12345678",
    "凭证 记-12",
)


@pytest.mark.parametrize(
    ("name", "masked"),
    [("张三", "张*"), ("王小明", "王**"), ("欧阳娜娜", "欧***"), ("𠮷田", "𠮷*"), ("Ann Lee", "A*** L***"), ("李", "李*"), ("", ""), (" 张三 ", "张*")],
)
def test_a_name_keeps_its_first_letter(name: str, masked: str) -> None:
    assert mask_name(name) == masked


@pytest.mark.parametrize("mask", [mask_name, mask_text])
@given(text=st.text(max_size=60))
def test_masking_twice_changes_nothing(mask: object, text: str) -> None:
    assert callable(mask)
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("13812345678", "138****5678"),
        ("电话：+86 138 1234 5678。", "电话：+86****5678。"),
        ("138-1234-5678", "138****5678"),
        ("1381234 5678", "138****5678"),
        ("138-12345678", "138****5678"),
        ("座机 021-12345678", "座机 021****5678"),
        ("座机 010-1234567", "座机 010****4567"),
        ("身份证 11010119900307123X", "身份证 1101****123X"),
        ("卡 6222021234567890123，谢谢", "卡 6222****0123，谢谢"),
        ("卡 6222 0212 3456 7890 123", "卡 6222****0123"),
        ("mail zhang.san@example.com", "mail z***@example.com"),
        ("张13812345678李13912345678", "张138****5678李139****5678"),
    ],
)
def test_numbers_of_people_in_free_text_are_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize("text", UNTOUCHED)
def test_claim_codes_amounts_invoices_and_instants_stay_readable(text: str) -> None:
    assert mask_text(text) == text


@given(number=st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), before=st.sampled_from(["", "电话", "a", "："]))
def test_no_mobile_number_survives(number: str, before: str) -> None:
    assert number not in mask_text(f"{before}{number}")


@given(number=st.from_regex(r"[1-9][0-9]{14,18}", fullmatch=True))
def test_no_bank_card_number_survives(number: str) -> None:
    assert number not in mask_text(f"卡号{number}开户行")


@pytest.mark.parametrize(("value", "masked"), [("1234", "****"), ("12345678", "****"), ("123456789", "1234****6789")])
def test_short_card_numbers_are_hidden_entirely(value: str, masked: str) -> None:
    assert mask_card(value) == masked


def test_short_phones_and_broken_addresses_are_hidden_entirely() -> None:
    assert (mask_phone("110"), mask_email("nobody")) == ("****", "***")
