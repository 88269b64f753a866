"""What every frame between two steps holds: columns, dtypes, key, grain and units.

Text is the pandas ``str`` dtype, amounts are ``int64`` minor units of the currency named beside them, days are
``int32`` days since 1970-01-01 in Asia/Shanghai (``NO_DAY`` = unknown), instants are epoch milliseconds in
``int64`` (``NO_INSTANT`` = unknown). ``docs/data-dictionary.md`` is generated from these specs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from etl.errors import PayloadChanged

NO_DAY = -(2**31)
NO_INSTANT = -1
# A frame's columns while a step works on them, by name and of one length: text as Python strings, which Arrow makes anew at every reading.
Columns = dict[str, npt.NDArray[Any]]
_EPOCH = date(1970, 1, 1)
_EMPTY: dict[str, pd.DataFrame] = {}
_TEXT: Any = pd.Series(dtype="str").dtype  # found once: looking a dtype up by name costs more than a column of a thousand texts


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


@lru_cache(maxsize=4096)
def day_of(number: int) -> date | None:
    """The day behind a day number; None for ``NO_DAY``."""
    return None if number == NO_DAY else _EPOCH + timedelta(days=int(number))


@dataclass(frozen=True)
class FrameSpec:
    """Columns (name -> dtype), key and grain of one frame."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    notes: Mapping[str, str]

    def frame(self, columns: Mapping[str, Iterable[object]]) -> pd.DataFrame:
        """A frame of exactly these columns and dtypes, in this order."""
        return pd.DataFrame({name: _column(columns[name], dtype) for name, dtype in self.columns.items()}, copy=False)

    def with_custom(self, paths: Iterable[str]) -> FrameSpec:
        """The spec with one text column per custom field path, e.g. ``share.项目``."""
        return FrameSpec(self.name, self.grain, self.key, {**self.columns, **dict.fromkeys(paths, "str")}, self.notes)

    def from_rows(self, rows: list[tuple[object, ...]]) -> pd.DataFrame:
        """A frame of these row tuples, columns in spec order."""
        columns = zip(*rows, strict=True) if rows else iter(((),) * len(self.columns))
        return self.frame({name: list(values) for name, values in zip(self.columns, columns, strict=True)})

    def empty(self) -> pd.DataFrame:
        """The frame without rows; one shared object, frames are never changed in place."""
        if self.name not in _EMPTY:
            _EMPTY[self.name] = self.frame(dict.fromkeys(self.columns, ()))
        return _EMPTY[self.name]

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame itself, once its columns, dtypes and key are proved.

        Raises:
            PayloadChanged: names the first column or the first repeated key that is not as promised.
        """
        if list(frame.columns) != list(self.columns):
            raise PayloadChanged(f"frame {self.name}: expected columns {list(self.columns)}, found {list(frame.columns)}")
        for column, dtype in self.columns.items():
            if str(frame[column].dtype) != dtype:
                raise PayloadChanged(f"frame {self.name}.{column}: expected {dtype}, found {frame[column].dtype}")
        if self.key and frame.duplicated(list(self.key)).any():
            first = frame.loc[frame.duplicated(list(self.key)), list(self.key)].iloc[0].to_dict()
            raise PayloadChanged(f"frame {self.name}: key {self.key} repeats at {first}")
        return frame


def columns_of(frame: pd.DataFrame) -> Columns:
    """The frame's columns, for a step that reads them many times: its text is made Python strings once."""
    return {str(name): values.to_numpy() for name, values in frame.items()}


def picked(columns: Columns, rows: npt.NDArray[Any]) -> Columns:
    """These rows of the columns, by number or by mask."""
    return {name: values[rows] for name, values in columns.items()}


def stacked(parts: Sequence[Columns]) -> Columns:
    """The rows of several parts of the same columns, one below the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows as named tuples; a frame of a few rows may be read so, never a hot path."""
    return iter(frame.itertuples(index=False))


def tuples(frame: pd.DataFrame, *names: str) -> Iterator[tuple[Any, ...]]:
    """Rows as plain tuples of these columns; column by column, since pandas takes Arrow text out one by one slowly."""
    return zip(*(frame[name].tolist() for name in names), strict=True)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries."""
    found: list[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]
    return found


def _column(values: Any, dtype: str) -> Any:
    """The values as a new array of the dtype, without its index: columns go side by side by position, never by label."""
    if isinstance(values, (pd.Series, pd.Index)):
        values = values.array
    elif not isinstance(values, (list, np.ndarray)):
        values = list(values)
    if dtype == "str":
        return _TEXT.__from_arrow__(pa.array(values, type=pa.large_string(), from_pandas=True))
    if isinstance(values, list):
        found = np.asarray(values)
        if found.dtype == dtype:
            return found  # pandas would look at each value twice
    return values.copy() if getattr(values, "dtype", None) == dtype else pd.Series(values, dtype=dtype).array


def _spec(name: str, grain: str, key: str, columns: str, **notes: str) -> FrameSpec:
    parsed = dict(pair.split(":") for pair in columns.split())
    return FrameSpec(name, grain, tuple(key.split()), parsed, notes)


NO_AMOUNT = -(2**63)
STAGED_CLAIMS = _spec(
    "staged_claims",
    "one claim, newest version",
    "claim_id",
    "claim_id:str claim_code:str form_type:str hesi_state:str due:bool settled:bool claim_version:int64 source_updated_ms:int64 "
    "event_ms:int64 pay_ms:int64 title:str submitter_id:str payment_account_id:str trade_no:str currency:str total_minor:int64 "
    "pay_minor:int64 written_off_minor:int64 company_paid_minor:int64 hesi_voucher_no:str originals:int64 requisition_id:str "
    "due_ms:int64 department_id:str source_sha256:str raw_ref:str",
    due="whether the state calls for a voucher (accounting-rules 1)",
    settled="whether money may have moved: paid or archived",
    event_ms="approval end (rule 1), receipt date, or NO_INSTANT",
    originals="attachments of the form and its lines that are no invoices",
    total_minor="expenseMoney, loanMoney, payMoney or receiptMoney by form type",
)
STAGED_LINES = _spec(
    "staged_lines",
    "one expense detail",
    "claim line_no",
    "claim:int64 line_no:int64 detail_id:str fee_type_id:str amount_minor:int64 currency:str foreign_minor:int64 "
    "foreign_currency:str rate:str fee_ms:int64 requisition_id:str",
    claim="row of staged_claims",
    foreign_minor="0 where foreign_currency is empty",
)
STAGED_SHARES = _spec(
    "staged_shares",
    "one apportionment of a detail, as Hesi gives it; a detail without any has no row",
    "line share_no",
    "line:int64 share_no:int64 share_id:str money_minor:int64",
    line="row of staged_lines",
)
STAGED_INVOICES = _spec(
    "staged_invoices",
    "one invoice used by a detail",
    "line invoice_no",
    "line:int64 invoice_no:int64 invoice_id:str tax_minor:int64 rate:str approved_minor:int64 item_count:int64 item_ids:str",
    tax_minor="Hesi's deductible tax; NO_AMOUNT where Hesi gives none",
    approved_minor="approveAmount; NO_AMOUNT where Hesi gives none",
    item_ids="the invoice's items the detail uses, a blank between; empty = all of them",
    invoice_id="empty for tax given on the detail itself",
)
STAGED_WRITE_OFFS = _spec(
    "staged_write_offs",
    "one loan package written off by a claim or receipt",
    "claim record_no",
    "claim:int64 record_no:int64 package_id:str amount_minor:int64",
)
STAGED_PAYEES = _spec(
    "staged_payees",
    "one settlement: a payPlan row, or the single payee",
    "claim part_no",
    "claim:int64 part_no:int64 payee_id:str amount_minor:int64 foreign_minor:int64 foreign_currency:str rate:str paid_ms:int64 "
    "trade_no:str returned_ms:int64 payable:bool source_sha256:str",
    payable="whether the row is part of what is owed: every payPlan row, or the last attempt to pay the single payee",
    returned_ms="when the bank sent the money back (退票), NO_INSTANT where it did not",
)
ENTRIES = _spec(
    "entries",
    "one voucher a claim gives rise to: claim x entry kind x part",
    "claim_id entry_kind part_no",
    "entry_no:int64 claim_id:str claim_code:str form_type:str hesi_state:str hesi_voucher_no:str claim_version:int64 "
    "source_updated_ms:int64 entry_kind:str part_no:int64 company_code:str currency:str amount_minor:int64 "
    "event_day:int32 claimant_id:str claimant_name:str department_code:str source_sha256:str disposition:str raw_ref:str",
    entry_no="number of the entry, unique within a run",
    amount_minor="source amount in the base currency: expenseMoney for accruals, money moved for payments (rule 29)",
    event_day="day the event happened: approval, payment, receipt; kept as original_date",
    disposition="ready | waiting (payment whose accrual is not posted) | held | rejected | skipped | unchanged | drift (posted, source moved) | "
    "gone (open, no longer due) | returned (posted payment the bank sent back) | reversed | corrected",
    source_sha256="hash of everything in the source that this voucher depends on",
    raw_ref="page file and item index of the raw claim",
)
VOUCHERS = _spec(
    "vouchers",
    "one voucher of a ready entry",
    "entry_no",
    "entry_no:int64 claim_id:str claim_code:str entry_kind:str company_code:str book_code:str part_no:int64 revision:int64 "
    "claim_version:int64 reverses_revision:int64 voucher_word:str voucher_day:int32 original_day:int32 fiscal_year:int64 fiscal_period:int64 "
    "attachment_count:int64 maker:str summary:str base_currency:str total_minor:int64 source_sha256:str",
    total_minor="sum of the debits, base currency",
    revision="our own vouchers of the key counted from 0; a voucher whose entry_no is no entry undoes or corrects another",
    reverses_revision="revision this red voucher undoes, -1 otherwise",
    fiscal_period="1 to 12",
)
VOUCHER_LINES = _spec(
    "voucher_lines",
    "one debit or credit of a voucher, in print order",
    "entry_no line_no",
    "entry_no:int64 line_no:int64 summary:str account_code:str currency:str fx_rate:str amount_fc_minor:int64 "
    "debit_minor:int64 credit_minor:int64 tax_code:str tax_rate:str settlement_no:str cash_flow_item:str due_day:int32 "
    "business_day:int32 source_line_id:str",
    currency="currency of amount_fc; the base currency where the line carries no foreign amount",
    fx_rate="plain decimal text, empty where currency is the base currency",
    amount_fc_minor="foreign amount in minor units of currency; 0 where fx_rate is empty",
    debit_minor="base currency; exactly one of debit and credit is not zero; negative = red",
    tax_rate="percent as plain decimal text, empty where the line is no VAT line",
)
LINE_DIMENSIONS = _spec(
    "line_dimensions",
    "one dimension (辅助核算) of a voucher line",
    "entry_no line_no dim_type",
    "entry_no:int64 line_no:int64 dim_type:str dim_code:str dim_name:str",
)
LINE_SOURCES = _spec(
    "line_sources",
    "one source line that went into a voucher line (n:m, rule 21)",
    "entry_no line_no source_line_id source_part",
    "entry_no:int64 line_no:int64 source_line_id:str source_part:str amount_minor:int64 fee_type_code:str rule:str",
    source_part="apportionment, invoice, write-off or payPlan row inside the source line",
    rule="which mapping entry decided the account, e.g. C01.yaml:fee_types[3].accounts.admin",
)
VOUCHER_INVOICES = _spec(
    "voucher_invoices",
    "one invoice booked with a voucher (rule 17)",
    "entry_no invoice_id",
    "entry_no:int64 invoice_id:str invoice_kind:str amount_minor:int64 tax_minor:int64",
)
REJECTS = _spec(
    "rejects",
    "one entry that is not posted now, and why",
    "claim_id entry_kind",
    "claim_id:str claim_code:str form_type:str entry_kind:str disposition:str step:str rule:str reason:str owner:str "
    "company_code:str currency:str amount_minor:int64 claimant_name:str department_code:str raw_ref:str",
    disposition="rejected | held",
    rule="a code of etl.rejects.CATALOGUE",
)
FINDINGS = _spec(
    "findings",
    "one remark that changes nothing but should be read",
    "",
    "claim_id:str claim_code:str rule:str detail:str amount_minor:int64 currency:str",
)
BUDGET_LINES = _spec(
    "budget_lines",
    "one expense share of a ready accrual, as the budget check reads it",
    "",
    "entry_no:int64 claim_id:str claim_code:str company_code:str department_id:str fee_type_id:str project_id:str "
    "employee_id:str account_code:str day:int32 gross_minor:int64 net_minor:int64 currency:str "
    "requisition_id:str",
    day="feeDate or approval day, as the budget policy says",
)
COMMITMENTS = _spec(
    "commitments",
    "one requisition: money promised but not yet claimed",
    "claim_id",
    "claim_id:str claim_code:str hesi_state:str company_code:str department_id:str currency:str amount_minor:int64 source_updated_ms:int64",
)
SPECS = {
    spec.name: spec
    for spec in (
        STAGED_CLAIMS,
        STAGED_LINES,
        STAGED_SHARES,
        STAGED_INVOICES,
        STAGED_WRITE_OFFS,
        STAGED_PAYEES,
        ENTRIES,
        VOUCHERS,
        VOUCHER_LINES,
        LINE_DIMENSIONS,
        LINE_SOURCES,
        VOUCHER_INVOICES,
        REJECTS,
        FINDINGS,
        BUDGET_LINES,
        COMMITMENTS,
    )
}
