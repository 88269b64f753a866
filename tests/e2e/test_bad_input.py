"""Whatever a page holds: each bad claim ends as a named reject, the others are posted, nothing is lost, nothing is rounded."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from etl.errors import PayloadChanged
from etl.payload import page_items, repeated_key
from etl.pipeline.transform import assert_conserved
from etl.rejects import CATALOGUE
from etl.steps.map_fields import custom_paths, map_fields
from etl.steps.mapped import MappedClaims, MappingContext
from etl.steps.reconcile import source_amounts
from etl.steps.stage import stage
from etl.steps.staged import StagedClaims
from tests.cases.situation import shipped_mappings
from tests.fixtures.hostile_text import HOSTILE
from tests.support.claims import CORP, detail, expense, invoice, map_flows, money, ms, reference, share

GOOD = json.dumps(expense("77.00", id="good", code="B-good"), ensure_ascii=False).encode()


def page_of(*items: bytes) -> bytes:
    return b'{"count":%d,"items":[%s]}' % (len(items), b",".join(items))


def through(body: bytes) -> tuple[StagedClaims, MappedClaims]:
    """A page as the pipeline takes it: cut, staged with the look for repeated keys where it may have some, mapped."""
    mappings, raws = shipped_mappings(), page_items(body)
    staged = stage([(raw, f"page.json#{n}") for n, raw in enumerate(raws)], custom_paths(mappings))
    lists = reference(invoices=[invoice("I1", gross=10600, tax=600, rate="6")], loan_owners={"J1": f"{CORP}:E002"})
    context = MappingContext(mappings, lists, {}, date(2026, 10, 15))
    mapped = map_fields(staged, context)
    assert_conserved(staged, mapped, 1)
    source_amounts(raws)  # the independent adding-up must survive the same page
    assert len(staged.claims) + len(staged.rejects) + len(staged.commitments) == len(raws)
    return staged, mapped


def bad_and_good(bad: bytes) -> tuple[str, str, str]:
    """Rule, reason and claim id of the bad item's reject; the good claim before and after it must be posted."""
    other = GOOD.replace(b'"good"', b'"good2"')
    _, mapped = through(page_of(GOOD, bad, other))
    assert {"good", "good2"} <= set(mapped.vouchers.loc[mapped.vouchers["entry_kind"] == "EXPENSE", "claim_id"])
    assert set(mapped.voucher_lines.merge(mapped.vouchers, on="entry_no")["claim_id"]) == {"good", "good2"}
    assert len(mapped.rejects) == 1
    row = mapped.rejects.iloc[0]
    assert row["rule"] in CATALOGUE
    assert row["raw_ref"] == "page.json#1"
    return row["rule"], row["reason"], row["claim_id"]


def claim(**changes: Any) -> bytes:
    body = expense("100.00", id="bad", code="B-bad")
    body["form"].update(changes)
    return json.dumps(body, ensure_ascii=False).encode()


def with_amount(text: bytes) -> bytes:
    """The bad claim with this JSON as every standard amount."""
    return json.dumps(expense("100.00", id="bad", code="B-bad"), ensure_ascii=False).encode().replace(b'"100.00"', text)


@pytest.mark.parametrize(
    "text",
    [
        b'"1,234.50"',
        '"１００.００"'.encode(),
        b"1e400",
        b'"1e400"',
        b"1e15",
        b"1000000000000000",
        b'"100.005"',
        b"100.005",
        b'"NaN"',
        b'"Infinity"',
        b'""',
        b'"abc"',
        b"true",
        b'{"amount": 1}',
        b"[100]",
        b'"0x64"',
        b'"--1"',
        b'"1_000"',
        '"壹佰元"'.encode(),
        b'"100.00 CNY"',
    ],
    ids=lambda text: text.decode(),
)
def test_an_amount_that_is_no_exact_number_is_rejected_by_name_and_place(text: bytes) -> None:
    rule, reason, claim_id = bad_and_good(with_amount(text))
    assert (rule, claim_id) == ("MONEY_INVALID", "bad")
    assert "form.expenseMoney" in reason


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(b"NaN", id="NaN for a claim"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"claim"', id="a text"),
        pytest.param(b"7", id="a number"),
        pytest.param(b"{}", id="an empty object"),
        pytest.param(b'{"id":null,"form":{},"formType":"expense","state":"paid"}', id="no id"),
        pytest.param(b'{"id":"","form":{"code":"B"},"formType":"expense","state":"paid","updateTime":1}', id="an empty id"),
        pytest.param(b'{"id":"bad","form":null,"formType":"expense"}', id="no form"),
        pytest.param(b'{"id":"bad","form":{},"formType":"trip","state":"paid","updateTime":1}', id="an unknown form type"),
        pytest.param(b'{"id":"bad","form":{},"formType":"expense","state":"paid","updateTime":1}', id="no code"),
        pytest.param(claim(title="t").replace(b'"t"', rb'"\ud800"'), id="a lone surrogate"),
        pytest.param(claim(title="t").replace(b'"t"', b'"\xff\xfe"'), id="broken UTF-8"),
        pytest.param(claim(title="t").replace(b'"t"', rb'"a\u0000b"'), id="a NUL in the title"),
        pytest.param(claim(voucherNo="t").replace(b'"t"', rb'"a\u0000b"'), id="a NUL in the number"),
        pytest.param(claim(payDate=10**30), id="a date beyond int64"),
        pytest.param(claim(payDate=ms("2026-03-12") * 1000), id="a date in microseconds"),
        pytest.param(claim(payDate=-5), id="a date before 1970"),
        pytest.param(claim(payDate=1.5), id="half a millisecond"),
        pytest.param(claim(payDate="2026-03-12"), id="a date as text"),
        pytest.param(
            claim(details=[{**detail("100.00"), "feeTypeForm": {**detail("100.00")["feeTypeForm"], "feeDate": "yesterday"}}]), id="a fee date in words"
        ),
        pytest.param(claim(title=None).replace(b'"title": null', b'"title": ' + b"[" * 2000 + b"]" * 2000), id="2,000 levels deep"),
        pytest.param(claim(title="t").replace(b'"t"', b'"t", "u_x": '), id="a value that is not there"),
        pytest.param(claim(title="t").replace(b'"t"', b'"t", "u_x": [1,,2]'), id="a comma too many"),
        pytest.param(json.dumps({**expense("1.00", id="bad"), "version": 10**40}).encode(), id="a version beyond int64"),
    ],
)
def test_a_claim_that_is_not_the_documented_json_is_quarantined_alone(item: bytes) -> None:
    rule, reason, claim_id = bad_and_good(item)
    assert rule == "PAYLOAD_INVALID"
    assert reason
    assert claim_id == "bad" or claim_id.startswith("unreadable:")


def test_nan_inside_a_claim_quarantines_it_and_not_its_page() -> None:
    rule, reason, claim_id = bad_and_good(with_amount(b"NaN"))
    assert rule == "PAYLOAD_INVALID"
    assert "documented claim JSON" in reason
    assert claim_id.startswith("unreadable:")


def test_the_same_unreadable_content_has_the_same_name_in_every_run() -> None:
    first = bad_and_good(b'{"id":7}')[2]
    _, mapped = through(page_of(GOOD, GOOD.replace(b'"good"', b'"x"'), b'{"id":7}'))
    assert mapped.rejects["claim_id"].tolist() == [first]


def test_two_unreadable_claims_of_the_same_content_are_two_rejects() -> None:
    _, mapped = through(page_of(b'{"id":7}', b'{"id":7}', GOOD))
    assert mapped.rejects["claim_id"].nunique() == 2
    assert set(mapped.vouchers["claim_id"]) == {"good"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b"\xef\xbb\xbf" + page_of(GOOD),
        b'{"items": {}}',
        b'{"value": []}',
        page_of(GOOD)[:-30],
        b'{"items":[' + GOOD + b" " + GOOD + b"]}",
    ],
    ids=["nothing", "HTML", "a byte order mark", "items no list", "no items", "cut off", "no comma"],
)
def test_a_page_that_is_no_page_is_a_clear_named_error(body: bytes) -> None:
    with pytest.raises(PayloadChanged, match="expected a"):
        page_items(body)


def test_two_hundred_levels_in_a_field_nobody_reads_are_no_reason_to_refuse() -> None:
    deep = expense("100.00", id="deep", code="B-deep")
    nested: Any = "end"
    for _ in range(200):
        nested = {"x": [nested]}
    deep["form"]["u_nested"] = nested
    _, mapped = through(page_of(json.dumps(deep).encode(), GOOD))
    assert mapped.rejects.empty
    assert set(mapped.vouchers["claim_id"]) == {"deep", "good"}


@pytest.mark.parametrize("state", ["", "PAID", "cashier", "已支付", "pay\ning"])
def test_an_unknown_state_is_quarantined(state: str) -> None:
    body = {**expense("100.00", id="bad", code="B-bad"), "state": state}
    assert bad_and_good(json.dumps(body).encode())[0] == "STATE_UNKNOWN"


@pytest.mark.parametrize(
    ("text", "minor"), [(b'"-0.00"', 0), (b"-0", 0), (b'" 33.00 "', 3300), (b"33", 3300), (b"33.5", 3350), (b'"33.50000"', 3350), (b"null", 0)]
)
def test_every_documented_form_of_an_amount_is_exact(text: bytes, minor: int) -> None:
    staged, _ = through(page_of(with_amount(text)))
    assert staged.claims["total_minor"].tolist() == [minor]


DUPLICATES = {
    "the form": (b'"form": {', b'"form": {"code": "B-other"}, "form": {'),
    "the claim's amount": (b'"expenseMoney": {', b'"expenseMoney": {"standard": "1.00", "standardStrCode": "CNY"}, "expenseMoney": {'),
    "a detail's amount": (b'"amount": {', b'"amount": {"standard": "1.00", "standardStrCode": "CNY"}, "amount": {'),
    "a standard": (b'"standard": "100.00"', b'"standard": "1.00", "standard": "100.00"'),
    "a currency": (b'"standardStrCode": "CNY"', b'"standardStrCode": "USD", "standardStrCode": "CNY"'),
    "the details": (b'"details": [', b'"details": [], "details": ['),
    "the state": (b'"state": "paid", "flowType"', b'"state": "draft", "state": "paid", "flowType"'),
    "the id": (b'"id": "bad"', b'"id": "worse", "id": "bad"'),
    "an equal amount": (b'"payMoney": {', b'"payMoney": {"standard": "100.00", "standardStrCode": "CNY"}, "payMoney": {'),
    "a member nobody reads": (b'"title"', b'"u_x": 1, "u_x": 2, "title"'),
}


@pytest.mark.parametrize("spaced", [True, False], ids=["with blanks", "compact"])
@pytest.mark.parametrize("where", DUPLICATES)
def test_a_key_that_stands_twice_quarantines_the_claim(where: str, spaced: bool) -> None:
    before, after = DUPLICATES[where]
    body = expense("100.00", id="bad", code="B-bad")
    text = json.dumps(body, ensure_ascii=False).encode()
    assert before in text
    doubled = text.replace(before, after, 1)
    good = GOOD
    if not spaced:
        doubled, good = (part.replace(b'": ', b'":').replace(b', "', b',"').replace(b", {", b",{") for part in (doubled, GOOD))
    body_bytes = page_of(good, doubled)
    assert repeated_key(doubled) is not None
    _, mapped = through(body_bytes)
    assert mapped.rejects["rule"].tolist() == ["PAYLOAD_INVALID"]
    assert "stands twice" in mapped.rejects["reason"].iloc[0]
    assert set(mapped.vouchers["claim_id"]) == {"good"}


@pytest.mark.parametrize("number", [b'"77.00"', b"77.00", b"77.0", b"7.7e1"])
def test_an_ordinary_flow_is_not_read_pair_by_pair(number: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_slow(*_: object, **__: object) -> None:
        raise AssertionError("read pair by pair")

    compact = json.dumps(json.loads(GOOD), ensure_ascii=False, separators=(",", ":")).encode()
    monkeypatch.setattr("etl.payload.json.loads", too_slow)
    for flow in (GOOD, compact):
        assert b'"77.00"' in flow
        assert repeated_key(flow.replace(b'"77.00"', number)) is None


def test_a_page_written_with_escapes_is_looked_at_closely_and_posted() -> None:
    escaped = json.dumps(expense("77.00", id="good", code="B-good", title="会务费")).encode()
    assert repeated_key(escaped) is None
    _, mapped = through(page_of(escaped))
    assert mapped.rejects.empty


def full_claim() -> dict[str, Any]:
    """A claim that uses every documented part: shares, invoice, plan, write-off, company-paid part, foreign amounts."""
    line = detail(
        money("106.00", foreign="10.60", code="USD", rate="10"),
        department="D10",
        id="d1",
        attachments=[{"fileName": "a.pdf"}],
        shares=[share("53.00", "D10", id="s1"), share("53.00", "D20", id="s2")],
        invoices=[{"invoiceId": "I1", "itemIds": ["I1-1"], "taxAmount": money("6.00"), "taxRate": "6", "approveAmount": money("106.00")}],
    )
    plan = [
        {
            "dataLinkForm": {
                "E_system_支付计划_支付金额": money("46.00"),
                "E_system_支付计划_收款信息": "pay-E001",
                "E_system_支付计划_支付时间": ms("2026-03-12"),
                "E_system_支付计划_支付流水号": "T1",
            }
        }
    ]
    return expense(
        "106.00",
        details=[line],
        pay="46.00",
        written_off="40.00",
        company_paid="20.00",
        id="full",
        code="B-full",
        title="差旅",
        payPlan=plan,
        writtenOffRecords=[{"id": "J1", "loanId": "form-J1", "amount": "40.00"}],
        attachments=[],
        u_商旅平台="pay-S900",
        payeeId="pay-E001",
        multiplePayeesMode=True,
        timeToEnterPendingPayment=ms("2026-03-10"),
    )


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON value, keys and list positions, outermost first."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths_of(item, (*path, key))


MISSING = object()
REPLACEMENTS = (None, [], {}, "text", "", 0, -1, 10**30, 0.5, True, [{}], {"x": None}, MISSING)


def mutated(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(body)
    place: Any = result
    for key in path[:-1]:
        place = place[key]
    if value is MISSING:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return result


def test_any_change_of_any_key_posts_the_exact_amount_or_is_a_named_reject() -> None:
    original = full_claim()
    mutants = [mutated(original, path, value) for path in paths_of(original) for value in REPLACEMENTS]
    assert len(mutants) > 1500
    for number, mutant in enumerate(mutants):
        if isinstance(mutant.get("id"), str) and mutant["id"] == "full":  # else the id itself was mutated
            mutant["id"] = f"m{number}"
    items = [json.dumps(mutant, ensure_ascii=False).encode() for mutant in mutants]
    staged, mapped = through(page_of(GOOD, *items, GOOD.replace(b'"good"', b'"good2"')))
    accruals = mapped.vouchers[mapped.vouchers["entry_kind"] == "EXPENSE"].set_index("claim_id")["total_minor"]
    assert {"good", "good2"} <= set(accruals.index)
    ended = (
        set(accruals.index) | set(mapped.rejects["claim_id"]) | set(staged.claims.loc[~staged.claims["due"], "claim_id"]) | set(staged.commitments["claim_id"])
    )
    other_forms = set(staged.claims.loc[staged.claims["form_type"] != "expense", "claim_id"])
    assert set(staged.claims["claim_id"]) | set(staged.rejects["claim_id"]) <= ended | other_forms
    assert set(accruals.drop(["good", "good2"])) == {10_600}
    assert set(mapped.rejects["rule"]) <= set(CATALOGUE)
    assert (mapped.rejects["reason"].str.len() > 10).all()
    sums = mapped.voucher_lines.groupby("entry_no")[["debit_minor", "credit_minor"]].sum()
    assert (sums["debit_minor"] == sums["credit_minor"]).all()


def test_a_full_claim_posts_unchanged_before_it_is_mutated() -> None:
    _, mapped = through(page_of(json.dumps(full_claim(), ensure_ascii=False).encode()))
    assert mapped.rejects.empty
    assert sorted(zip(mapped.vouchers["entry_kind"], mapped.vouchers["total_minor"], strict=True)) == [("EXPENSE", 10_600), ("PAYMENT", 4_600)]


def title_in_summary(title: str) -> str:
    flow = expense("100.00", id="t", code="B-t", title=title, payeeId="pay-S001", paid=None)
    company = shipped_mappings().companies[0]
    style = company.voucher.model_copy(update={"summary_limit": 10_000})
    wide = shipped_mappings().model_copy(update={"companies": [company.model_copy(update={"voucher": style}), *shipped_mappings().companies[1:]]})
    mapped = map_flows([json.dumps(flow, ensure_ascii=False).encode()], mappings=wide)
    return str(mapped.vouchers["summary"].iloc[0])


SQL = ("'; DROP TABLE voucher; --", "Robert'); DELETE FROM voucher_line WHERE ('1'='1", "%s %(code)s {code} {0} $1 :name ?", "\\'; SELECT pg_sleep(9)--")
LETTERS = ("𠮷野家", "👩‍👩‍👧‍👦 团建", "\u202eevil\u202c", "مرحبا", "é vs e\u0301", "零\u200b宽", "长" * 4_000)


@pytest.mark.parametrize("title", [*HOSTILE, *SQL, *LETTERS], ids=lambda title: repr(title[:20]))
def test_text_arrives_in_the_summary_as_it_was_typed(title: str) -> None:
    """Only line breaks and tabs at its edges are gone; who prints a summary escapes it."""
    assert title_in_summary(title) == f"{title.strip(' ' + chr(9) + chr(10) + chr(13))} B-t"


def test_a_title_of_four_thousand_characters_is_cut_and_keeps_the_code() -> None:
    flow = expense("100.00", id="t", code="B26039999", title="长" * 4_000, payeeId="pay-S001", paid=None)
    summary = map_flows([flow], mappings=shipped_mappings()).vouchers["summary"].iloc[0]
    assert summary == "长" * 245 + " B26039999"
    assert len(summary) == 255
