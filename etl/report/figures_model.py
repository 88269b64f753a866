"""The typed figures of one run: what every form of the report shows, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, TypeAlias

Database: TypeAlias = Literal["ledger", "erp"]
Value: TypeAlias = str | int | bool | Decimal | date | datetime | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    ``kind`` decides type and presentation. ``money``, ``minor`` and ``amount`` are Decimals of the row's
    currency, read from scaled integers, minor units or text; ``currency`` names the column that holds it.
    """

    key: str
    kind: str
    currency: str = "currency"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one question to one database, with the question beside them."""

    key: str
    database: Database
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    sql: str
    complete: bool = False

    def records(self) -> list[dict[str, Value]]:
        """The rows as dictionaries."""
        names = [column.key for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class RunHead:
    """Who ran what, when, under which rules, and how it ended; instants are aware UTC."""

    run_id: str
    kind: str
    status: str
    verdict: str | None
    cause_code: str | None
    cause_text: str | None
    started_at: datetime
    finished_at: datetime | None
    started_by: str
    business_date: date
    interval_from: datetime | None
    interval_to: datetime | None
    mapping_sha256: str
    expectations_sha256: str
    package_version: str
    source_host: str
    previous_run_id: str | None
    previous_verdict: str | None
    peak_rss_mb: int | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Claims by form type and measure, and whether each form type's identity holds.

    extracted + replayed = duplicate + beyond_cutoff + not_due + new + changed + unchanged + deleted.
    """

    forms: tuple[str, ...]
    values: Mapping[tuple[str, str], int]

    def of(self, measure: str, form: str | None = None) -> int:
        """Count of one measure, for one form type or for all."""
        if form is not None:
            return self.values.get((form, measure), 0)
        return sum(self.values.get((name, measure), 0) for name in self.forms)

    def gap(self, form: str | None = None) -> int:
        """Extracted and replayed less their parts; 0 when the identity holds."""
        parts = ("duplicate", "beyond_cutoff", "not_due", "new", "changed", "unchanged", "deleted")
        return self.of("extracted", form) + self.of("replayed", form) - sum(self.of(part, form) for part in parts)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """Everything the report of one run says; every figure comes from SQL.

    ``erp_unread`` names why the ERP database gave no answer; its tables are empty then. None = it answered.
    """

    head: RunHead
    counts: Counts
    tables: Mapping[str, Table] = field(default_factory=dict)
    erp_unread: str | None = None

    @property
    def differences(self) -> dict[str, Decimal]:
        """Largest absolute tie-out difference per currency, zeros included."""
        found: dict[str, Decimal] = {}
        for key in ("totals", "account_totals"):
            for row in self.tables[key].records():
                currency, value = str(row["currency"]), row["difference"]
                if isinstance(value, Decimal):
                    found[currency] = max(found.get(currency, abs(value)), abs(value))
        return found
