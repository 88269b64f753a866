"""What a finished run has to say for itself, read back from the run ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from etl.cli_output import table
from etl.money import exponent
from etl.pipeline.run import Outcome
from etl.store import ledger_schema
from etl.store.ledger import Ledger

# In -> out, as the run ledger defines them; measures nobody counted are left out.
MEASURES = (
    "extracted", "duplicate", "beyond_cutoff", "new", "changed", "unchanged", "deleted", "not_due", "skipped", "quarantined",
    "replayed", "waiting", "held", "rejected", "posted", "written_back",
)  # fmt: skip
_AMOUNTS = ("source", "posted", "held", "rejected", "skipped", "waiting", "drift", "difference")


class MoneyTotal(msgspec.Struct, frozen=True):
    """One line of the tie-out; amounts are decimal text in major units.

    ``source`` = posted + held + rejected + skipped + waiting + drift + ``difference``, and the difference must be 0.
    """

    entry_kind: str
    company_code: str
    currency: str
    source: str
    posted: str
    held: str
    rejected: str
    skipped: str
    waiting: str
    drift: str
    difference: str


class RunDocument(msgspec.Struct, frozen=True):
    """The end of a run as ``--json`` prints it.

    ``counts``: form type -> measure -> claims or entries. ``posted``: vouchers this run added. ``differences``: tie-out
    lines and accounts that do not agree.
    """

    run_id: str
    kind: str
    verdict: str
    cause_code: str | None
    cause: str
    posted: int
    counts: dict[str, dict[str, int]]
    totals: list[MoneyTotal]
    differences: int
    report: dict[str, str]


def run_document(ledger: Ledger, outcome: Outcome) -> RunDocument:
    """The figures of a run that ended."""
    run_id = outcome.run_id
    run = ledger.run(run_id)
    counts: dict[str, dict[str, int]] = {}
    for row in ledger.rows(ledger_schema.run_count, run_id):
        counts.setdefault(row["form_type"], {})[row["measure"]] = row["value"]
    totals = [_money_total(row) for row in ledger.rows(ledger_schema.run_total, run_id)]
    accounts = ledger.rows(ledger_schema.run_account_total, run_id)
    loads = [row["rows_out"] for row in ledger.rows(ledger_schema.run_step, run_id) if row["step"] == "load"]
    return RunDocument(
        run_id=run_id,
        kind=run.kind,
        verdict=outcome.verdict,
        cause_code=run.cause_code,
        cause=run.cause_text or "",
        posted=max(loads, default=0),
        counts=counts,
        totals=totals,
        differences=sum(1 for item in totals if Decimal(item.difference)) + sum(1 for row in accounts if Decimal(row["difference"])),
        report={} if outcome.report is None else {"html": str(outcome.report.html), "xlsx": str(outcome.report.xlsx), "json": str(outcome.report.json)},
    )


def _money_total(row: Mapping[str, Any]) -> MoneyTotal:
    """Amounts with their currency's decimals; more of them only where an amount really has more."""
    scale = Decimal(1).scaleb(-exponent(row["currency"] or "CNY"))
    amounts = {name: Decimal(row[name]) for name in _AMOUNTS}
    shown = {name: f"{max(value, value.quantize(scale), key=_decimals):f}" for name, value in amounts.items()}
    return MoneyTotal(row["entry_kind"], row["company_code"], row["currency"], **shown)


def _decimals(value: Decimal) -> int:
    return -int(value.as_tuple().exponent)


def run_lines(document: RunDocument) -> Iterator[str]:
    """Verdict, counts, money, postings and report, to be read at a terminal."""
    cause = f": {document.cause}" if document.cause else ""
    yield f"{document.verdict.upper()} {document.kind} run {document.run_id}{cause}"
    yield from _count_lines(document)
    yield from _money_lines(document)
    yield f"posted {document.posted}"
    if document.report:
        yield f"report {document.report['html']}"


def _count_lines(document: RunDocument) -> Iterator[str]:
    measures = [name for name in MEASURES if any(values.get(name) for values in document.counts.values())]
    forms = sorted(form for form, values in document.counts.items() if any(values.get(name) for name in measures))
    if not forms:
        return
    rows = [[form, *(document.counts[form].get(name, 0) for name in measures)] for form in forms]
    rows.append(["total", *(sum(document.counts[form].get(name, 0) for form in forms) for name in measures)])
    yield ""
    yield "claims in -> entries out"
    yield from table(["form", *measures], rows, right=range(1, len(measures) + 1), indent="  ")


def _money_lines(document: RunDocument) -> Iterator[str]:
    yield ""
    if not document.totals:
        yield "money: nothing is known yet"
        return
    yield "money: source = posted + held + rejected + skipped + waiting + drift"
    rows = [[item.entry_kind, item.company_code, item.currency, *(f"{Decimal(getattr(item, name)):,f}" for name in _AMOUNTS)] for item in document.totals]
    yield from table(["kind", "company", "currency", *_AMOUNTS], rows, right=range(3, 3 + len(_AMOUNTS)), indent="  ")
    wrong = f"{document.differences} DIFFERENCES: the report lists them" if document.differences else "difference 0.00: everything is explained"
    yield f"  {wrong}"
    yield ""
