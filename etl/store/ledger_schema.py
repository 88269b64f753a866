"""Tables of the run ledger: what every run read, counted, totalled, refused and found.

The ledger lives apart from the ERP database: losing it loses history, never a posting. Amounts are plain decimal
text in major units, or ``*_minor`` integers beside their currency as in :mod:`etl.frames`; instants are UTC
without zone; names, telephone and card numbers are masked before they get here (:mod:`etl.masking`).
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC instants, stored without zone so that every database sorts them the same way."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The instant as UTC without zone; refuses naive values."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected an aware instant, found the naive {value.isoformat()}")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The stored instant, aware again."""
        return None if value is None else value.replace(tzinfo=UTC)


def _run_id(*, foreign: bool = True) -> Column[str]:
    if not foreign:
        return Column("run_id", String(24), primary_key=True)
    return Column("run_id", String(24), ForeignKey("run.run_id"), primary_key=True)


def _key(name: str, length: int = 64) -> Column[str]:
    return Column(name, String(length), primary_key=True)


def _number(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


def _texts(names: str, length: int = 64) -> list[Column[str]]:
    return [Column(name, String(length), nullable=False, default="") for name in names.split()]


def _amounts(names: str) -> list[Column[str]]:
    return [Column(name, String(40), nullable=False, default="0") for name in names.split()]


def _counts(names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False, default=0) for name in names.split()]


run = Table(
    "run",
    metadata,
    _run_id(foreign=False),
    *_texts("kind", 16),
    Column("started_at", UtcDateTime, nullable=False, index=True),
    Column("finished_at", UtcDateTime),
    *_texts("started_by", 200),
    *_texts("status", 16),
    Column("verdict", String(8)),
    Column("cause_code", String(64)),
    Column("cause_text", Text),
    Column("business_date", Date, nullable=False),
    Column("interval_from", UtcDateTime),
    Column("interval_to", UtcDateTime),
    *_texts("mapping_sha256 expectations_sha256"),
    *_texts("package_version", 32),
    *_texts("source_host", 255),
    Column("previous_run_id", String(24)),
    Column("peak_rss_mb", Integer),
)

run_step = Table(
    "run_step",
    metadata,
    _run_id(),
    _key("step", 32),
    _number("attempt"),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("cpu_seconds", Float, nullable=False),
    *_counts("rows_in rows_out rejected held"),
)

run_count = Table("run_count", metadata, _run_id(), _key("form_type"), _key("measure"), *_counts("value"))

run_total = Table(
    "run_total",
    metadata,
    _run_id(),
    _key("entry_kind", 16),
    _key("company_code"),
    _key("currency", 8),
    *_amounts("source posted held rejected skipped waiting drift difference"),
)

run_account_total = Table(
    "run_account_total",
    metadata,
    _run_id(),
    _key("entry_kind", 16),
    _key("company_code"),
    _key("account_code"),
    _key("currency", 8),
    *_amounts("expected_debit expected_credit posted_debit posted_credit difference"),
)

run_reject = Table(
    "run_reject",
    metadata,
    _run_id(),
    _key("claim_id", 128),
    _key("entry_kind", 16),
    _key("step", 32),
    *_texts("claim_code", 128),
    *_texts("form_type disposition rule"),
    Column("reason", Text, nullable=False, default=""),
    *_texts("owner company_code", 64),
    *_texts("currency", 8),
    *_counts("amount_minor"),
    *_texts("claimant_name department_code", 128),
    *_texts("raw_ref", 255),
    Column("first_seen_on", Date, nullable=False),
    Column("due_date", Date, nullable=False),
    Column("days_open", Integer, nullable=False),
)

run_finding = Table(
    "run_finding",
    metadata,
    _run_id(),
    _key("step", 32),
    _number("n"),
    *_texts("claim_id claim_code", 128),
    *_texts("rule"),
    Column("detail", Text, nullable=False, default=""),
    *_counts("amount_minor"),
    *_texts("currency", 8),
)

run_budget = Table(
    "run_budget",
    metadata,
    _run_id(),
    _number("n"),
    *_texts("source", 32),
    *_texts("node_id node_name", 255),
    *_texts("period", 64),
    *_texts("currency", 8),
    *_amounts("budget used in_flight this_run available over_percent"),
    *_texts("control verdict policy", 16),
    *_counts("claims"),
)

run_validation = Table(
    "run_validation",
    metadata,
    _run_id(),
    _number("n"),
    *_texts("suite rule", 128),
    Column("column", String(128), nullable=False, default=""),
    *_texts("severity", 16),
    *_texts("reject_code"),
    *_counts("evaluated failed"),
    Column("success", Boolean, nullable=False),
    Column("failing_keys", Text, nullable=False, default="[]"),
)

run_page = Table(
    "run_page",
    metadata,
    _run_id(),
    _number("n"),
    *_texts("form_type", 32),
    Column("active", Boolean, nullable=False),
    Column("url", Text, nullable=False),
    Column("fetched_at", UtcDateTime, nullable=False),
    *_counts("bytes claims"),
    *_texts("sha256"),
    Column("path", Text, nullable=False),
)
