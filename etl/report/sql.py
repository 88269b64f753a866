"""Every question the report asks. The statements are printed in the XLSX and JSON so that anyone can ask again."""

from __future__ import annotations

from etl.report.query import Query
from etl.report.sql_erp import ERP_QUERIES
from etl.report.sql_ledger import COUNTS, HEAD, LEDGER_QUERIES, RECENT_RUNS

__all__ = ["COUNTS", "HEAD", "QUERIES", "RECENT_RUNS", "Query"]

QUERIES: tuple[Query, ...] = (*LEDGER_QUERIES, *ERP_QUERIES)
