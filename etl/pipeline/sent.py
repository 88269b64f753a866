"""What a run handed to its target, added up while the chunks pass by: reconcile compares it with what SQL reads back."""

from __future__ import annotations

from collections import Counter

import msgspec
import pandas as pd

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
        for (form, disposition), entries in chunk.entries.groupby(["form_type", "disposition"]).size().items():
            if disposition in _MEASURES:
                self._counts[form or "expense", _MEASURES[disposition]] += int(entries)
        for *key, debit, credit in _per_account(chunk.vouchers, chunk.voucher_lines).itertuples(index=False, name=None):
            account: AccountKey = (key[0], key[1], key[2], key[3])
            self._debits[account] += debit
            self._credits[account] += credit

    def sent(self) -> Sent:
        """The sums so far, in order of their keys."""
        accounts = [(*key, self._debits[key], self._credits[key]) for key in sorted(self._debits)]
        return Sent(accounts, [(*key, count) for key, count in sorted(self._counts.items())])


def _per_account(vouchers: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """One row per account of the chunk: :data:`ACCOUNT`, debit_minor, credit_minor.

    Lines are summed per voucher and account first, so that the voucher's texts are joined to few rows.
    """
    sums = lines.groupby(["entry_no", "account_code"], as_index=False, sort=False)[["debit_minor", "credit_minor"]].sum()
    joined = sums.merge(vouchers[["entry_no", "entry_kind", "company_code", "base_currency"]], on="entry_no", validate="many_to_one")
    return joined.groupby(ACCOUNT, as_index=False, sort=False)[["debit_minor", "credit_minor"]].sum()
