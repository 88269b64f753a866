"""Every figure of one run's report, read by SQL from the run ledger and the ERP database.

Nothing is taken from the run's memory: what the report says is what the databases say, so that anybody can ask
them again. Amounts come out as Decimals at their currency's scale, instants as aware UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.exc import DBAPIError

from etl.errors import ConfigError
from etl.money import exponent
from etl.redaction import redact
from etl.report import sql
from etl.report.figures_model import Column, Counts, Database, RunFigures, RunHead, Table, Value

RECENT = 30
AGE_BUCKETS = ((1, "0-1"), (3, "2-3"), (7, "4-7"), (30, "8-30"), (10**9, ">30"))
_SCALE = Decimal(10_000)


def build_figures(ledger: Engine, erp: Engine, run_id: str) -> RunFigures:
    """The figures of ``run_id``.

    Raises:
        ConfigError: the ledger does not know the run.
    """
    with ledger.connect() as connection:
        head = _head(connection, run_id)
        recent = _recent_runs(connection, run_id)
        counts = _counts(connection, run_id)
        tables = _ask_all(connection, "ledger", run_id, recent)
    unread = None
    try:
        with erp.connect() as connection:
            tables |= _ask_all(connection, "erp", run_id, recent)
    except DBAPIError as error:
        # A run that stopped because of this database still needs its report; the page says what is missing.
        unread = redact(f"{type(error.orig).__name__}: {error.orig}")
        tables |= {query.key: Table(query.key, "erp", query.columns, (), query.sql) for query in sql.QUERIES if query.database == "erp"}
    tables["unpaid"] = _ageing(tables.pop("unpaid_days"), head.business_date)
    tables["tax_balance"] = _tax_balance(tables["tax_invoices"], tables["tax_rates"])
    return RunFigures(head, counts, tables, unread)


def _ask_all(connection: Connection, database: Database, run_id: str, recent: list[str]) -> dict[str, Table]:
    queries = (query for query in sql.QUERIES if query.database == database)
    return {query.key: _ask(connection, query, run_id, recent) for query in queries}


def _head(connection: Connection, run_id: str) -> RunHead:
    row = connection.execute(text(sql.HEAD), {"run_id": run_id}).mappings().first()
    if row is None:
        raise ConfigError(f"expected a run id of this ledger, found {run_id!r}; the folders of HESI_ERP_HOME/reports are named by run id")
    values: dict[str, Any] = dict(row)
    for name in ("started_at", "finished_at", "interval_from", "interval_to"):
        values[name] = _instant(values[name])
    values["business_date"] = _day(values["business_date"])
    return RunHead(**values)


def _counts(connection: Connection, run_id: str) -> Counts:
    rows = connection.execute(text(sql.COUNTS), {"run_id": run_id}).all()
    values = {(str(form), str(measure)): int(value) for form, measure, value in rows}
    return Counts(tuple(sorted({form for form, _ in values})), values)


def _recent_runs(connection: Connection, run_id: str) -> list[str]:
    rows = connection.execute(text(sql.RECENT_RUNS), {"run_id": run_id}).fetchmany(RECENT)
    return [str(row[0]) for row in rows]


def _ask(connection: Connection, query: sql.Query, run_id: str, recent: list[str]) -> Table:
    statement = text(query.sql)
    parameters: dict[str, object] = {}
    if ":run_id" in query.sql:
        parameters["run_id"] = run_id
    if ":recent_runs" in query.sql:
        statement = statement.bindparams(bindparam("recent_runs", expanding=True))
        parameters["recent_runs"] = recent
    rows = connection.execute(statement, parameters)
    position = {column.key: i for i, column in enumerate(query.columns)}
    readers = [(_reader(column), position.get(column.currency, -1)) for column in query.columns]
    typed = tuple(tuple(read(value, str(row[at]) if at >= 0 else "") for value, (read, at) in zip(row, readers, strict=True)) for row in rows)
    return Table(query.key, query.database, query.columns, typed, query.sql, query.complete)


def _ageing(days: Table, today: date | None) -> Table:
    """Unpaid accruals by age since the event, summed from the per-day rows."""
    sums: dict[tuple[str, str, str], tuple[int, Decimal]] = {}
    for row in days.records():
        event, amount = row["event_date"], row["amount"]
        age = (today - event).days if today and isinstance(event, date) else 0
        bucket = next(name for limit, name in AGE_BUCKETS if age <= limit)
        key = (str(row["company_code"]), str(row["currency"]), bucket)
        claims, total = sums.get(key, (0, Decimal(0)))
        sums[key] = (claims + int(str(row["claims"])), total + (amount if isinstance(amount, Decimal) else 0))
    order = [name for _, name in AGE_BUCKETS]
    ordered = sorted(sums.items(), key=lambda item: (item[0][0], item[0][1], order.index(item[0][2])))
    columns = (
        Column("company_code", "code"),
        Column("currency", "code"),
        Column("age", "age"),
        Column("claims", "count"),
        Column("amount", "money"),
    )
    rows = tuple((*key, claims, amount) for key, (claims, amount) in ordered)
    return Table("unpaid", "erp", columns, rows, days.sql, complete=True)


def _tax_balance(invoices: Table, deducted: Table) -> Table:
    """Face tax of the booked invoices and the tax deducted, per company and currency."""
    sums: dict[tuple[str, str], list[Decimal]] = {}
    for side, table in enumerate((invoices, deducted)):
        for row in table.records():
            pair = sums.setdefault((str(row["company_code"]), str(row["currency"])), [Decimal("0.00"), Decimal("0.00")])
            pair[side] += Decimal(str(row["tax"]))
    columns = (
        Column("company_code", "code"),
        Column("currency", "code"),
        Column("face_tax", "money"),
        Column("deductible", "money"),
        Column("not_deductible", "money"),
    )
    rows = tuple((*key, face, deductible, face - deductible) for key, (face, deductible) in sorted(sums.items()))
    return Table("tax_balance", "erp", columns, rows, f"{invoices.sql};\n{deducted.sql}", complete=True)


Reader = Callable[[Any, str], Value]


def _reader(column: Column) -> Reader:
    return _READERS.get(column.kind, _text)


def _text(value: Any, _: str) -> Value:
    return "" if value is None else str(value)


def _money(value: Any, currency: str) -> Value:
    return _at_scale(Decimal(int(value or 0)) / _SCALE, currency)


def _minor(value: Any, currency: str) -> Value:
    return Decimal(int(value or 0)).scaleb(-exponent(currency))


def _amount(value: Any, currency: str) -> Value:
    return _at_scale(Decimal(str(value or 0)), currency)


def _at_scale(amount: Decimal, currency: str) -> Decimal:
    """The amount with its currency's decimals; more of them only where the value really has more."""
    wanted = amount.quantize(Decimal(1).scaleb(-exponent(currency)))
    return wanted if wanted == amount else amount.normalize()


def _number(value: Any, _: str) -> Value:
    if value is None or value == "":
        return None
    plain = Decimal(str(value)).normalize()
    return plain.quantize(Decimal(1)) if plain == plain.to_integral() else plain


def _day(value: Any, _: str = "") -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    return value.date() if isinstance(value, datetime) else date.fromisoformat(str(value)[:10])


def _instant(value: Any, _: str = "") -> datetime | None:
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _seconds(value: Any, _: str) -> Value:
    return Decimal(str(value or 0)).quantize(Decimal("0.001"))


def _period(value: Any, _: str) -> Value:
    return f"{int(value) // 100:04d}-{int(value) % 100:02d}"


_READERS: Mapping[str, Reader] = {
    "money": _money,
    "minor": _minor,
    "amount": _amount,
    "number": _number,
    "percent": _number,
    "seconds": _seconds,
    "period": _period,
    "date": _day,
    "instant": _instant,
    "count": lambda value, _: int(value or 0),
    "passed": lambda value, _: bool(value),
}
