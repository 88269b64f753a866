"""What a run handed over, added up while the chunks pass by."""

from __future__ import annotations

from dataclasses import replace

from etl.pipeline.sent import SentSums
from tests.conformance.chunks import Chunk, one


def test_accounts_are_added_up_over_all_chunks() -> None:
    sums = SentSums()
    sums.add(one("A", amount_minor=1_000))
    sums.add(one("B", amount_minor=250))
    assert sums.sent().by_account() == {("EXPENSE", "C01", "2241.01", "CNY"): (0, 1_250), ("EXPENSE", "C01", "6602.01", "CNY"): (1_250, 0)}


def test_one_account_of_two_companies_stays_apart() -> None:
    sums = SentSums()
    chunk = Chunk()
    chunk.voucher("A", amount_minor=1_000)
    chunk.voucher("B", amount_minor=30, company_code="C02")
    sums.add(chunk.build())
    accounts = sums.sent().by_account()
    assert accounts["EXPENSE", "C01", "6602.01", "CNY"] == (1_000, 0)
    assert accounts["EXPENSE", "C02", "6602.01", "CNY"] == (30, 0)


def test_entries_are_counted_by_form_and_by_what_became_of_them() -> None:
    chunk = Chunk()
    chunk.voucher("A")
    chunk.entry("B", disposition="held")
    chunk.entry("C", disposition="rejected", form_type="")
    chunk.entry("D", disposition="waiting", entry_kind="PAYMENT")
    chunk.entry("E", disposition="unchanged")
    sums = SentSums()
    sums.add(chunk.build())
    assert sums.sent().counts == [("expense", "held", 1), ("expense", "posted", 1), ("expense", "rejected", 1), ("expense", "waiting", 1)]


def test_a_chunk_without_vouchers_adds_no_account() -> None:
    sums = SentSums()
    chunk = one("A")
    sums.add(replace(chunk, vouchers=chunk.vouchers.iloc[:0], voucher_lines=chunk.voucher_lines.iloc[:0]))
    assert sums.sent().accounts == []
