"""``hesi-erp explain``: the answer of :mod:`etl.explain.answer` for a terminal; nothing is written anywhere."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from sqlalchemy.engine import make_url

from etl.cli import GREEN_OR_AMBER
from etl.cli_output import print_json, print_lines, table
from etl.commands.prepare import prepared
from etl.config.settings import Settings
from etl.erp.engine import open_engine
from etl.errors import ConfigError
from etl.explain.answer import explain
from etl.explain.model import Check, Claim, Entry, Explanation, Line, Voucher
from etl.store.ledger import Ledger


def explain_command(options: argparse.Namespace) -> int:
    """0 with the explanation; 2 when nothing is known by that name."""
    with prepared(verbose=options.verbose) as settings:
        explanation = _answer(settings, options.query)
    if options.json:
        print_json(explanation)
    else:
        print_lines(_lines(explanation))
    return GREEN_OR_AMBER


def _answer(settings: Settings, query: str) -> Explanation:
    settings.require("erp_url")
    address = make_url(settings.erp_url.get_secret_value())
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").exists():
        raise ConfigError(f"ERP_URL: expected the database of an earlier run, found no file {address.database}; start `hesi-erp run` first")
    erp = open_engine(settings.erp_url.get_secret_value())
    try:
        with Ledger.open(settings.ledger_url.get_secret_value()) as ledger:
            return explain(query, erp, ledger.engine)
    finally:
        erp.dispose()


def _lines(explanation: Explanation) -> Iterator[str]:
    if explanation.vouchers:
        yield f"{explanation.query} is the number of"
        rows = [[v.number, v.voucher_date, v.entry_kind, v.claim_code, v.status] for v in explanation.vouchers]
        yield from table(["voucher", "date", "kind", "claim", "status"], rows, indent="  ")
        if not explanation.claims:
            yield "ask again with the whole number, or with one of these claims, to see everything"
        yield ""
    for claim in explanation.claims:
        yield from _claim_lines(claim)


def _claim_lines(claim: Claim) -> Iterator[str]:
    yield f"claim {claim.claim_code or '-'} ({claim.form_type or 'not read yet'}, {claim.claim_id})"
    carried = f", carries the number {claim.hesi_voucher_no}" if claim.hesi_voucher_no else ""
    yield f"  in Hesi: {claim.hesi_state or '-'}{carried}; claimant {claim.claimant_name or '-'}, department {claim.department_code or '-'}"
    if claim.write_back:
        reason = f" ({claim.write_back.reason})" if claim.write_back.reason else ""
        yield f"  number to Hesi: {claim.write_back.voucher_number} {claim.write_back.status}{reason}"
    rows = [
        [s.claim_version, f"{s.entry_kind or 'claim'} {s.part_no or ''}".strip(), s.state, _minute(s.since), s.cause, s.run_id, s.owner] for s in claim.standing
    ]
    yield from table(["version", "entry", "stands", "since (UTC)", "cause", "run", "owner"], rows, indent="  ")
    if not claim.entries:
        yield from (f"  {stands.state}: {stands.reason}" for stands in claim.standing if stands.reason)
    for entry in claim.entries:
        yield ""
        yield from _entry_lines(entry)
    now = {(entry.entry_kind, entry.refusal.reason) for entry in claim.entries if entry.refusal}
    for refused in claim.history:
        if (refused.entry_kind, refused.reason) in now:
            continue
        yield ""
        yield f"  earlier, run {refused.run_id}: {refused.entry_kind} {refused.disposition} by {refused.rule}: {refused.reason}"
    for remark in claim.remarks:
        yield ""
        yield f"  remark {remark.rule} ({remark.step}, run {remark.run_id}): {remark.detail}"
    yield ""


def _entry_lines(entry: Entry) -> Iterator[str]:
    part = f" part {entry.part_no}" if entry.part_no else ""
    place = f"company {entry.company_code or '-'}, of {entry.event_date or '-'}"
    yield f"  {entry.entry_kind}{part}: {entry.state.upper()} {entry.amount} {entry.currency}, {place}"
    yield f"    source: raw/{entry.raw_ref}"
    if entry.state == "waiting":
        yield "    waits until the accrual of this claim is posted"
    if entry.refusal:
        refusal = entry.refusal
        yield f"    {refusal.disposition} in {refusal.step} by {refusal.rule}: {refusal.reason}"
        yield f"    owner {refusal.owner}, due {refusal.due_date}, first seen {refusal.first_seen_on}"
        yield f"    what to do: {refusal.fix}"
    if entry.drift:
        drift = entry.drift
        yield f"    the claim {drift.cause} after posting (found {drift.found_on}): posted {drift.posted_amount}, source now {drift.source_amount}"
    for voucher in entry.vouchers:
        yield from _voucher_lines(voucher)


def _voucher_lines(voucher: Voucher) -> Iterator[str]:
    shifted = f", event of {voucher.original_date}" if voucher.original_date not in {None, voucher.voucher_date} else ""
    yield f"    voucher {voucher.number} {voucher.status} of {voucher.voucher_date}{shifted}, book {voucher.book_code}, {voucher.base_currency}"
    rows = [[line.line_no, line.account_code, _amount(line.debit), _amount(line.credit), _dimensions(line), _detail(line)] for line in voucher.lines]
    yield from table(["line", "account", "debit", "credit", "dimensions", "detail"], rows, right=(0, 2, 3), indent="      ")
    sources = [[line.line_no, source.rule, source.source_line_id, source.fee_type_code, source.amount] for line in voucher.lines for source in line.sources]
    yield ""
    yield from table(["line", "rule (place in the mapping)", "source line", "fee type", "amount"], sources, right=(0, 4), indent="      ")
    batch = voucher.batch
    yield f"      mapping version {batch.mapping_sha256}"
    yield f"      suites version  {batch.expectations_sha256}"
    yield f"      batch {batch.batch_id} of run {batch.run_id}, {batch.created_at.isoformat(timespec='seconds')}, hesi-erp {batch.package_version}"
    yield f"      content hash {voucher.payload_sha256}"
    yield from (f"      invoice {i.invoice_id} {i.kind} {i.amount}, tax {i.tax}" for i in voucher.invoices)
    yield from _check_lines(voucher.validation)


def _check_lines(checks: list[Check]) -> Iterator[str]:
    if not checks:
        yield "      validation: the run ledger has no results of that run"
        return
    failed = [check for check in checks if check.names_this_entry]
    yield f"      validation: {len(checks) - len(failed)} of {len(checks)} rules passed"
    for suite in dict.fromkeys(check.suite for check in checks):
        yield f"        {suite}: {', '.join(check.rule for check in checks if check.suite == suite and not check.names_this_entry)}"
    yield from (f"        {check.severity} {check.suite}.{check.rule} did not pass" for check in failed)


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


def _amount(text: str) -> str:
    return f"{Decimal(text):,f}" if Decimal(text) else ""


def _dimensions(line: Line) -> str:
    return ", ".join(f"{d.type}={d.code}" + (f" {d.name}" if d.name else "") for d in line.dimensions)


def _detail(line: Line) -> str:
    parts = [f"{line.amount_fc} {line.currency} at {line.fx_rate}" if line.amount_fc else "", f"{line.tax_code} {line.tax_rate}%" if line.tax_rate else ""]
    return ", ".join(part for part in parts if part)
