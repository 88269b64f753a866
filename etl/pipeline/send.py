"""write_back: voucher numbers go to Hesi from the outbox; what cannot go is a named state, not an error."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from etl.erp.outbox import Outcome, Status
from etl.hesi.vouchers import VoucherNumber, WriteBack, write_numbers
from etl.pipeline.context import Run

_STATUS: dict[WriteBack, tuple[Status, str]] = {
    WriteBack.WRITTEN: ("DONE", ""),
    WriteBack.NOT_PAID: ("PENDING", "Hesi says the claim is not paid"),
    WriteBack.UNKNOWN: ("FAILED", "Hesi does not know the claim"),
    WriteBack.EMPTY: ("FAILED", "an empty number would delete Hesi's number"),
    WriteBack.REFUSED: ("RETRY", "Hesi refused the number"),
}


def write_back(run: Run) -> dict[str, int]:
    """Sends every due number in small batches; results are stored batch by batch. Returns results by status."""
    with run.step("write_back") as facts:
        due = run.sink.outbox.pending()
        numbers = [VoucherNumber(row.claim_id, row.voucher_number, row.voucher_created_ms, row.fiscal_period) for row in due]
        results: Counter[str] = Counter()
        batch: list[Outcome] = []
        for result in write_numbers(run.client, numbers, batch_size=run.settings.write_back_batch):
            status, reason = _STATUS[result.outcome]
            results[status] += 1
            batch.append(Outcome(result.flow_id, status, reason))
            if len(batch) >= run.settings.write_back_batch:
                run.sink.outbox.mark(batch, at=datetime.now(UTC))
                batch = []
        run.sink.outbox.mark(batch, at=datetime.now(UTC))
        facts.rows_in, facts.rows_out = len(numbers), results["DONE"]
        facts.held = len(numbers) - results["DONE"]
    return dict(results)
