"""write_back: voucher numbers go to Hesi from the outbox; what cannot go is a named state, not an error."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from etl.erp.outbox import Outcome, Status
from etl.hesi.vouchers import VoucherNumber, WriteBack, write_numbers
from etl.pipeline.audit import record_numbers
from etl.pipeline.context import Run

_STATUS: dict[WriteBack, tuple[Status, str]] = {
    WriteBack.WRITTEN: ("DONE", ""),
    WriteBack.NOT_PAID: ("PENDING", "Hesi says the claim is not paid"),
    WriteBack.UNKNOWN: ("FAILED", "Hesi does not know the claim"),
    WriteBack.EMPTY: ("FAILED", "an empty number would delete Hesi's number"),
    WriteBack.REFUSED: ("RETRY", "Hesi refused the number"),
}
_STORED_AT_ONCE = 500


def write_back(run: Run) -> dict[str, int]:
    """Sends every due number in small batches; returns results by status.

    Results are stored every :data:`_STORED_AT_ONCE` numbers, and before an outage ends the step. A number whose result was not
    stored is sent again by the next run, which changes nothing in Hesi.
    """
    with run.step("write_back") as facts:
        due = run.sink.outbox.pending()
        written = {row.claim_id: row.voucher_number for row in due}
        numbers = (VoucherNumber(row.claim_id, row.voucher_number, row.voucher_created_ms, row.fiscal_period) for row in due)
        results: Counter[str] = Counter()
        batch: list[Outcome] = []
        try:
            for result in write_numbers(run.client, numbers, batch_size=run.settings.write_back_batch):
                status, reason = _STATUS[result.outcome]
                results[status] += 1
                batch.append(Outcome(result.flow_id, status, reason))
                if len(batch) >= _STORED_AT_ONCE:
                    _store(run, batch, written)
                    batch = []
        finally:
            _store(run, batch, written)
        facts.rows_in, facts.rows_out = len(due), results["DONE"]
        facts.held = len(due) - results["DONE"]
    return dict(results)


def _store(run: Run, outcomes: list[Outcome], written: dict[str, str]) -> None:
    run.sink.outbox.mark(outcomes, at=datetime.now(UTC), run_id=run.run_id)
    record_numbers(run, [[outcome.claim_id, written[outcome.claim_id], outcome.status, outcome.reason] for outcome in outcomes])
