"""The slim frames the validation suites read: a few integers per entry and per line, nothing else.

They are worked out here from the voucher lines and the mapping a second time, on purpose without any code of
``map_fields``: a rule that shares the code it checks cannot fail. Chunks are turned one by one and joined with
:func:`join`, so that a run of any size stays small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from etl.steps.posting_rules import FIRST_DAY, LAST_DAY, AccountWindow, CompanyPromises, PostingRules

KINDS = ("EXPENSE", "PAYMENT", "LOAN", "RECEIPT")
_LONGEST_CHARACTER = 4  # bytes of one character, in GB18030 as in UTF-8
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]


def slim_entries(entries: pd.DataFrame, vouchers: pd.DataFrame, voucher_lines: pd.DataFrame, *, rules: PostingRules) -> pd.DataFrame:
    """One row per ready entry: its source amount beside what its voucher's lines add up to.

    Args:
        entries, vouchers, voucher_lines: one chunk, as :data:`etl.frames.ENTRIES` and so on.
        rules: see :func:`etl.steps.posting_rules.posting_rules`.

    Returns:
        Grain entry, key ``entry_no``; amounts in minor units of ``currency``; months as year x 100 + month, 0 where
        there is no voucher. ``voucher_minor`` are the debits, without the residual line where that explains a difference.
    """
    ready = entries.loc[entries["disposition"] == "ready"].reset_index(drop=True)
    owner = pd.Index(ready["entry_no"]).get_indexer(pd.Index(voucher_lines["entry_no"]))
    debit = _sums(owner, voucher_lines["debit_minor"].to_numpy(), len(ready))
    credit = _sums(owner, voucher_lines["credit_minor"].to_numpy(), len(ready))
    residual = _sums(owner, _residuals(voucher_lines, ready, owner=owner, rules=rules), len(ready))
    source = ready["amount_minor"].to_numpy()
    voucher_month, fiscal_month = _months(ready["entry_no"], vouchers)
    return pd.DataFrame(
        {
            "entry_no": ready["entry_no"],
            "claim_id": ready["claim_id"],
            "claim_code": ready["claim_code"],
            "entry_kind": pd.Categorical(ready["entry_kind"], categories=KINDS),
            "part_no": ready["part_no"],
            "company_code": pd.Categorical(ready["company_code"], categories=sorted(rules)),
            "currency": pd.Categorical(ready["currency"], categories=_currencies(rules)),
            "entry_key": pd.util.hash_pandas_object(ready[["claim_id", "entry_kind", "part_no"]], index=False).astype("int64"),
            "event_day": ready["event_day"].astype("int64"),
            "source_minor": source,
            "voucher_minor": np.where(debit - residual == source, source, debit),
            "debit_minor": debit,
            "credit_minor": credit,
            "voucher_month": voucher_month,
            "fiscal_month": fiscal_month,
            "line_count": _sums(owner, np.ones(len(voucher_lines), np.int64), len(ready)),
        }
    )


def slim_lines(voucher_lines: pd.DataFrame, vouchers: pd.DataFrame, line_dimensions: pd.DataFrame, *, rules: PostingRules) -> pd.DataFrame:
    """One row per voucher line: its amounts, and a flag (1 = right) for each promise it keeps.

    Args:
        voucher_lines, vouchers, line_dimensions: one chunk, as :data:`etl.frames.VOUCHER_LINES` and so on.
        rules: see :func:`etl.steps.posting_rules.posting_rules`.

    Returns:
        Grain voucher line in the order given; a line without a voucher keeps no promise.
    """
    lines = _Lines.of(voucher_lines, vouchers, rules)
    debit, credit = voucher_lines["debit_minor"].to_numpy(), voucher_lines["credit_minor"].to_numpy()
    is_open, complete = _account_promises(lines, line_dimensions)
    flags = {
        "side_count": (debit != 0).astype(np.int8) + (credit != 0).astype(np.int8),
        "account_open": is_open,
        "dimensions_complete": complete & lines.known,
        "summary_fits": _summary_fits(lines),
        "tax_fits": ((voucher_lines["tax_rate"] != "").to_numpy(bool) == _on_vat_account(lines)) & lines.known,
        "currency_fits": _currency_fits(lines),
    }
    return pd.DataFrame(
        {
            "entry_no": voucher_lines["entry_no"].to_numpy(),
            "debit_minor": debit,
            "credit_minor": credit,
            **{name: values.astype(np.int8) for name, values in flags.items()},
        }
    )


def slim_totals(entries: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """One row per company, currency and entry kind: what entries and lines add up to, each from its own frame.

    Args:
        entries: joined :func:`slim_entries`, without those already rejected.
        lines: joined :func:`slim_lines`; lines of other entries are left out.
    """
    groups = entries.groupby(["company_code", "currency", "entry_kind"], observed=True, dropna=False, sort=True)
    totals = groups[["source_minor", "line_count"]].sum().reset_index()
    group = groups.ngroup().to_numpy()
    owner = pd.Index(entries["entry_no"]).get_indexer(pd.Index(lines["entry_no"]))
    line_group = np.where(owner >= 0, group[owner], -1) if len(group) else np.full(len(lines), -1)
    explained = (entries["debit_minor"] - entries["voucher_minor"]).to_numpy()
    debit = _sums(line_group, lines["debit_minor"].to_numpy(), len(totals))
    return pd.DataFrame(
        {
            "group_no": np.arange(len(totals)),
            **{name: totals[name] for name in ("company_code", "currency", "entry_kind", "source_minor")},
            "voucher_minor": debit - _sums(group, explained, len(totals)),
            "debit_minor": debit,
            "credit_minor": _sums(line_group, lines["credit_minor"].to_numpy(), len(totals)),
            "lines_expected": totals["line_count"],
            "lines_found": _sums(line_group, np.ones(len(lines), np.int64), len(totals)),
        }
    )


def join(chunks: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Slim chunks under each other with one running index, which GX needs to find a row again."""
    return pd.concat(chunks, ignore_index=True)


@dataclass(frozen=True)
class _Lines:
    """A chunk of lines, each with its voucher's place and its (company, account) pair."""

    frame: pd.DataFrame
    voucher: Ints
    day: Ints
    pairs: list[tuple[CompanyPromises | None, str]]
    pair: Ints

    @classmethod
    def of(cls, frame: pd.DataFrame, vouchers: pd.DataFrame, rules: PostingRules) -> _Lines:
        voucher = pd.Index(vouchers["entry_no"]).get_indexer(pd.Index(frame["entry_no"])).astype(np.int64)
        company_of_voucher, companies = pd.factorize(vouchers["company_code"])
        account, accounts = pd.factorize(frame["account_code"])
        day = np.append(vouchers["voucher_day"].to_numpy(np.int64), FIRST_DAY)[voucher]
        company = np.append(company_of_voucher, -1)[voucher]
        keys, pair = np.unique(company * len(accounts) + account, return_inverse=True)
        found = (divmod(int(key), max(len(accounts), 1)) for key in keys)
        pairs = [(rules.get(str(companies[i])) if i >= 0 else None, str(accounts[j])) for i, j in found]
        return cls(frame, voucher, day, pairs, pair.astype(np.int64))

    @property
    def known(self) -> Flags:
        """Lines with a voucher of a mapped company."""
        return self.flag([company is not None for company, _ in self.pairs])

    def each(self, values: Sequence[int]) -> Ints:
        """One value per (company, account) pair, spread over the lines."""
        return np.asarray(values, dtype=np.int64)[self.pair]

    def flag(self, values: Sequence[bool]) -> Flags:
        """One flag per (company, account) pair, spread over the lines."""
        return np.asarray(values, dtype=np.bool_)[self.pair]


def _sums(owner: npt.NDArray[np.integer], values: Ints, size: int) -> Ints:
    """Exact int64 sums of values by owner; owner -1 belongs to nobody."""
    sums = np.zeros(size, dtype=np.int64)
    owned = owner >= 0
    np.add.at(sums, owner[owned], values[owned])
    return sums


def _currencies(rules: PostingRules) -> list[str]:
    return sorted({company.base_currency for company in rules.values()})


def _months(entry_no: pd.Series, vouchers: pd.DataFrame) -> tuple[Ints, Ints]:
    voucher = pd.Index(vouchers["entry_no"]).get_indexer(pd.Index(entry_no))
    days = vouchers["voucher_day"].to_numpy(np.int64).astype("datetime64[D]")
    months = days.astype("datetime64[M]").astype(np.int64)  # months since 1970-01
    dated = (1970 + months // 12) * 100 + months % 12 + 1
    fiscal = vouchers["fiscal_year"].to_numpy(np.int64) * 100 + vouchers["fiscal_period"].to_numpy(np.int64)
    return np.append(dated, 0)[voucher], np.append(fiscal, 0)[voucher]


def _residuals(lines: pd.DataFrame, ready: pd.DataFrame, *, owner: npt.NDArray[np.integer], rules: PostingRules) -> Ints:
    """Amount of each line that books an allowed rounding difference, whichever its side; 0 on all other lines."""
    amount = (lines["debit_minor"] + lines["credit_minor"]).to_numpy()
    explained = np.zeros(len(lines), dtype=np.int64)
    for code, company in rules.items():
        if company.residual_account is None:
            continue
        theirs = np.append((ready["company_code"] == code).to_numpy(bool), False)[owner]
        here = theirs & (lines["account_code"] == company.residual_account).to_numpy(bool)
        here &= np.abs(amount) <= company.residual_limit
        explained[here] = amount[here]
    return explained


def _account_promises(lines: _Lines, line_dimensions: pd.DataFrame) -> tuple[Flags, Flags]:
    """Per line: the account is open on the voucher day; the dimensions it then needs are there."""
    windows = [company.accounts.get(account, ()) if company else () for company, account in lines.pairs]
    is_open = np.zeros(len(lines.frame), dtype=bool)
    complete = np.ones(len(lines.frame), dtype=bool)
    names = {name for of_pair in windows for window in of_pair for name in window.dimensions}
    carried = _carried(lines.frame, line_dimensions, names)
    never = AccountWindow(LAST_DAY, FIRST_DAY, frozenset())
    for k in range(max(map(len, windows), default=0)):
        kth = [of_pair[k] if k < len(of_pair) else never for of_pair in windows]
        here = (lines.each([w.first_day for w in kth]) <= lines.day) & (lines.day <= lines.each([w.last_day for w in kth]))
        is_open |= here
        for name in names:
            needed = lines.flag([name in w.dimensions for w in kth])
            complete &= ~(here & needed) | carried[name]
    return is_open, complete


def _carried(lines: pd.DataFrame, line_dimensions: pd.DataFrame, names: set[str]) -> dict[str, Flags]:
    """Per dimension: the lines that carry it with a code."""
    both = (lines["line_no"].max(), line_dimensions["line_no"].max())
    width = 1 + max((int(top) for top in both if not pd.isna(top)), default=0)
    line_keys = lines["entry_no"].to_numpy() * width + lines["line_no"].to_numpy()
    keys = line_dimensions["entry_no"].to_numpy() * width + line_dimensions["line_no"].to_numpy()
    coded = (line_dimensions["dim_code"] != "").to_numpy(bool)
    of_type = {name: (line_dimensions["dim_type"] == name).to_numpy(bool) & coded for name in names}
    return {name: np.isin(line_keys, keys[rows]) for name, rows in of_type.items()}


def _summary_fits(lines: _Lines) -> Flags:
    summary = lines.frame["summary"].str
    length = summary.len().to_numpy(np.int64)
    limit = lines.each([company.summary_limit if company else -1 for company, _ in lines.pairs])
    in_bytes = lines.flag([bool(company and company.summary_encoding) for company, _ in lines.pairs])
    fits = length <= limit
    # Counting bytes needs the encoder; only summaries that might be too long are worth it.
    for i in np.flatnonzero(in_bytes & fits & (length * _LONGEST_CHARACTER > limit)).tolist():
        company = lines.pairs[lines.pair[i]][0]
        encoding = company.summary_encoding if company else None
        fits[i] = len(str(lines.frame["summary"].iat[i]).encode(encoding or "utf-8")) <= limit[i]
    written: Flags = (summary.strip() != "").to_numpy(bool)
    return fits & written


def _on_vat_account(lines: _Lines) -> Flags:
    return lines.flag([bool(company and company.vat_account == account) for company, account in lines.pairs])


def _currency_fits(lines: _Lines) -> Flags:
    currency, currencies = pd.factorize(lines.frame["currency"])
    place = {str(code): i for i, code in enumerate(currencies)}
    unused = len(currencies)
    base = lines.each([place.get(company.base_currency, unused) if company else unused for company, _ in lines.pairs])
    unrated = (lines.frame["fx_rate"] == "").to_numpy(bool)
    empty = (lines.frame["amount_fc_minor"] == 0).to_numpy(bool)
    fits: Flags = ((currency == base) == unrated) & (empty | ~unrated) & lines.known
    return fits
