"""Who did what: who started each run under which rules, who accepted a gap, and who approved each claim in Hesi.

People are the ids their system knows them by: Hesi's staff ids, the login of the operating system, the scheduler's run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from etl.erp import schema
from etl.evidence.raw_claims import RawClaims
from etl.evidence.scope import Scope
from etl.evidence.tables import PackFiles
from etl.periods import instant

STARTS = "run_id at run_kind started_by os_user host package_version mappings suites settings".split()
ACTS = "log_seq at kind by detail".split()
APPROVALS = "claim_code claim_id step action state operator_id at own_claim".split()
AGREE = "freeflow.agree"


def write_people(pack: PackFiles, scope: Scope) -> dict[str, int]:
    """Writes the tables; returns how many trails were read and how many approvals were of the approver's own claim."""
    counts = {"trails": 0, "claims": 0, "self_approved": 0}
    wanted = set(scope.run_ids)
    starts = [entry.body for entry in scope.events if entry.kind == "run_started" and entry.body["run_id"] in wanted]
    pack.table("5-people/run_starts.csv", STARTS, ([body.get(name, "") for name in STARTS] for body in starts))
    pack.table("5-people/acts.csv", ACTS, _acts(scope))
    pack.table("5-people/approvals.csv", APPROVALS, _approvals(scope, counts))
    return counts


def _acts(scope: Scope) -> Iterator[list[Any]]:
    """What people changed or accepted, over the whole life of the log."""
    for entry in scope.events:
        body = entry.body
        if entry.kind == "configuration":
            yield [entry.seq, body["at"], "rules first used", f"run {body['run_id']}", f"{body['what']} {body['version']}"]
        elif entry.kind == "gap_acknowledged":
            yield [entry.seq, body["at"], "gap accepted", body["by"], f"gap at log seq {body['gap_seq']}: {body['reason']}"]
        elif entry.kind == "payment_accepted" and body["company"] == scope.company:
            yield [entry.seq, body["at"], "payment accepted to suspense", body["by"], f"claim {body['claim_code']}: {body['reason']}"]


def _approvals(scope: Scope, counts: dict[str, int]) -> Iterator[list[Any]]:
    raw = RawClaims(scope.raw)
    for row in scope.erp_rows(claims_of(scope)):
        counts["claims"] += 1
        trail = raw.trail(row["raw_ref"])
        if trail is None:
            continue
        counts["trails"] += 1
        for step, log in enumerate(trail.logs, start=1):
            own = log.action == AGREE and log.operatorId in trail.people
            counts["self_approved"] += own
            at = "" if log.time is None else instant(log.time)
            yield [row["claim_code"], row["claim_id"], step, log.action, log.state, log.operatorId, at, own]


def claims_of(scope: Scope) -> sa.Select[Any]:
    """claim_code, claim_id and raw_ref of each claim with a voucher in the month, page by page."""
    state = schema.claim_state
    mine = sa.select(schema.voucher.c.claim_id).where(scope.of_period)
    ref = sa.func.min(state.c.raw_ref).label("raw_ref")
    query = sa.select(state.c.claim_code, state.c.claim_id, ref).where(state.c.claim_id.in_(mine), state.c.source_system == schema.SOURCE_SYSTEM)
    return query.group_by(state.c.claim_code, state.c.claim_id).order_by(ref, state.c.claim_id)
