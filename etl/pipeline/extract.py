"""Reads Hesi: every claim changed since the watermark, every deletion, and the lists they point to; nothing is judged.

Raw answers are stored as they came. Per claim the version with the greatest updateTime is taken, wherever it was seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import msgspec
from msgspec import Raw

from etl.erp.standing import packed
from etl.frames import rows
from etl.hesi.flows import FlowPage, detail, iter_pages
from etl.hesi.lists import read_reference
from etl.payload import UNREADABLE, content_name, page_items
from etl.pipeline.context import Run, stored_now
from etl.store.raw import RawPage

_PACKED = 5_000
FORM_TYPES = ("expense", "loan", "payment", "receipt", "requisition")


class Extracted(msgspec.Struct):
    """What the extract step leaves for the others; pages are in the run's raw index."""

    watermarks: dict[str, int]
    replayed: list[str]  # raw_refs of open claims this run did not read anew
    counts: dict[str, dict[str, int]]  # form type -> measure -> count
    claims: int
    fence: datetime | None = None  # taken before anything was read; see etl/erp/fence.py
    vanished: dict[str, str] = {}  # open claims without a readable id whose text Hesi no longer shows -> raw_ref


def stream_name(form_type: str, *, active: bool) -> str:
    """Name of the watermark of one list."""
    return f"{form_type}:{'active' if active else 'deleted'}"


def extract(run: Run) -> Extracted:
    """Raw pages and reference lists of this run, stored; repeating it reads everything again into new files."""
    with run.step("extract") as facts:
        fence = run.sink.fence()
        run.sink.in_hand.question(at=stored_now())
        index = _Index(run)
        watermarks = {} if run.identity.full else run.sink.watermarks()
        overlap_ms = run.settings.overlap_hours * 3_600_000
        for form_type in FORM_TYPES:
            for active in (True, False):
                stream = stream_name(form_type, active=active)
                since = watermarks.get(stream)
                pages = iter_pages(
                    run.client, form_type, active=active, since_ms=None if since is None else since - overlap_ms, cutoff_ms=run.identity.cutoff_ms
                )
                for page in pages:
                    index.add(page, form_type, active=active)
        replayed, vanished = _open_claims(run, index)
        read_lists(run)
        index.store()
        run.sink.in_hand.take(run.run_id, index.packed(), state="seen", began_at=fence, at=stored_now())
        extracted = Extracted(index.watermarks, replayed, index.counts(), len(index.newest) + len(replayed) + len(vanished), fence, vanished)
        run.work.write_value("extracted", extracted)
        facts.rows_in = sum(sum(1 for _ in page.taken) for page in index.pages)
        facts.rows_out = extracted.claims
    return extracted


class _Index:
    """Which item of which page holds the newest version of each claim."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.pages: list[RawPage] = []
        self.newest: dict[str, tuple[int, int, int]] = {}  # claim id -> updateTime, page, item
        self.watermarks: dict[str, int] = {}
        self.seen: dict[str, Counter[str]] = {form_type: Counter() for form_type in FORM_TYPES}

    def add(self, page: FlowPage, form_type: str, *, active: bool) -> None:
        number = len(self.pages)
        file = f"{self.run.attempt}-{form_type}-{'active' if active else 'deleted'}-{number:06d}.json"
        digest = self.run.raw.write(self.run.run_id, file, page.body)
        self.pages.append(RawPage(file, digest, len(page.body), form_type, active, len(page.claim_ids), page.url_without_token, page.fetched_at_ms))
        accepted = set(page.accepted)
        seen = self.seen[form_type]
        seen["extracted"] += len(page.claim_ids)
        stream = stream_name(form_type, active=active)
        for item, (claim_id, updated) in enumerate(zip(page.claim_ids, page.update_times, strict=True)):
            if item not in accepted:
                beyond = updated is not None and updated > self.run.identity.cutoff_ms
                seen["beyond_cutoff" if beyond else "duplicate"] += 1
                continue
            if updated is not None:
                self.watermarks[stream] = max(updated, self.watermarks.get(stream, 0))
            key = claim_id or f"{file}#{item}"
            known = self.newest.get(key)
            if known is not None:
                seen["duplicate"] += 1
            if known is None or (updated or 0) > known[0]:
                self.newest[key] = (updated or 0, number, item)

    def store(self) -> None:
        """Writes the page index with the items this run takes."""
        taken: dict[int, list[int]] = {}
        for _, page, item in self.newest.values():
            taken.setdefault(page, []).append(item)
        self.pages = [msgspec.structs.replace(page, taken=sorted(taken.get(number, ()))) for number, page in enumerate(self.pages)]
        store_pages(self.run, self.pages)

    def packed(self) -> list[str]:
        """The claims this run has seen, as the ERP database keeps them."""
        ids = list(self.newest)
        return [packed((claim_id, "", None) for claim_id in ids[first : first + _PACKED]) for first in range(0, len(ids), _PACKED)]

    def counts(self) -> dict[str, dict[str, int]]:
        """Counts per form type."""
        return {form_type: dict(counter) for form_type, counter in self.seen.items()}


def _open_claims(run: Run, index: _Index) -> tuple[list[str], dict[str, str]]:
    """References to rejected, held and waiting claims that did not change: the mapping, a period or a budget may have. And what vanished."""
    refs: dict[str, str] = {}
    for entry in rows(run.sink.open_entries()):
        if entry.claim_id not in index.newest:
            refs[entry.claim_id] = entry.raw_ref
    stored = dict(run.raw.items(list(refs.values())))
    vanished = _take_unreadable(run, index, refs, stored)
    for claim_id, ref in list(refs.items()):
        if stored.get(ref) is None:  # the raw page is no longer kept: ask for the claim itself
            del refs[claim_id]
            page = read_claim(run, claim_id, number=len(index.pages))
            if page is not None:
                index.pages.append(page)
                index.newest[claim_id] = (0, len(index.pages) - 1, 0)
    return list(refs.values()), vanished


def _take_unreadable(run: Run, index: _Index, refs: dict[str, str], stored: dict[str, Raw | None]) -> dict[str, str]:
    """Takes out of ``refs`` the claims without a readable id that are not to be decided again, and returns those that vanished.

    Nobody can ask Hesi for such a claim, or tell which later claim it was. Its text has vanished when a full run, which reads every list
    from its beginning, did not find it. What was read again has its old name already.
    """
    unreadable = [name for name in refs if name.startswith(UNREADABLE)]
    shown = _texts_read(run, index) if unreadable else Counter()
    vanished: dict[str, str] = {}
    for name in unreadable:
        text, _, number = name.partition("#")
        if int(number or 1) <= shown[text]:
            del refs[name]
        elif run.identity.full:
            vanished[name] = refs.pop(name)
        elif stored.get(refs[name]) is None:
            del refs[name]  # it stays listed until a full run
    return vanished


def _texts_read(run: Run, index: _Index) -> Counter[str]:
    """How often this run has read each text, by :func:`~etl.payload.content_name`."""
    texts: Counter[str] = Counter()
    places = sorted((page, item) for _, page, item in index.newest.values())
    for number, taken in groupby(places, key=itemgetter(0)):
        items = page_items(run.raw.read(run.run_id, index.pages[number]))
        texts.update(content_name(bytes(items[item])) for _, item in taken)
    return texts


class _Detail(msgspec.Struct):
    value: Raw


def read_claim(run: Run, claim_id: str, *, number: int) -> RawPage | None:
    """One claim as a stored page of one item, its bytes as they came; None when Hesi no longer has it."""
    found = detail(run.client, claim_id)
    if found is None:
        return None
    body = b'{"items":[' + bytes(msgspec.json.decode(found.reply.body, type=_Detail).value) + b"]}"
    file = f"{run.attempt}-detail-{number:06d}.json"
    digest = run.raw.write(run.run_id, file, body)
    return RawPage(file, digest, len(body), "detail", True, 1, found.reply.url, found.reply.fetched_at_ms, [0])


def store_pages(run: Run, pages: Sequence[RawPage]) -> None:
    """Writes the page index of the run, on disk and in the ledger."""
    run.raw.write_index(run.run_id, list(pages))
    run.ledger.add_pages(run.run_id, [page.ledger_row(run.run_id, number) for number, page in enumerate(pages, start=1)])


def read_lists(run: Run) -> None:
    """Stores the lists claims point to, for the steps of this run."""
    numbers: Counter[str] = Counter()

    def keep(name: str, body: bytes) -> None:
        numbers[name] += 1
        run.raw.write(run.run_id, f"{run.attempt}-list-{name}-{numbers[name]:05d}.json", body)

    run.work.write_value("reference", read_reference(run.client, keep))
