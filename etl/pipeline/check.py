"""reconcile: the run's raw pages, the ledger and the vouchers must agree to the cent; the rest of the verdict follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from etl.erp import totals as totals_sql
from etl.errors import ControlTotalMismatch
from etl.money import exponent
from etl.pipeline.altered import altered_findings
from etl.pipeline.context import Run
from etl.pipeline.extract import Extracted
from etl.pipeline.post import Posted
from etl.pipeline.sent import Sent
from etl.pipeline.source_check import source_problems
from etl.pipeline.transform import Counted
from etl.steps.reconcile import Total, tie_out


class Checked(msgspec.Struct):
    """What the reconciliation found."""

    differences: list[str]
    drifts: int
    rejected: int
    held: int
    waiting: int


def reconcile(run: Run) -> Checked:
    """Ties out the whole ledger and this run's source, and stores every figure in the run ledger.

    Differences are values here: the report shows them and the verdict is red; nothing is changed.
    """
    with run.step("reconcile") as facts:
        drifts = run.read(totals_sql.drift_totals)
        batch_id = run.work.read_value("posted", Posted).batch_id
        ledger = run.read(totals_sql.ledger_totals, _parties(run), batch_id)
        totals = tie_out(run.read(totals_sql.state_totals), ledger.posted, drifts)
        differences = [_total_text(total) for total in totals if total.difference]
        differences += source_problems(run)
        sent = run.work.read_value("sent", Sent)
        accounts = _account_totals(sent, ledger.accounts) if batch_id else []
        differences += [_account_text(row) for row in accounts if Decimal(row["difference"])]
        altered = altered_findings(run)
        differences += altered["detail"].tolist()
        run.ledger.add_totals(run.run_id, [total.as_row() for total in totals])
        run.ledger.add_account_totals(run.run_id, accounts)
        run.ledger.add_findings(run.run_id, [altered, run.read(totals_sql.reused_invoices, run.run_id)], step="reconcile")
        rejects, first_seen = run.read(totals_sql.open_rejects)
        run.ledger.add_rejects(run.run_id, rejects, business_date=run.identity.run_day, first_seen=first_seen)
        _store_counts(run, sent)
        _store_findings(run)
        states, refused = run.read(totals_sql.state_counts), Counter(rejects["disposition"])
        checked = Checked(differences, len(drifts), refused["rejected"], refused["held"], states.get("waiting", 0))
        run.work.write_value("checked", checked)
        facts.rows_in = facts.rows_out = len(totals) + len(accounts)
    return checked


def _parties(run: Run) -> list[str]:
    """Dimension types that name a counterparty, over all companies."""
    payables = [company.payables for company in run.mappings.companies]
    return sorted({name for item in payables for name in (item.employee_dimension, item.supplier_dimension)})


def _total_text(total: Total) -> str:
    return f"{total.entry_kind} {total.company_code} {total.currency}: source {total.source} is not what became of it; difference {total.difference}"


def _account_text(row: dict[str, str]) -> str:
    place = f"account {row['account_code']} of {row['company_code']} {row['entry_kind']}"
    return f"{place}: expected and posted differ by {row['difference']} {row['currency']}"


def _account_totals(sent: Sent, actual: Mapping[tuple[str, str, str, str], tuple[Decimal, Decimal]]) -> list[dict[str, str]]:
    """Debits and credits handed over per account, against what SQL reads back of this run's batch."""
    expected = sent.by_account()
    nothing = (Decimal(0), Decimal(0))
    rows = []
    for key in sorted({*expected, *actual}):
        scale = -exponent(key[3])
        debit, credit = (Decimal(minor).scaleb(scale) for minor in expected.get(key, (0, 0)))
        have = actual.get(key, nothing)
        difference = (debit - have[0]).copy_abs() + (credit - have[1]).copy_abs()
        amounts = {"expected_debit": debit, "expected_credit": credit, "posted_debit": have[0], "posted_credit": have[1], "difference": difference}
        place = dict(zip(("entry_kind", "company_code", "account_code", "currency"), key, strict=True))
        rows.append(place | {name: f"{value:f}" for name, value in amounts.items()})
    return rows


def _store_counts(run: Run, sent: Sent) -> None:
    extracted = run.work.read_value("extracted", Extracted)
    counted = run.work.read_value("counted", Counted)
    counts: Counter[tuple[str, str]] = Counter()
    for source in (extracted.counts, counted.counts):
        for form, measures in source.items():
            for measure, value in measures.items():
                counts[form, measure] += value
    for form, measure, value in sent.counts:
        counts[form, measure] += value
    run.ledger.record_counts(run.run_id, dict(counts))


def _store_findings(run: Run) -> None:
    frames = (run.work.read_frame("map_fields", chunk, "findings") for chunk in run.work.chunks("map_fields"))
    run.ledger.add_findings(run.run_id, frames, step="map_fields")


def assert_green(checked: Checked) -> None:
    """Nothing, or the error that turns the run red.

    Raises:
        ControlTotalMismatch: names the first differences.
    """
    if checked.differences:
        raise ControlTotalMismatch(
            f"{len(checked.differences)} differences between source and ledger; first: {'; '.join(checked.differences[:3])}. "
            "Nothing was changed. The report lists them all; compare the named entries before the next run"
        )
