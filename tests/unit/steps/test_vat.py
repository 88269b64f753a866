"""Every kind of invoice the shipped rules name, and how one use of an invoice becomes tax by rate."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from msgspec import structs

from etl.config.mapping import VatKind, VatRules
from etl.frames import NO_AMOUNT, day_number
from etl.steps.vat import InvoiceUse, deductible
from tests.cases.situation import shipped_mappings
from tests.support.claims import invoice, ms

RULES = shipped_mappings().vat["cn"]
KINDS = [(kind, entry) for entry in RULES.kinds for kind in entry.kinds]
USE = InvoiceUse("I1", NO_AMOUNT, "", NO_AMOUNT, day_number(date(2026, 3, 5)))


def a_day_of(entry: VatKind) -> str:
    return str(entry.to or entry.from_ or date(2026, 3, 5))


def half_up_tax(gross: int, rate: Decimal) -> int:
    return floor(Fraction(gross) * Fraction(rate) / (100 + Fraction(rate)) + Fraction(1, 2))


@pytest.mark.parametrize(("kind", "entry"), KINDS, ids=[f"{kind} to {entry.to}" if entry.to else kind for kind, entry in KINDS])
def test_every_kind_of_the_shipped_rules_deducts_as_its_entry_says(kind: str, entry: VatKind) -> None:
    when = ms(a_day_of(entry))
    ticket = invoice("I1", kind=kind, gross=100_000, fare_minor=90_000, fuel_minor=7_001, invoice_ms=when, travel_ms=when)
    listed = structs.replace(ticket, tax_minor=777)
    unlisted = deductible(USE, ticket, RULES)
    if entry.method == "none":
        assert unlisted.parts == deductible(USE, listed, RULES).parts == []
    elif entry.method == "face":
        assert unlisted.parts == []
        assert sum(tax for _, tax in deductible(replace(USE, rate="6"), listed, RULES).parts) == 777
    else:
        assert entry.rate is not None
        base = 97_001 if entry.base == ["fare", "fuel"] else 100_000
        assert unlisted.parts == [(f"{entry.rate.normalize():f}", half_up_tax(base, entry.rate))]
        assert deductible(USE, listed, RULES).parts == [(f"{entry.rate.normalize():f}", 777)]
    assert [rule for rule, _ in unlisted.findings] == (["VAT_FLAG"] if entry.flag else [])


@pytest.mark.parametrize(("kind", "entry"), [pair for pair in KINDS if pair[1].to], ids=[kind for kind, entry in KINDS if entry.to])
def test_a_dated_rule_ends_on_its_last_day_by_the_day_it_names(kind: str, entry: VatKind) -> None:
    assert entry.to is not None
    after = ms(str(entry.to + timedelta(days=1)))
    dates = {"travel_ms": after} if entry.by == "travel_date" else {"invoice_ms": after}
    answer = deductible(USE, invoice("I1", kind=kind, gross=100_000, fare_minor=90_000, fuel_minor=0, **dates), RULES)
    assert answer.parts == []
    assert [rule for rule, _ in answer.findings] == ["VAT_FLAG"]


def test_a_ticket_before_its_first_rule_carries_no_tax() -> None:
    assert deductible(USE, invoice("I1", kind="train", gross=100_000, travel_ms=ms("2019-03-31")), RULES).parts == []


def test_a_kind_no_rule_names_deducts_nothing_and_says_so() -> None:
    answer = deductible(replace(USE, tax_minor=600, rate="6"), invoice("I1", kind="somethingNew", gross=10_600), RULES)
    assert answer.parts == []
    assert [rule for rule, _ in answer.findings] == ["VAT_NOT_ELIGIBLE"]


def test_hesis_tax_comes_before_the_listed_tax_and_the_listed_before_the_formula() -> None:
    ticket = invoice("I1", kind="train", gross=10_900, tax=899, travel_ms=ms("2026-03-01"))
    assert deductible(replace(USE, tax_minor=901), ticket, RULES).parts == [("9", 901)]
    assert deductible(USE, ticket, RULES).parts == [("9", 899)]
    assert deductible(USE, structs.replace(ticket, tax_minor=None), RULES).parts == [("9", 900)]
    assert deductible(replace(USE, tax_minor=0), ticket, RULES).parts == []


def test_the_rate_of_the_items_comes_before_that_of_the_claim_and_of_the_rule() -> None:
    special = invoice("I1", gross=10_600, tax=600, rate="6")
    assert deductible(replace(USE, tax_minor=600, rate="13"), special, RULES).parts == [("6", 600)]
    assert deductible(replace(USE, tax_minor=600, rate="13"), structs.replace(special, items=()), RULES).parts == [("13", 600)]


TWO_RATES = structs.replace(invoice("I1", gross=21_900, tax=1_900), items=(("x", "6", 600), ("y", "13", 1_300)))


@pytest.mark.parametrize(
    ("items", "tax", "parts"),
    [
        ((), NO_AMOUNT, [("6", 600), ("13", 1_300)]),
        (("x", "y"), NO_AMOUNT, [("6", 600), ("13", 1_300)]),
        (("x",), NO_AMOUNT, [("6", 600)]),
        (("y",), NO_AMOUNT, [("13", 1_300)]),
        (("y",), 1_000, [("13", 1_000)]),
        ((), 950, [("6", 300), ("13", 650)]),
        (("elsewhere",), NO_AMOUNT, [("6", 600), ("13", 1_300)]),
    ],
    ids=["none named", "both", "first", "second", "second in part", "half of both", "unknown item"],
)
def test_the_rates_are_those_of_the_items_the_detail_uses(items: tuple[str, ...], tax: int, parts: list[tuple[str, int]]) -> None:
    assert deductible(replace(USE, tax_minor=tax, item_ids=frozenset(items)), TWO_RATES, RULES).parts == parts


def test_items_of_opposite_signs_that_cancel_out_carry_no_tax() -> None:
    cancelled = structs.replace(invoice("I1", gross=0, tax=0), items=(("x", "6", 600), ("y", "13", -600)))
    assert deductible(USE, cancelled, RULES).parts == []


@pytest.mark.parametrize(("approved", "expected"), [(10_600, 600), (5_300, 300), (5_301, 300), (1, 0), (20_000, 600), (0, 0)])
def test_only_what_is_approved_below_the_face_shortens_the_tax(approved: int, expected: int) -> None:
    answer = deductible(replace(USE, tax_minor=600, rate="6", approved_minor=approved), invoice("I1", gross=10_600, tax=600, rate="6"), RULES)
    assert sum(tax for _, tax in answer.parts) == expected


def test_a_red_invoice_approved_in_part_gives_back_that_part_of_its_tax() -> None:
    answer = deductible(replace(USE, tax_minor=-600, rate="6", approved_minor=-5_300), invoice("I1", gross=-10_600, tax=-600, rate="6"), RULES)
    assert answer.parts == [("6", -300)]


@pytest.mark.parametrize(("policy", "parts", "problem"), [("deduct", [("6", 600)], None), ("none", [], None), ("hold", [], "VAT_RATE_UNKNOWN")])
def test_an_invoice_that_cannot_be_read_follows_the_policy(policy: str, parts: list[tuple[str, int]], problem: str | None) -> None:
    rules = VatRules.model_validate({**RULES.model_dump(by_alias=True), "unknown_kind": policy})
    answer = deductible(replace(USE, tax_minor=600, rate="6"), None, rules)
    assert answer.parts == parts
    assert (answer.problem[0] if answer.problem else None) == problem
    assert [rule for rule, _ in answer.findings] == ["VAT_KIND_UNKNOWN"]


def test_a_tax_without_any_rate_is_a_problem_not_a_guess() -> None:
    answer = deductible(replace(USE, tax_minor=600), invoice("I1", gross=10_600, tax=600), RULES)
    assert answer.problem is not None
    assert answer.problem[0] == "VAT_RATE_UNKNOWN"
    assert answer.parts == []
