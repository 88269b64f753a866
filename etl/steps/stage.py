"""Raw JSON claims become staged frames: exact money, one row per claim, detail, share, invoice and settlement.

Pure. A claim that cannot be read exactly becomes a reject and leaves no other row. Source: hesi-openapi sections 3, 5, 6
and 9; accounting-rules 1 and 2 for the dates.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from etl.frames import (
    COMMITMENTS,
    NO_AMOUNT,
    NO_INSTANT,
    REJECTS,
    STAGED_CLAIMS,
    STAGED_INVOICES,
    STAGED_LINES,
    STAGED_PAYEES,
    STAGED_SHARES,
    STAGED_WRITE_OFFS,
)
from etl.masking import mask_name
from etl.payload import (
    FORM_FIELDS,
    LINE_FIELDS,
    SHARE_FIELDS,
    FlowDecoder,
    InvoiceForm,
    content_name,
    custom_reader,
    flow_decoder,
    repeated_key,
)
from etl.periods import NO_DUE_DATE_MS
from etl.rejects import CATALOGUE, OWNER_NAMES
from etl.steps.claim_values import (
    NOT_DECODED,
    Unreadable,
    base_money,
    count_of,
    event_ms_of,
    fee_ms,
    foreign_money,
    id_text,
    last_trade_no,
    optional_amount,
    paid_attempts,
    parse_amount,
    plan_row,
    rate_text,
    returned_attempts,
)
from etl.steps.staged import StagedClaims

DUE_STATES = frozenset({"paying", "PROCESSING", "paid", "archived"})
SETTLED_STATES = frozenset({"paid", "archived"})
NOT_DUE_STATES = frozenset({"draft", "pending", "approving", "rejected", "nullify", "sending", "receiving"})
ENTRY_KIND = {"expense": "EXPENSE", "loan": "LOAN", "payment": "PAYMENT", "receipt": "RECEIPT", "requisition": "REQUISITION"}
_TOTAL_FIELD = {"expense": "expenseMoney", "loan": "loanMoney", "payment": "payMoney", "receipt": "receiptMoney"}
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # an escaped NUL, not an escaped backslash before u0000


def stage(items: Iterable[tuple[Raw, str]], paths: tuple[str, ...] = ()) -> StagedClaims:
    """Staged frames of raw flows.

    Args:
        items: raw JSON of one flow each with its ``raw_ref``; one version per id, the newest.
        paths: custom field paths the mappings ask for; they become text columns.
    """
    rows = _Rows(flow_decoder(paths))
    for raw, raw_ref in items:
        rows.add(raw, raw_ref)
    return rows.frames()


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(value)).hexdigest()


class _Rows:
    """Collects row tuples; columns follow the frame specs."""

    def __init__(self, decoder: FlowDecoder) -> None:
        self.decode = decoder.flow.decode
        self.form_fields = custom_reader(decoder.form, (field[0] for field in FORM_FIELDS))
        self.line_fields = custom_reader(decoder.line, (field[0] for field in LINE_FIELDS))
        self.share_fields = custom_reader(decoder.share, (field[0] for field in SHARE_FIELDS))
        self.specs = (
            STAGED_CLAIMS.with_custom(f"form.{key}" for key in decoder.form),
            STAGED_LINES.with_custom(f"line.{key}" for key in decoder.line),
            STAGED_SHARES.with_custom(f"share.{key}" for key in decoder.share),
            STAGED_INVOICES,
            STAGED_WRITE_OFFS,
            STAGED_PAYEES,
            COMMITMENTS,
            REJECTS,
        )
        self.claims: list[tuple[object, ...]] = []
        self.lines: list[tuple[object, ...]] = []
        self.shares: list[tuple[Any, ...]] = []
        self.invoices: list[tuple[Any, ...]] = []
        self.write_offs: list[tuple[object, ...]] = []
        self.payees: list[tuple[object, ...]] = []
        self.commitments: list[tuple[object, ...]] = []
        self.rejects: list[tuple[object, ...]] = []

    def frames(self) -> StagedClaims:
        rows = (self.claims, self.lines, self.shares, self.invoices, self.write_offs, self.payees, self.commitments, self.rejects)
        return StagedClaims(*(spec.from_rows(part) for spec, part in zip(self.specs, rows, strict=True)))

    def add(self, raw: Raw, raw_ref: str) -> None:
        flow = None
        marks = self._marks()
        text = bytes(raw)
        try:
            if (key := repeated_key(text)) is not None:
                raise Unreadable("PAYLOAD_INVALID", f"the key {key!r} stands twice in the claim's JSON")
            try:
                flow = self.decode(raw)
            except NOT_DECODED as error:
                raise Unreadable("PAYLOAD_INVALID", f"expected the documented claim JSON, found: {error}") from None
            if b"\\u0000" in text and _NUL.search(msgspec.json.encode(flow)):
                raise Unreadable("PAYLOAD_INVALID", "a text holds a NUL character, which no database takes")
            self._add_flow(flow, raw_ref)
        except Unreadable as error:
            self._reset(marks)
            self._reject(raw, flow, raw_ref, error)

    def _marks(self) -> tuple[int, ...]:
        return (len(self.claims), len(self.lines), len(self.shares), len(self.invoices), len(self.write_offs), len(self.payees))

    def _reset(self, marks: tuple[int, ...]) -> None:
        for rows, size in zip((self.claims, self.lines, self.shares, self.invoices, self.write_offs, self.payees), marks, strict=True):
            del rows[size:]

    def _reject(self, raw: Raw, flow: Any, raw_ref: str, error: Unreadable) -> None:
        claim_id, code, form_type = _peek(raw) if flow is None else (flow.id, flow.form.code or "", flow.formType)
        owner = OWNER_NAMES[CATALOGUE[error.rule].owner][0]
        self.rejects.append(
            (
                claim_id or self._unnamed(raw),
                code,
                form_type,
                ENTRY_KIND.get(form_type, "EXPENSE"),
                "rejected",
                "stage",
                error.rule,
                error.reason,
                owner,
                "",
                "",
                0,
                mask_name(""),
                "",
                raw_ref,
            )
        )

    def _unnamed(self, raw: Raw) -> str:
        """A name for a claim without a readable id; a second one of the same content is told apart by its number."""
        name = content_name(bytes(raw))
        same = sum(1 for row in self.rejects if str(row[0]).partition("#")[0] == name)
        return f"{name}#{same + 1}" if same else name

    def _add_flow(self, flow: Any, raw_ref: str) -> None:
        form_type, state = flow.formType, flow.state or ""
        if not flow.id:
            raise Unreadable("PAYLOAD_INVALID", "id is empty")
        if form_type not in ENTRY_KIND:
            raise Unreadable("PAYLOAD_INVALID", f"formType: expected one of {', '.join(ENTRY_KIND)}, found {form_type!r}")
        if state not in DUE_STATES and state not in NOT_DUE_STATES:
            raise Unreadable("STATE_UNKNOWN", f"expected a documented state, found {state!r}")
        if flow.updateTime is None:
            raise Unreadable("CURSOR_MISSING", "updateTime is missing, so no run can tell whether this version is new")
        if form_type == "requisition":
            self._add_commitment(flow)
            return
        due = flow.active and state in DUE_STATES and (form_type == "expense" or state in SETTLED_STATES)
        claim = len(self.claims)
        if due:
            self._add_due(flow, claim, raw_ref)
        else:
            self._append_claim(flow, raw_ref, due=False)

    def _add_commitment(self, flow: Any) -> None:
        amount, currency = base_money(flow.form.requisitionMoney, "form.requisitionMoney")
        open_ = flow.active and flow.state in DUE_STATES
        self.commitments.append(
            (flow.id, flow.form.code or "", flow.state, "", id_text(flow.form.expenseDepartment), currency, amount if open_ else 0, flow.updateTime)
        )

    def _append_claim(self, flow: Any, raw_ref: str, *, due: bool, **found: Any) -> None:
        form = flow.form
        get = found.get
        self.claims.append(
            (
                flow.id,
                form.code or "",
                flow.formType,
                flow.state,
                due,
                due and flow.state in SETTLED_STATES,
                flow.version or 0,
                flow.updateTime,
                get("event_ms", NO_INSTANT),
                form.payDate or NO_INSTANT,
                form.title or "",
                form.submitterId or "",
                form.paymentAccountId or "",
                get("trade_no", ""),
                get("currency", ""),
                get("total", 0),
                get("pay", 0),
                get("written_off", 0),
                get("company_paid", 0),
                form.voucherNo or "",
                get("originals", 0),
                form.expenseLink or "",
                form.repaymentDate if form.repaymentDate and form.repaymentDate != NO_DUE_DATE_MS else NO_INSTANT,
                id_text(form.expenseDepartment) or id_text(form.loanDepartment) or flow.ownerDefaultDepartment or "",
                get("sha", ""),
                raw_ref,
                *(id_text(getattr(form, key)) for key in self.form_fields),
            )
        )

    def _add_due(self, flow: Any, claim: int, raw_ref: str) -> None:
        form, form_type = flow.form, flow.formType
        if not form.code:
            raise Unreadable("PAYLOAD_INVALID", "form.code is missing, so nobody could find the voucher's claim")
        if not form.submitterId:
            raise Unreadable("PAYLOAD_INVALID", "form.submitterId is missing, so nobody can say whose claim it is; its creator may be somebody else")
        total_field = _TOTAL_FIELD[form_type]
        total, currency = base_money(getattr(form, total_field), f"form.{total_field}")
        if not currency:
            raise Unreadable("AMOUNT_IDENTITY", f"form.{total_field} is missing")
        pay, pay_currency = base_money(form.payMoney, "form.payMoney", currency)
        if not pay_currency:
            pay = total if form_type in {"loan", "payment"} else 0
        written_off, _ = base_money(form.writtenOffMoney, "form.writtenOffMoney", currency)
        company_paid, _ = base_money(form.companyRealPay, "form.companyRealPay", currency)
        first_line, first_share, first_invoice = len(self.lines), len(self.shares), len(self.invoices)
        originals = count_of(form.attachments) + self._add_lines(form, claim)
        trade_no = last_trade_no(flow.logs)
        payees = self._add_payees(form, claim, pay, currency, flow.logs)
        write_offs = self._add_write_offs(form, claim, currency)
        # Everything the accrual depends on; the payment columns are left out, so that paying never changes it (rule 1).
        content = (
            form.code,
            form.title,
            form.submitterId,
            total,
            currency,
            pay,
            written_off,
            company_paid,
            payees,
            write_offs,
            originals,
            form.expenseLink,
            id_text(form.expenseDepartment),
            id_text(form.loanDepartment),
            [row[1:] for row in self.lines[first_line:]],
            [(row[0] - first_line, *row[1:]) for row in self.shares[first_share:]],
            [(row[0] - first_line, *row[1:]) for row in self.invoices[first_invoice:]],
            [id_text(getattr(form, key)) for key in self.form_fields],
        )
        self._append_claim(
            flow,
            raw_ref,
            due=True,
            event_ms=event_ms_of(flow),
            trade_no=trade_no,
            currency=currency,
            total=total,
            pay=pay,
            written_off=written_off,
            company_paid=company_paid,
            originals=originals,
            sha=_digest(content),
        )

    def _add_lines(self, form: Any, claim: int) -> int:
        """Adds the details of a form and returns the number of attached originals that are no invoices."""
        originals = 0
        for line_no, detail in enumerate(form.details or ()):
            where = f"form.details[{line_no}]"
            line = detail.feeTypeForm
            if line is None or line.amount is None:
                raise Unreadable("AMOUNT_IDENTITY", f"{where}.feeTypeForm.amount is missing")
            amount, currency = base_money(line.amount, f"{where}.amount")
            foreign, foreign_currency, rate = foreign_money(line.amount, f"{where}.amount.foreign")
            links = line.linkDetailEntities or ()
            self.lines.append(
                (
                    claim,
                    line_no,
                    line.detailId or f"#{line_no}",
                    detail.feeTypeId or "",
                    amount,
                    currency,
                    foreign,
                    foreign_currency,
                    rate,
                    fee_ms(line, where),
                    next((link.expenseLink for link in links if link.expenseLink), ""),
                    *(id_text(getattr(line, key)) for key in self.line_fields),
                )
            )
            at = len(self.lines) - 1
            originals += count_of(line.attachments) + self._add_invoices(line, at, where, currency)
            if isinstance(line.apportions, list):
                self._add_shares(line.apportions, at, where, currency)
        return originals

    def _add_shares(self, apportions: list[Any], line: int, where: str, currency: str) -> None:
        for share_no, apportion in enumerate(apportions):
            share = apportion.apportionForm
            if share is None or share.apportionMoney is None:
                raise Unreadable("APPORTION_SUM", f"{where}.apportions[{share_no}].apportionMoney is missing")
            money, _ = base_money(share.apportionMoney, f"{where}.apportions[{share_no}]", currency)
            self.shares.append((line, share_no, share.apportionId or f"#{share_no}", money, *(id_text(getattr(share, key)) for key in self.share_fields)))

    def _add_invoices(self, line: Any, at: int, where: str, currency: str) -> int:
        form = line.invoiceForm
        uses = form.invoices or () if isinstance(form, InvoiceForm) else ()
        for number, use in enumerate(uses):
            place = f"{where}.invoices[{number}]"
            self.invoices.append(
                (
                    at,
                    number,
                    use.invoiceId or "",
                    optional_amount(use.taxAmount, f"{place}.taxAmount", currency),
                    rate_text(use.taxRate),
                    optional_amount(use.approveAmount, f"{place}.approveAmount", currency),
                    count_of(use.itemIds),
                    " ".join(use.itemIds or ()),
                )
            )
        if not uses and line.taxAmount is not None:  # tax on the detail itself, seen in newer tenants
            self.invoices.append((at, 0, "", optional_amount(line.taxAmount, f"{where}.taxAmount", currency), rate_text(line.taxRate), NO_AMOUNT, 0, ""))
        return count_of(form.attachments) if isinstance(form, InvoiceForm) else 0

    def _add_payees(self, form: Any, claim: int, pay: int, currency: str, logs: list[Any] | None) -> list[tuple[object, ...]]:
        """Adds one settlement per payPlan row, else one for the single payee (one per attempt once the bank sent money back).

        Returns what the payable depends on.
        """
        plan = [plan_row(row.dataLinkForm or {}, f"form.payPlan[{n}]", currency) for n, row in enumerate(form.payPlan or ())]
        planned = bool(plan)
        if not planned:
            money = form.payMoney or form.loanMoney
            foreign = ("", 0, "", "") if money is None else ("", *foreign_money(money, "form.payMoney.foreign"))
            plan = [(form.payeeId or "", pay, *foreign[1:], NO_INSTANT, "")] if pay else []
        payable = [row[:5] for row in plan]
        returned = returned_attempts(logs)
        if returned and not planned:
            plan = [(*row[:5], paid_ms, trade) for row in plan for trade, paid_ms in paid_attempts(logs)]
        dated = any(row[5] != NO_INSTANT for row in plan)
        for number, (payee, amount, foreign_minor, foreign_currency, rate, paid_ms, row_trade) in enumerate(plan, start=1):
            paid = paid_ms if dated else form.payDate or NO_INSTANT
            trade = row_trade or ("" if len(plan) > 1 else last_trade_no(logs))
            content = (form.code, payee, amount, foreign_minor, foreign_currency, paid // 1000, form.paymentAccountId)
            self.payees.append(
                (
                    claim,
                    number,
                    payee,
                    amount,
                    foreign_minor,
                    foreign_currency,
                    rate,
                    paid,
                    trade,
                    returned.get(trade, NO_INSTANT),
                    planned or number == len(plan),
                    _digest(content),
                )
            )
        return payable

    def _add_write_offs(self, form: Any, claim: int, currency: str) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        for number, record in enumerate(form.writtenOffRecords or ()):
            amount = parse_amount(record.amount, currency, f"form.writtenOffRecords[{number}].amount")
            found.append((record.id or record.loanId or "", amount))
            self.write_offs.append((claim, number, *found[-1]))
        return found


class _Peek(msgspec.Struct):
    id: Any = None
    formType: Any = None
    form: Any = None


def _peek(raw: Raw) -> tuple[str, str, str]:
    """Id, code and form type as far as an unreadable claim tells them, for its reject row."""
    try:
        found = msgspec.json.decode(raw, type=_Peek)
    except NOT_DECODED:
        found = _Peek()
    code = found.form.get("code") if isinstance(found.form, dict) else None
    names = [value.replace("\x00", "") if isinstance(value, str) else "" for value in (found.id, code, found.formType)]
    return names[0], names[1], names[2]
