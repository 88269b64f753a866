"""The mapping of one company: how its claims become vouchers, as strict typed data.

A mapping folder holds ``companies/*.yaml`` (:class:`CompanyMapping`), ``charts/*.yaml`` (:class:`Chart`),
``vat/*.yaml`` (:class:`VatRules`), ``budget.yaml`` (:class:`etl.config.budget_policy.BudgetPolicy`) and ``layouts/*.yaml``
(:class:`etl.config.layouts.Layout`). Everything is text unless a field says otherwise, unknown keys are refused, and
dated entries carry ``from``/``to`` (both inclusive). There are no expressions: what cannot be said here is a change of the
program with a test. ``docs/mapping-reference.md`` and ``mappings/schema/*.json`` are generated from these classes.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator, model_validator

from etl.periods import FiscalPeriod

Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
EntryKind = Literal["EXPENSE", "PAYMENT", "LOAN", "RECEIPT"]
FieldPath = Annotated[str, StringConstraints(pattern=r"^(form|line|share|department|payee|staff)\.[^.\s]+$")]


def _true_or_false(value: object) -> object:
    if value in ("true", "false", True, False):
        return value
    raise ValueError(f"expected true or false, found {value!r}")


# pydantic would also take yes, on, 1 and t, which YAML readers disagree about.
Flag = Annotated[bool, BeforeValidator(_true_or_false)]


class Strict(BaseModel):
    """Unknown keys refused, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Dated(Strict):
    """An entry in force on the days from ``from`` to ``to``, both inclusive; open where left out."""

    from_: date | None = Field(None, alias="from", description="First day in force")
    to: date | None = Field(None, description="Last day in force")

    @model_validator(mode="after")
    def _ordered(self) -> Dated:
        if self.from_ and self.to and self.to < self.from_:
            raise ValueError(f"expected from <= to, found {self.from_} > {self.to}")
        return self

    def covers(self, day: date) -> bool:
        """Whether the entry is in force on ``day``."""
        return (self.from_ is None or self.from_ <= day) and (self.to is None or day <= self.to)


DimensionRule = Literal["required", "optional", "forbidden"]


class Account(Dated):
    """One leaf account of a chart and the dimensions it carries (accounting-rules 19)."""

    code: Code = Field(description="Account code as the ERP writes it")
    name: str = Field(description="Account name")
    dimensions: dict[Code, DimensionRule] = Field(default_factory=dict, description="Dimension type -> required, optional or forbidden; not named = forbidden")
    cash_flow_item: str = Field("", description="Cash-flow item printed on this account's lines")


class Chart(Strict):
    """The accounts a company may post to."""

    version: Code = Field(description="Version of this file, free text")
    name: Code = Field(description="Name that companies refer to")
    accounts: list[Account] = Field(description="Leaf accounts only")


class VatKind(Dated):
    """Whether and how one kind of invoice carries deductible tax (accounting-rules 13, 14)."""

    kinds: list[Code] = Field(description="Hesi invoice categories or invoice object types this entry is about")
    method: Literal["face", "formula", "none"] = Field(
        description="face: the tax on the invoice; formula: base x rate / (100 + rate) unless the tax is listed; none"
    )
    rate: Decimal | None = Field(None, description="Percent; required for formula")
    base: list[Literal["gross", "fare", "fuel"]] = Field(default_factory=list, description="Parts of the ticket the formula starts from")
    by: Literal["invoice_date", "travel_date"] = Field("invoice_date", description="Day that chooses the entry")
    flag: str = Field("", description="Finding raised whenever this entry applies")
    source: str = Field("", description="Legal source")

    @model_validator(mode="after")
    def _complete(self) -> VatKind:
        if self.method == "formula" and (self.rate is None or not self.base):
            raise ValueError("expected rate and base for method formula")
        return self


class VatRules(Strict):
    """Dated input-VAT rules of one jurisdiction."""

    version: Code = Field(description="Version of this file, free text")
    name: Code = Field(description="Name that companies refer to")
    kinds: list[VatKind] = Field(description="Entries by kind of invoice; the days of a kind must not overlap")
    unknown_kind: Literal["deduct", "none", "hold"] = Field(
        "deduct", description="What to do with Hesi's deductible tax when the invoice itself cannot be read"
    )
    below_face: Literal["prorate", "hold"] = Field("prorate", description="Approved below the invoice's face (rule 15)")


class HesiRef(Strict):
    """Entries of a Hesi list, by code or by id."""

    codes: list[Code] = Field(default_factory=list, description="Hesi codes")
    ids: list[Code] = Field(default_factory=list, description="Hesi ids, where codes are empty or not unique")

    @model_validator(mode="after")
    def _some(self) -> HesiRef:
        if not self.codes and not self.ids:
            raise ValueError("expected codes or ids")
        return self


class TaxpayerStatus(Dated):
    """Taxpayer kind on a day; only a general taxpayer deducts."""

    kind: Literal["general", "small_scale", "none"] = Field(description="Only general deducts input VAT")


class ValueMap(Dated):
    """One Hesi value and the code the ERP knows it by."""

    hesi: Code = Field(description="Hesi code or id")
    code: Code = Field(description="Code the ERP knows the value by")
    name: str = Field("", description="Name in the ERP; empty = Hesi's")


class Dimension(Strict):
    """One dimension of the ERP and where its value comes from."""

    type: Code = Field(description="dim_type in the ERP: department, project, employee, supplier, or your own")
    from_: list[FieldPath] = Field(alias="from", description="Where to look, first hit wins: share.X, line.X, form.X, department.X")
    source: Literal["department", "staff", "dimension_item", "text"] = Field(description="Hesi list that resolves the value to code and name")
    values: list[ValueMap] = Field(default_factory=list, description="Codes that differ from Hesi's")


class DepartmentClass(Dated):
    """Departments (with all below them) that book to one class of expense accounts."""

    class_: Code = Field(alias="class", description="Class name used in fee_types.accounts")
    departments: HesiRef = Field(description="Departments of the class; the nearest listed one upwards decides")


class FeeType(Dated):
    """Fee types that share accounts."""

    fee: HesiRef = Field(description="Hesi fee types; each one listed by itself, children are not included")
    label: str = Field(description="Name in summaries, e.g. 差旅费")
    deduct: Flag = Field(True, description="False: never deduct input VAT, whatever Hesi says (rule 13)")
    accounts: dict[Code, Code] = Field(description="Department class -> account; * = any class")


class Payables(Strict):
    """Credit accounts of what is still owed (rule 10)."""

    employee: Code = Field(description="Account of what is owed to an employee, e.g. 2241.01")
    supplier: Code = Field(description="Account of what is owed to a company payee, e.g. 2202.01")
    other_individual: Code | None = Field(None, description="Account for persons who are no employees; absent = held")
    supplier_code_from: FieldPath | None = Field(None, description="payee.X: custom field that holds the supplier code")
    suppliers: list[ValueMap] = Field(default_factory=list, description="Supplier codes by payee id or name")
    employee_dimension: Code = Field("employee", description="dim_type that names the employee who is owed or owes")
    supplier_dimension: Code = Field("supplier", description="dim_type that names the supplier who is owed or owes")
    overpaid_employee: Code | None = Field(None, description="Account of what an employee was paid too much, e.g. 1221.02; absent = stays on the payable")
    overpaid_supplier: Code | None = Field(None, description="Account of what a supplier was paid too much, e.g. 1123; absent = stays on the payable")
    suspense: Code | None = Field(
        None,
        description="Account of payments `hesi-erp accept-payment` posts before their claim can be, e.g. 1221.98 待处理付款 (rule 3); absent = they only wait",
    )

    def overpaid(self, dim_type: str) -> str | None:
        """Account of an overpayment to a counterparty of this dimension."""
        return self.overpaid_employee if dim_type == self.employee_dimension else self.overpaid_supplier


class CompanyPaid(Strict):
    """Credit account of parts the company paid directly (rule 12)."""

    account: Code = Field(description="Clearing account of the platform, e.g. 2202.02")
    supplier_from: list[FieldPath] = Field(default_factory=list, description="Field naming the platform's payee")
    default_supplier: Code | None = Field(None, description="Supplier code where the claim names no platform; absent = such a claim is rejected")
    default_name: str = Field("", description="Name of default_supplier")


class Loans(Strict):
    """Advances (rules 5, 11)."""

    employee: Code = Field(description="Account of an employee's advance, e.g. 1221.01")
    supplier: Code = Field(description="Account of an advance to a company payee, e.g. 1123")


class BankAccount(Strict):
    """One Hesi paying account and its bank account in the chart."""

    hesi: Code = Field(description="Hesi account code or id")
    account: Code = Field(description="Bank account in the chart")
    currency: Currency = Field(description="Currency the account is kept in")


class TaxCode(Strict):
    """Tax code printed on VAT lines of one rate."""

    rate: Decimal = Field(description="Percent")
    code: Code = Field(description="Tax code in the ERP")


class NotDeducted(Dated):
    """Values of a dimension whose shares deduct no input VAT: a project under simplified taxation, a canteen (rule 13)."""

    dimension: Code = Field("project", description="A type of dimensions in this file")
    hesi: HesiRef = Field(description="Its values in Hesi; each one listed by itself, what is below is not included")
    reason: str = Field(description="Why, quoted in the finding, e.g. 简易计税项目")


class InputVat(Strict):
    """Where deductible input VAT goes."""

    rules: Code = Field(description="Name of a file in vat/")
    account: Code = Field(description="Account of deductible input VAT, e.g. 2221.01.01")
    transfer_out: Code | None = Field(None, description="Account that takes deducted tax back in a later year, e.g. 2221.01.05 进项税额转出")
    tax_codes: list[TaxCode] = Field(default_factory=list, description="Tax codes by rate; none = lines carry no tax code")
    not_deducted: list[NotDeducted] = Field(default_factory=list, description="Shares whose tax stays in their cost; the first entry in force decides")


PLACEHOLDERS = ("claimant", "payee", "fee", "more", "offset", "fx", "code", "title", "date", "iso_date", "number")


class Summaries(Strict):
    """Templates of voucher summaries (摘要). Placeholders: claimant, payee, fee, more, offset, fx, code, title; of vouchers that
    undo or correct another also date, iso_date and number of that one."""

    accrual_employee: str = Field("{claimant}报销{fee}{more}{offset} {fx} {code}", description="Accrual owed to an employee")
    accrual_supplier: str = Field("{title} {fx} {code}", description="Accrual owed to a company payee")
    payment_employee: str = Field("付{payee}报销款 {code}", description="Payment to an employee")
    payment_supplier: str = Field("付{title} {fx} {code}", description="Payment to a company payee")
    payment_one_of_many: str = Field("付{payee} {code}", description="One payment of a claim with several payees")
    payment_form: str = Field("付{title} {code}", description="Payment form without a claim")
    loan: str = Field("付{payee}借款 {code}", description="Advance paid out")
    receipt: str = Field("收{claimant}还款 {code}", description="Advance paid back")
    reversal: str = Field("注销{date}{number}号凭证 {code}", description="Red voucher that undoes another")
    restatement: str = Field("订正{date}{number}号凭证 {code}", description="Blue voucher that says the reversed one anew")
    correction: str = Field("更正{date}{number}号凭证 {code}", description="Blue voucher that corrects an earlier fiscal year")
    overpayment: str = Field("应收{payee}退款 {code}", description="Reclassification of what was paid too much")
    payment_suspense: str = Field("付{payee} 待处理 {code}", description="Payment accepted to the suspense account")
    suspense_cleared: str = Field("转销待处理付款 {payee} {code}", description="Payment moved from the suspense account to the payable")
    returned_payment: str = Field("银行退票 冲{date}{number}号凭证 {code}", description="Red payment voucher: the bank sent the money back")
    more: str = Field("等", description="Text of {more}: the claim has several fee types")
    offset: str = Field("冲借款", description="Text of {offset}: an advance is written off")

    @field_validator("*")
    @classmethod
    def _placeholders(cls, value: str) -> str:
        names = PLACEHOLDERS
        try:
            value.format(**dict.fromkeys(names, "x"))
        except (KeyError, IndexError, ValueError):
            raise ValueError(f"expected only the placeholders {', '.join(names)}") from None
        return value


class VoucherStyle(Strict):
    """How a voucher looks in the target."""

    word: str = Field("记", description="Voucher word", max_length=8)
    maker: str = Field("hesi-erp", description="Name of the maker (制单人)", max_length=64)
    summary_limit: int = Field(255, ge=20, description="Longest summary")
    summary_unit: Literal["characters", "bytes_gb18030", "bytes_utf8"] = Field("characters", description="Unit of summary_limit: what the target counts")
    attachment_limit: int = Field(999, ge=1, description="More attachments reject the claim")
    summaries: Summaries = Field(default_factory=Summaries, description="Templates of summaries")


class ClosedPeriod(Strict):
    """A closed month."""

    period: str = Field(description="YYYY-MM")
    closed_on: date = Field(description="Closed from this day on; earlier runs still post into it")
    reopened_on: date | None = Field(None, description="Open again from this day on")

    @field_validator("period")
    @classmethod
    def _a_month(cls, value: str) -> str:
        try:
            written = str(FiscalPeriod.parse(value))
        except ValueError:
            written = ""
        if written != value:
            raise ValueError(f"expected a month like 2026-01, found {value!r}")
        return value


class Periods(Strict):
    """Calendar and policy (rule 22); no calendar = every month open."""

    policy: dict[EntryKind | Literal["*"], Literal["next_open", "hold", "reject"]] = Field(
        {"*": "next_open"}, description="What happens to a voucher of a closed period, by entry kind or * for all"
    )
    closed: list[ClosedPeriod] = Field(default_factory=list, description="Closed months in order")


class PriorYear(Dated):
    """When a correction of an earlier fiscal year is material, and where its profit or loss goes then (rule 25)."""

    account: Code = Field(description="Account of prior-year adjustments, e.g. 6901 以前年度损益调整")
    material_from_minor: int = Field(
        ge=1,
        description="Change of profit or loss in minor units from which a correction is material (1 = every one); a smaller one stays on its account",
    )


class Residual(Strict):
    """Where a rounding difference between debits and credits goes; beyond the limit the claim is rejected."""

    account: Code = Field(description="Account of the rounding difference")
    limit_minor: int = Field(0, ge=0, description="Largest difference in minor units that may be booked")


class InvoiceTitle(Dated):
    """Name and tax number invoices to the company must carry (发票抬头), on the days of the invoice."""

    name: Code = Field(description="Buyer as the invoice names it")
    tax_number: Code | None = Field(None, description="Buyer's tax number (纳税人识别号); absent = not compared")


class Company(Strict):
    """The company and the book it keeps."""

    code: Code = Field(description="Code of the company in the ERP")
    name: str = Field(description="Name of the company")
    book: Code = Field(description="Code of the book its vouchers go to")
    base_currency: Currency = Field(description="Currency of the book; claims in another one are held")
    hesi: HesiRef = Field(description="Its 法人实体 items in Hesi")
    taxpayer: list[TaxpayerStatus] = Field(description="Taxpayer status by day")
    invoice_titles: list[InvoiceTitle] = Field(
        default_factory=list,
        description="Titles of invoices with deductible tax, old and new side by side while both are accepted; none = not checked",
    )
    wrong_title: Literal["warn", "hold"] = Field("warn", description="What happens to a claim with an invoice made out to somebody else; its tax stays")


class Fields(Strict):
    """Where Hesi keeps what has no fixed place."""

    company: list[FieldPath] = Field(
        default_factory=lambda: ["form.法人实体", "department.legalEntity"],
        description="Legal entity, first hit wins; default form.法人实体, department.legalEntity",
    )
    department: list[FieldPath] = Field(
        default_factory=lambda: ["share.expenseDepartment", "line.expenseDepartment", "form.expenseDepartment"],
        description="Department that bears a share, first hit wins; default expenseDepartment of share, line, form",
    )


class CompanyMapping(Strict):
    """Everything that turns one company's claims into vouchers."""

    version: Code = Field(description="Version of this file, free text; the run records it with the file's hash")
    owner: str = Field(description="Who answers for this file")
    company: Company = Field(description="The company and its book")
    chart: Code = Field(description="Name of a file in charts/")
    accrual: Literal["on_approval", "on_payment"] = Field(
        "on_approval", description="When the expense is posted: when approval ends, or when it is paid (rule 1)"
    )
    fields: Fields = Field(default_factory=Fields, description="Where company and department stand on a claim")
    dimensions: list[Dimension] = Field(description="Dimensions that come from the claim")
    department_classes: list[DepartmentClass] = Field(description="Classes of departments")
    fee_types: list[FeeType] = Field(description="Fee types and their accounts")
    payables: Payables = Field(description="Accounts of payables")
    company_paid: CompanyPaid | None = Field(None, description="Parts the company paid directly; absent = such claims are rejected")
    loans: Loans = Field(description="Accounts of advances")
    prepayment: Code = Field(description="Debit of a payment form without a claim, e.g. 1123 (rule 5)")
    bank_accounts: list[BankAccount] = Field(description="Paying accounts; one that is not listed rejects the payment")
    input_vat: InputVat | None = Field(None, description="Input VAT; required for a general taxpayer")
    voucher: VoucherStyle = Field(default_factory=VoucherStyle, description="Word, maker, summaries and limits")
    periods: Periods = Field(default_factory=Periods, description="Closed months and what happens to their vouchers")
    residual: Residual | None = Field(None, description="Rounding differences; absent = a difference rejects the claim")
    correction: Literal["reversal", "difference"] = Field(
        "reversal",
        description="How a change of this fiscal year is booked: reversed and said anew, or one voucher of the difference where only amounts moved (rule 25)",
    )
    prior_year: list[PriorYear] = Field(
        default_factory=list, description="Corrections of an earlier fiscal year, by their voucher day; none = never material, they stay on the expense account"
    )


class Mappings(Strict):
    """A whole mapping folder, cross-checked."""

    companies: list[CompanyMapping]
    charts: dict[str, Chart]
    vat: dict[str, VatRules]
    budget: Any
    files: dict[str, str] = Field(description="File name -> SHA-256 of its bytes")
    sha256: str = Field(description="Hash over all files: the version of the rules in force")
