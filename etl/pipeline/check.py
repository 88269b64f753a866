"""reconcile: the run's raw pages, the ledger and the vouchers must agree to the cent; the rest of the verdict follows."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import msgspec
import pandas as pd

from etl.erp import totals as totals_sql
from etl.errors import ControlTotalMismatch
from etl.money import exponent
from etl.payload import page_items
from etl.pipeline.context import Run
from etl.pipeline.extract import Extracted
from etl.pipeline.post import Posted, accepted_chunk
from etl.pipeline.transform import Counted
from etl.steps.reconcile import Key, Total, source_amounts, source_differences, tie_out


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
        totals = tie_out(run.read(totals_sql.state_totals), run.read(totals_sql.posted_totals, _parties(run)), drifts)
        differences = [_total_text(total) for total in totals if total.difference]
        entries = _this_run(run)
        differences += _source_text(run, entries)
        accounts = _account_totals(run)
        differences += [f"account {row['account_code']} of {row['company_code']} {row['entry_kind']}: expected and posted differ by {row['difference']} {row['currency']}"
                        for row in accounts if Decimal(row["difference"])]
        run.ledger.add_totals(run.run_id, [total.as_row() for total in totals])
        run.ledger.add_account_totals(run.run_id, accounts)
        run.ledger.add_findings(run.run_id, run.read(totals_sql.reused_invoices, run.run_id), step="reconcile")
        rejects, first_seen = run.read(totals_sql.open_rejects)
        run.ledger.add_rejects(run.run_id, rejects, business_date=run.identity.run_day, first_seen=first_seen)
        _store_counts(run, entries)
        _store_findings(run)
        states = Counter(run.read(totals_sql.state_counts))
        checked = Checked(differences, len(drifts), int((rejects["disposition"] == "rejected").sum()), int((rejects["disposition"] == "held").sum()), states["waiting"])
        run.work.write_value("checked", checked)
        facts.rows_in = facts.rows_out = len(totals) + len(accounts)
    return checked


def _parties(run: Run) -> list[str]:
    """Dimension types that name a counterparty, over all companies."""
    payables = [company.payables for company in run.mappings.companies]
    return sorted({name for item in payables for name in (item.employee_dimension, item.supplier_dimension)})


def _total_text(total: Total) -> str:
    return f"{total.entry_kind} {total.company_code} {total.currency}: source {total.source} is not what became of it; difference {total.difference}"


def _this_run(run: Run) -> pd.DataFrame:
    frames = [accepted_chunk(run, chunk).entries for chunk in run.work.chunks("map_fields")]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _source_text(run: Run, entries: pd.DataFrame) -> list[str]:
    """Raw amounts of this run's claims, added up by other code, against the entries the run worked on."""
    if entries.empty:
        return []
    real = entries[(entries["disposition"] != "gone") & (entries["currency"] != "")]
    ledger: dict[Key, tuple[Decimal, str]] = {
        (row.claim_id, row.entry_kind, row.part_no): (Decimal(row.amount_minor).scaleb(-exponent(row.currency)), row.currency)
        for row in real[["claim_id", "entry_kind", "part_no", "amount_minor", "currency"]].itertuples(index=False)
    }
    problems = []
    unreadable = set(entries.loc[entries["currency"] == "", "claim_id"]) | set(entries.loc[entries["event_day"] < -(10**6), "claim_id"])
    for page in run.raw.index(run.run_id):
        if page.taken:
            items = page_items(run.raw.read(run.run_id, page))
            found = source_amounts(items[item] for item in page.taken)
            problems += [item for item in source_differences(found, ledger) if item[0][0] not in unreadable]
    return [
        f"claim {key[0]} {key[1]} part {key[2]}: the raw page says {source}, the run worked with {ours}"
        for key, source, ours in problems
        if not _waits_for_payment(run, key)
    ]


def _waits_for_payment(run: Run, key: Key) -> bool:
    """With ``accrual: on_payment`` an unpaid claim has no accrual yet."""
    return key[1] == "EXPENSE" and any(company.accrual == "on_payment" for company in run.mappings.companies)


def _account_totals(run: Run) -> list[dict[str, str]]:
    """Expected debits and credits of this run's batch per account, against what SQL reads back."""
    posted = run.work.read_value("posted", Posted)
    if not posted.batch_id:
        return []
    keys = ["entry_kind", "company_code", "account_code", "base_currency"]
    parts = []
    for chunk in run.work.chunks("map_fields"):
        accepted = accepted_chunk(run, chunk)
        lines = accepted.voucher_lines.merge(accepted.vouchers[["entry_no", "entry_kind", "company_code", "base_currency"]], on="entry_no", validate="many_to_one")
        parts.append(lines.groupby(keys, as_index=False)[["debit_minor", "credit_minor"]].sum())
    expected = pd.concat(parts, ignore_index=True).groupby(keys)[["debit_minor", "credit_minor"]].sum() if parts else pd.DataFrame()
    actual = run.read(totals_sql.account_totals, posted.batch_id)
    rows = []
    for key in sorted({*expected.index, *actual}):
        scale = -exponent(key[3])
        want = [Decimal(int(value)).scaleb(scale) for value in expected.loc[key]] if key in expected.index else [Decimal(0), Decimal(0)]
        have = actual.get(key, (Decimal(0), Decimal(0)))
        difference = (want[0] - have[0]).copy_abs() + (want[1] - have[1]).copy_abs()
        rows.append(
            {"entry_kind": key[0], "company_code": key[1], "account_code": key[2], "currency": key[3], "expected_debit": f"{want[0]:f}", "expected_credit": f"{want[1]:f}",
             "posted_debit": f"{have[0]:f}", "posted_credit": f"{have[1]:f}", "difference": f"{difference:f}"}
        )
    return rows


def _store_counts(run: Run, entries: pd.DataFrame) -> None:
    extracted = run.work.read_value("extracted", Extracted)
    counted = run.work.read_value("counted", Counted)
    counts: Counter[tuple[str, str]] = Counter()
    for source in (extracted.counts, counted.counts):
        for form, measures in source.items():
            for measure, value in measures.items():
                counts[form, measure] += value
    if not entries.empty:
        names = {"ready": "posted", "held": "held", "rejected": "rejected", "waiting": "waiting"}
        for (form, disposition), value in entries.groupby(["form_type", "disposition"]).size().items():
            if disposition in names:
                counts[form or "expense", names[disposition]] += int(value)
    run.ledger.record_counts(run.run_id, dict(counts))


def _store_findings(run: Run) -> None:
    found = [frame for chunk in run.work.chunks("map_fields") if len(frame := run.work.read_frame("map_fields", chunk, "findings"))]
    if found:
        run.ledger.add_findings(run.run_id, pd.concat(found, ignore_index=True), step="map_fields")


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
