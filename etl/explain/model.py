"""What ``hesi-erp explain`` can say about a claim, as plain data: amounts are decimal text in major units."""

from __future__ import annotations

from datetime import date, datetime

import msgspec


class Source(msgspec.Struct, frozen=True):
    """Something of the claim that went into a voucher line; ``rule`` is the place in the mapping that decided the account."""

    source_line_id: str
    source_part: str
    fee_type_code: str
    amount: str
    rule: str


class Dimension(msgspec.Struct, frozen=True):
    """One dimension (辅助核算) of a line; names of people are masked."""

    type: str
    code: str
    name: str


class Line(msgspec.Struct, frozen=True):
    """One debit or credit. ``amount_fc`` and ``fx_rate`` only where the line is in a foreign currency."""

    line_no: int
    account_code: str
    debit: str
    credit: str
    currency: str
    amount_fc: str
    fx_rate: str
    tax_code: str
    tax_rate: str
    dimensions: list[Dimension]
    sources: list[Source]


class Invoice(msgspec.Struct, frozen=True):
    """One invoice booked with the voucher."""

    invoice_id: str
    kind: str
    amount: str
    tax: str


class Check(msgspec.Struct, frozen=True):
    """One validation rule of the run that posted the voucher; ``names_this_entry``: the rule failed for it."""

    suite: str
    rule: str
    severity: str
    evaluated: int
    failed: int
    names_this_entry: bool


class Batch(msgspec.Struct, frozen=True):
    """The transaction that posted the voucher, and the versions of the rules it was made and checked by."""

    batch_id: str
    run_id: str
    created_at: datetime
    mapping_sha256: str
    expectations_sha256: str
    package_version: str


class Voucher(msgspec.Struct, frozen=True):
    """One voucher with everything that explains it. ``number``: company/period/word-number."""

    number: str
    revision: int
    status: str
    book_code: str
    voucher_date: date
    original_date: date | None
    base_currency: str
    attachment_count: int
    payload_sha256: str
    batch: Batch
    lines: list[Line]
    invoices: list[Invoice]
    validation: list[Check]


class Refusal(msgspec.Struct, frozen=True):
    """Why an entry is not posted now, who repairs it, how, and until when."""

    disposition: str
    step: str
    rule: str
    reason: str
    owner: str
    due_date: date
    first_seen_on: date
    fix: str


class Drift(msgspec.Struct, frozen=True):
    """A posted entry whose source changed or vanished afterwards."""

    cause: str
    posted_amount: str
    source_amount: str
    found_on: date


class Entry(msgspec.Struct, frozen=True):
    """One voucher the claim gives rise to, and where it stands: posted, waiting, held, rejected or skipped."""

    entry_kind: str
    part_no: int
    state: str
    company_code: str
    currency: str
    amount: str
    event_date: date | None
    raw_ref: str
    vouchers: list[Voucher]
    refusal: Refusal | None
    drift: Drift | None


class Standing(msgspec.Struct, frozen=True):
    """Where one version of the claim stands, as the view ``claim_standing`` has it; ``owner`` has to act, empty: nobody."""

    entry_kind: str
    part_no: int
    claim_version: int | None
    state: str
    since: datetime | None
    cause: str
    reason: str
    run_id: str
    owner: str


class WriteBack(msgspec.Struct, frozen=True):
    """The voucher number on its way to Hesi."""

    voucher_number: str
    status: str
    reason: str


class Remark(msgspec.Struct, frozen=True):
    """Something a run noted about the claim without changing anything."""

    run_id: str
    step: str
    rule: str
    detail: str


class Refused(msgspec.Struct, frozen=True):
    """A run that did not post an entry of the claim, from the run ledger's history."""

    run_id: str
    entry_kind: str
    disposition: str
    rule: str
    reason: str


class Claim(msgspec.Struct, frozen=True):
    """A claim and everything that became of it; the claimant is masked."""

    claim_id: str
    claim_code: str
    form_type: str
    hesi_state: str
    hesi_voucher_no: str
    claimant_name: str
    department_code: str
    updated_at: datetime | None
    standing: list[Standing]
    entries: list[Entry]
    write_back: WriteBack | None
    history: list[Refused]
    remarks: list[Remark]


class VoucherOf(msgspec.Struct, frozen=True):
    """A voucher that carries the number asked for, and its claim."""

    number: str
    voucher_date: date
    entry_kind: str
    claim_code: str
    claim_id: str
    status: str


class Explanation(msgspec.Struct, frozen=True):
    """The answer. ``found_as`` is claim or voucher; ``claims`` is empty while a number fits vouchers of several claims."""

    query: str
    found_as: str
    vouchers: list[VoucherOf]
    claims: list[Claim]
