"""The columns of an import file, as strict typed data: ``mappings/layouts/*.yaml``.

A layout names the columns of a CSV or XLSX file in their order and where each value comes from. The file has one row per
voucher line; the voucher's own values repeat on each of its lines.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints, model_validator

from etl.config.mapping import Code, Strict

VoucherColumn = Literal[
    "source_system",
    "claim_id",
    "claim_code",
    "entry_kind",
    "company_code",
    "book_code",
    "part_no",
    "revision",
    "claim_version",
    "voucher_word",
    "voucher_no",
    "voucher_date",
    "original_date",
    "fiscal_year",
    "fiscal_period",
    "attachment_count",
    "maker",
    "voucher_summary",
    "base_currency",
    "payload_sha256",
    "batch_id",
]
LineColumn = Literal[
    "line_no",
    "line_summary",
    "account_code",
    "currency",
    "fx_rate",
    "amount_fc",
    "debit",
    "credit",
    "tax_code",
    "tax_rate",
    "settlement_no",
    "cash_flow_item",
    "due_date",
    "business_date",
    "source_line_id",
]
PLAIN_COLUMNS: frozenset[str] = frozenset((*get_args(VoucherColumn), *get_args(LineColumn)))
Origin = Annotated[str, StringConstraints(pattern=r"^([a-z0-9_]+|dimension\.[^.\s]+\.(code|name))$", max_length=120)]
_DIMENSION = "dimension."


class LayoutColumn(Strict):
    """One column of the file."""

    column: Code = Field(description="Heading as the target's import tool expects it")
    from_: Origin = Field(
        alias="from",
        description="A column of voucher or voucher_line (voucher_summary and line_summary for the two summaries), "
        "or dimension.TYPE.code / dimension.TYPE.name",
    )

    @model_validator(mode="after")
    def _known(self) -> LayoutColumn:
        if not self.from_.startswith(_DIMENSION) and self.from_ not in PLAIN_COLUMNS:
            raise ValueError(f"from: expected dimension.TYPE.code, dimension.TYPE.name or one of {', '.join(sorted(PLAIN_COLUMNS))}; found {self.from_!r}")
        return self

    @property
    def dimension(self) -> tuple[str, str] | None:
        """(dim_type, ``dim_code`` or ``dim_name``) where the column holds a dimension, else None."""
        if not self.from_.startswith(_DIMENSION):
            return None
        _, dim_type, part = self.from_.split(".")
        return dim_type, f"dim_{part}"


class Layout(Strict):
    """How one target wants its import file."""

    version: Code = Field(description="Version of this file, free text")
    name: Code = Field(description="Name of the layout; part of the file name")
    format: Literal["csv", "xlsx"] = Field("csv", description="csv or xlsx")
    encoding: Literal["utf-8-sig", "gb18030", "gbk"] = Field(
        "utf-8-sig", description="CSV only; a voucher with a character outside it is refused, nothing is replaced"
    )
    numbers: Literal["ours", "target"] = Field("ours", description="ours: voucher_no as posted here; target: left empty, the target numbers by itself")
    columns: list[LayoutColumn] = Field(min_length=1, description="Columns of the file, in order")

    @model_validator(mode="after")
    def _consistent(self) -> Layout:
        headings = [column.column for column in self.columns]
        repeated = sorted({heading for heading in headings if headings.count(heading) > 1})
        if repeated:
            raise ValueError(f"columns: expected each heading once, found {', '.join(repeated)} more than once")
        if self.format == "xlsx" and self.encoding != "utf-8-sig":
            raise ValueError(f"encoding: an XLSX file has no encoding to choose, found {self.encoding}; leave it out")
        return self
