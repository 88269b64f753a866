"""The raw pages of a run against the entries it worked on, chunk by chunk: two readings of the same claims, one sum."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from etl.money import exponent
from etl.pipeline.context import Run
from etl.steps.reconcile import Key, page_amounts, source_differences
from etl.store.raw import RawPage

_UNREADABLE_DAY = -(10**6)  # NO_DAY and everything before it: an event whose date could not be read
Amounts = dict[Key, tuple[Decimal, str]]


def source_problems(run: Run) -> list[str]:
    """Raw amounts of this run's claims, added up by other code, that differ from the entries; a sentence each.

    Chunks were cut from the pages in order, a page never in two: so the entries of one chunk are enough for its pages, and
    a run of any size needs the memory of one chunk. A page without entries is compared with the chunk after it, to nothing.
    A claim of no mapped company is one rejected entry: its payments get theirs together with a company.
    """
    pages = [page for page in run.raw.index(run.run_id) if page.taken]
    place = {f"{run.run_id}/{page.file}": number for number, page in enumerate(pages)}
    problems: list[str] = []
    done = 0
    for frame in (run.work.read_frame("map_fields", chunk, "entries") for chunk in run.work.chunks("map_fields")):
        until = 1 + max((place.get(file, -1) for file in _files(frame)), default=-1)
        if until > done:
            problems += _differences(run, pages[done:until], frame)
            done = until
    return problems + _differences(run, pages[done:], pd.DataFrame())


def _differences(run: Run, pages: list[RawPage], entries: pd.DataFrame) -> list[str]:
    ours, unreadable = _ledger_amounts(entries)
    homeless = set(entries.loc[entries["company_code"] == "", "claim_id"]) if len(entries) else set()
    return [
        f"claim {key[0]} {key[1]} part {key[2]}: the raw page says {source}, the run worked with {known}"
        for page in pages
        for key, source, known in source_differences(_page_amounts(run, page), ours)
        if key[0] not in unreadable and not _waits_for_payment(run, key) and not (key[1] == "PAYMENT" and key[0] in homeless)
    ]


def _page_amounts(run: Run, page: RawPage) -> Amounts:
    return page_amounts(run.raw.read(run.run_id, page), page.taken)


def _files(entries: pd.DataFrame) -> Iterator[str]:
    """Pages the entries come from: their raw_ref without the item."""
    if entries.empty:
        return iter(())
    return iter(pc.unique(pc.replace_substring_regex(pa.array(entries["raw_ref"]), "#[0-9]+$", "")).to_pylist())


def _ledger_amounts(entries: pd.DataFrame) -> tuple[Amounts, set[str]]:
    """Amounts of the entries that stand for something, and the claims nothing can be said about."""
    if entries.empty:
        return {}, set()
    real = entries[(entries["disposition"] != "gone") & (entries["currency"] != "")]
    unreadable = entries.loc[(entries["currency"] == "") | (entries["event_day"] < _UNREADABLE_DAY), "claim_id"]
    columns = (pa.array(real[name]).to_pylist() for name in ("claim_id", "entry_kind", "part_no", "amount_minor", "currency"))
    amounts = {
        (claim_id, kind, part): (Decimal(minor).scaleb(-exponent(currency)), currency) for claim_id, kind, part, minor, currency in zip(*columns, strict=True)
    }
    return amounts, set(unreadable)


def _waits_for_payment(run: Run, key: Key) -> bool:
    """With ``accrual: on_payment`` an unpaid claim has no accrual yet."""
    return key[1] == "EXPENSE" and any(company.accrual == "on_payment" for company in run.mappings.companies)
