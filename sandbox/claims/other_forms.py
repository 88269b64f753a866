"""Loans, payments, receipts and requisitions (sections 5.3 and 9)."""

from sandbox.claims.forms import Made, Workshop, common_form, finish, midnight
from sandbox.claims.plan import Plan
from sandbox.ids import CORPORATION, Kind, line_number, opaque, template_version
from sandbox.loans import NO_DUE_DATE, Loan
from sandbox.master import COMPANIES
from sandbox.money import Json, header_money, line_money, loose

_DAY = 86_400_000
_CURRENCY = {company.code: company.currency for company in COMPANIES}
_FEE = f"{CORPORATION}:travel"


def loan(plan: Plan, shop: Workshop, *, code: str) -> Made:
    """A loan form; its package exists once the loan is paid."""
    draw = shop.random.random
    cents = (10 + int(draw() * 190)) * 10_000
    currency = _CURRENCY[plan.company]
    form = common_form(plan, shop, code=code, title=f"{plan.person.name}借款", template="loan")
    form["loanDate"] = midnight(plan.submitted)
    if draw() < 0.8:
        form["loanDepartment"] = plan.person.department
    form["loanMoney"] = line_money(cents, currency, draw)
    form["payMoney"] = header_money(cents, currency, draw)
    form["payeeId"] = plan.person.payee
    form["repaymentDate"] = NO_DUE_DATE if draw() < 0.3 else midnight(plan.submitted) + 60 * _DAY
    made = finish(plan, shop, form, cashier=True, lines=[])
    paid = plan.paid if plan.active and plan.state in ("paid", "archived") else 0
    shop.loans.add(
        Loan(
            flow_seq=plan.seq, flow_id=made.flow["id"], company=plan.company, currency=currency, owner=plan.person.id,
            total=cents, open=cents, paid_ms=paid, title=form["title"], due_ms=form["repaymentDate"],
        )
    )  # fmt: skip
    return made


def payment(plan: Plan, shop: Workshop, *, code: str) -> Made:
    """A payment form to a supplier, one in five the travel platform's bill; it has no lines and no department."""
    draw = shop.random.random
    cents = 50_000 + int(draw() * draw() * 9_000_000)
    currency = _CURRENCY[plan.company]
    to_platform = draw() < 0.2
    form = common_form(plan, shop, code=code, title="商旅平台账单" if to_platform else "供应商付款", template="payment")
    form["payMoney"] = line_money(cents, currency, draw)
    suppliers = shop.parties.suppliers
    form["payeeId"] = shop.parties.platform if to_platform else suppliers[int(draw() * len(suppliers))]
    return finish(plan, shop, form, cashier=True, lines=[])


def receipt(plan: Plan, shop: Workshop, *, code: str) -> Made | None:
    """A receipt that pays back part of a loan; None where nobody owes anything at that time."""
    debt = shop.loans.pick(plan.company, plan.person.id, before_ms=plan.submitted, random=shop.random)
    if debt is None:
        return None
    draw = shop.random.random
    plan.person = shop.parties.people_by_id[debt.owner]
    cents = debt.open if draw() < 0.5 else max(debt.open // 2, 1)
    currency = _CURRENCY[plan.company]
    form = common_form(plan, shop, code=code, title=f"{plan.person.name}还款", template="receipt")
    for key in ("voucherNo", "voucherStatus", "voucherCreateTime"):
        form.pop(key, None)
    form["receiptDate"] = midnight(plan.submitted)
    form["expenseDepartment"] = plan.person.department
    form["details"] = [_simple_line(plan, "receipt", cents, shop)]
    form["receiptMoney"] = line_money(cents, currency, draw)
    form["paymentAccountId"] = shop.parties.account_ids[_account_code(plan.company)]
    form["writtenOffRecords"] = [{"id": debt.package_id, "amount": loose(cents, draw()), "loanId": debt.flow_id}]
    if plan.active and plan.state not in ("draft", "rejected", "nullify"):
        shop.loans.settle(debt, plan.seq, cents)
    return finish(plan, shop, form, cashier=False, lines=[])


def requisition(plan: Plan, shop: Workshop, *, code: str) -> Made:
    """A travel requisition: a commitment, with a plan of the journey and at times lines."""
    draw = shop.random.random
    cents = (5 + int(draw() * 95)) * 10_000
    currency = _CURRENCY[plan.company]
    form = common_form(plan, shop, code=code, title=f"{plan.person.name}出差申请", template="requisition")
    form["requisitionDate"] = midnight(plan.submitted)
    form["expenseDepartment"] = plan.person.department
    form["requisitionMoney"] = line_money(cents, currency, draw)
    form["alterFlag"] = "0"
    form["u_行程规划"] = [_journey(plan)]
    form["u_订票人"] = plan.person.id
    if draw() < 0.4:
        form["details"] = [_simple_line(plan, "requisition", cents, shop)]
    return finish(plan, shop, form, cashier=False, lines=[])


def _account_code(company: str) -> str:
    return next(row.account_code for row in COMPANIES if row.code == company)


def _simple_line(plan: Plan, kind: str, cents: int, shop: Workshop) -> Json:
    form = {
        "amount": line_money(cents, _CURRENCY[plan.company], shop.random.random),
        "feeDate": midnight(plan.submitted),
        "detailId": opaque(Kind.DETAIL, line_number(plan.seq, 0)),
        "attachments": [],
        "consumptionReasons": "",
    }
    return {"feeTypeId": _FEE, "feeTypeForm": form, "specificationId": f"{_FEE}:{kind}:{template_version(_FEE + kind)}"}


def _journey(plan: Plan) -> Json:
    entity = "E_89330ae5c7fee240b000"
    return {
        "dataLinkId": None,
        "dataLinkForm": {
            f"{entity}_name": "北京市/海淀区 - 上海市/上海市区",
            f"{entity}_出发地": '[{"key":"8","label":"北京市/海淀区"}]',
            f"{entity}_目的地": '[{"key":"858","label":"上海市/上海市区"}]',
            f"{entity}_行程日期": midnight(plan.submitted) + 5 * _DAY + 32_409_029,
        },
        "dataLinkTemplateId": "jdYaVsv-UA3Q00",
    }
