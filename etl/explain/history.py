"""What the run ledger remembers about a claim: the checks its voucher passed, earlier refusals, remarks."""

from __future__ import annotations

import json

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from etl.explain.model import Check, Refused, Remark
from etl.store import ledger_schema as tables

_NEWEST = 50


class History:
    """Questions to the run ledger about one claim; a ledger that was lost answers with nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._checks: dict[str, list[tuple[Check, frozenset[str]]]] = {}

    def checks(self, run_id: str, key: str) -> list[Check]:
        """Results of the validation rules in a run; ``key`` is the entry as the rules name it: code, kind, part."""
        if run_id not in self._checks:
            self._checks[run_id] = self._read_checks(run_id)
        return [
            Check(check.suite, check.rule, check.severity, check.evaluated, check.failed, names_this_entry=key in keys) for check, keys in self._checks[run_id]
        ]

    def _read_checks(self, run_id: str) -> list[tuple[Check, frozenset[str]]]:
        table = tables.run_validation
        rows = self._connection.execute(sa.select(table).where(table.c.run_id == run_id).order_by(table.c.n))
        return [
            (Check(row.suite, row.rule, row.severity, row.evaluated, row.failed, names_this_entry=False), frozenset(json.loads(row.failing_keys)))
            for row in rows
        ]

    def refused(self, claim_id: str) -> list[Refused]:
        """Each change of the reason why an entry was not posted, newest run first; what stays the same is told once."""
        table = tables.run_reject
        query = sa.select(table).where(table.c.claim_id == claim_id).order_by(table.c.run_id, table.c.entry_kind, table.c.step)
        last: dict[str, tuple[str, str]] = {}
        found = []
        for row in self._connection.execute(query):
            told = (row.rule, row.reason)
            if last.get(row.entry_kind) != told:
                last[row.entry_kind] = told
                found.append(Refused(row.run_id, row.entry_kind, row.disposition, row.rule, row.reason))
        return found[::-1][:_NEWEST]

    def remarks(self, claim_id: str) -> list[Remark]:
        """Each remark once, from the first run that made it."""
        table = tables.run_finding
        query = sa.select(table).where(table.c.claim_id == claim_id).order_by(table.c.run_id, table.c.step, table.c.n)
        found: dict[tuple[str, str], Remark] = {}
        for row in self._connection.execute(query):
            found.setdefault((row.rule, row.detail), Remark(row.run_id, row.step, row.rule, row.detail))
        return list(found.values())[:_NEWEST]
