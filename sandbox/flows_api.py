"""Flow calls: list, details, approval states, voucher write-back, attachments (sections 4, 5, 7, 8, 13)."""

import re
from typing import Any

from sandbox.answers import Answer, Call, Refused, ok
from sandbox.listing import Listing, understand
from sandbox.money import Json
from sandbox.parties import Person
from sandbox.store import Head
from sandbox.tenant import Tenant

_DETAIL_FIELDS = {"flowDetails": "flowId", "byCode": "code", "outerCode": "outerCode"}
_STAGES = {
    "draft": "尚未提交", "pending": "尚未提交", "rejected": "拒绝", "paid": "完成", "archived": "完成",
    "paying": "出纳支付", "PROCESSING": "出纳支付",
}  # fmt: skip
_ATTACHMENT_LIMIT = 100


class FlowCalls:
    """The handlers that read and number flows."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._store = tenant.store
        self._listing = Listing(tenant)

    def apply_list(self, call: Call) -> Answer:
        """GET v1.1/docs/getApplyList."""
        return self._listing.page(understand(call, self._tenant.clock.now()))

    def details(self, call: Call) -> Answer:
        """GET v1.1/flowDetails, /byCode and /outerCode: the flow with its fee types, or 412 with a text."""
        name = _DETAIL_FIELDS[call.path.rstrip("/").rsplit("/", 1)[-1]]
        value = call.query.get(name, "")
        head = self._find(name, value)
        if head is None:
            raise Refused(412, "单据不存在")
        if not head.active:
            raise Refused(412, "单据已删除")
        flow = self._store.flow(head.seq)
        for detail in flow["form"].get("details") or []:
            # Only the detail calls carry the fee type itself.
            detail["feeType"] = self._tenant.master.fee_names.get(detail["feeTypeId"])
        return ok({"value": flow})

    def approve_states(self, call: Call) -> Answer:
        """GET v2/approveStates/[ids]: unknown ids are silently missing."""
        items = []
        for flow_id in call.ids():
            seq = self._store.by_id.get(flow_id)
            if seq is not None:
                items.append(self._stage(self._store.heads[seq]))
        return ok({"items": items})

    def erp_voucher(self, call: Call) -> Answer:
        """PUT v2.1/flow/data/erpVoucher: all or nothing, only on flows in state `paid`."""
        rows = _voucher_rows(call.json())
        known = {flow_id for flow_id, _, _ in rows if self._live(flow_id)}
        unknown = [flow_id for flow_id, _, _ in rows if flow_id not in known]
        if unknown:
            raise Refused(412, f"不存在此单据[{', '.join(unknown)}]")
        unpaid = [flow_id for flow_id, _, _ in rows if self._store.heads[self._store.by_id[flow_id]].state != "paid"]
        if unpaid:
            raise Refused(400, f"单据Id:[[{', '.join(unpaid)}]]的单据不是已支付状态，不能回写单据凭证，请检查")
        self._tenant.write_vouchers(rows)
        return ok({"value": True})

    def attachments(self, call: Call) -> Answer:
        """POST v1/flowDetails/attachment: files of up to 100 flows; more is refused with a text."""
        body: Any = call.json()
        ids = body.get("flowIds") if isinstance(body, dict) else None
        if not isinstance(ids, list) or not ids:
            raise Refused(400, "输入存在错误:\n- 缺少flowIds参数")
        if len(ids) > _ATTACHMENT_LIMIT:
            raise Refused(400, "单据数量不能超过100")
        if any(not self._live(str(flow_id)) for flow_id in ids):
            raise Refused(400, "单据不存在")
        return ok({"items": [self._files(self._store.by_id[flow_id], call.host) for flow_id in ids]})

    def _find(self, name: str, value: str) -> Head | None:
        if name == "outerCode":
            return next((head for head in self._store.heads if value and head.outer_code == value), None)
        seq = (self._store.by_id if name == "flowId" else self._store.by_code).get(value)
        return None if seq is None else self._store.heads[seq]

    def _live(self, flow_id: str) -> bool:
        seq = self._store.by_id.get(flow_id)
        return seq is not None and self._store.heads[seq].active

    def _stage(self, head: Head) -> Json:
        stage = "已删除" if not head.active else _STAGES.get(head.state, "审批A")
        waiting = stage in ("出纳支付", "审批A")
        people: list[Person] = self._tenant.parties.people[1:2] if waiting else []
        operators = [{"id": person.id, "name": person.name, "code": person.code} for person in people]
        return {"flowId": head.id, "stageName": stage, "operators": operators, "delegateData": []}

    def _files(self, seq: int, host: str) -> Json:
        flow = self._store.flow(seq)
        form = flow["form"]
        groups: list[Json] = []
        if form.get("attachments"):
            groups.append({"type": "flow.body", "attachmentUrls": [_link(file, host) for file in form["attachments"]]})
        for detail in form.get("details") or []:
            groups += _line_files(detail["feeTypeForm"], host)
        if form.get("payDate"):
            slip = {"key": f"receipt-{seq}.pdf"}
            groups.append({"type": "flow.receipt", "receiptUrls": [_link(slip, host)]})
        return {"flowId": flow["id"], "flowCode": form["code"], "attachmentList": groups, "fromType": flow["formType"]}


def _line_files(feeform: Json, host: str) -> list[Json]:
    invoices = (feeform.get("invoiceForm") or {}).get("invoices") or []
    files = feeform.get("attachments") or []
    if not invoices and not files:
        return []
    group: Json = {"type": "flow.free", "freeId": feeform["detailId"]}
    if files:
        group["attachmentUrls"] = [_link(file, host) for file in files]
    if invoices:
        group["invoiceUrls"] = [_invoice_link(invoice["invoiceId"], host) for invoice in invoices]
    return [group]


def _link(file: Json, host: str) -> Json:
    return {**file, "url": f"http://{host}/sandbox/files/{file['key']}?e=3600&token=SANDBOX"}


def _invoice_link(invoice_id: str, host: str) -> Json:
    """In this call the two names are swapped: invoiceNumber is the code and invoiceCode the number."""
    parts = invoice_id.split(":")
    code, number = (parts[1], parts[2]) if len(parts) >= 3 else ("", invoice_id)
    return {
        **_link({"key": f"{number}.pdf", "fileName": f"{number}.pdf"}, host),
        "invoiceNumber": code,
        "invoiceCode": number,
    }


def _voucher_rows(body: Any) -> list[tuple[str, str, int]]:
    """(flow id, number, created ms) of a write-back; the time is a text of digits, an empty number deletes."""
    rows = body.get("voucher") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not rows:
        raise Refused(412, "JSON请求参数不正确")
    return [_voucher_row(row) for row in rows]


def _voucher_row(row: Any) -> tuple[str, str, int]:
    match row:
        case {"flowId": str(flow_id), "voucherNo": str(number), "voucherCreateTime": str(created)}:
            if re.fullmatch(r"[0-9]{1,15}", created):
                return flow_id, number, int(created)
    raise Refused(412, "JSON请求参数不正确")
