"""What the report asks the run ledger."""

from __future__ import annotations

from etl.report.query import Query, columns

# Statements are put together from constants of this file only; every value is a bound parameter.
# ruff: noqa: S608
_SUM_TEXT = "SUM(CAST(ROUND(CAST({0} AS DECIMAL(28, 4)) * 10000, 0) AS BIGINT)) AS {0}"
_TOTAL_COLUMNS = ("source", "posted", "held", "rejected", "skipped", "waiting", "difference", "drift")

HEAD = """SELECT r.run_id, r.kind, r.status, r.verdict, r.cause_code, r.cause_text, r.started_at, r.finished_at,
  r.started_by, r.business_date, r.interval_from, r.interval_to, r.mapping_sha256, r.expectations_sha256,
  r.package_version, r.source_host, r.previous_run_id, p.verdict AS previous_verdict, r.peak_rss_mb
FROM run r LEFT JOIN run p ON p.run_id = r.previous_run_id WHERE r.run_id = :run_id"""
COUNTS = "SELECT form_type, measure, value FROM run_count WHERE run_id = :run_id ORDER BY form_type, measure"
RECENT_RUNS = """SELECT r.run_id FROM run r JOIN run me ON me.run_id = :run_id
WHERE r.kind = me.kind AND r.started_at <= me.started_at ORDER BY r.started_at DESC, r.run_id DESC"""

LEDGER_QUERIES = (
    Query(
        "totals_by_currency",
        "ledger",
        columns("currency:code " + " ".join(f"{name}:money" for name in _TOTAL_COLUMNS)),
        f"""SELECT currency, {", ".join(_SUM_TEXT.format(name) for name in _TOTAL_COLUMNS)}
FROM run_total WHERE run_id = :run_id GROUP BY currency ORDER BY currency""",
        complete=True,
    ),
    Query(
        "totals",
        "ledger",
        columns("entry_kind:kind company_code:code currency:code " + " ".join(f"{n}:amount" for n in _TOTAL_COLUMNS)),
        f"""SELECT entry_kind, company_code, currency, {", ".join(_TOTAL_COLUMNS)}
FROM run_total WHERE run_id = :run_id ORDER BY company_code, currency, entry_kind""",
        complete=True,
    ),
    Query(
        "account_totals",
        "ledger",
        columns(
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
        columns("rule:rule disposition:disposition owner:owner claims:count currency:code amount:minor due_date:date days_open:count fix:fix retry:retry"),
        """SELECT rule, disposition, owner, COUNT(*) AS claims, currency, SUM(amount_minor) AS amount,
  MIN(due_date) AS due_date, MAX(days_open) AS days_open, rule AS fix, rule AS retry
FROM run_reject WHERE run_id = :run_id
GROUP BY rule, disposition, owner, currency ORDER BY COUNT(*) DESC, rule, currency""",
        complete=True,
    ),
    Query(
        "rejects",
        "ledger",
        columns(
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
        columns("claimant_name:text department_code:code claims:count rules:count runs:count"),
        """SELECT claimant_name, department_code, COUNT(DISTINCT claim_id) AS claims, COUNT(DISTINCT rule) AS rules,
  COUNT(DISTINCT run_id) AS runs
FROM run_reject WHERE run_id IN :recent_runs
GROUP BY claimant_name, department_code HAVING COUNT(DISTINCT claim_id) > 1
ORDER BY COUNT(DISTINCT claim_id) DESC, claimant_name, department_code""",
    ),
    Query(
        "budget",
        "ledger",
        columns(
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
        columns("rule:finding currency:code remarks:count amount:minor"),
        """SELECT rule, currency, COUNT(*) AS remarks, SUM(amount_minor) AS amount
FROM run_finding WHERE run_id = :run_id GROUP BY rule, currency ORDER BY COUNT(*) DESC, rule, currency""",
        complete=True,
    ),
    Query(
        "remarks",
        "ledger",
        columns("claim_code:code rule:finding detail:text currency:code amount:minor step:code"),
        """SELECT claim_code, rule, detail, currency, amount_minor AS amount, step
FROM run_finding WHERE run_id = :run_id ORDER BY rule, claim_code, step, n""",
    ),
    Query(
        "validation",
        "ledger",
        columns("suite:code rule:code column:code severity:severity evaluated:count failed:count success:passed"),
        """SELECT suite, rule, "column", severity, evaluated, failed, success
FROM run_validation WHERE run_id = :run_id ORDER BY failed DESC, suite, rule, n""",
        complete=True,
    ),
    Query(
        "steps",
        "ledger",
        columns("step:step attempt:count seconds:seconds cpu_seconds:seconds rows_in:count rows_out:count rejected:count held:count"),
        """SELECT step, attempt, seconds, cpu_seconds, rows_in, rows_out, rejected, held
FROM run_step WHERE run_id = :run_id ORDER BY started_at, step, attempt""",
        complete=True,
    ),
    Query(
        "trend",
        "ledger",
        columns("run_id:code started_at:instant verdict:verdict status:code posted:count held:count rejected:count waiting:count"),
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
