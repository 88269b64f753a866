"""replay: open claims are decided again now, without waiting for a nightly run or reading a list.

Each open claim is read from Hesi afresh: between two runs it may have been corrected, sent back or deleted, and a voucher
must never be posted from a version that is no longer true. From ``stage`` on it is a run like any other.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial

from etl.config.settings import Settings
from etl.erp.database import DatabaseSink
from etl.errors import ConfigError
from etl.payload import UNREADABLE
from etl.pipeline.context import Run, begin
from etl.pipeline.drive import Steps, drive
from etl.pipeline.extract import Extracted, read_claim, read_lists, store_pages
from etl.pipeline.run import STEPS, Outcome
from etl.store.raw import RawPage

log = logging.getLogger("etl")


def extract_open(run: Run, codes: Sequence[str] = ()) -> Extracted:
    """What ``extract`` leaves, for the rejected, held and waiting claims alone; watermarks do not move.

    Args:
        run: the run.
        codes: claim numbers (or ids) to keep to; empty = every open claim.
    """
    with run.step("extract") as facts:
        fence = run.sink.fence()
        wanted = _open_claims(run, codes)
        pages: list[RawPage] = []
        counts: dict[str, Counter[str]] = {}
        for claim_id, form_type in wanted.items():
            page = read_claim(run, claim_id, number=len(pages))
            if page is None:
                log.warning("replay_claim_gone run_id=%s claim_id=%s; the next run's deletion pass decides it", run.run_id, claim_id)
                continue
            pages.append(page)
            counts.setdefault(form_type, Counter())["extracted"] += 1
        store_pages(run, pages)
        read_lists(run)
        extracted = Extracted({}, [], {form: dict(counter) for form, counter in counts.items()}, len(pages), fence)
        run.work.write_value("extracted", extracted)
        facts.rows_in, facts.rows_out = len(wanted), len(pages)
    return extracted


def _open_claims(run: Run, codes: Sequence[str]) -> dict[str, str]:
    """Claim id -> form type, in order of id."""
    entries = run.sink.open_entries()
    if codes:
        entries = entries[entries["claim_code"].isin(codes) | entries["claim_id"].isin(codes)]
    named = entries[~entries["claim_id"].str.startswith(UNREADABLE)]  # Hesi can be asked for an id only
    return dict(zip(named["claim_id"], named["form_type"], strict=True))


def replay_steps(codes: Sequence[str] = ()) -> Steps:
    """The steps of a replay: those of a run, with another extract."""
    return {**STEPS, "extract": partial(extract_open, codes=tuple(codes))}


def replay_once(
    settings: Settings, codes: Sequence[str] = (), *, started_by: str = "cli", now: datetime | None = None, progress: Callable[[str], None] = lambda step: None
) -> Outcome:
    """Open claims decided again as a run of kind ``replay``.

    Raises:
        ConfigError: settings, mappings or suites are wrong, or a claim is not open; no run was started.
    """
    if codes:
        _refuse_unknown(settings, codes)
    return drive(begin(settings, kind="replay", started_by=started_by, now=now), replay_steps(codes), progress=progress)


def _refuse_unknown(settings: Settings, codes: Sequence[str]) -> None:
    settings.require("erp_url")
    with closing(DatabaseSink.open(settings.erp_url.get_secret_value())) as sink:
        entries = sink.open_entries()
    names = {*entries["claim_code"], *entries["claim_id"]}
    unknown = [code for code in dict.fromkeys(codes) if code not in names]
    if unknown:
        raise ConfigError(
            f"expected claims that are rejected, held or waiting, found {', '.join(unknown)} not among the {entries['claim_id'].nunique()} open ones; "
            "`hesi-erp explain CLAIM_CODE` tells where a claim stands"
        )
