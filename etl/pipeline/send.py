"""write_back: voucher numbers go to Hesi from the outbox; what cannot go is a named state, not an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from etl.erp.outbox import ANSWER_LOST, FOREIGN, OutboxRow, Outcome, Status
from etl.hesi.vouchers import VoucherNumber, WriteBack, carried_number, write_numbers
from etl.pipeline.audit import record_numbers
from etl.pipeline.context import Run

_STATUS: dict[WriteBack, tuple[Status, str]] = {
    WriteBack.WRITTEN: ("DONE", ""),
    WriteBack.NOT_PAID: ("PENDING", "Hesi says the claim is not paid"),
    WriteBack.UNKNOWN: ("FAILED", "Hesi does not know the claim"),
    WriteBack.EMPTY: ("FAILED", "an empty number would delete Hesi's number"),
    WriteBack.REFUSED: ("RETRY", "Hesi refused the number"),
}
_STORED_AT_ONCE = 1_000


def write_back(run: Run) -> dict[str, int]:
    """Sends every due number in small batches; returns results by status.

    Hesi's answer cannot commit with ours, so :data:`_STORED_AT_ONCE` numbers are marked as sent before they are, and get their result
    afterwards, also when an outage ends the step. A number that is still marked is asked for before anything is sent again.
    """
    with run.step("write_back") as facts:
        due = run.sink.outbox.pending()
        written = {row.claim_id: row.voucher_number for row in due}
        looked_up = list(_look_up(run, [row for row in due if row.reason == ANSWER_LOST]))
        _store(run, looked_up, written)
        results = Counter[str](outcome.status for outcome in looked_up)
        settled = {outcome.claim_id for outcome in looked_up}
        to_send = [row for row in due if row.claim_id not in settled]
        for first in range(0, len(to_send), _STORED_AT_ONCE):
            results += _send(run, to_send[first : first + _STORED_AT_ONCE], written)
        facts.rows_in, facts.rows_out = len(due), results["DONE"]
        facts.held = len(due) - results["DONE"]
    return dict(results)


def _look_up(run: Run, rows: Sequence[OutboxRow]) -> Iterator[Outcome]:
    """What became of numbers whose answer was lost; nothing of a claim that carries none, or a reversed voucher's: it may be sent."""
    known = run.sink.known_states([row.claim_id for row in rows])
    before = dict(zip(known["claim_id"], known["hesi_voucher_no"], strict=True))
    for row in rows:
        carried = carried_number(run.client, row.claim_id)
        if carried is None:
            yield Outcome(row.claim_id, *_STATUS[WriteBack.UNKNOWN])
        elif carried == row.voucher_number:
            yield Outcome(row.claim_id, "DONE")
        elif carried not in {"", before.get(row.claim_id)}:
            yield Outcome(row.claim_id, "BLOCKED", f"{FOREIGN} ({carried})")


def _send(run: Run, rows: Sequence[OutboxRow], written: dict[str, str]) -> Counter[str]:
    run.sink.outbox.mark([Outcome(row.claim_id, "RETRY", ANSWER_LOST) for row in rows], at=datetime.now(UTC), run_id=run.run_id)
    numbers = [VoucherNumber(row.claim_id, row.voucher_number, row.voucher_created_ms, row.fiscal_period) for row in rows]
    outcomes: list[Outcome] = []
    try:
        for result in write_numbers(run.client, numbers, batch_size=run.settings.write_back_batch):
            outcomes.append(Outcome(result.flow_id, *_STATUS[result.outcome]))
    finally:
        _store(run, outcomes, written)
    return Counter(outcome.status for outcome in outcomes)


def _store(run: Run, outcomes: list[Outcome], written: dict[str, str]) -> None:
    run.sink.outbox.mark(outcomes, at=datetime.now(UTC), run_id=run.run_id)
    record_numbers(run, [[outcome.claim_id, written[outcome.claim_id], outcome.status, outcome.reason] for outcome in outcomes])
