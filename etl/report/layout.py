"""What stands where in the report: sections in order, the tables and chart of each, and how a phone shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page: ``open`` tables always show, ``folded`` ones open on demand and in print."""

    key: str
    open: tuple[str, ...]
    folded: tuple[str, ...] = ()
    charts: tuple[str, ...] = ()


SECTIONS = (
    Section("money", ("totals_by_currency", "totals"), ("account_totals", "departments", "fee_types"), ("money",)),
    Section("open", ("causes", "rejects"), ("repeaters",), ("causes", "trend")),
    Section("budget", ("budget",), (), ("budget",)),
    Section("period", ("shifted", "rates"), ("residuals",)),
    Section("tax", ("tax_balance", "tax_rates", "tax_invoices"), ("invoice_repeats", "remark_groups", "remarks")),
    Section("follow", ("drift", "paid_not_posted", "unpaid", "write_back"), ("write_back_open",)),
    Section("proof", ("vouchers",), ("validation", "steps")),
)
# Lists of things become cards on a phone; matrices of numbers scroll inside their own box.
STACKED = frozenset({"causes", "rejects", "repeaters", "shifted", "remarks", "drift", "paid_not_posted", "write_back_open"})
# Columns the page leaves out to stay readable; the XLSX and JSON have them all.
HIDDEN = {
    "rejects": frozenset({"fix", "retry", "company_code", "step"}),
    "budget": frozenset({"source", "node_id"}),
    "remarks": frozenset({"step"}),
    "trend": frozenset({"status"}),
}
