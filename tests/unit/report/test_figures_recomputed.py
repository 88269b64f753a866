"""Every figure of the report, computed a second time: whole tables by plain sqlite3, then loops and Decimals."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from etl.rejects import CATALOGUE
from etl.report.figures_model import RunFigures
from etl.report.sql import QUERIES
from tests.fixtures.report_world import TODAY, ReportWorld

Rows = list[dict[str, Any]]
Oracle = Callable[["Tables"], Rows]
ORACLES: dict[str, Oracle] = {}
MINOR = {"CNY": 2, "HKD": 2, "JPY": 0, "USD": 2}


class Tables:
    """Every row of both databases, as dictionaries."""

    def __init__(self, world: ReportWorld) -> None:
        self.run_id = world.run_id
        self.runs = {world.earlier, world.run_id}
        self._paths = {"ledger": world.ledger_path, "erp": world.erp_path}

    def ledger(self, table: str, *, every_run: bool = False) -> Rows:
        rows = _rows(self._paths["ledger"], table)
        return rows if every_run else [row for row in rows if row["run_id"] == self.run_id]

    def erp(self, table: str) -> Rows:
        return _rows(self._paths["erp"], table)

    def posted(self, table: str) -> Rows:
        """Rows of one voucher table that belong to this run, each with its voucher."""
        batches = {row["batch_id"] for row in self.erp("posting_batch") if row["run_id"] == self.run_id}
        vouchers = {row["claim_id"]: row for row in self.erp("voucher") if row["batch_id"] in batches}
        assert vouchers
        return [{**vouchers[row["claim_id"]], **row} for row in self.erp(table) if row["claim_id"] in vouchers]


def _rows(path: Path, table: str) -> Rows:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608 - our own table names


def oracle(key: str) -> Callable[[Oracle], Oracle]:
    def keep(function: Oracle) -> Oracle:
        ORACLES[key] = function
        return function

    return keep


def money(value: Any) -> Decimal:
    return Decimal(str(value or 0))


def minor(value: int, currency: str) -> Decimal:
    return Decimal(value) / 10 ** MINOR[currency]


def summed(rows: Rows, keys: tuple[str, ...], **columns: Callable[[dict[str, Any]], Any]) -> Rows:
    groups: dict[tuple[Any, ...], Rows] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return [dict(zip(keys, key, strict=True)) | {name: sum(map(value, group)) for name, value in columns.items()} for key, group in groups.items()]


def one(_: dict[str, Any]) -> int:
    return 1


TOTALS = ("source", "posted", "held", "rejected", "skipped", "waiting", "difference", "drift")


@oracle("totals_by_currency")
def _(tables: Tables) -> Rows:
    columns = {name: lambda row, name=name: money(row[name]) for name in TOTALS}
    return summed(tables.ledger("run_total"), ("currency",), **columns)


@oracle("totals")
def _(tables: Tables) -> Rows:
    return [{**row, **{name: money(row[name]) for name in TOTALS}} for row in tables.ledger("run_total")]


@oracle("account_totals")
def _(tables: Tables) -> Rows:
    names = ("expected_debit", "expected_credit", "posted_debit", "posted_credit", "difference")
    return [{**row, **{name: money(row[name]) for name in names}} for row in tables.ledger("run_account_total")]


@oracle("causes")
def _(tables: Tables) -> Rows:
    rejects = tables.ledger("run_reject")
    groups = summed(rejects, ("rule", "disposition", "owner", "currency"), claims=one)
    for group in groups:
        mine = [row for row in rejects if all(row[k] == group[k] for k in ("rule", "disposition", "owner", "currency"))]
        group["amount"] = minor(sum(row["amount_minor"] for row in mine), group["currency"])
        group["days_open"] = max(row["days_open"] for row in mine)
        group["due_date"] = date.fromisoformat(min(row["due_date"] for row in mine))
    return [{**group, "fix": group["rule"], "retry": group["rule"]} for group in groups]


@oracle("rejects")
def _(tables: Tables) -> Rows:
    return [
        {
            **row,
            "amount": minor(row["amount_minor"], row["currency"]),
            "days_open": (TODAY - date.fromisoformat(row["first_seen_on"])).days,
            "due_date": date.fromisoformat(row["first_seen_on"]) + timedelta(days=CATALOGUE[row["rule"]].days),
            "fix": row["rule"],
            "retry": row["rule"],
        }
        for row in tables.ledger("run_reject")
    ]


@oracle("repeaters")
def _(tables: Tables) -> Rows:
    rejects = tables.ledger("run_reject", every_run=True)
    groups: dict[tuple[str, str], Rows] = defaultdict(list)
    for row in rejects:
        groups[row["claimant_name"], row["department_code"]].append(row)
    found = [
        {
            "claimant_name": name,
            "department_code": department,
            "claims": len({row["claim_id"] for row in group}),
            "rules": len({row["rule"] for row in group}),
            "runs": len({row["run_id"] for row in group}),
        }
        for (name, department), group in groups.items()
    ]
    return [row for row in found if int(str(row["claims"])) > 1]


@oracle("budget")
def _(tables: Tables) -> Rows:
    names = ("budget", "used", "in_flight", "this_run", "available", "over_percent")
    return [{**row, **{name: money(row[name]) for name in names}} for row in tables.ledger("run_budget")]


@oracle("remark_groups")
def _(tables: Tables) -> Rows:
    amount = lambda row: minor(row["amount_minor"], row["currency"])  # noqa: E731
    return summed(tables.ledger("run_finding"), ("rule", "currency"), remarks=one, amount=amount)


@oracle("remarks")
def _(tables: Tables) -> Rows:
    return [{**row, "amount": minor(row["amount_minor"], row["currency"])} for row in tables.ledger("run_finding")]


@oracle("validation")
def _(tables: Tables) -> Rows:
    return [{**row, "success": row["success"] == 1} for row in tables.ledger("run_validation")]


@oracle("steps")
def _(tables: Tables) -> Rows:
    return [{**row, **{name: money(row[name]) for name in ("seconds", "cpu_seconds")}} for row in tables.ledger("run_step")]


@oracle("trend")
def _(tables: Tables) -> Rows:
    counts: Counter[tuple[str, str]] = Counter()
    for row in tables.ledger("run_count", every_run=True):
        counts[row["run_id"], row["measure"]] += row["value"]
    return [
        {
            "run_id": run["run_id"],
            "verdict": run["verdict"],
            "status": run["status"],
            **{name: counts[run["run_id"], name] for name in ("posted", "held", "rejected", "waiting")},
        }
        for run in tables.ledger("run", every_run=True)
    ]


@oracle("vouchers")
def _(tables: Tables) -> Rows:
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row in tables.posted("voucher"):
        period = f"{row['fiscal_year']}-{row['fiscal_period']:02d}"
        groups[row["company_code"], row["book_code"], period, row["voucher_word"]].append(row["voucher_no"])
    return [
        {
            **dict(zip(("company_code", "book_code", "period", "voucher_word"), key, strict=True)),
            "vouchers": len(numbers),
            "first_no": str(min(numbers)),
            "last_no": str(max(numbers)),
            "gaps": sum(n not in numbers for n in range(min(numbers), max(numbers))),
        }
        for key, numbers in groups.items()
    ]


def _debits(tables: Tables) -> Rows:
    lines = tables.posted("voucher_line")
    return [{**row, "currency": row["base_currency"]} for row in lines if row["entry_kind"] == "EXPENSE" and row["debit"]]


@oracle("departments")
def _(tables: Tables) -> Rows:
    named = {(row["claim_id"], row["line_no"]): row for row in tables.posted("voucher_line_dimension") if row["dim_type"] == "department"}
    lines = []
    for row in _debits(tables):
        dimension = named.get((row["claim_id"], row["line_no"]), {})
        lines.append({**row, "department_code": dimension.get("dim_code") or ""})
    return summed(lines, ("company_code", "currency", "department_code"), lines=one, debit=lambda row: money(row["debit"]))


@oracle("fee_types")
def _(tables: Tables) -> Rows:
    lines = {(row["claim_id"], row["line_no"]): row for row in _debits(tables)}
    sources = [
        {**lines[row["claim_id"], row["line_no"]], **row, "fee_type_code": row["fee_type_code"] or ""}
        for row in tables.posted("voucher_line_source")
        if (row["claim_id"], row["line_no"]) in lines
    ]
    sources = [{**row, "currency": row["base_currency"]} for row in sources]
    keys = ("company_code", "currency", "fee_type_code", "account_code")
    return summed(sources, keys, sources=one, amount=lambda row: money(row["amount"]))


@oracle("shifted")
def _(tables: Tables) -> Rows:
    totals = {row["claim_id"]: row["debit"] for row in summed(_debits(tables), ("claim_id",), debit=lambda r: money(r["debit"]))}
    return [
        {**row, "voucher_no": str(row["voucher_no"]), "currency": row["base_currency"], "amount": totals[row["claim_id"]]}
        | {name: date.fromisoformat(row[name]) for name in ("voucher_date", "original_date")}
        for row in tables.posted("voucher")
        if row["voucher_date"] != row["original_date"]
    ]


@oracle("rates")
def _(tables: Tables) -> Rows:
    lines = [row for row in tables.posted("voucher_line") if row["fx_rate"] is not None]
    groups = summed(
        lines,
        ("company_code", "currency", "fx_rate", "base_currency"),
        lines=one,
        amount_fc=lambda row: money(row["amount_fc"]),
        base_amount=lambda row: money(row["debit"]) + money(row["credit"]),
    )
    for group in groups:
        days = [row["original_date"] for row in lines if row["company_code"] == group["company_code"]]
        group["from_date"], group["to_date"] = date.fromisoformat(min(days)), date.fromisoformat(max(days))
        group["fx_rate"] = money(group["fx_rate"])
    return groups


@oracle("residuals")
def _(tables: Tables) -> Rows:
    marked = {(row["claim_id"], row["line_no"]) for row in tables.posted("voucher_line_source") if row["source_line_id"] == "residual"}
    lines = [row for row in tables.posted("voucher_line") if (row["claim_id"], row["line_no"]) in marked]
    lines = [{**row, "currency": row["base_currency"]} for row in lines]
    keys = ("company_code", "currency", "account_code")
    return summed(lines, keys, lines=one, debit=lambda row: money(row["debit"]), credit=lambda row: money(row["credit"]))


@oracle("tax_rates")
def _(tables: Tables) -> Rows:
    lines = [{**row, "currency": row["base_currency"]} for row in tables.posted("voucher_line") if row["tax_rate"] is not None]
    keys = ("company_code", "currency", "account_code", "tax_code", "tax_rate")
    groups = summed(lines, keys, lines=one, tax=lambda row: money(row["debit"]) - money(row["credit"]))
    return [{**group, "tax_rate": money(group["tax_rate"])} for group in groups]


@oracle("tax_invoices")
def _(tables: Tables) -> Rows:
    invoices = [{**row, "currency": row["base_currency"]} for row in tables.posted("voucher_invoice")]
    keys = ("company_code", "currency", "invoice_kind")
    return summed(invoices, keys, invoices=one, amount=lambda row: money(row["amount"]), tax=lambda row: money(row["tax"]))


@oracle("tax_balance")
def _(tables: Tables) -> Rows:
    lines = [row for row in tables.posted("voucher_line") if row["tax_rate"] is not None]
    keys = ("company_code", "base_currency")
    faces = summed(tables.posted("voucher_invoice"), keys, tax=lambda row: money(row["tax"]))
    taken = {row["company_code"]: row["tax"] for row in summed(lines, keys, tax=lambda row: money(row["debit"]))}
    return [
        {
            "company_code": row["company_code"],
            "currency": row["base_currency"],
            "face_tax": row["tax"],
            "deductible": taken.get(row["company_code"], Decimal(0)),
            "not_deductible": row["tax"] - taken.get(row["company_code"], Decimal(0)),
        }
        for row in faces
    ]


@oracle("invoice_repeats")
def _(tables: Tables) -> Rows:
    mine = {row["invoice_id"] for row in tables.posted("voucher_invoice")}
    codes = {row["claim_id"]: row["claim_code"] for row in tables.erp("voucher")}
    users: dict[str, set[str]] = defaultdict(set)
    for row in tables.erp("voucher_invoice"):
        users[row["invoice_id"]].add(codes[row["claim_id"]])
    return [
        {"invoice_id": invoice, "uses": len(claims), "first_claim": min(claims), "last_claim": max(claims)}
        for invoice, claims in users.items()
        if invoice in mine and len(claims) > 1
    ]


@oracle("drift")
def _(tables: Tables) -> Rows:
    return [
        {**row, "found_on": date.fromisoformat(row["found_on"])} | {name: money(row[name]) for name in ("posted_amount", "source_amount")}
        for row in tables.erp("claim_drift")
    ]


@oracle("paid_not_posted")
def _(tables: Tables) -> Rows:
    return [
        {**row, "amount": money(row["amount"]), "event_date": date.fromisoformat(row["event_date"])}
        for row in tables.erp("claim_state")
        if row["hesi_state"] in {"paid", "archived"} and row["state"] != "posted"
    ]


@oracle("unpaid")
def _(tables: Tables) -> Rows:
    unpaid = [row for row in tables.erp("claim_state") if row["state"] == "posted" and row["hesi_state"] == "paying"]
    for row in unpaid:
        days = (TODAY - date.fromisoformat(row["event_date"])).days
        row["age"] = "0-1" if days < 2 else "2-3" if days < 4 else "4-7" if days < 8 else "8-30" if days < 31 else ">30"
    return summed(unpaid, ("company_code", "currency", "age"), claims=one, amount=lambda row: money(row["amount"]))


@oracle("write_back")
def _(tables: Tables) -> Rows:
    return summed(tables.erp("writeback_outbox"), ("status",), claims=one)


@oracle("write_back_open")
def _(tables: Tables) -> Rows:
    return [row for row in tables.erp("writeback_outbox") if row["status"] != "DONE"]


@pytest.fixture(scope="module")
def tables(world: ReportWorld) -> Tables:
    return Tables(world)


def _comparable(rows: Rows, columns: set[str]) -> list[list[tuple[str, Any]]]:
    picked = [sorted((name, row[name]) for name in columns) for row in rows]
    return sorted(picked, key=repr)


# Presentation only: the largest of equal names, and instants whose text form differs between the two readers.
SHOWN_ONLY = {"department_name", "started_at", "created_at"}


@pytest.mark.parametrize("key", sorted(ORACLES))
def test_the_figures_equal_a_recomputation_from_all_rows(key: str, figures: RunFigures, tables: Tables) -> None:
    table = figures.tables[key]
    columns = {column.key for column in table.columns} - SHOWN_ONLY
    expected = _normal(ORACLES[key](tables))
    assert expected, "the world must hold at least one row for every table"
    assert _comparable(_normal(table.records()), columns) == _comparable(expected, columns)


def _normal(rows: Rows) -> Rows:
    """Decimals without trailing zeros, so that 5.10 and 5.1 are the same amount."""
    return [{name: value.normalize() + 0 if isinstance(value, Decimal) else value for name, value in row.items()} for row in rows]


def test_every_table_of_the_report_is_recomputed(figures: RunFigures) -> None:
    assert set(figures.tables) == set(ORACLES)
    assert len(QUERIES) >= 20


def test_counts_equal_the_ledgers_rows_and_their_identity_is_checked(figures: RunFigures, tables: Tables) -> None:
    stored = {(row["form_type"], row["measure"]): row["value"] for row in tables.ledger("run_count")}
    assert dict(figures.counts.values) == stored
    assert figures.counts.gap() == 0
    assert figures.counts.of("new") == sum(value for (_, measure), value in stored.items() if measure == "new")


def test_departments_add_up_to_all_expense_debits(figures: RunFigures, tables: Tables) -> None:
    shown = sum((row["debit"] for row in figures.tables["departments"].records()), Decimal(0))
    assert shown == sum(money(row["debit"]) for row in _debits(tables))
