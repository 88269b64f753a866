"""A small real ledger for tests: flows go through stage, map_fields, revise and the SQLite sink, run after run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.config.mapping import Mappings
from etl.erp import schema
from etl.erp.database import DatabaseSink
from etl.erp.engine import reading
from etl.erp.port import PostingBatch, PostingChunk
from etl.erp.posted import last_revisions, live_vouchers
from etl.pipeline.transform import known_entries
from etl.reference import Reference
from etl.steps.map_fields import company_rules, map_fields
from etl.steps.mapped import MappedClaims, MappingContext
from etl.steps.revise import continue_revisions, revise
from etl.steps.revision_work import PostedVoucher
from tests.support.claims import demo_mappings, reference, stage_flows


class SmallLedger:
    """``run`` takes what Hesi shows on a day; ``vouchers`` and ``balance`` read what the ledger says."""

    def __init__(self, folder: Path, mappings: Mappings | None = None) -> None:
        self.sink = DatabaseSink.open(f"sqlite:///{folder / 'erp.db'}")
        self.mappings = mappings or demo_mappings()
        self.runs = 0

    def close(self) -> None:
        self.sink.close()

    def run(
        self,
        flows: Sequence[Mapping[str, Any]],
        *,
        day: str,
        lists: Reference | None = None,
        mappings: Mappings | None = None,
        propose: bool = False,
        accept_payment: bool = False,
    ) -> MappedClaims:
        """Posts what these flows give rise to and returns the decided frames; ``accept_payment``: also payments whose accrual is refused."""
        self.runs += 1
        mappings = mappings or self.mappings
        staged = stage_flows(flows, mappings)
        known = known_entries(self.sink.known_states([*staged.claims["claim_id"], *staged.rejects["claim_id"]]))
        suspense = frozenset(staged.claims["claim_id"]) if accept_payment else frozenset()
        context = MappingContext(mappings, lists or reference(), known, date.fromisoformat(day), revise=not propose, suspense=suspense)
        mapped = map_fields(staged, context)
        ids = sorted(set(mapped.entries["claim_id"]))
        with reading(self.sink.engine) as connection:
            last = last_revisions(connection, ids)
            posted = [PostedVoucher(header, lines) for header, lines in live_vouchers(connection, ids)]
        if not propose:
            mapped = revise(mapped, posted, last, {rules.mapping.company.code: rules for rules in company_rules(context)}, next_entry=len(mapped.entries) + 1)
        mapped = continue_revisions(mapped, last)
        names = {field.name for field in fields(PostingChunk)}
        frames = {field.name: getattr(mapped, field.name) for field in fields(MappedClaims) if field.name in names}
        chunk = PostingChunk(**frames, commitments=staged.commitments)
        at = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
        self.sink.post(PostingBatch(f"batch-{self.runs}", f"run-{self.runs}", at, date.fromisoformat(day), [chunk], suspense=suspense))
        return mapped

    def renumber(self, number: int, **key: Any) -> None:
        """Gives a posted voucher the number a golden case quotes."""
        table = schema.voucher
        with self.sink.engine.begin() as connection:
            connection.execute(table.update().where(*(table.c[name] == value for name, value in key.items())).values(voucher_no=number))

    def vouchers(self) -> list[dict[str, Any]]:
        """Vouchers in posting order, lines and dimensions inside."""
        with reading(self.sink.engine) as connection:
            heads = [dict(row) for row in connection.execute(sa.select(schema.voucher)).mappings()]
            lines = [dict(row) for row in connection.execute(sa.select(schema.voucher_line).order_by(schema.voucher_line.c.line_no)).mappings()]
            dims = [dict(row) for row in connection.execute(sa.select(schema.voucher_line_dimension)).mappings()]

        def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
            return tuple(row[name] for name in schema.VOUCHER_KEY)

        for head in heads:
            head["lines"] = [
                {**line, "dims": {item["dim_type"]: item["dim_code"] for item in dims if key(item) == key(line) and item["line_no"] == line["line_no"]}}
                for line in lines
                if key(line) == key(head)
            ]
        return sorted(heads, key=lambda row: (int(row["batch_id"].rpartition("-")[2]), row["entry_kind"], row["part_no"], row["revision"]))

    def balance(self, *accounts: str) -> Decimal:
        """Debits less credits of some accounts over everything posted."""
        return sum((line["debit"] - line["credit"] for voucher in self.vouchers() for line in voucher["lines"] if line["account_code"] in accounts), Decimal(0))

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        """All rows of a table."""
        with reading(self.sink.engine) as connection:
            return [dict(row) for row in connection.execute(sa.select(table)).mappings()]
