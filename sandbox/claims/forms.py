"""Expense claims: lines, settlement (loan, company-paid part, payees) and payment (sections 5.3, 9)."""

from random import Random
from typing import NamedTuple

from sandbox.claims.lines import Line, LineMaker
from sandbox.claims.plan import Plan
from sandbox.claims.trail import flow_envelope, flow_logs, mark_payment, mark_progress, paying_account
from sandbox.ids import Kind, opaque, template_version
from sandbox.loans import LoanBook
from sandbox.master import COMPANIES, Master
from sandbox.money import Json, header_money, line_money, loose, plain
from sandbox.parties import Parties

TEMPLATES = {
    name: f"{opaque(Kind.TEMPLATE, number)}:{template_version(name)}"
    for number, name in enumerate(("expense", "travel", "loan", "payment", "receipt", "requisition"))
}
_CURRENCY = {company.code: company.currency for company in COMPANIES}
_TITLES = (
    "日常报销",
    "出差报销",
    "会议费用报销",
    "客户拜访费用",
    "部门办公用品",
    "项目费用报销",
    "差旅费",
    "团队活动费",
)


class Made(NamedTuple):
    """A finished flow, the tickets behind it, and who bears it: (department id, cents) for the budget."""

    flow: Json
    tickets: list[Json]
    burden: list[tuple[str, int]]


class Workshop(NamedTuple):
    """What every kind of form is made with."""

    master: Master
    parties: Parties
    loans: LoanBook
    random: Random
    lines: LineMaker


def common_form(plan: Plan, shop: Workshop, *, code: str, title: str, template: str) -> Json:
    """The fields every form has."""
    draw = shop.random.random
    form: Json = {"code": code, "title": title, "submitterId": plan.person.id, "description": ""}
    if plan.state != "draft":
        form["submitDate"] = plan.submitted
    form["specificationId"] = TEMPLATES[template]
    form["printCount"] = "0"
    form["printState"] = "noPrint"
    # A few claims say nothing of their legal entity: the department's stands for it.
    if draw() > 0.02:
        form["法人实体"] = shop.master.entity_ids[plan.company]
    if draw() > 0.08:
        form |= {"voucherNo": "", "voucherStatus": "未生成", "voucherCreateTime": 0}
    return form


def midnight(instant_ms: int) -> int:
    """The start of the instant's day in Beijing."""
    return (instant_ms + 28_800_000) // 86_400_000 * 86_400_000 - 28_800_000


def expense(plan: Plan, shop: Workshop, *, code: str) -> Made:
    """An expense claim; expenseMoney = sum of its lines = payMoney + companyRealPay + writtenOffMoney."""
    draw = shop.random.random
    manner = _manner(plan, draw())
    lines = _lines(plan, shop, manner)
    total = sum(line.cents for line in lines)
    form = common_form(
        plan,
        shop,
        code=code,
        title=_TITLES[int(draw() * len(_TITLES))],
        template="travel" if plan.seq % 2 else "expense",
    )
    form["expenseDate"] = midnight(plan.submitted)
    form["expenseDepartment"] = plan.person.department
    form["details"] = [line.detail for line in lines]
    company_paid = _company_part(form, lines, shop) if manner == "platform" else 0
    written_off = _write_off(form, plan, shop, total) if manner == "loan" else 0
    payable = total - company_paid - written_off
    currency = _CURRENCY[plan.company]
    form["expenseMoney"] = header_money(total, currency, draw)
    form["companyRealPay"] = header_money(company_paid, currency, draw)
    form["writtenOffMoney"] = header_money(written_off, currency, draw)
    form["payMoney"] = header_money(payable, currency, draw)
    _payees(form, plan, shop, manner=manner, lines=lines, payable=payable)
    if draw() < 0.2:
        form |= custom_fields(plan, shop)
    cashier = payable > 0 and (bool(plan.defect or plan.oddity) or draw() > 0.03)
    return finish(plan, shop, form, cashier=cashier, lines=lines, dollars=manner == "foreign" and draw() < 0.5)


def finish(plan: Plan, shop: Workshop, form: Json, *, cashier: bool, lines: list[Line], dollars: bool = False) -> Made:
    """The flow of a filled-in form with its progress, payment and trail."""
    mark_progress(form, plan, cashier=cashier, chance=shop.random.random())
    account = paying_account(plan, shop.parties, dollars=dollars) if cashier and plan.paid else ""
    if account:
        mark_payment(form, account, plan.paid)
    flow = flow_envelope(plan, form, flow_logs(plan, account=account), flow_id=opaque(Kind.FLOW, plan.seq))
    burden = [(share.department, share.cents) for line in lines for share in line.shares]
    return Made(flow, [ticket for line in lines for ticket in line.tickets], burden)


def _manner(plan: Plan, draw: float) -> str:
    """How the claim is settled: by the platform, a loan, several payees, abroad, one supplier, or simply."""
    if plan.defect == "payPlan sum wrong":
        return "several"
    if plan.defect or plan.oddity:
        return "simple"
    if draw < 0.13:
        return "foreign" if draw < 0.052 and plan.company != "C03" and not plan.calm else "platform"
    if draw < 0.20:
        return "loan"
    if draw < 0.25:
        return "several"
    return "supplier" if draw < 0.36 else "simple"


def _lines(plan: Plan, shop: Workshop, manner: str) -> list[Line]:
    draw = shop.random.random
    count = 1 + int(draw() * 5.4)
    if manner == "several":
        count = max(count, 2)
    foreign = ("USD", "USD", "EUR", "JPY", "HKD")[int(draw() * 5)] if manner == "foreign" else ""
    first = {"platform": "TRAVEL-AIR", "foreign": "MEETING", "supplier": "MEETING"}.get(manner, "")
    if plan.defect == "unmapped fee type":
        first = "TRAINING"
    lines = []
    for number in range(count):
        fee_code = first if number == 0 else "TRAVEL-HOTEL" if manner == "foreign" else ""
        # One foreign claim in ten mixes currencies: its payable cannot be in any of them.
        spent_in = "" if foreign and number and draw() < 0.05 else foreign
        lines.append(shop.lines.make(plan, number, fee_code=fee_code, foreign=spent_in))
    return lines


def _company_part(form: Json, lines: list[Line], shop: Workshop) -> int:
    """The cents the travel platform was paid by the company: the claim's air tickets."""
    form["u_商旅平台"] = shop.parties.platform
    return sum(line.cents for line in lines if line.fee.code == "TRAVEL-AIR")


def _write_off(form: Json, plan: Plan, shop: Workshop, total: int) -> int:
    """The cents written off against an open loan, 0 where none is found; the amount is plain text."""
    loan = shop.loans.pick(plan.company, plan.person.id, before_ms=plan.submitted, random=shop.random)
    if loan is None:
        return 0
    cents = min(total, loan.open)
    if plan.active and plan.state not in ("draft", "rejected", "nullify"):
        shop.loans.settle(loan, plan.seq, cents)
    text = loose(cents, shop.random.random())
    form["writtenOffRecords"] = [{"id": loan.package_id, "amount": text, "loanId": loan.flow_id}]
    return cents


def _payees(form: Json, plan: Plan, shop: Workshop, *, manner: str, lines: list[Line], payable: int) -> None:
    """Who is paid: one payee on the form, or a payment plan."""
    draw = shop.random.random
    form["payeeId"] = plan.person.payee
    if plan.oddity == "individual payee who is no employee":
        form["payeeId"] = shop.parties.outsiders[plan.seq % 3]
    elif manner in ("supplier", "foreign") and (manner == "supplier" or draw() < 0.5):
        form["payeeId"] = shop.parties.suppliers[int(draw() * len(shop.parties.suppliers))]
    if manner == "several":
        supplier = shop.parties.suppliers[int(draw() * len(shop.parties.suppliers))]
        by_amount = draw() < 0.6
        first = payable * 2 // 5 if by_amount else lines[0].cents
        form["multiplePayeesMode"] = True
        if by_amount:
            form["payPlanMode"] = True
        else:
            for number, line in enumerate(lines):
                line.detail["feeTypeForm"]["feeDetailPayeeId"] = supplier if number else plan.person.payee
        rows = [(plan.person.payee, first), (supplier, payable - first)]
    elif payable and not plan.defect and not plan.oddity and draw() < 0.05:
        rows = [(form["payeeId"], payable)]
    else:
        return
    form["payPlan"] = [
        _plan_row(plan, shop, number, payee=payee, cents=cents) for number, (payee, cents) in enumerate(rows)
    ]


def _plan_row(plan: Plan, shop: Workshop, number: int, *, payee: str, cents: int) -> Json:
    money = line_money(cents, _CURRENCY[plan.company], shop.random.random)
    row = {"E_system_支付计划_支付金额": money, "E_system_支付计划_收款信息": payee}
    return {"dataLinkId": opaque(Kind.PLAN_ROW, plan.seq * 8 + 1 + number), "dataLinkForm": row, "receiptId": []}


def custom_fields(plan: Plan, shop: Workshop) -> Json:
    """User-defined fields of every value type; an unset reference is empty, null or absent."""
    draw = shop.random.random
    return {
        "u_备注": "按制度报销\t含附件",
        "u_出差天数": str(1 + int(draw() * 9)),
        "u_里程": plain(int(draw() * 90_000)),
        "u_是否超标": draw() < 0.2,
        "u_出差日期": midnight(plan.submitted),
        "u_出差区间": {"start": midnight(plan.submitted) - 259_200_000, "end": midnight(plan.submitted)},
        "u_同行人": [plan.person.id, shop.parties.people[0].id],
        "u_受益部门": plan.person.department,
        "u_目的地": '[{"key":"858","label":"上海市/上海市区"}]',
        "u_舱位": "ECONOMY",
        "u_附件": [
            {"key": f"u-{plan.seq}.pdf", "fileId": opaque(Kind.FILE, plan.seq * 512 + 9), "fileName": "说明.pdf"}
        ],
        "u_关联合同": ("", None)[int(draw() * 2)],
        "attachments": [
            {"key": f"f-{plan.seq}.pdf", "fileId": opaque(Kind.FILE, plan.seq * 512 + 8), "fileName": "单据.pdf"}
        ],
    }
