"""Mapped claims as CSV text that a person can check: headers, lines, what was not posted, remarks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from etl.frames import day_of
from etl.money import to_text
from etl.steps.mapped import MappedClaims

SHORT = {"department": "dept", "project": "proj", "employee": "emp", "supplier": "sup"}


def table(columns: str, rows: Iterable[tuple[Any, ...]]) -> str:
    """CSV text with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns.split())
    writer.writerows(rows)
    return out.getvalue()


def vouchers_csv(mapped: MappedClaims) -> str:
    """Voucher headers, in claim order."""
    return table(
        "claim kind part company date original period word attach total summary",
        (
            (
                v.claim_code,
                v.entry_kind,
                v.part_no,
                v.company_code,
                day_of(v.voucher_day),
                day_of(v.original_day),
                f"{v.fiscal_year}-{v.fiscal_period:02d}",
                v.voucher_word,
                v.attachment_count,
                to_text(v.total_minor, v.base_currency),
                v.summary,
            )
            for v in mapped.vouchers.itertuples()
        ),
    )


def lines_csv(mapped: MappedClaims) -> str:
    """Voucher lines with dimensions, tax rate and foreign amount."""
    rows = []
    dims: dict[tuple[int, int], list[str]] = {}
    for row in mapped.line_dimensions.itertuples():
        dims.setdefault((row.entry_no, row.line_no), []).append(f"{SHORT.get(row.dim_type, row.dim_type)}={row.dim_code}")
    lines = dict(iter(mapped.voucher_lines.groupby("entry_no")))
    for v in mapped.vouchers.itertuples():
        for line in lines[v.entry_no].itertuples():
            texts = [*dims.get((v.entry_no, line.line_no), ()), *([f"tax={line.tax_rate}"] if line.tax_rate else [])]
            fx = f"{line.currency} {to_text(line.amount_fc_minor, line.currency)} @ {line.fx_rate}" if line.fx_rate else ""
            debit, credit = (to_text(minor, v.base_currency) if minor else "" for minor in (line.debit_minor, line.credit_minor))
            rows.append((v.claim_code, v.entry_kind, v.part_no, line.line_no, line.account_code, ";".join(texts), fx, debit, credit))
    return table("claim kind part line account dims fx debit credit", rows)


def rejects_csv(mapped: MappedClaims) -> str:
    """Every entry that has no voucher, with the reject behind it where there is one."""
    rules = {(row.claim_id, row.entry_kind): (row.rule, row.owner) for row in mapped.rejects.itertuples()}
    rows = []
    for entry in mapped.entries.itertuples():
        if entry.disposition == "ready":
            continue
        refused = entry.disposition in {"held", "rejected"}
        rule, owner = rules[entry.claim_id, entry.entry_kind] if refused else ("", "")
        amount = to_text(entry.amount_minor, entry.currency) if entry.currency else ""
        rows.append((entry.claim_code or entry.claim_id, entry.entry_kind, entry.part_no, entry.disposition, rule, owner, amount))
    return table("claim kind part disposition rule owner amount", rows)


def findings_csv(mapped: MappedClaims) -> str:
    """Remarks that change nothing."""
    return table("claim rule amount", ((row.claim_code, row.rule, to_text(row.amount_minor, row.currency)) for row in mapped.findings.itertuples()))
