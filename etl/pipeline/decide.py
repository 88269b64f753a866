"""check_budget and validate over all chunks of a run: which ready entries may not be posted after all, and why."""

from __future__ import annotations

import gc

import pandas as pd

from etl.erp.port import PostingChunk
from etl.erp.totals import open_requisitions
from etl.errors import TooManyRejects
from etl.frames import REJECTS
from etl.masking import mask_name
from etl.pipeline.budgets import read_budgets
from etl.pipeline.context import Run
from etl.pipeline.memory import give_back
from etl.pipeline.transform import Counted
from etl.reference import Reference
from etl.rejects import CATALOGUE, OWNER_NAMES
from etl.steps.budget_match import BudgetIndex
from etl.steps.budget_outcome import budget_rejects, budget_rows
from etl.steps.check_budget import decide
from etl.steps.posting_rules import posting_rules
from etl.steps.validate import validate, validation_rejects
from etl.steps.validation_frames import join, slim_entries, slim_lines


def check_budgets(run: Run) -> int:
    """Budget verdicts of the run; refused entries are stored for the load. Returns how many were refused."""
    with run.step("check_budget") as facts:
        reference = run.work.read_value("reference", Reference)
        policy = run.mappings.budget
        budgets, hierarchies = read_budgets(run, reference, run.read(open_requisitions))
        index = BudgetIndex(budgets, hierarchies)
        chunks = list(run.work.chunks("map_fields"))
        run.work.reset("check_budget")
        charges = [
            index.charges(
                run.work.read_frame("map_fields", chunk, "budget_lines"), basis=policy.basis, entries=run.work.read_frame("map_fields", chunk, "entries")
            )
            for chunk in chunks
        ]
        if not charges:
            return 0
        outcome = decide(index, charges, policy)
        del charges
        run.ledger.add_budget(run.run_id, list(budget_rows(outcome.checks)))
        run.ledger.add_findings(run.run_id, outcome.findings, step="check_budget")
        for chunk in chunks:
            rejects = budget_rejects(outcome.rejects, run.work.read_frame("map_fields", chunk, "entries"))
            run.work.write_frames("check_budget", chunk, {"rejects": rejects, "refused": outcome.rejects[["entry_no", "disposition"]]})
        facts.rows_in = len(outcome.verdicts)
        facts.rejected = int((outcome.rejects["disposition"] == "rejected").sum())
        facts.held = len(outcome.rejects) - facts.rejected
        facts.rows_out = facts.rows_in - len(outcome.rejects)
        return len(outcome.rejects)


def validate_entries(run: Run) -> int:
    """Suites over the whole run, then the reject-rate stop. Returns how many entries failed.

    Raises:
        ValidatorFailed: fail closed.
        TooManyRejects: posting the rest would hide a systematic mistake.
    """
    with run.step("validate") as facts:
        chunks = list(run.work.chunks("map_fields"))
        run.work.reset("validate")
        rules = posting_rules(run.mappings)
        claims, lines = [], []
        for chunk in chunks:
            gc.collect()  # what hangs together in cycles of the chunk before
            frames = {name: run.work.read_frame("map_fields", chunk, name) for name in ("entries", "vouchers", "voucher_lines", "line_dimensions")}
            # Vouchers of no entry undo or correct posted ones: what they say was validated when it was first posted.
            own = frames["entries"]["entry_no"]
            frames |= {name: _only(frames[name], own) for name in ("vouchers", "voucher_lines", "line_dimensions")}
            claims.append(slim_entries(frames["entries"], frames["vouchers"], frames["voucher_lines"], rules=rules))
            lines.append(slim_lines(frames["voucher_lines"], frames["vouchers"], frames["line_dimensions"], rules=rules))
        if not any(len(frame) for frame in claims):
            _stop_on_reject_rate(run, chunks, pd.DataFrame({"entry_no": []}))
            return 0
        facts.rows_in = sum(len(frame) for frame in claims)
        del frames
        slim = {"staged_claims": join(claims)}
        del claims
        slim["voucher_lines"] = join(lines)
        del lines
        give_back()  # the whole run's lines are in memory only here
        outcome = validate(slim, run.suites, latest_day=run.identity.run_day)
        del slim
        run.ledger.add_validation(run.run_id, [result.as_row() for result in outcome.results])
        run.ledger.add_findings(run.run_id, outcome.findings, step="validate")
        for chunk in chunks:
            entries = run.work.read_frame("map_fields", chunk, "entries")
            unfit = _unfit(run, chunk, entries)
            rejects = pd.concat([validation_rejects(outcome.failing, entries), _unfit_rejects(unfit, entries)], ignore_index=True).drop_duplicates(
                ["claim_id", "entry_kind"]
            )
            refused = pd.concat(
                [outcome.failing[["entry_no", "disposition"]], unfit[["entry_no"]].assign(disposition="rejected")], ignore_index=True
            ).drop_duplicates("entry_no")
            facts.rejected += unfit["entry_no"].nunique()
            run.work.write_frames("validate", chunk, {"rejects": rejects, "refused": refused})
        facts.rejected += outcome.failing["entry_no"].nunique()
        facts.rows_out = facts.rows_in - facts.rejected
        _stop_on_reject_rate(run, chunks, outcome.failing)
        return facts.rejected


def _only(frame: pd.DataFrame, entry_nos: pd.Series) -> pd.DataFrame:
    """The rows of these entries; the frame itself, not a copy, where that is all of them."""
    kept = frame["entry_no"].isin(entry_nos)
    return frame if kept.all() else frame[kept].reset_index(drop=True)


def _unfit(run: Run, chunk: int, entries: pd.DataFrame) -> pd.DataFrame:
    """Ready entries whose voucher the target cannot hold: values like the others, not a stopped run."""
    names = ("vouchers", "voucher_lines", "line_dimensions", "line_sources", "voucher_invoices")
    return run.sink.unfit(PostingChunk(entries=entries, **{name: run.work.read_frame("map_fields", chunk, name) for name in names}))


def _unfit_rejects(unfit: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    if unfit.empty:
        return REJECTS.empty()
    rows = unfit[["entry_no", "reason"]].merge(entries, on="entry_no", validate="many_to_one")
    owner = OWNER_NAMES[CATALOGUE["TARGET_UNFIT"].owner][0]
    rows = rows.assign(
        disposition="rejected", step="validate", rule="TARGET_UNFIT", owner=owner, claimant_name=[mask_name(name) for name in rows["claimant_name"]]
    )
    return REJECTS.frame({name: rows[name] for name in REJECTS.columns})


def _stop_on_reject_rate(run: Run, chunks: list[int], failing: pd.DataFrame) -> None:
    counted = run.work.read_value("counted", Counted)
    if counted.fresh_claims < run.settings.reject_rate_min_claims:
        return
    rejected: set[str] = set()
    known: set[str] = set()
    for chunk in chunks:
        entries = run.work.read_frame("map_fields", chunk, "entries")
        refused = entries["entry_no"].isin(failing["entry_no"]) | (entries["disposition"] == "rejected")
        rejected |= set(entries.loc[refused, "claim_id"])
        state = run.work.read_frame("stage", chunk, "known")
        known |= set(state.loc[state["state"] == "rejected", "claim_id"])
    fresh = len(rejected - known)
    if fresh * 100 > counted.fresh_claims * run.settings.reject_rate_percent:
        raise TooManyRejects(
            f"{fresh} of {counted.fresh_claims} new or changed claims were rejected, more than {run.settings.reject_rate_percent} %; nothing was posted. "
            "Look at the rejects of this run: a mapping or a list is probably missing. Repair it and run again"
        )
