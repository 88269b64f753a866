"""Builds posting chunks claim by claim, in the test that needs them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from etl import frames
from etl.erp.port import PostingBatch, PostingChunk
from etl.frames import NO_DAY, FrameSpec, day_number

CREATED_AT = datetime(2026, 9, 1, 2, 0, tzinfo=UTC)
TODAY = date(2026, 9, 1)
EVENT = date(2026, 8, 31)
UPDATED_MS = 1_788_200_000_000


class Chunk:
    """Rows of a chunk under construction; every adder returns the entry's number."""

    def __init__(self) -> None:
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in frames.SPECS}
        self._next = 1

    def entry(self, claim_id: str, **values: Any) -> int:
        """An entry alone, e.g. one that is held or unchanged."""
        kind = values.get("entry_kind", "EXPENSE")
        row = {
            "entry_no": self._next, "claim_id": claim_id, "claim_code": f"B-{claim_id}", "form_type": "expense",
            "hesi_state": "paid", "hesi_voucher_no": "", "claim_version": 1, "source_updated_ms": UPDATED_MS,
            "entry_kind": kind, "part_no": 0 if kind == "EXPENSE" else 1, "company_code": "C01", "currency": "CNY",
            "amount_minor": 10_000, "event_day": day_number(EVENT), "claimant_id": "E001", "claimant_name": "张三",
            "department_code": "D10", "source_sha256": "a" * 64, "disposition": "ready", "raw_ref": "p1.json#0",
        }  # fmt: skip
        self._rows["entries"].append(row | values)
        self._next += 1
        return self._next - 1

    def voucher(self, claim_id: str, *, day: date = EVENT, lines: Iterable[dict[str, Any]] | None = None, summary: str = "", **values: Any) -> int:
        """A ready entry with its voucher: by default expense against payable, one dimension, source and invoice."""
        number = self.entry(claim_id, **values)
        entry = self._rows["entries"][-1]
        told = summary or f"张三报销差旅费 {entry['claim_code']}"
        amount = entry["amount_minor"]
        self._rows["vouchers"].append(
            {name: entry[name] for name in ("entry_no", "claim_id", "claim_code", "entry_kind", "company_code", "part_no", "claim_version", "source_sha256")}
            | {"book_code": "B1", "revision": 0, "reverses_revision": -1, "voucher_word": "记", "voucher_day": day_number(day),
               "original_day": entry["event_day"],
               "fiscal_year": day.year, "fiscal_period": day.month, "attachment_count": 2, "maker": "hesi-erp", "summary": told,
               "base_currency": entry["currency"], "total_minor": amount}
        )  # fmt: skip
        standard = ({"account_code": "6602.01", "debit_minor": amount}, {"account_code": "2241.01", "credit_minor": amount})
        for line_no, line in enumerate(lines or standard, start=1):
            self._line(number, line_no, told, entry["currency"], line)
        self._rows["voucher_invoices"].append(
            {"entry_no": number, "invoice_id": f"inv-{claim_id}", "invoice_kind": "FULL_DIGITAl_SPECIAL", "amount_minor": amount, "tax_minor": 0}
        )
        return number

    def reject(self, claim_id: str, **values: Any) -> None:
        """A rejects row."""
        row = {
            "claim_id": claim_id, "claim_code": f"B-{claim_id}", "form_type": "expense", "entry_kind": "EXPENSE",
            "disposition": "rejected", "step": "map_fields", "rule": "FEE_TYPE_UNMAPPED", "reason": "费用类型 TRAINING 没有科目",
            "owner": "映射维护人", "company_code": "C01", "currency": "CNY", "amount_minor": 10_000, "claimant_name": "张三",
            "department_code": "D10", "raw_ref": "p1.json#0",
        }  # fmt: skip
        self._rows["rejects"].append(row | values)

    def commitment(self, claim_id: str, **values: Any) -> None:
        """A commitments row."""
        row = {
            "claim_id": claim_id, "claim_code": f"R-{claim_id}", "hesi_state": "paid", "company_code": "C01", "department_id": "D10",
            "currency": "CNY", "amount_minor": 50_000, "source_updated_ms": UPDATED_MS,
        }  # fmt: skip
        self._rows["commitments"].append(row | values)

    def build(self) -> PostingChunk:
        """The chunk."""
        return PostingChunk(**{name: _frame(frames.SPECS[name], self._rows[name]) for name in PostingChunk.__dataclass_fields__})

    def _line(self, entry_no: int, line_no: int, summary: str, currency: str, line: dict[str, Any]) -> None:
        row = {
            "entry_no": entry_no, "line_no": line_no, "summary": summary, "account_code": "6602.01", "currency": currency, "fx_rate": "",
            "amount_fc_minor": 0, "debit_minor": 0, "credit_minor": 0, "tax_code": "", "tax_rate": "", "settlement_no": "",
            "cash_flow_item": "", "due_day": NO_DAY, "business_day": NO_DAY, "source_line_id": f"d{line_no}",
        }  # fmt: skip
        extra = dict(line)
        dimensions = extra.pop("dimensions", {"department": ("D10", "管理部")})
        self._rows["voucher_lines"].append(row | extra)
        for dim_type, (code, name) in dimensions.items():
            self._rows["line_dimensions"].append({"entry_no": entry_no, "line_no": line_no, "dim_type": dim_type, "dim_code": code, "dim_name": name})
        self._rows["line_sources"].append(
            {"entry_no": entry_no, "line_no": line_no, "source_line_id": f"d{line_no}", "source_part": "", "fee_type_code": "TRAVEL",
             "amount_minor": row["debit_minor"] + extra.get("debit_minor", 0) + extra.get("credit_minor", 0), "rule": "C01.yaml:fee_types[0].accounts.admin"}
        )  # fmt: skip


def _frame(spec: FrameSpec, rows: list[dict[str, Any]]) -> pd.DataFrame:
    return spec.frame({name: [row[name] for row in rows] for name in spec.columns})


def one(claim_id: str, **values: Any) -> PostingChunk:
    """A chunk with one voucher."""
    chunk = Chunk()
    chunk.voucher(claim_id, **values)
    return chunk.build()


def batch(*chunks: PostingChunk, batch_id: str = "batch-1", **values: Any) -> PostingBatch:
    """A batch of these chunks."""
    standard = PostingBatch(batch_id, f"run-of-{batch_id}", CREATED_AT, TODAY, chunks)
    return replace(standard, **values)


def decimals(values: Iterable[Any]) -> list[Decimal]:
    """Stored amounts as decimals whatever the driver gives."""
    return [Decimal(str(value)) for value in values]
