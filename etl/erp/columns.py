"""Column types that mean the same on SQLite, PostgreSQL and SQL Server.

Identifiers and codes compare byte by byte everywhere, so ``ID01a`` and ``ID01A`` are two claims on a server whose default
collation ignores case. Amounts are exact decimals in major units; docs/adr/0003-decimals-on-sqlite.md says how SQLite,
which has no decimals, keeps them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mssql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

AMOUNT_SCALE = 4  # decimals of the column; a currency's own scale is never larger than 3
SQL_SERVER_BINARY = "Latin1_General_100_BIN2"


class _DecimalAffinity(UserDefinedType[Any]):
    """``DECIMAL(p, s)`` as SQLite reads it: a declared name with NUMERIC affinity."""

    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        self.precision, self.scale = precision, scale

    def get_col_spec(self, **_: Any) -> str:
        """The declared type in DDL."""
        return f"DECIMAL({self.precision}, {self.scale})"


class ExactDecimal(TypeDecorator[Decimal]):
    """A DECIMAL that takes and gives :class:`~decimal.Decimal` on every database, SQLite included."""

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__(precision, scale)
        self.precision, self.scale = precision, scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """NUMERIC affinity on SQLite, DECIMAL elsewhere."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_DecimalAffinity(self.precision, self.scale))
        return dialect.type_descriptor(sa.DECIMAL(self.precision, self.scale))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Decimal text on SQLite: its affinity turns it into the nearest storage without passing a Python float."""
        return value if value is None or dialect.name != "sqlite" else f"{value:f}"

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """The decimal that was stored; the shortest text of SQLite's REAL is exactly that up to ``money.MAX_MINOR``."""
        return value if value is None or isinstance(value, Decimal) else Decimal(str(value))


def identifier(length: int) -> TypeEngine[str]:
    """Text compared byte by byte: ids, codes, keys."""
    return (
        sa.String(length)
        .with_variant(sa.String(length, collation="C"), "postgresql")
        .with_variant(mssql.NVARCHAR(length, collation=SQL_SERVER_BINARY), "mssql")
    )


def words(length: int) -> TypeEngine[str]:
    """Text for people."""
    return sa.String(length).with_variant(mssql.NVARCHAR(length), "mssql")


def document() -> TypeEngine[str]:
    """A JSON text of any length."""
    return sa.Text().with_variant(mssql.NVARCHAR(None), "mssql")


def amount() -> ExactDecimal:
    """Money in major units; the currency stands in the same row or in its voucher."""
    return ExactDecimal(20, AMOUNT_SCALE)


def rate() -> ExactDecimal:
    """An exchange rate."""
    return ExactDecimal(20, 10)


def percent() -> ExactDecimal:
    """A tax rate in percent."""
    return ExactDecimal(7, 4)


def instant() -> TypeEngine[Any]:
    """A moment in UTC, microseconds, without zone."""
    return sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")  # type: ignore[no-untyped-call]


class exact_sum(sa.sql.functions.GenericFunction[Decimal]):  # noqa: N801 - reads as the SQL function it is
    """The exact sum of decimals: ``SUM`` where the database has decimals, our own aggregate on SQLite."""

    type = ExactDecimal(38, AMOUNT_SCALE)
    inherit_cache = True


@compiles(exact_sum, "postgresql", "mssql")
def _plain_sum(element: exact_sum, compiler: SQLCompiler, **options: Any) -> str:
    return f"SUM({compiler.process(element.clauses, **options)})"


class ExactSum:
    """SQLite's ``exact_sum``: adds the decimals that are stored, not their binary approximations."""

    def __init__(self) -> None:
        self._total: Decimal | None = None

    def step(self, value: Any) -> None:
        """Takes one row; NULL counts as nothing."""
        if value is not None:
            self._total = (self._total or Decimal(0)) + Decimal(str(value))

    def finalize(self) -> str | None:
        """The sum as plain text in its shortest form, so that equal sums are equal texts; NULL without rows."""
        if self._total is None:
            return None
        text = f"{self._total:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text in {"-0", ""} else text
