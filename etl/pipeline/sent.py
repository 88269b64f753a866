"""What a run handed to its target, added up while the chunks pass by: reconcile compares it with what SQL reads back."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa

from etl.erp.port import PostingChunk

ACCOUNT = ["entry_kind", "company_code", "account_code", "base_currency"]
AccountKey = tuple[str, str, str, str]
_MEASURES = {"ready": "posted", "held": "held", "rejected": "rejected", "waiting": "waiting"}


class Sent(msgspec.Struct):
    """Debits and credits per account in minor units of the base currency, and entries per form type and measure.

    ``accounts`` rows are (entry_kind, company_code, account_code, base_currency, debit, credit); ``counts`` rows are
    (form_type, posted | held | rejected | waiting, entries).
    """

    accounts: list[tuple[str, str, str, str, int, int]] = []
    counts: list[tuple[str, str, int]] = []

    def by_account(self) -> dict[AccountKey, tuple[int, int]]:
        """Debit and credit of every account."""
        return {row[:4]: row[4:] for row in self.accounts}


class SentSums:
    """Adds chunks up; a chunk's rows need not be kept."""

    def __init__(self) -> None:
        self._debits: Counter[AccountKey] = Counter()
        self._credits: Counter[AccountKey] = Counter()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, chunk: PostingChunk) -> None:
        """Takes one chunk in."""
        dispositions = pa.table({name: pa.array(chunk.entries[name]) for name in ("form_type", "disposition")})
        for row in dispositions.group_by(["form_type", "disposition"]).aggregate([([], "count_all")]).to_pylist():
            if row["disposition"] in _MEASURES:
                self._counts[row["form_type"] or "expense", _MEASURES[row["disposition"]]] += row["count_all"]
        for row in _per_account(chunk.vouchers, chunk.voucher_lines):
            account: AccountKey = (row["entry_kind"], row["company_code"], row["account_code"], row["base_currency"])
            self._debits[account] += row["debit_minor_sum"]
            self._credits[account] += row["credit_minor_sum"]

    def sent(self) -> Sent:
        """The sums so far, in order of their keys."""
        accounts = [(*key, self._debits[key], self._credits[key]) for key in sorted(self._debits)]
        return Sent(accounts, [(*key, count) for key, count in sorted(self._counts.items())])


def _per_account(vouchers: pd.DataFrame, lines: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per account of the chunk: :data:`ACCOUNT`, debit_minor_sum, credit_minor_sum.

    Raises:
        IndexError: a line without its voucher.
    """
    owner = pa.array(pd.Index(vouchers["entry_no"]).get_indexer(lines["entry_no"]))
    columns = {name: (lines[name] if name in lines else vouchers[name]) for name in (*ACCOUNT, "debit_minor", "credit_minor")}
    table = pa.table({name: pa.array(values) if name in lines else pa.array(values).take(owner) for name, values in columns.items()})
    rows: list[dict[str, Any]] = table.group_by(ACCOUNT).aggregate([("debit_minor", "sum"), ("credit_minor", "sum")]).to_pylist()
    return rows
