"""Right vouchers to break: one claim each of 106.00 CNY, built without any code of the product but the frame specs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from etl.frames import ENTRIES, LINE_DIMENSIONS, VOUCHER_LINES, VOUCHERS
from etl.steps.posting_rules import AccountWindow, CompanyPromises, PostingRules

MARCH_10 = 20_522
_FEE = frozenset({"department"})


def promises(**changes: Any) -> PostingRules:
    """One company: two fee accounts, VAT, a payable, a bank; account 6602.77 was closed the day before."""
    always = (-(10**6), 10**6)
    company: dict[str, Any] = {
        "base_currency": "CNY",
        "accounts": {
            "6602.01": (AccountWindow(*always, _FEE),),
            "6602.77": (AccountWindow(always[0], MARCH_10 - 1, frozenset()),),
            "2221.01.01": (AccountWindow(*always, frozenset()),),
            "2241.01": (AccountWindow(*always, frozenset({"employee"})),),
            "1002.01": (AccountWindow(*always, frozenset()),),
            "6603.99": (AccountWindow(*always, frozenset()),),
        },
        "vat_account": "2221.01.01",
        "residual_account": None,
        "residual_limit": 0,
        "summary_limit": 60,
        "summary_encoding": None,
    }
    return {"C01": CompanyPromises(**{**company, **changes})}


@dataclass
class Chunk:
    """The frames of one chunk, open to change."""

    entries: pd.DataFrame
    vouchers: pd.DataFrame
    lines: pd.DataFrame
    dimensions: pd.DataFrame

    def change(self, frame: str, entry_no: int, *, line_no: int | None = None, **values: object) -> None:
        """Other values for one entry, or for one of its lines."""
        target = getattr(self, frame)
        rows = target["entry_no"] == entry_no
        if line_no is not None:
            rows &= target["line_no"] == line_no
        assert rows.any(), "nothing to change"
        for column, value in values.items():
            target.loc[rows, column] = value

    def negate(self, entry_no: int) -> None:
        """The entry as a red one: every amount with the other sign."""
        self.entries.loc[self.entries["entry_no"] == entry_no, "amount_minor"] *= -1
        rows = self.lines["entry_no"] == entry_no
        self.lines.loc[rows, ["debit_minor", "credit_minor"]] *= -1

    def keep_lines(self, entry_no: int, count: int) -> None:
        """Only the first lines of an entry."""
        gone = (self.lines["entry_no"] == entry_no) & (self.lines["line_no"] > count)
        self.lines = self.lines.loc[~gone].reset_index(drop=True)

    def drop_dimension(self, entry_no: int, line_no: int) -> None:
        """A line without its dimensions."""
        gone = (self.dimensions["entry_no"] == entry_no) & (self.dimensions["line_no"] == line_no)
        assert gone.any(), "nothing to drop"
        self.dimensions = self.dimensions.loc[~gone].reset_index(drop=True)

    def key_of(self, entry_no: int) -> str:
        """Business key of an entry."""
        row = self.entries.set_index("entry_no").loc[entry_no]
        return f"{row['claim_code']} {row['entry_kind']} {row['part_no']}"


def chunk(count: int, *, start: int = 0, kinds: tuple[str, ...] = ("EXPENSE",)) -> Chunk:
    """``count`` ready entries of alternating kinds, numbered from ``start``, each with a right voucher."""
    entries, vouchers, lines, dimensions = [], [], [], []
    for i in range(count):
        entry_no, kind = start + i, kinds[i % len(kinds)]
        common = {
            "entry_no": entry_no,
            "claim_id": f"ID{entry_no:08d}",
            "claim_code": f"B{entry_no:08d}",
            "entry_kind": kind,
            "part_no": 0,
            "company_code": "C01",
            "claim_version": 1,
            "source_sha256": "0" * 64,
        }
        entries.append({**common, "currency": "CNY", "amount_minor": 10_600, "event_day": MARCH_10, "disposition": "ready"})
        vouchers.append({**common, "voucher_day": MARCH_10, "fiscal_year": 2026, "fiscal_period": 3, "base_currency": "CNY"})
        for line_no, (account, debit, credit, rate, dimension) in enumerate(_lines_of(kind), start=1):
            line = {"entry_no": entry_no, "line_no": line_no}
            lines.append(
                {**line, "summary": f"张三报销差旅费 {common['claim_code']}", "account_code": account, "currency": "CNY",
                 "debit_minor": debit, "credit_minor": credit, "tax_rate": rate}
            )  # fmt: skip
            if dimension:
                dimensions.append({**line, "dim_type": dimension, "dim_code": "X1"})
    return Chunk(
        _frame(ENTRIES, entries),
        _frame(VOUCHERS, vouchers),
        _frame(VOUCHER_LINES, lines),
        _frame(LINE_DIMENSIONS, dimensions),
    )


def _lines_of(kind: str) -> list[tuple[str, int, int, str, str]]:
    if kind != "EXPENSE":
        return [("2241.01", 10_600, 0, "", "employee"), ("1002.01", 0, 10_600, "", "")]
    return [
        ("6602.01", 5_000, 0, "", "department"),
        ("6602.01", 5_000, 0, "", "department"),
        ("2221.01.01", 600, 0, "6", ""),
        ("2241.01", 0, 10_600, "", "employee"),
    ]


def _frame(spec: Any, rows: list[dict[str, object]]) -> pd.DataFrame:
    """Rows with every column they leave out empty."""
    empty = {name: "" if dtype == "str" else 0 for name, dtype in spec.columns.items()}
    return spec.frame({name: [row.get(name, default) for row in rows] for name, default in empty.items()})
