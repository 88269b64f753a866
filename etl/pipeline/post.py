"""load: one transaction with every accepted voucher of the run and all that decides posting."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from etl import __version__
from etl.erp.port import LoadReceipt, PostingBatch, PostingChunk
from etl.frames import REJECTS
from etl.pipeline.context import Run
from etl.pipeline.extract import Extracted
from etl.steps.map_fields import MappedClaims


class Posted(msgspec.Struct):
    """What the load did; empty batch_id where there was nothing to write."""

    batch_id: str
    vouchers: int
    lines: int


def load(run: Run) -> Posted:
    """Posts the run's accepted vouchers; counts and sums are read back before the commit.

    Raises:
        SinkUnavailable: nothing was committed, try again.
        ControlTotalMismatch: the target took something else than was sent; nothing was committed.
    """
    with run.step("load") as facts:
        extracted = run.work.read_value("extracted", Extracted)
        batch = PostingBatch(
            batch_id=run.run_id,
            run_id=run.run_id,
            created_at=datetime.now(UTC),
            business_date=run.identity.run_day,
            chunks=_chunks(run),
            watermarks=extracted.watermarks,
            number_template=run.settings.voucher_number_template,
            mapping_sha256=run.identity.mapping_sha256,
            expectations_sha256=run.identity.suites_sha256,
            package_version=__version__,
        )
        receipt: LoadReceipt = run.sink.post(batch)
        posted = Posted(receipt.batch_id if receipt.vouchers else "", receipt.vouchers, receipt.lines)
        run.work.write_value("posted", posted)
        facts.rows_in = facts.rows_out = receipt.vouchers
    return posted


def _chunks(run: Run) -> Iterator[PostingChunk]:
    for chunk in run.work.chunks("map_fields"):
        yield accepted_chunk(run, chunk)


def accepted_chunk(run: Run, chunk: int) -> PostingChunk:
    """One chunk with budget and validation applied: refused entries lose their vouchers, their payments wait."""
    frames = {name: run.work.read_frame("map_fields", chunk, name) for name in MappedClaims.__dataclass_fields__ if name not in {"findings", "budget_lines"}}
    rejects = [frames["rejects"]]
    entries = frames["entries"]
    disposition = entries["disposition"].to_numpy().copy()
    for step in ("check_budget", "validate"):
        if chunk not in set(run.work.chunks(step)):
            continue
        refused = run.work.read_frame(step, chunk, "refused").drop_duplicates("entry_no").set_index("entry_no")["disposition"]
        hit = entries["entry_no"].isin(refused.index).to_numpy() & (disposition == "ready")
        disposition[hit] = refused.reindex(entries["entry_no"].to_numpy()[hit]).to_numpy()
        rejects.append(run.work.read_frame(step, chunk, "rejects"))
    accrued = set(entries.loc[(entries["entry_kind"] == "EXPENSE") & pd.Series(disposition).isin(["ready", "unchanged", "drift"]), "claim_id"])
    waits = (entries["entry_kind"] == "PAYMENT") & (entries["form_type"] == "expense") & (disposition == "ready") & ~entries["claim_id"].isin(accrued)
    disposition[waits.to_numpy()] = "waiting"
    revisions = frames["vouchers"][~frames["vouchers"]["entry_no"].isin(entries["entry_no"])]
    stays = _paid_and_refused(run, chunk, entries, disposition, revisions)
    disposition[entries["claim_id"].isin(stays).to_numpy() & (entries["entry_kind"] == "EXPENSE").to_numpy()] = "drift"
    rejects = [frame.assign(disposition=frame["disposition"].mask(frame["claim_id"].isin(stays) & (frame["entry_kind"] == "EXPENSE"), "held")) for frame in rejects]
    entries = entries.assign(disposition=disposition)
    keep = {*entries.loc[disposition == "ready", "entry_no"], *revisions.loc[~revisions["claim_id"].isin(stays), "entry_no"]}
    own = {
        name: frame[frame["entry_no"].isin(keep)].reset_index(drop=True)
        for name, frame in frames.items()
        if name not in {"entries", "rejects"}
    }
    filled = [frame for frame in rejects if len(frame)]
    return PostingChunk(
        entries=entries,
        rejects=pd.concat(filled, ignore_index=True).drop_duplicates(["claim_id", "entry_kind"]) if filled else REJECTS.empty(),
        commitments=run.work.read_frame("stage", chunk, "commitments"),
        **own,
    )


def _paid_and_refused(run: Run, chunk: int, entries: pd.DataFrame, disposition: npt.NDArray[Any], revisions: pd.DataFrame) -> set[str]:
    """Claims whose new version budget or validation refused after money had left: the posted accrual stays (rule 3)."""
    refused = entries.loc[(entries["entry_kind"] == "EXPENSE").to_numpy() & np.isin(disposition, ["rejected", "held"]), "claim_id"]
    if revisions.empty or refused.empty:
        return set()
    known = run.work.read_frame("stage", chunk, "known")
    paid = known.loc[(known["state"] == "posted") & (known["entry_kind"] == "PAYMENT"), "claim_id"]
    later = {row.claim_id for row in revisions.itertuples(index=False)} & set(refused) & set(paid)
    mapped = run.work.read_frame("map_fields", chunk, "entries")
    return later - set(mapped.loc[(mapped["entry_kind"] == "EXPENSE") & mapped["disposition"].isin(["rejected", "held"]), "claim_id"])
