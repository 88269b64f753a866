"""Random expense claims that add up, with the figures a voucher of each must have."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from etl.money import to_text
from etl.reference import Invoice
from tests.support.claims import CORP, detail, expense, invoice, money, ms, share

DEPARTMENTS = ("D10", "D20", "D30", "D40", "D11")
DEDUCTING = {"TRAVEL": True, "OFFICE": True, "ENTERTAIN": False, "WELFARE": False}
PAYEES = ("E001", "E002", "S001", "S002")
RATES = ("13", "9", "6", "3", "1")


@dataclass(frozen=True)
class RandomClaim:
    """A flow, the invoices it uses, and what must come out: total and deducted tax, minor units."""

    flow: dict[str, Any]
    invoices: tuple[Invoice, ...]
    total: int
    tax: int


def text(minor: int) -> str:
    """CNY text of minor units."""
    return to_text(minor, "CNY")


@st.composite
def parts_of(draw: st.DrawFn, total: int, *, negative: bool) -> list[int]:
    """``total`` in one to four parts, in any mix of signs where ``negative``."""
    low = -abs(total) - 500 if negative else 0
    cuts = draw(st.lists(st.integers(low, max(total, low)), max_size=3))
    if not negative:
        cuts = sorted(cuts)
        edges = [0, *cuts, total]
        return [after - before for before, after in pairwise(edges)]
    return [*cuts, total - sum(cuts)]


@st.composite
def lines(draw: st.DrawFn, number: int, prefix: str) -> tuple[dict[str, Any], Invoice | None, int, int]:
    """One detail, its invoice, its amount and the tax that is deducted."""
    gross = draw(st.integers(2, 500_000) | st.integers(-50_000, -2))
    fee = draw(st.sampled_from(sorted(DEDUCTING)))
    tax = draw(st.just(0) | st.integers(1, max(1, abs(gross) // 8))) * (1 if gross > 0 else -1)
    if tax == gross:
        tax = 0
    used = None
    uses = []
    if tax:
        id_, rate = f"{prefix}-I{number}", draw(st.sampled_from(RATES))
        used = invoice(id_, gross=gross, tax=tax, rate=rate)
        uses = [{"invoiceId": id_, "taxAmount": money(text(tax)), "taxRate": rate, "itemIds": []}]
    shares: list[dict[str, Any]] = []
    department = draw(st.sampled_from(DEPARTMENTS))
    if department == "D30" or draw(st.booleans()):
        basis = gross - tax if draw(st.booleans()) else gross
        for part, money_minor in enumerate(draw(parts_of(basis, negative=True))):
            shares.append(share(text(money_minor), draw(st.sampled_from(DEPARTMENTS)), project="P001", id=f"s{part}"))
    built = detail(text(gross), fee=fee, department="D10" if department == "D30" else department, id=f"d{number}", shares=shares, invoices=uses)
    return built, used, gross, tax if DEDUCTING[fee] else 0


@st.composite
def random_claims(draw: st.DrawFn, id_: str) -> RandomClaim:
    """A claim of one to four details, settled by payPlan, write-off and company-paid part in any proportion."""
    drawn = [draw(lines(number, id_)) for number in range(draw(st.integers(1, 4)))]
    total = sum(line[2] for line in drawn)
    company_paid = draw(st.just(0) | st.integers(0, max(total, 0)))
    written_off = draw(st.just(0) | st.integers(0, max(total - company_paid, 0)))
    pay = total - company_paid - written_off
    paid = draw(st.booleans())
    rest: dict[str, Any] = {"writtenOffRecords": [{"id": "J1", "loanId": "form-J1", "amount": text(written_off)}] if written_off else None}
    if pay and draw(st.booleans()):
        rest["payPlan"] = [
            {
                "dataLinkForm": {
                    "E_system_支付计划_支付金额": money(text(part)),
                    "E_system_支付计划_收款信息": f"pay-{draw(st.sampled_from(PAYEES))}",
                    "E_system_支付计划_支付时间": ms("2026-03-12") if paid else None,
                }
            }
            for part in draw(parts_of(pay, negative=False))
        ]
    flow = expense(
        text(total),
        details=[line[0] for line in drawn],
        pay=text(pay),
        written_off=text(written_off),
        company_paid=text(company_paid),
        id=id_,
        code=f"B-{id_}",
        paid="2026-03-12" if paid else None,
        title=f"报销 {id_}",
        **rest,
    )
    flow["form"]["submitterId"] = f"{CORP}:{draw(st.sampled_from(['E001', 'E002', 'E003']))}"
    return RandomClaim(flow, tuple(line[1] for line in drawn if line[1] is not None), total, sum(line[3] for line in drawn))


@st.composite
def batches(draw: st.DrawFn) -> list[RandomClaim]:
    """One to five claims."""
    return [draw(random_claims(f"f{number}")) for number in range(draw(st.integers(1, 5)))]
