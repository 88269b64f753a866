"""What a person accepts: listed changes of posted claims, and payments whose claim cannot be posted yet.

Both decide the very versions that were listed, from their raw pages, so that nobody accepts what he has not seen. From ``stage``
on it is a run like any other.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import pandas as pd

from etl.config.load import load_mappings
from etl.config.settings import Settings, split_keys
from etl.erp.database import DatabaseSink
from etl.erp.engine import reading
from etl.erp.totals import drift_refs
from etl.errors import ConfigError
from etl.pipeline.context import Run, begin
from etl.pipeline.drive import drive
from etl.pipeline.extract import Extracted, read_lists, store_pages
from etl.pipeline.run import STEPS, Outcome
from etl.store.raw import RawStore

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Approval:
    """Who accepts, and why; both stay in the audit log for ever."""

    by: str
    reason: str


def accept_once(
    settings: Settings, codes: Sequence[str], *, started_by: str = "cli", now: datetime | None = None, progress: Progress = lambda step: None
) -> Outcome:
    """The listed changes of these claims, reversed and posted anew: what ``HESI_ERP_REVERSALS=propose`` left to a person.

    Raises:
        ConfigError: settings, mappings or suites are wrong, or a claim is not on the drift list; no run was started.
    """
    settings.require("erp_url")
    with closing(DatabaseSink.open(settings.erp_url.get_secret_value())) as sink, reading(sink.engine) as connection:
        listed = drift_refs(connection)
    refs = sorted({ref for code, claim_id, ref in listed if code in codes or claim_id in codes})
    unknown = [code for code in codes if code not in {name for row in listed for name in row[:2]}]
    if unknown or not codes:
        raise ConfigError(f"expected claims of the drift list, found {', '.join(unknown) or 'none'}; the run report lists the {len(listed)} changed ones")
    run = begin(settings, kind="replay", started_by=started_by, now=now, accept_revisions=True)
    return drive(run, {**STEPS, "extract": partial(extract_listed, refs=refs)}, progress=progress)


def extract_listed(run: Run, refs: Sequence[str]) -> Extracted:
    """What ``extract`` leaves, for stored versions alone; watermarks do not move."""
    with run.step("extract") as facts:
        fence = run.sink.fence()
        store_pages(run, [])
        read_lists(run)
        extracted = Extracted({}, list(refs), {}, len(refs), fence)
        run.work.write_value("extracted", extracted)
        facts.rows_in = facts.rows_out = len(refs)
    return extracted


def accept_payments_once(
    settings: Settings,
    codes: Sequence[str],
    approval: Approval,
    *,
    started_by: str = "cli",
    now: datetime | None = None,
    progress: Progress = lambda step: None,
) -> Outcome:
    """Money that left for these claims, posted to the suspense account before the claims themselves can be (accounting-rules 3).

    The refused accrual stays listed. The run that posts it moves the money from suspense to the payable.

    Raises:
        ConfigError: settings, mappings or suites are wrong, or no payment of a claim waits; no run was started.
    """
    waiting = _waiting_payments(settings)
    chosen = waiting[waiting["claim_code"].isin(codes) | waiting["claim_id"].isin(codes)]
    known = {*waiting["claim_code"], *waiting["claim_id"]}
    unknown = [code for code in codes if code not in known]
    if unknown:
        raise ConfigError(
            f"expected claims whose payment waits for its accrual, found {', '.join(unknown)} not among the {waiting['claim_id'].nunique()} of them; "
            "`hesi-erp explain CLAIM_CODE` tells where a claim stands"
        )
    _require_suspense(settings, chosen)
    _require_pages(settings, chosen)
    run = begin(settings, kind="replay", started_by=started_by, now=now, suspense=sorted(set(chosen["claim_id"])))
    return drive(run, {**STEPS, "extract": partial(_extract_paid, chosen=chosen, approval=approval)}, progress=progress)


def _waiting_payments(settings: Settings) -> pd.DataFrame:
    settings.require("erp_url")
    with closing(DatabaseSink.open(settings.erp_url.get_secret_value())) as sink:
        entries = sink.open_entries()
    return entries[(entries["entry_kind"] == "PAYMENT") & (entries["state"] == "waiting")]


def _require_suspense(settings: Settings, chosen: pd.DataFrame) -> None:
    declared = {company.company.code for company in load_mappings(settings.mappings).companies if company.payables.suspense}
    missing = sorted(set(chosen["company_code"]) - declared)
    if missing:
        raise ConfigError(
            f"expected a suspense account for {', '.join(missing)}, found none; name it as payables.suspense in "
            f"{', '.join(f'companies/{code}.yaml' for code in missing)}"
        )


def _require_pages(settings: Settings, chosen: pd.DataFrame) -> None:
    raw = RawStore(settings.home, keys=split_keys(settings.raw_keys))
    gone = {ref for ref, item in raw.items(list(chosen["raw_ref"])) if item is None}
    lost = chosen.loc[chosen["raw_ref"].isin(gone), "claim_code"]
    if len(lost):
        raise ConfigError(f"expected the raw page of each claim, found none of {', '.join(lost)}; `hesi-erp replay` reads them again")


def _extract_paid(run: Run, chosen: pd.DataFrame, approval: Approval) -> Extracted:
    rows = chosen.drop_duplicates("claim_id")
    said = {"kind": "payment_accepted", "by": approval.by, "os_user": getpass.getuser(), "reason": approval.reason}
    run.audit.append(
        run.run_id,
        [
            said | {"company": company, "claim_id": claim_id, "claim_code": code}
            for company, claim_id, code in zip(rows["company_code"], rows["claim_id"], rows["claim_code"], strict=True)
        ],
    )
    return extract_listed(run, sorted(set(chosen["raw_ref"])))
