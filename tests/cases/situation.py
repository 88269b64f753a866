"""A situation: claims written down in a few words of YAML, and the CSV files that say what must become of them.

``case.yaml`` uses the words of the golden cases; everything left out is a plain expense claim of C01, paid by nobody yet:

- ``why``: the rule, and the sums done by hand.
- ``claims``: code, formType, state, company, currency, submitter, title, flowEndTime, payDate, account, amount, payMoney,
  writtenOff (loan, amount), companyRealPay, platform, payee, payPlan (payee, money, paid, fx), voucherNo, attachments,
  ``details`` (fee, dept, amount, feeDate, fx, invoices, shares, attachments), and ``raw``: path -> JSON text or ``missing``.
- ``invoices``: inv, kind, gross, tax, rate, fare, fuel, date, travel, verified, buyer, taxNumber,
  traveller, items (id, rate, tax). ``loans``: package -> owner.
- ``mapping``: company -> changes laid over its YAML; ``vat`` and ``charts`` likewise. A key with ``+`` puts entries before a list's own.
- ``known``: what the ERP has: claim, kind, part, state, source (same or other). ``start``: cut-over day. ``run_day``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from msgspec import structs

from etl.config.mapping import Chart, CompanyMapping, Mappings, VatRules
from etl.money import to_minor
from etl.reference import Department, Invoice, ListItem, Payee, Reference
from etl.steps.mapped import Known, MappedClaims
from tests.support.claims import CORP, demo_mappings, detail, expense, flow, invoice, map_flows, money, ms, reference, share

TOTALS = {"expense": "expenseMoney", "loan": "loanMoney", "payment": "payMoney", "receipt": "receiptMoney"}
Words = Mapping[str, Any]
_INVOICE_TEXTS = (("buyer", "buyer_name"), ("taxNumber", "buyer_tax_number"), ("traveller", "traveller"))

shipped_mappings = functools.lru_cache(demo_mappings)


def read_case(folder: Path) -> Words:
    """The words of a case; every scalar is text."""
    return yaml.load((folder / "case.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - keeps text as text


def run_case(case: Words) -> MappedClaims:
    """The case through stage and map_fields."""
    mappings, lists = mappings_of(case), lists_of(case)
    flows = [claim_of(words) for words in case["claims"]]
    options = {"mappings": mappings, "lists": lists, "run_day": case.get("run_day", "2026-10-15"), "start_ms": ms(case["start"]) if "start" in case else None}
    known = case.get("known")
    return map_flows(flows, known=_known(known, map_flows(flows, **options)) if known else None, **options)


def _known(words: Sequence[Words], fresh: MappedClaims) -> dict[tuple[str, str, int], Known]:
    """What the ERP has; ``source: same`` takes the hash the claim has now, so that it did not change since."""
    hashes = {
        (row.claim_id, row.entry_kind, row.part_no): (row.source_sha256, row.company_code, row.currency, row.amount_minor) for row in fresh.entries.itertuples()
    }
    known = {}
    for item in words:
        key = (item["claim"], item["kind"], int(item["part"]))
        sha, company, currency, amount = hashes.get(key, ("", "C01", "CNY", 0))
        known[key] = Known(
            item["state"], sha if item["source"] == "same" else "0" * 64, item["claim"], company or "C01", currency or "CNY", int(item.get("minor", amount))
        )
    return known


def mappings_of(case: Words) -> Mappings:
    """The shipped mappings with the case's changes."""
    mappings = shipped_mappings()
    changes = case.get("mapping", {})
    companies = [_changed(CompanyMapping, company, changes.get(company.company.code)) for company in mappings.companies]
    charts = {name: _changed(Chart, chart, case.get("charts", {}).get(name)) for name, chart in mappings.charts.items()}
    vat = {name: _changed(VatRules, rules, case.get("vat", {}).get(name)) for name, rules in mappings.vat.items()}
    return mappings.model_copy(update={"companies": companies, "charts": charts, "vat": vat})


def _changed(model: type[Any], value: Any, change: Words | None) -> Any:
    return value if change is None else model.model_validate(laid_over(value.model_dump(by_alias=True, mode="json"), change))


def laid_over(base: Any, change: Any) -> Any:
    """``change`` over ``base``: objects key by key, everything else replaced; ``+key`` puts list entries first."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    result = dict(base)
    for key, value in change.items():
        if key.startswith("+"):
            result[key[1:]] = [*value, *base[key[1:]]]
        elif value == "missing":
            result.pop(key, None)
        else:
            result[key] = laid_over(base.get(key), value)
    return result


def lists_of(case: Words) -> Reference:
    """The lists of the small tenant, with the case's loans, invoices and payees."""
    payees = [Payee(item["id"], item["name"], item["owner"], item.get("staff", ""), item.get("fields", {})) for item in case.get("payees", ())]
    lists = reference(
        invoices=[invoice_of(words) for words in case.get("invoices", ())],
        loan_owners={package: f"{CORP}:{owner}" for package, owner in case.get("loans", {}).items()},
        payees=payees,
    )
    entities = {f"{CORP}:{code}": f"{CORP}:{entity}" for code, entity in case.get("department_entities", {}).items()}
    departments = {
        id_: Department(id_, item.code, item.name, item.parent_id, {"legalEntity": entities[id_]} if id_ in entities else {})
        for id_, item in lists.departments.items()
    }
    accounts = {f"{CORP}:{code}": ListItem(f"{CORP}:{code}", code, code) for code in ("BANK-CNY-02", "BANK-HKD-01", "BANK-US")}
    return replace(lists, departments=departments, payer_accounts={**lists.payer_accounts, **accounts})


def invoice_of(words: Words) -> Invoice:
    """An invoice as Hesi's lists describe it."""

    def minor(key: str) -> int | None:
        return to_minor(words[key], "CNY") if key in words else None

    def instant(key: str) -> int | None:
        return ms(words[key]) if key in words else None

    rest: dict[str, Any] = {"fare_minor": minor("fare"), "fuel_minor": minor("fuel"), "invoice_ms": instant("date"), "travel_ms": instant("travel")}
    if "verified" in words:
        rest["verified"] = words["verified"] == "true"
    rest |= {name: words[key] for key, name in _INVOICE_TEXTS if key in words}
    found = invoice(words["inv"], kind=words.get("kind", "FULL_DIGITAl_SPECIAL"), gross=minor("gross"), tax=minor("tax"), rate=words.get("rate", ""), **rest)
    items = tuple((id_, rate, to_minor(tax, "CNY")) for id_, rate, tax in words.get("items", ()))
    return structs.replace(found, items=items) if items else found


def claim_of(words: Words) -> dict[str, Any]:
    """The Hesi flow of a claim."""
    form_type, currency = words.get("formType", "expense"), words.get("currency", "CNY")
    extra: dict[str, Any] = {"title": words.get("title", "")}
    if "payee" in words:
        extra["payeeId"] = payee_of(words["payee"])
    if "platform" in words:
        extra["u_商旅平台"] = payee_of(words["platform"])
    if "writtenOff" in words:
        extra["writtenOffRecords"] = [{"id": item["loan"], "loanId": f"form-{item['loan']}", "amount": item["amount"]} for item in words["writtenOff"]]
    if "payPlan" in words:
        extra["payPlan"] = [plan_row(row, currency) for row in words["payPlan"]]
    if "attachments" in words:
        extra["attachments"] = [{"fileName": f"{n}.pdf"} for n in range(int(words["attachments"]))]
    if "voucherNo" in words:
        extra["voucherNo"] = words["voucherNo"]
    common: dict[str, Any] = {
        "id": words["code"],
        "code": words["code"],
        "state": words.get("state", "paid"),
        "submitter": words.get("submitter", "E001"),
        "company": words.get("company", "C01"),
        "approved": words.get("flowEndTime", "2026-03-10"),
        "paid": words.get("payDate"),
        "account": words.get("account", "BANK-CNY-01"),
    }
    body = _expense(words, currency, common | extra) if form_type == "expense" else _other(words, form_type, currency, common | extra)
    for path, value in words.get("raw", {}).items():
        put(body, path.split("."), value)
    return body


def _expense(words: Words, currency: str, rest: dict[str, Any]) -> dict[str, Any]:
    amount = words.get("amount", "100.00")
    written_off = words.get("writtenOffMoney", "0.00")
    company_paid = words.get("companyRealPay", "0.00")
    lines = words.get("details", [{"amount": amount}])
    return expense(
        amount,
        details=[detail_of(item, n, currency) for n, item in enumerate(lines, start=1)],
        pay=words.get("payMoney"),
        written_off=written_off,
        company_paid=company_paid,
        currency=currency,
        **rest,
    )


def _other(words: Words, form_type: str, currency: str, rest: dict[str, Any]) -> dict[str, Any]:
    amount = _money(words, "amount", currency)
    form: dict[str, Any] = {TOTALS[form_type]: amount}
    if form_type == "loan":
        form["payMoney"] = amount
    if form_type == "receipt":
        form |= {"receiptDate": ms(words["receiptDate"]), "paymentAccountId": f"{CORP}:{words.get('account', 'BANK-CNY-01')}"}
    if "repaymentDate" in words:
        form["repaymentDate"] = ms(words["repaymentDate"])
    return flow(form_type=form_type, **rest, **form)


def _money(words: Words, key: str, currency: str) -> dict[str, Any]:
    fx = words.get("fx")
    return money(words[key], currency, foreign=fx["foreign"], code=fx["cur"], rate=fx["rate"]) if fx else money(words[key], currency)


def detail_of(words: Words, number: int, currency: str) -> dict[str, Any]:
    """One expense detail."""
    extra = {"attachments": [{"fileName": "x.pdf"}] * int(words["attachments"])} if "attachments" in words else {}
    uses = []
    for item in words.get("invoices", ()):
        use: dict[str, Any] = {"invoiceId": item["inv"], "itemIds": item.get("items", []), "taxRate": item.get("rate")}
        for key, name in (("tax", "taxAmount"), ("approved", "approveAmount")):
            if key in item:
                use[name] = money(item[key], currency)
        uses.append(use)
    shares = [share(item["money"], item["dept"], project=item.get("proj", ""), id=item.get("id", ""), currency=currency) for item in words.get("shares", ())]
    return detail(
        _money(words, "amount", currency),
        fee=words.get("fee", "TRAVEL"),
        department=words.get("dept", "D10"),
        day=words.get("feeDate", "2026-03-05"),
        id=words.get("id", f"d{number}"),
        shares=shares,
        invoices=uses,
        **extra,
    )


def plan_row(words: Words, currency: str) -> dict[str, Any]:
    """One payPlan row; unpaid without ``paid``."""
    form: dict[str, Any] = {"E_system_支付计划_支付金额": _money(words, "money", currency), "E_system_支付计划_收款信息": payee_of(words["payee"])}
    if "paid" in words:
        form |= {"E_system_支付计划_支付时间": ms(words["paid"]), "E_system_支付计划_支付流水号": words.get("trade", "")}
    return {"dataLinkForm": form}


def payee_of(code: str) -> str:
    """Id of the payee of an employee or supplier code."""
    return f"pay-{code}"


def put(body: Any, path: list[str], text: str) -> None:
    """Sets or, with ``missing``, removes the value at a path of a JSON object."""
    *way, last = path
    for key in way:
        body = body[int(key)] if isinstance(body, list) else body[key]
    place = int(last) if isinstance(body, list) else last
    if text == "missing":
        del body[place]
    else:
        body[place] = json.loads(text)
