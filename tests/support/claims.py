"""Builds Hesi claims and the lists they point to, in the documented JSON shapes, for tests.

A test says what matters; everything else is a plain, complete, paid expense claim of C01.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

from msgspec import Raw

from etl.config.load import load_mappings
from etl.config.mapping import Mappings
from etl.config.settings import PROJECT
from etl.reference import Department, Invoice, ListItem, Payee, Reference
from etl.steps.map_fields import custom_paths, map_fields
from etl.steps.mapped import MappedClaims, MappingContext
from etl.steps.stage import stage
from etl.steps.staged import StagedClaims

SHANGHAI = timezone(timedelta(hours=8))
CORP = "corp"


def ms(when: date | datetime | str) -> int:
    """Epoch milliseconds of a day (noon in Shanghai) or instant."""
    if isinstance(when, str):
        when = datetime.fromisoformat(when) if "T" in when or ":" in when else date.fromisoformat(when)
    if not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day, 12, tzinfo=SHANGHAI)
    return int((when if when.tzinfo else when.replace(tzinfo=SHANGHAI)).timestamp() * 1000)


def money(standard: str | int, currency: str = "CNY", *, foreign: str = "", code: str = "", rate: str = "") -> dict[str, Any]:
    """A money object; with ``foreign`` the foreign keys too."""
    value = {"standard": standard, "standardUnit": "元", "standardScale": 2, "standardSymbol": "¥", "standardNumCode": "156", "standardStrCode": currency}
    if foreign:
        value |= {"foreign": foreign, "foreignScale": 2, "foreignStrCode": code, "rate": rate, "sysRate": rate}
    return value


def detail(
    amount: Mapping[str, Any] | str = "100.00",
    *,
    fee: str = "TRAVEL",
    department: str = "",
    day: str = "2026-03-05",
    id: str = "d1",
    shares: Sequence[Mapping[str, Any]] = (),
    invoices: Sequence[Mapping[str, Any]] = (),
    **extra: Any,
) -> dict[str, Any]:
    """One expense detail; ``shares`` and ``invoices`` are documented objects (see :func:`share`)."""
    form: dict[str, Any] = {"amount": money(amount) if isinstance(amount, str) else dict(amount), "feeDate": ms(day), "detailId": id, "invoice": "1", **extra}
    if department:
        form["expenseDepartment"] = f"{CORP}:{department}"
    if shares:
        form["apportions"] = list(shares)
    if invoices:
        form["invoiceForm"] = {"type": "exist", "invoices": list(invoices)}
    return {"feeTypeId": f"{CORP}:{fee}", "specificationId": f"{CORP}:{fee}:expense:0", "feeTypeForm": form}


def share(amount: str, department: str, *, project: str = "", id: str = "", currency: str = "CNY") -> dict[str, Any]:
    """One apportionment."""
    form = {"apportionMoney": money(amount, currency), "apportionPercent": "0.00", "expenseDepartment": f"{CORP}:{department}"}
    if project:
        form["项目"] = f"{CORP}:{project}"
    if id:
        form["apportionId"] = id
    return {"specificationId": f"{CORP}:split:0", "apportionForm": form}


def flow(
    *,
    id: str = "flow1",
    code: str = "B26030001",
    form_type: str = "expense",
    state: str = "paid",
    submitter: str = "E001",
    company: str = "C01",
    approved: str | None = "2026-03-10",
    paid: str | None = "2026-03-12",
    account: str = "BANK-CNY-01",
    updated: int = 1_773_000_000_000,
    active: bool = True,
    **form: Any,
) -> dict[str, Any]:
    """A whole flow; keyword arguments override form fields (None removes one)."""
    body: dict[str, Any] = {
        "code": code,
        "title": "",
        "submitterId": f"{CORP}:{submitter}",
        "法人实体": f"{CORP}:{company}",
        "voucherNo": "",
        "expenseDepartment": f"{CORP}:D10",
    }
    if approved:
        body["flowEndTime"] = ms(approved)
    if paid:
        body |= {"payDate": ms(paid), "paymentAccountId": f"{CORP}:{account}", "paymentChannel": "OFFLINE"}
    body |= form
    logs = [{"action": "freeflow.pay", "state": "paid", "time": ms(paid), "attributes": {"channelTradeNo": f"T-{code}"}}] if paid else []
    return {
        "id": id,
        "active": active,
        "version": 1,
        "createTime": updated,
        "updateTime": updated,
        "corporationId": CORP,
        "ownerId": f"{CORP}:{submitter}",
        "form": {key: value for key, value in body.items() if value is not None},
        "formType": form_type,
        "state": state,
        "flowType": "freeflow",
        "logs": logs,
    }


def expense(
    total: str = "100.00",
    *,
    details: Sequence[Mapping[str, Any]] | None = None,
    pay: str | None = None,
    written_off: str = "0.00",
    company_paid: str = "0.00",
    currency: str = "CNY",
    **rest: Any,
) -> dict[str, Any]:
    """An expense claim whose amounts add up unless told otherwise."""
    return flow(
        details=list(details) if details is not None else [detail(money(total, currency), department="D10")],
        expenseMoney=money(total, currency),
        payMoney=money(total if pay is None else pay, currency),
        writtenOffMoney=money(written_off, currency),
        companyRealPay=money(company_paid, currency),
        **rest,
    )


def reference(*, invoices: Sequence[Invoice] = (), loan_owners: Mapping[str, str] | None = None, payees: Sequence[Payee] = ()) -> Reference:
    """The lists of a small tenant whose ids are ``corp:CODE``."""

    def items(*pairs: tuple[str, str]) -> dict[str, ListItem]:
        return {f"{CORP}:{code}": ListItem(f"{CORP}:{code}", code, name) for code, name in pairs}

    departments = [
        ("D10", "管理部", ""),
        ("D11", "财务部", "D10"),
        ("D20", "销售部", ""),
        ("D30", "研发部", ""),
        ("D40", "制造部", ""),
        ("D99", "无类别部", ""),
        ("D50", "香港公司", ""),
    ]
    staffs = items(("E001", "张三"), ("E002", "李四"), ("E003", "王五"))
    people = [Payee(f"pay-{code}", name, "INDIVIDUAL", f"{CORP}:{code}", {}) for code, name in (("E001", "张三"), ("E002", "李四"), ("E003", "王五"))]
    firms = [
        Payee(f"pay-{code}", name, "CORPORATION", "", {"u_供应商编码": code})
        for code, name in (("S001", "某会务公司"), ("S002", "Congress Ltd"), ("S900", "商旅平台"))
    ]
    strangers = [Payee("pay-X", "路人", "INDIVIDUAL", "", {})]
    return Reference(
        departments={
            f"{CORP}:{code}": Department(f"{CORP}:{code}", code, name, f"{CORP}:{parent}" if parent else "", {}) for code, name, parent in departments
        },
        staffs=staffs,
        fee_types=items(("TRAVEL", "差旅"), ("ENTERTAIN", "招待"), ("MEETING", "会议"), ("OFFICE", "办公"), ("WELFARE", "福利"), ("TRAINING", "培训")),
        dimension_items=items(
            ("C01", "示例科技（上海）有限公司"),
            ("C02", "示例科技（苏州）有限公司"),
            ("C03", "Example Technology (HK) Limited"),
            ("C09", "未知公司"),
            ("P001", "项目一"),
        ),
        payees={payee.id: payee for payee in (*people, *firms, *strangers, *payees)},
        payer_accounts=items(("BANK-CNY-01", "工行"), ("BANK-USD-01", "中行美元"), ("BANK-OLD-09", "旧账户")),
        loan_owners=dict(loan_owners or {}),
        invoices={invoice.id: invoice for invoice in invoices},
    )


def invoice(id: str, *, kind: str = "FULL_DIGITAl_SPECIAL", gross: int | None = None, tax: int | None = None, rate: str = "", **rest: Any) -> Invoice:
    """An invoice header with at most one item."""
    values: dict[str, Any] = {
        "fare_minor": None,
        "fuel_minor": None,
        "invoice_ms": None,
        "travel_ms": None,
        "buyer_tax_number": "",
        "buyer_name": "",
        "verified": True,
    } | rest
    items = ((f"{id}-1", rate, tax),) if rate and tax is not None else ()
    return Invoice(id=id, kind=kind, gross_minor=gross, tax_minor=tax, items=items, **values)


def demo_mappings() -> Mappings:
    """The mappings the product ships."""
    return load_mappings(PROJECT / "mappings")


def stage_flows(flows: Sequence[Mapping[str, Any] | bytes], mappings: Mappings) -> StagedClaims:
    """Staged frames of flows given as objects or raw bytes."""
    raws = [Raw(item if isinstance(item, bytes) else json.dumps(item, ensure_ascii=False).encode()) for item in flows]
    return stage([(raw, f"page.json#{n}") for n, raw in enumerate(raws)], custom_paths(mappings))


def map_flows(
    flows: Sequence[Mapping[str, Any] | bytes],
    *,
    mappings: Mappings | None = None,
    lists: Reference | None = None,
    run_day: str = "2026-10-15",
    known: Any = None,
    start_ms: int | None = None,
) -> MappedClaims:
    """Flows through stage and map_fields."""
    mappings = mappings or demo_mappings()
    context = MappingContext(mappings, lists or reference(), known or {}, date.fromisoformat(run_day), start_ms)
    return map_fields(stage_flows(flows, mappings), context)
