"""load: one transaction with every accepted voucher of the run and all that decides posting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from etl import __version__
from etl.erp.arrow import isin
from etl.erp.port import LoadReceipt, PostingBatch, PostingChunk
from etl.errors import CommitUnknown, SinkUnavailable, TransientError
from etl.frames import REJECTS
from etl.pipeline.audit import Decided, recorded_posting
from etl.pipeline.context import Run, stored_now
from etl.pipeline.extract import Extracted
from etl.pipeline.sent import SentSums
from etl.steps.mapped import MappedClaims

_NOT_POSTED = {"entries", "rejects", "findings", "budget_lines"}


class Posted(msgspec.Struct):
    """What the load did; empty batch_id where there was nothing to write."""

    batch_id: str
    vouchers: int
    lines: int


def load(run: Run) -> Posted:
    """Posts the run's accepted vouchers; counts and sums are read back before the commit.

    Raises:
        SinkUnavailable: nothing was committed, try again.
        CommitUnknown: the database does not say whether it was; the next try looks first.
        ControlTotalMismatch: the target took something else than was sent; nothing was committed.
    """
    with run.step("load") as facts:
        extracted = run.work.read_value("extracted", Extracted)
        created_at = datetime.now(UTC)
        with recorded_posting(run, run.run_id, created_at=created_at, decided=_decided(run)) as head:
            batch = PostingBatch(
                batch_id=run.run_id,
                run_id=run.run_id,
                created_at=created_at,
                business_date=run.identity.run_day,
                chunks=(),
                watermarks=extracted.watermarks,
                number_template=run.settings.voucher_number_template,
                mapping_sha256=run.identity.mapping_sha256,
                expectations_sha256=run.identity.suites_sha256,
                package_version=__version__,
                fence=extracted.fence,
                suspense=frozenset(run.identity.suspense),
                audit_seq=head.seq if head else None,
                audit_head=head.text if head else None,
            )
            receipt, sums = _post(run, batch)
        posted = Posted(receipt.batch_id if receipt.vouchers else "", receipt.vouchers, receipt.lines)
        run.work.write_value("sent", sums.sent())
        run.work.write_value("posted", posted)
        facts.rows_in = facts.rows_out = receipt.vouchers
    return posted


def _post(run: Run, batch: PostingBatch) -> tuple[LoadReceipt, SentSums]:
    """The receipt of the batch and what was sent; it is announced first, and a lost answer is looked up before anything is sent again."""
    run.sink.in_hand.move(run.run_id, "posting", at=stored_now())
    try:
        return _sent(run, batch)
    except CommitUnknown as lost:
        if _still_in_hand(run, lost):
            raise SinkUnavailable(f"{lost}; looked up: nothing was committed") from None
    return _sent(run, batch)  # it is there: posting it again changes nothing and gives the receipt


def _sent(run: Run, batch: PostingBatch) -> tuple[LoadReceipt, SentSums]:
    sums = SentSums()
    return run.sink.post(replace(batch, chunks=_chunks(run, sums))), sums


def _still_in_hand(run: Run, lost: CommitUnknown) -> bool:
    """Whether the transaction did not commit: it would have removed what the run has in hand."""
    try:
        return run.sink.in_hand.move(run.run_id, "failed", cause=lost.code, at=stored_now())
    except TransientError:
        raise lost from None


def _chunks(run: Run, sums: SentSums) -> Iterator[PostingChunk]:
    for number in run.work.chunks("map_fields"):
        chunk = accepted_chunk(run, number)
        sums.add(chunk)
        yield chunk
        del chunk  # or two chunks would be in memory while the next one is read


def _decided(run: Run) -> Iterator[Decided]:
    for chunk in run.work.chunks("map_fields"):
        entries, rejects, _ = decided_chunk(run, chunk)
        yield entries, rejects, run.work.read_frame("stage", chunk, "known")


def decided_chunk(run: Run, chunk: int) -> tuple[pd.DataFrame, pd.DataFrame, set[str]]:
    """Entries and rejects of one chunk with budget and validation applied, and the claims whose accrual these refused.

    Refused entries are not ready, and their payments wait.
    """
    rejects = [run.work.read_frame("map_fields", chunk, "rejects")]
    entries = run.work.read_frame("map_fields", chunk, "entries")
    disposition = entries["disposition"].to_numpy().copy()
    for step in ("check_budget", "validate"):
        if chunk not in set(run.work.chunks(step)):
            continue
        refused = run.work.read_frame(step, chunk, "refused").drop_duplicates("entry_no").set_index("entry_no")["disposition"]
        hit = np.isin(entries["entry_no"].to_numpy(), refused.index.to_numpy()) & (disposition == "ready")
        disposition[hit] = refused.reindex(entries["entry_no"].to_numpy()[hit]).to_numpy()
        rejects.append(run.work.read_frame(step, chunk, "rejects"))
    accrual, payment = ((entries["entry_kind"] == kind).to_numpy() for kind in ("EXPENSE", "PAYMENT"))
    accrued = entries.loc[accrual & np.isin(disposition, ["ready", "unchanged", "drift", "corrected"]), "claim_id"]
    early = payment & (entries["form_type"] == "expense").to_numpy() & (disposition == "ready")
    disposition[early & ~isin(entries["claim_id"], accrued)] = "waiting"
    late = set(entries.loc[accrual & (entries["disposition"] == "ready").to_numpy() & np.isin(disposition, ["rejected", "held"]), "claim_id"])
    stays = late & _accrued_and_paid(run, chunk) if late else late
    if stays:
        disposition[accrual & entries["claim_id"].isin(stays).to_numpy()] = "drift"
    filled = [frame for frame in rejects if len(frame)]
    refused_once = pd.concat(filled, ignore_index=True).drop_duplicates(["claim_id", "entry_kind"]) if filled else REJECTS.empty()
    waits_again = refused_once["claim_id"].isin(stays) & (refused_once["entry_kind"] == "EXPENSE")
    rejected = refused_once.assign(disposition=refused_once["disposition"].mask(waits_again, "held"))
    return entries.assign(disposition=disposition), rejected, late


def accepted_chunk(run: Run, chunk: int) -> PostingChunk:
    """One chunk as it is posted: refused entries have lost their vouchers, and a claim whose change waits its revisions.

    A reclassification counts on the accrual beside it, so it is dropped together with that.
    """
    entries, rejects, late = decided_chunk(run, chunk)
    frames = {name: run.work.read_frame("map_fields", chunk, name) for name in MappedClaims.__dataclass_fields__ if name not in _NOT_POSTED}
    vouchers = frames["vouchers"]
    revisions = vouchers[~np.isin(vouchers["entry_no"], entries["entry_no"])]
    waits = entries.loc[(entries["entry_kind"] == "EXPENSE") & (entries["disposition"] == "drift"), "claim_id"]
    baseless = (revisions["entry_kind"] == "RECLASS") & revisions["claim_id"].isin(late)
    moved = revisions.loc[~isin(revisions["claim_id"], waits) & ~baseless.to_numpy(), "entry_no"]
    keep = np.concatenate([entries.loc[entries["disposition"] == "ready", "entry_no"], moved])
    return PostingChunk(
        entries=entries,
        rejects=rejects,
        commitments=run.work.read_frame("stage", chunk, "commitments"),
        **{name: _kept(frame, keep) for name, frame in frames.items()},
    )


def _kept(frame: pd.DataFrame, numbers: npt.NDArray[np.int64]) -> pd.DataFrame:
    found = np.isin(frame["entry_no"], numbers)
    return frame if found.all() else frame[found].reset_index(drop=True)


def _accrued_and_paid(run: Run, chunk: int) -> set[str]:
    """Claims with a posted accrual and a posted payment: where their new version is refused, the posted accrual stays (rule 3)."""
    known = run.work.read_frame("stage", chunk, "known")
    posted = known[known["state"] == "posted"]
    accrued, paid = (set(posted.loc[posted["entry_kind"] == kind, "claim_id"]) for kind in ("EXPENSE", "PAYMENT"))
    return accrued & paid
