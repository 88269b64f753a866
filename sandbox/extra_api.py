"""Loans, budgets and invoices (sections 9, 10, 11)."""

from typing import Any

from sandbox import budgets as budget
from sandbox.answers import Answer, Call, Refused, ok
from sandbox.ids import claim_of_invoice
from sandbox.invoices import INVOICE_TYPES, header_of, items_of
from sandbox.loans import Loan, loan_info
from sandbox.money import Json
from sandbox.tenant import Tenant


class ExtraCalls:
    """The handlers beside flows and master data."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._store = tenant.store

    def loan_by_flow(self, call: Call) -> Answer:
        """GET v1/loans/getLoanInfoByFlowId/$id: 400 while the loan form is not finished."""
        flow_id = call.params["id"]
        return self._loan(self._tenant.loans.by_flow.get(flow_id), f"借款单Id:{flow_id}", by_package=False)

    def loan_by_package(self, call: Call) -> Answer:
        """GET v1/loan/loanInfo/$id."""
        package = call.params["id"]
        return self._loan(self._tenant.loans.by_package.get(package), f"借款包Id:{package}", by_package=True)

    def budget_list(self, _call: Call) -> Answer:
        """GET v2/budgets: drafts included."""
        return ok({"items": self._tenant.budgets.packages})

    def budget_query(self, call: Call) -> Answer:
        """GET v2/budgets/$id/query: a page of nodes; refused while the package is calculating."""
        package = self._package(call)
        start, count = call.page()
        self._refuse_while_calculating(package)
        page = budget.query(self._tenant.budgets, call.query.get("nodeId", ""), start=start, count=count)
        if page is None or not package["active"]:
            return ok({"value": {"nodes": [], "monies": [], "count": 0, "visibilities": [], "editInChargers": []}})
        return ok(page)

    def budget_tree(self, call: Call) -> Answer:
        """GET v2/budgets/$id: the whole tree."""
        package = self._package(call)
        self._refuse_while_calculating(package)
        return ok(
            {"value": {**package, "tree": list(self._tenant.budgets.nodes.values()) if package["active"] else []}}
        )

    def budget_state(self, call: Call) -> Answer:
        """GET v2/budgets/$id/async: DONE, PROCESSING or ERROR."""
        package = self._package(call)
        state = self._tenant.budgets
        if state.error:
            return ok({"value": {"status": "ERROR", "errorMessage": state.error, "budgetInfo": None}})
        info = {**package, "dimensionIds": {"expenseDepartment": "DEPART"}}
        status = "PROCESSING" if state.calculating else "DONE"
        return ok({"value": {"status": status, "errorMessage": None, "budgetInfo": info}})

    def invoices_of_flows(self, call: Call) -> Answer:
        """POST v2/extension/flow/INVOICE/search: invoice ids and types by flow id or code, dynamic keys."""
        body: Any = call.json()
        kind = body.get("type") if isinstance(body, dict) else None
        if kind not in ("id", "code"):
            raise Refused(400, f"不支持此类型type={kind}")
        index = self._store.by_id if kind == "id" else self._store.by_code
        found = {}
        for key in body.get("codeOrIds") or []:
            seq = index.get(key)
            rows = [] if seq is None else self._invoice_rows(seq)
            if rows:
                found[key] = rows
        return ok({"value": found})

    def invoice_headers(self, call: Call) -> Answer:
        """POST v2/extension/INVOICE/object/{type}/search by ids: an id of another type finds nothing."""
        kind = call.params["type"]
        if kind not in INVOICE_TYPES:
            raise Refused(400, f"不支持的业务对象「{kind}」")
        body: Any = call.json()
        ids = body.get("ids") if isinstance(body, dict) else None
        if not isinstance(ids, list) or not ids:
            raise Refused(400, "查询参数不能为空!!!")
        tickets = [ticket for ticket in self._tickets(ids) if ticket["type"] == kind]
        items = [header_of(ticket) for ticket in tickets]
        return ok({"count": len(items), "items": items})

    def invoice_items(self, call: Call) -> Answer:
        """POST v2/extension/INVOICE/object/invoice/{id}/detail: lines of one VAT invoice."""
        return ok({"items": [item for ticket in self._tickets([call.params["id"]]) for item in items_of(ticket)]})

    def invoice_items_batch(self, call: Call) -> Answer:
        """POST v2/extension/INVOICE/object/invoice/detailBatch: lines of many; other tickets have none."""
        body: Any = call.json()
        ids = body.get("invoiceIds") if isinstance(body, dict) else None
        if not isinstance(ids, list) or not ids:
            raise Refused(400, "查询参数不能为空!!!")
        return ok({"items": [item for ticket in self._tickets(ids) for item in items_of(ticket)]})

    def _loan(self, loan: Loan | None, asked: str, *, by_package: bool) -> Answer:
        head = None if loan is None else self._store.heads[loan.flow_seq]
        if loan is None or head is None or not head.active or head.state not in ("paid", "archived"):
            raise Refused(400, f"根据{asked}, 获取不到对应的借款包,请核查")
        return ok({"value": loan_info(loan, lambda seq: self._store.heads[seq].state, by_package=by_package)})

    def _package(self, call: Call) -> Json:
        for package in self._tenant.budgets.packages:
            if package["id"] == call.params["id"]:
                return package
        raise Refused(400, "不存在的预算包")

    def _refuse_while_calculating(self, package: Json) -> None:
        if self._tenant.budgets.calculating:
            raise Refused(400, f"预算[{package['name']}]未计算完成，请稍等")

    def _tickets(self, ids: list[Any]) -> list[Json]:
        """The tickets behind ids, in the order asked for, unknown ones missing."""
        by_claim: dict[int, dict[str, Json]] = {}
        found = []
        for identifier in ids:
            seq = claim_of_invoice(str(identifier))
            if seq is None or seq >= len(self._store.heads):
                continue
            if seq not in by_claim:
                by_claim[seq] = {ticket["id"]: ticket for ticket in self._store.tickets(seq)}
            ticket = by_claim[seq].get(identifier)
            if ticket is not None:
                found.append(ticket)
        return found

    def _invoice_rows(self, seq: int) -> list[Json]:
        details = self._store.flow(seq)["form"].get("details") or []
        invoices = [
            invoice
            for detail in details
            for invoice in (detail["feeTypeForm"].get("invoiceForm") or {}).get("invoices") or []
        ]
        types = {ticket["id"]: ticket["type"] for ticket in self._tickets([entry["invoiceId"] for entry in invoices])}
        return [
            {
                "invoiceId": entry["invoiceId"],
                "invoiceItemId": entry["itemIds"],
                "invoiceType": types.get(entry["invoiceId"], "other"),
            }
            for entry in invoices
        ]
