"""The approval trail of a flow: logs, and the form fields approval and payment leave behind (sections 5.2, 5.3)."""

from sandbox.claims.plan import Plan
from sandbox.ids import CORPORATION, Kind, opaque
from sandbox.master import COMPANIES
from sandbox.money import Json
from sandbox.parties import Parties

_APPROVER = f"{CORPORATION}:{opaque(Kind.STAFF, 2)}"
_CASHIER = f"{CORPORATION}:{opaque(Kind.STAFF, 1)}"
_CASHIER_NODE = "FLOW:1412813128:1997769931"
_APPROVAL_NODE = "FLOW:438149376:1843632411"
_DAY = 86_400_000
_COMPANY_ACCOUNT = {company.code: company.account_code for company in COMPANIES}
_SETTLED = ("paid", "archived")


def log(action: str, state: str, *, operator: str, time: int, attributes: Json, department: str = CORPORATION) -> Json:
    """One entry of `logs[]`; `state` is the state after the action, `time` in milliseconds."""
    return {
        "action": action, "state": state, "operatorId": operator, "byDelegateId": None,
        "operatorDefaultDepartment": department, "nextOperatorId": None, "nextOperatorIds": [], "time": time,
        "attributes": attributes, "modifyFlowLog": None, "attachments": [],
    }  # fmt: skip


def trade_number(paid_ms: int) -> str:
    """The number of the payment batch: all payments of a day share it."""
    return f"OFFLINE2026{paid_ms // _DAY % 100_000:06d}"


def payment_logs(paid_ms: int, account: str) -> list[Json]:
    """The two entries a cashier's payment leaves."""
    attributes: Json = {
        "nodeId": _CASHIER_NODE, "comment": "", "failureReason": "", "channelTradeNo": trade_number(paid_ms),
        "paymentChannel": "OFFLINE", "paymentAccountId": account,
    }  # fmt: skip
    return [
        log("freeflow.paying", "paying", operator=_CASHIER, time=paid_ms - 9_000, attributes=attributes),
        log("freeflow.pay", "paid", operator=_CASHIER, time=paid_ms, attributes=attributes),
    ]


def flow_logs(plan: Plan, *, account: str) -> list[Json]:
    """Everything that happened to the claim so far; `account` empty when no cashier paid it."""
    if plan.state == "draft":
        return []
    person = plan.person
    submit = log(
        "freeflow.submit", "approving", operator=person.id, time=plan.submitted + 400, department=person.department,
        attributes={
            "nextId": _APPROVAL_NODE, "nodeId": "SUBMIT", "comment": "", "isUrgent": False, "nextName": "审批A",
            "urgentReason": None, "resubmitMethod": "FROM_START", "nextCounterSign": False, "sensitiveContent": None,
            "resubmitOperatorIds": [],
        },
    )  # fmt: skip
    submit["modifyFlowLog"] = [
        {
            "version": 1, "flowVersionedId": opaque(Kind.PLAN_ROW, plan.seq * 8), "operatorId": person.id,
            "operatorTime": plan.submitted + 400, "operatorState": "CREATE", "editeReason": "", "byDelegateId": None,
        }
    ]  # fmt: skip
    entries = [submit]
    node = {"nodeId": _APPROVAL_NODE, "nodeName": "审批A", "nextName": "出纳支付", "comment": "同意", "complete": True}
    if plan.approved:
        after = "paying" if account or plan.state in ("paying", "PROCESSING") else "paid"
        entries.append(log("freeflow.agree", after, operator=_APPROVER, time=plan.approved, attributes=node))
    if plan.state == "rejected":
        rejection = {**node, "comment": "请补充发票", "complete": False}
        entries.append(log("freeflow.reject", "rejected", operator=_APPROVER, time=plan.updated, attributes=rejection))
    if plan.paid and account:
        entries += payment_logs(plan.paid, account)
    if plan.archived:
        entries.append(log("freeflow.archive", "archived", operator=person.id, time=plan.archived, attributes={}))
    return entries


def mark_progress(form: Json, plan: Plan, *, cashier: bool, chance: float) -> None:
    """Write the instants of approval and payment on the form; `chance` in [0, 1) decides what this tenant left out."""
    if plan.approved:
        form["preNodeApprovedTime"] = plan.approved
        if cashier and chance < 0.95:
            form["timeToEnterPendingPayment"] = plan.approved
    if plan.state in _SETTLED:
        form["flowEndTime"] = (plan.paid if cashier else plan.approved) + 1_300


def paying_account(plan: Plan, parties: Parties, *, dollars: bool) -> str:
    """The id of the account the claim is paid from."""
    if plan.oddity == "unmapped payment account":
        return parties.account_ids["BANK-OLD-09"]
    code = "BANK-USD-01" if dollars and plan.company == "C01" else _COMPANY_ACCOUNT[plan.company]
    return parties.account_ids[code]


def mark_payment(form: Json, account: str, paid_ms: int) -> None:
    """Write a cashier's payment on the form and on its payment plan."""
    form["payDate"] = paid_ms
    form["paymentChannel"] = "OFFLINE"
    form["paymentAccountId"] = account
    rows = form.get("payPlan") or []
    for number, row in enumerate(rows):
        # The payees of one claim are paid in different batches, the last on the claim's own date.
        instant = paid_ms if number == len(rows) - 1 else max(paid_ms - 2 * _DAY, form["preNodeApprovedTime"] + 60_000)
        row["dataLinkForm"]["E_system_支付计划_支付时间"] = min(instant, paid_ms)
        row["dataLinkForm"]["E_system_支付计划_支付流水号"] = f"{trade_number(instant)}-{number + 1}"


def flow_envelope(plan: Plan, form: Json, logs: list[Json], *, flow_id: str) -> Json:
    """The flow around a form, as an item of getApplyList."""
    person = plan.person
    actions = ["freeflow.archive", "freeflow.copy"] if plan.state in _SETTLED else ["freeflow.delete", "freeflow.edit"]
    return {
        "pipeline": 1, "grayver": "" if plan.seq % 3 else "9.87.0.0-prd", "version": 1 if plan.seq % 7 else 999,
        "active": plan.active, "createTime": plan.created, "updateTime": plan.updated, "corporationId": CORPORATION,
        "sourceCorporationId": None, "dataCorporationId": None, "form": form, "ownerId": person.id,
        "ownerDefaultDepartment": person.department, "state": plan.state, "flowType": "freeflow",
        "formType": plan.form_type, "logs": logs, "actions": {person.id: actions}, "invoiceRemind": False,
        "id": flow_id,
    }  # fmt: skip
