"""Every question the report asks, as SQL that SQLite, PostgreSQL and SQL Server all answer alike.

Amounts leave the ERP database as integers of 1/10,000 (``ROUND(x * 10000, 0)``): sums of integers are exact
everywhere, also where SQLite keeps a decimal as REAL. The statements are printed in the XLSX and JSON so that
anyone can ask again.
"""

from __future__ import annotations

from dataclasses import dataclass

from etl.report.figures_model import Column, Database

_MONEY = "CAST(ROUND({} * 10000, 0) AS BIGINT)"
_VOUCHER_KEY = (
    "source_system",
    "claim_id",
    "entry_kind",
    "company_code",
    "book_code",
    "part_no",
    "revision",
)


@dataclass(frozen=True, slots=True)
class Query:
    """One table of the report: where to ask, what, and how to read the answer."""

    key: str
    database: Database
    columns: tuple[Column, ...]
    sql: str
    complete: bool = False


def _columns(text: str) -> tuple[Column, ...]:
    parts = (item.split(":") for item in text.split())
    return tuple(Column(key, kind, *rest) for key, kind, *rest in parts)


def _same_voucher(left: str, right: str) -> str:
    return " AND ".join(f"{left}.{name} = {right}.{name}" for name in _VOUCHER_KEY)


def _sum(expression: str) -> str:
    return f"SUM({_MONEY.format(expression)})"


# The statements below are put together from the constants above only; every value is a bound parameter.
# ruff: noqa: S608
_THIS_RUN = "v.batch_id IN (SELECT b.batch_id FROM posting_batch b WHERE b.run_id = :run_id)"
_LINES = f"FROM voucher v JOIN voucher_line l ON {_same_voucher('l', 'v')}"
_SUM_TEXT = "SUM(CAST(ROUND(CAST({0} AS DECIMAL(28, 4)) * 10000, 0) AS BIGINT)) AS {0}"
_TOTAL_COLUMNS = ("source", "posted", "held", "rejected", "skipped", "waiting", "difference", "drift")

_LEDGER = (
    Query(
        "totals_by_currency",
        "ledger",
        _columns("currency:code " + " ".join(f"{name}:money" for name in _TOTAL_COLUMNS)),
        f"""SELECT currency, {", ".join(_SUM_TEXT.format(name) for name in _TOTAL_COLUMNS)}
FROM run_total WHERE run_id = :run_id GROUP BY currency ORDER BY currency""",
        complete=True,
    ),
    Query(
        "totals",
        "ledger",
        _columns("entry_kind:kind company_code:code currency:code " + " ".join(f"{n}:amount" for n in _TOTAL_COLUMNS)),
        f"""SELECT entry_kind, company_code, currency, {", ".join(_TOTAL_COLUMNS)}
FROM run_total WHERE run_id = :run_id ORDER BY company_code, currency, entry_kind""",
        complete=True,
    ),
    Query(
        "account_totals",
        "ledger",
        _columns(
            "entry_kind:kind company_code:code account_code:code currency:code expected_debit:amount "
            "expected_credit:amount posted_debit:amount posted_credit:amount difference:amount"
        ),
        """SELECT entry_kind, company_code, account_code, currency, expected_debit, expected_credit, posted_debit,
  posted_credit, difference
FROM run_account_total WHERE run_id = :run_id ORDER BY company_code, currency, account_code, entry_kind""",
        complete=True,
    ),
    Query(
        "causes",
        "ledger",
        _columns(
            "rule:rule disposition:disposition owner:owner claims:count currency:code amount:minor due_date:date "
            "days_open:count fix:fix retry:retry"
        ),
        """SELECT rule, disposition, owner, COUNT(*) AS claims, currency, SUM(amount_minor) AS amount,
  MIN(due_date) AS due_date, MAX(days_open) AS days_open, rule AS fix, rule AS retry
FROM run_reject WHERE run_id = :run_id
GROUP BY rule, disposition, owner, currency ORDER BY COUNT(*) DESC, rule, currency""",
        complete=True,
    ),
    Query(
        "rejects",
        "ledger",
        _columns(
            "claim_code:code claimant_name:text department_code:code entry_kind:kind disposition:disposition "
            "currency:code amount:minor rule:rule reason:text owner:owner due_date:date days_open:count fix:fix "
            "retry:retry company_code:code step:code"
        ),
        """SELECT claim_code, claimant_name, department_code, entry_kind, disposition, currency,
  amount_minor AS amount, rule, reason, owner, due_date, days_open, rule AS fix, rule AS retry, company_code, step
FROM run_reject WHERE run_id = :run_id ORDER BY days_open DESC, due_date, rule, claim_code, entry_kind""",
    ),
    Query(
        "repeaters",
        "ledger",
        _columns("claimant_name:text department_code:code claims:count rules:count runs:count"),
        """SELECT claimant_name, department_code, COUNT(DISTINCT claim_id) AS claims, COUNT(DISTINCT rule) AS rules,
  COUNT(DISTINCT run_id) AS runs
FROM run_reject WHERE run_id IN :recent_runs
GROUP BY claimant_name, department_code HAVING COUNT(DISTINCT claim_id) > 1
ORDER BY COUNT(DISTINCT claim_id) DESC, claimant_name, department_code""",
    ),
    Query(
        "budget",
        "ledger",
        _columns(
            "node_name:text period:code currency:code budget:amount used:amount in_flight:amount this_run:amount "
            "available:amount over_percent:percent control:control verdict:budget_verdict policy:policy "
            "claims:count source:code node_id:code"
        ),
        """SELECT node_name, period, currency, budget, used, in_flight, this_run, available, over_percent, control,
  verdict, policy, claims, source, node_id
FROM run_budget WHERE run_id = :run_id
ORDER BY CASE verdict WHEN 'over' THEN 0 WHEN 'not_computed' THEN 1 WHEN 'unbudgeted' THEN 2 ELSE 3 END, n""",
    ),
    Query(
        "remark_groups",
        "ledger",
        _columns("rule:finding currency:code remarks:count amount:minor"),
        """SELECT rule, currency, COUNT(*) AS remarks, SUM(amount_minor) AS amount
FROM run_finding WHERE run_id = :run_id GROUP BY rule, currency ORDER BY COUNT(*) DESC, rule, currency""",
        complete=True,
    ),
    Query(
        "remarks",
        "ledger",
        _columns("claim_code:code rule:finding detail:text currency:code amount:minor step:code"),
        """SELECT claim_code, rule, detail, currency, amount_minor AS amount, step
FROM run_finding WHERE run_id = :run_id ORDER BY rule, claim_code, step, n""",
    ),
    Query(
        "validation",
        "ledger",
        _columns("suite:code rule:code column:code severity:severity evaluated:count failed:count success:passed"),
        """SELECT suite, rule, "column", severity, evaluated, failed, success
FROM run_validation WHERE run_id = :run_id ORDER BY failed DESC, suite, rule, n""",
        complete=True,
    ),
    Query(
        "steps",
        "ledger",
        _columns(
            "step:step attempt:count seconds:seconds cpu_seconds:seconds rows_in:count rows_out:count rejected:count "
            "held:count"
        ),
        """SELECT step, attempt, seconds, cpu_seconds, rows_in, rows_out, rejected, held
FROM run_step WHERE run_id = :run_id ORDER BY started_at, step, attempt""",
        complete=True,
    ),
    Query(
        "trend",
        "ledger",
        _columns(
            "run_id:code started_at:instant verdict:verdict status:code posted:count held:count rejected:count "
            "waiting:count"
        ),
        """SELECT r.run_id, r.started_at, r.verdict, r.status,
  SUM(CASE c.measure WHEN 'posted' THEN c.value ELSE 0 END) AS posted,
  SUM(CASE c.measure WHEN 'held' THEN c.value ELSE 0 END) AS held,
  SUM(CASE c.measure WHEN 'rejected' THEN c.value ELSE 0 END) AS rejected,
  SUM(CASE c.measure WHEN 'waiting' THEN c.value ELSE 0 END) AS waiting
FROM run r LEFT JOIN run_count c ON c.run_id = r.run_id
WHERE r.run_id IN :recent_runs
GROUP BY r.run_id, r.started_at, r.verdict, r.status ORDER BY r.started_at, r.run_id""",
    ),
)

_ERP = (
    Query(
        "vouchers",
        "erp",
        _columns(
            "company_code:code book_code:code period:code voucher_word:code vouchers:count first_no:code last_no:code "
            "gaps:count"
        ),
        f"""SELECT v.company_code, v.book_code, v.fiscal_year * 100 + v.fiscal_period AS period, v.voucher_word,
  COUNT(*) AS vouchers, MIN(v.voucher_no) AS first_no, MAX(v.voucher_no) AS last_no,
  MAX(v.voucher_no) - MIN(v.voucher_no) + 1 - COUNT(*) AS gaps
FROM voucher v WHERE {_THIS_RUN}
GROUP BY v.company_code, v.book_code, v.fiscal_year, v.fiscal_period, v.voucher_word
ORDER BY v.company_code, v.book_code, v.fiscal_year, v.fiscal_period, v.voucher_word""",
        complete=True,
    ),
    Query(
        "departments",
        "erp",
        _columns("company_code:code currency:code department_code:code department_name:text lines:count debit:money"),
        f"""SELECT v.company_code, v.base_currency AS currency, d.dim_code AS department_code,
  MAX(d.dim_name) AS department_name, COUNT(*) AS lines, {_sum("l.debit")} AS debit
{_LINES}
LEFT JOIN voucher_line_dimension d
  ON {_same_voucher("d", "l")} AND d.line_no = l.line_no AND d.dim_type = 'department'
WHERE {_THIS_RUN} AND v.entry_kind = 'EXPENSE' AND l.debit <> 0
GROUP BY v.company_code, v.base_currency, d.dim_code
ORDER BY v.company_code, v.base_currency, {_sum("l.debit")} DESC""",
        complete=True,
    ),
    Query(
        "fee_types",
        "erp",
        _columns("company_code:code currency:code fee_type_code:code account_code:code sources:count amount:money"),
        f"""SELECT v.company_code, v.base_currency AS currency, s.fee_type_code, l.account_code, COUNT(*) AS sources,
  {_sum("s.amount")} AS amount
{_LINES}
JOIN voucher_line_source s ON {_same_voucher("s", "l")} AND s.line_no = l.line_no
WHERE {_THIS_RUN} AND v.entry_kind = 'EXPENSE' AND l.debit <> 0
GROUP BY v.company_code, v.base_currency, s.fee_type_code, l.account_code
ORDER BY v.company_code, v.base_currency, s.fee_type_code, l.account_code""",
        complete=True,
    ),
    Query(
        "shifted",
        "erp",
        _columns(
            "claim_code:code company_code:code entry_kind:kind voucher_word:code voucher_no:code original_date:date "
            "voucher_date:date currency:code amount:money"
        ),
        f"""SELECT v.claim_code, v.company_code, v.entry_kind, v.voucher_word, v.voucher_no, v.original_date,
  v.voucher_date, v.base_currency AS currency, {_sum("l.debit")} AS amount
{_LINES} WHERE {_THIS_RUN} AND v.voucher_date <> v.original_date
GROUP BY v.company_code, v.claim_code, v.entry_kind, v.voucher_word, v.voucher_no, v.original_date, v.voucher_date,
  v.base_currency, v.part_no
ORDER BY v.company_code, v.original_date, v.claim_code, v.entry_kind, v.part_no""",
    ),
    Query(
        "rates",
        "erp",
        _columns(
            "company_code:code currency:code fx_rate:number lines:count from_date:date to_date:date "
            "amount_fc:money base_currency:code base_amount:money:base_currency"
        ),
        f"""SELECT v.company_code, l.currency, l.fx_rate, COUNT(*) AS lines, MIN(v.original_date) AS from_date,
  MAX(v.original_date) AS to_date, {_sum("l.amount_fc")} AS amount_fc, v.base_currency,
  {_sum("(l.debit + l.credit)")} AS base_amount
{_LINES} WHERE {_THIS_RUN} AND l.fx_rate IS NOT NULL
GROUP BY v.company_code, l.currency, l.fx_rate, v.base_currency ORDER BY v.company_code, l.currency, MIN(v.original_date)""",
        complete=True,
    ),
    Query(
        "residuals",
        "erp",
        _columns("company_code:code currency:code account_code:code lines:count debit:money credit:money"),
        f"""SELECT v.company_code, v.base_currency AS currency, l.account_code, COUNT(*) AS lines,
  {_sum("l.debit")} AS debit, {_sum("l.credit")} AS credit
{_LINES} WHERE {_THIS_RUN} AND EXISTS (SELECT 1 FROM voucher_line_source s
  WHERE {_same_voucher("s", "l")} AND s.line_no = l.line_no AND s.source_line_id = 'residual')
GROUP BY v.company_code, v.base_currency, l.account_code ORDER BY v.company_code, v.base_currency, l.account_code""",
        complete=True,
    ),
    Query(
        "tax_rates",
        "erp",
        _columns("company_code:code currency:code account_code:code tax_code:code tax_rate:number lines:count tax:money"),
        f"""SELECT v.company_code, v.base_currency AS currency, l.account_code, l.tax_code, l.tax_rate,
  COUNT(*) AS lines, {_sum("(l.debit - l.credit)")} AS tax
{_LINES} WHERE {_THIS_RUN} AND l.tax_rate IS NOT NULL
GROUP BY v.company_code, v.base_currency, l.account_code, l.tax_code, l.tax_rate
ORDER BY v.company_code, v.base_currency, l.tax_rate, l.account_code""",
        complete=True,
    ),
    Query(
        "tax_invoices",
        "erp",
        _columns("company_code:code currency:code invoice_kind:code invoices:count amount:money tax:money"),
        f"""SELECT v.company_code, v.base_currency AS currency, i.invoice_kind, COUNT(*) AS invoices,
  {_sum("i.amount")} AS amount, {_sum("i.tax")} AS tax
FROM voucher v JOIN voucher_invoice i ON {_same_voucher("i", "v")} WHERE {_THIS_RUN}
GROUP BY v.company_code, v.base_currency, i.invoice_kind ORDER BY v.company_code, v.base_currency, i.invoice_kind""",
        complete=True,
    ),
    Query(
        "invoice_repeats",
        "erp",
        _columns("invoice_id:code uses:count first_claim:code last_claim:code"),
        f"""SELECT i.invoice_id, COUNT(DISTINCT i.claim_id) AS uses, MIN(w.claim_code) AS first_claim,
  MAX(w.claim_code) AS last_claim
FROM voucher_invoice i JOIN voucher w ON {_same_voucher("i", "w")}
WHERE i.invoice_id IN (SELECT j.invoice_id FROM voucher_invoice j JOIN voucher v ON {_same_voucher("j", "v")}
  WHERE {_THIS_RUN})
GROUP BY i.invoice_id HAVING COUNT(DISTINCT i.claim_id) > 1 ORDER BY COUNT(DISTINCT i.claim_id) DESC, i.invoice_id""",
    ),
    Query(
        "drift",
        "erp",
        _columns(
            "claim_code:code entry_kind:kind company_code:code currency:code posted_amount:money source_amount:money "
            "cause:drift_cause found_on:date"
        ),
        f"""SELECT claim_code, entry_kind, company_code, currency, {_MONEY.format("posted_amount")} AS posted_amount,
  {_MONEY.format("source_amount")} AS source_amount, cause, found_on
FROM claim_drift ORDER BY found_on, claim_code, entry_kind, part_no""",
    ),
    Query(
        "paid_not_posted",
        "erp",
        _columns(
            "claim_code:code claimant_name:text department_code:code entry_kind:kind company_code:code currency:code "
            "amount:money state:state hesi_state:code event_date:date"
        ),
        f"""SELECT claim_code, claimant_name, department_code, entry_kind, company_code, currency,
  {_MONEY.format("amount")} AS amount, state, hesi_state, event_date
FROM claim_state WHERE hesi_state IN ('paid', 'archived') AND state IN ('held', 'rejected', 'waiting')
ORDER BY event_date, claim_code, entry_kind, part_no""",
    ),
    Query(
        "unpaid_days",
        "erp",
        _columns("company_code:code currency:code event_date:date claims:count amount:money"),
        f"""SELECT company_code, currency, event_date, COUNT(*) AS claims, {_sum("amount")} AS amount
FROM claim_state WHERE entry_kind = 'EXPENSE' AND state = 'posted' AND hesi_state NOT IN ('paid', 'archived')
GROUP BY company_code, currency, event_date ORDER BY company_code, currency, event_date""",
    ),
    Query(
        "write_back",
        "erp",
        _columns("status:outbox claims:count"),
        "SELECT status, COUNT(*) AS claims FROM writeback_outbox GROUP BY status ORDER BY status",
        complete=True,
    ),
    Query(
        "write_back_open",
        "erp",
        _columns(
            "claim_code:code voucher_number:code fiscal_period:code status:outbox reason:text hesi_state:code "
            "created_at:instant"
        ),
        """SELECT claim_code, voucher_number, fiscal_period, status, reason, hesi_state, created_at
FROM writeback_outbox WHERE status <> 'DONE'
ORDER BY CASE status WHEN 'BLOCKED' THEN 0 WHEN 'FAILED' THEN 1 WHEN 'RETRY' THEN 2 ELSE 3 END, created_at, claim_code""",
    ),
)

QUERIES: tuple[Query, ...] = (*_LEDGER, *_ERP)
HEAD = """SELECT r.run_id, r.kind, r.status, r.verdict, r.cause_code, r.cause_text, r.started_at, r.finished_at,
  r.started_by, r.business_date, r.interval_from, r.interval_to, r.mapping_sha256, r.expectations_sha256,
  r.package_version, r.source_host, r.previous_run_id, p.verdict AS previous_verdict, r.peak_rss_mb
FROM run r LEFT JOIN run p ON p.run_id = r.previous_run_id WHERE r.run_id = :run_id"""
COUNTS = "SELECT form_type, measure, value FROM run_count WHERE run_id = :run_id ORDER BY form_type, measure"
RECENT_RUNS = """SELECT r.run_id FROM run r JOIN run me ON me.run_id = :run_id
WHERE r.kind = me.kind AND r.started_at <= me.started_at ORDER BY r.started_at DESC, r.run_id DESC"""
