"""What the report asks the ERP database, in SQL that SQLite, PostgreSQL and SQL Server all answer alike.

Amounts come as integers of 1/10,000 (``ROUND(x * 10000, 0)``): sums of integers are exact everywhere, also where
SQLite keeps a decimal as REAL.
"""

from __future__ import annotations

from etl.report.query import Query, columns

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


def _same_voucher(left: str, right: str) -> str:
    return " AND ".join(f"{left}.{name} = {right}.{name}" for name in _VOUCHER_KEY)


def _sum(expression: str) -> str:
    return f"SUM({_MONEY.format(expression)})"


# Statements are put together from constants of this file only; every value is a bound parameter.
# ruff: noqa: S608
_THIS_RUN = "v.batch_id IN (SELECT b.batch_id FROM posting_batch b WHERE b.run_id = :run_id)"
_LINES = f"FROM voucher v JOIN voucher_line l ON {_same_voucher('l', 'v')}"

ERP_QUERIES = (
    Query(
        "vouchers",
        "erp",
        columns("company_code:code book_code:code period:period voucher_word:code vouchers:count first_no:code last_no:code gaps:count"),
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
        columns("company_code:code currency:code department_code:department department_name:text lines:count debit:money"),
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
        columns("company_code:code currency:code fee_type_code:code account_code:code sources:count amount:money"),
        f"""SELECT v.company_code, v.base_currency AS currency, s.fee_type_code, l.account_code, COUNT(*) AS sources,
  {_sum("s.amount")} AS amount
{_LINES}
JOIN voucher_line_source s ON {_same_voucher("s", "l")} AND s.line_no = l.line_no
WHERE {_THIS_RUN} AND v.entry_kind = 'EXPENSE' AND l.debit <> 0
GROUP BY v.company_code, v.base_currency, s.fee_type_code, l.account_code
ORDER BY v.company_code, v.base_currency, COALESCE(s.fee_type_code, ''), l.account_code""",
        complete=True,
    ),
    Query(
        "shifted",
        "erp",
        columns(
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
        columns(
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
        columns("company_code:code currency:code account_code:code lines:count debit:money credit:money"),
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
        columns("company_code:code currency:code account_code:code tax_code:code tax_rate:number lines:count tax:money"),
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
        columns("company_code:code currency:code invoice_kind:code invoices:count amount:money tax:money"),
        f"""SELECT v.company_code, v.base_currency AS currency, i.invoice_kind, COUNT(*) AS invoices,
  {_sum("i.amount")} AS amount, {_sum("i.tax")} AS tax
FROM voucher v JOIN voucher_invoice i ON {_same_voucher("i", "v")} WHERE {_THIS_RUN}
GROUP BY v.company_code, v.base_currency, i.invoice_kind ORDER BY v.company_code, v.base_currency, i.invoice_kind""",
        complete=True,
    ),
    Query(
        "invoice_repeats",
        "erp",
        columns("invoice_id:code uses:count first_claim:code last_claim:code"),
        f"""SELECT i.invoice_id, COUNT(DISTINCT i.claim_id) AS uses, MIN(w.claim_code) AS first_claim,
  MAX(w.claim_code) AS last_claim
FROM voucher_invoice i JOIN voucher w ON {_same_voucher("i", "w")}
WHERE i.invoice_id IN (SELECT j.invoice_id FROM voucher_invoice j JOIN voucher v ON {_same_voucher("j", "v")}
  JOIN voucher_invoice o ON o.invoice_id = j.invoice_id AND o.claim_id <> j.claim_id
  WHERE {_THIS_RUN})
GROUP BY i.invoice_id ORDER BY COUNT(DISTINCT i.claim_id) DESC, i.invoice_id""",
    ),
    Query(
        "drift",
        "erp",
        columns("claim_code:code entry_kind:kind company_code:code currency:code posted_amount:money source_amount:money cause:drift_cause found_on:date"),
        f"""SELECT claim_code, entry_kind, company_code, currency, {_MONEY.format("posted_amount")} AS posted_amount,
  {_MONEY.format("source_amount")} AS source_amount, cause, found_on
FROM claim_drift ORDER BY found_on, claim_code, entry_kind, part_no""",
    ),
    Query(
        "paid_not_posted",
        "erp",
        columns(
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
        columns("company_code:code currency:code event_date:date claims:count amount:money"),
        f"""SELECT company_code, currency, event_date, COUNT(*) AS claims, {_sum("amount")} AS amount
FROM claim_state WHERE entry_kind = 'EXPENSE' AND state = 'posted' AND hesi_state NOT IN ('paid', 'archived')
GROUP BY company_code, currency, event_date ORDER BY company_code, currency, event_date""",
    ),
    Query(
        "write_back",
        "erp",
        columns("status:outbox claims:count"),
        "SELECT status, COUNT(*) AS claims FROM writeback_outbox GROUP BY status ORDER BY status",
        complete=True,
    ),
    Query(
        "write_back_open",
        "erp",
        columns("claim_code:code voucher_number:code fiscal_period:code status:outbox reason:text hesi_state:code created_at:instant"),
        """SELECT claim_code, voucher_number, fiscal_period, status, reason, hesi_state, created_at
FROM writeback_outbox WHERE status <> 'DONE'
ORDER BY CASE status WHEN 'BLOCKED' THEN 0 WHEN 'FAILED' THEN 1 WHEN 'RETRY' THEN 2 ELSE 3 END, created_at, claim_code""",
    ),
)
