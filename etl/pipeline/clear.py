"""clear_numbers: the number of a reversed voucher is taken out of Hesi, because somebody asked for it (accounting-rules 27).

Without this a reversed claim keeps its number there until the next revision overwrites it. Only a number that is ours and whose
voucher stands no more is taken away; Hesi is asked before, so a try whose answer was lost is settled by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial

import sqlalchemy as sa

from etl.config.settings import Settings
from etl.erp import schema
from etl.erp.database import DatabaseSink
from etl.erp.engine import reading
from etl.erp.outbox import OutboxRow, Taken
from etl.errors import ConfigError
from etl.hesi.vouchers import WriteBack, carried_number, clear_number
from etl.pipeline.audit import record_numbers
from etl.pipeline.context import Run, begin
from etl.pipeline.drive import drive
from etl.pipeline.ledger_check import check_only
from etl.pipeline.run import Outcome

_REFUSED = {
    WriteBack.NOT_PAID: "Hesi changes numbers of paid claims only, and this one is archived or not paid",
    WriteBack.UNKNOWN: "Hesi does not know the claim",
    WriteBack.REFUSED: "Hesi refused",
}


def clear_once(
    settings: Settings, codes: Sequence[str], *, started_by: str = "cli", now: datetime | None = None, progress: Callable[[str], None] = lambda step: None
) -> tuple[Outcome, dict[str, str]]:
    """Numbers of these claims taken out of Hesi, as a run of kind ``replay``; the outcome, and claim code -> what became of its number.

    Raises:
        ConfigError: settings, mappings or suites are wrong, or no number of a claim was ever sent; no run was started.
    """
    claims = _numbered(settings, codes)
    told: dict[str, str] = {}
    run = begin(settings, kind="replay", started_by=started_by, now=now)
    outcome = drive(run, {"clear_numbers": partial(clear_numbers, claims=claims, told=told), "reconcile": check_only}, progress=progress)
    return outcome, told


def _numbered(settings: Settings, codes: Sequence[str]) -> dict[str, str]:
    """Claim id -> code of the claims asked for."""
    settings.require("erp_url")
    table = schema.writeback_outbox
    named = sa.or_(table.c.claim_code.in_(codes), table.c.claim_id.in_(codes))
    with closing(DatabaseSink.open(settings.erp_url.get_secret_value())) as sink, reading(sink.engine) as connection:
        found = {row.claim_id: row.claim_code for row in connection.execute(sa.select(table.c.claim_id, table.c.claim_code).where(named))}
    unknown = [code for code in codes if code not in {*found, *found.values()}]
    if unknown:
        raise ConfigError(f"expected claims with a number in Hesi or on its way there, found {', '.join(unknown)}; `hesi-erp explain CLAIM_CODE` tells more")
    return found


def clear_numbers(run: Run, claims: dict[str, str], told: dict[str, str]) -> None:
    """Claim by claim, each in a transaction of its own, so that an outage half-way loses no result; ``told`` gets the results."""
    with run.step("clear_numbers") as facts:
        for claim_id, code in sorted(claims.items(), key=lambda item: item[1]):
            row, taken, reason = run.sink.outbox.take_back(claim_id, partial(_take_out, run))
            told[code] = f"{taken}: {reason}"
            if row is not None and taken == "cleared":
                record_numbers(run, [[claim_id, row.voucher_number, "CLEARED", reason]])
            facts.rows_in += 1
            facts.rows_out += taken == "cleared"
        facts.held = facts.rows_in - facts.rows_out


def _take_out(run: Run, row: OutboxRow) -> tuple[Taken, str]:
    carried = carried_number(run.client, row.claim_id)
    if carried is None:
        return "left", _REFUSED[WriteBack.UNKNOWN]
    if not carried:
        return "cleared", f"Hesi shows no number where {row.voucher_number} was"
    if carried != row.voucher_number:
        return "left", f"Hesi shows {carried}, which is not {row.voucher_number}"
    result = clear_number(run.client, row.claim_id, created_at_ms=row.voucher_created_ms)
    if result.outcome is WriteBack.WRITTEN:
        return "cleared", f"{row.voucher_number} is out of Hesi"
    return "left", f"{_REFUSED[result.outcome]}; {carried} stays"
