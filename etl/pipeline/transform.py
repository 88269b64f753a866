"""stage and map_fields over all chunks of a run, with the look-ups the claims need; conservation is asserted per chunk."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import chain, repeat

import msgspec
import numpy as np
import pandas as pd
from msgspec import Raw

from etl.erp.posted import last_revisions, live_vouchers
from etl.erp.standing import packed
from etl.errors import ControlTotalMismatch
from etl.frames import NO_AMOUNT, tuples
from etl.hesi.lists import read_invoices, read_loan_owners, read_payees
from etl.payload import page_items
from etl.pipeline.context import Run, stored_now
from etl.pipeline.extract import Extracted
from etl.reference import Invoice, Payee, Reference
from etl.steps.map_fields import company_rules, custom_paths, map_fields
from etl.steps.mapped import Known, MappedClaims, MappingContext
from etl.steps.revise import continue_revisions, revise
from etl.steps.revision_work import PostedVoucher
from etl.steps.stage import stage
from etl.steps.staged import StagedClaims
from etl.store.quarantine import Quarantine

CHUNK_CLAIMS = 6_000
STAGED = tuple(field.name for field in fields(StagedClaims))
MAPPED = tuple(field.name for field in fields(MappedClaims))


class LookUps(msgspec.Struct):
    """What one chunk's claims point to beyond the run's lists."""

    payees: dict[str, Payee]
    loan_owners: dict[str, str]
    invoices: dict[str, Invoice]


class Counted(msgspec.Struct):
    """Counts per form type and measure, and the totals the reject-rate stop needs."""

    counts: dict[str, dict[str, int]]
    fresh_claims: int
    entries: int


def stage_claims(run: Run) -> int:
    """Staged frames of every chunk; returns the number of claims. Look-ups are batched over the claims not posted yet."""
    with run.step("stage") as facts:
        extracted = run.work.read_value("extracted", Extracted)
        reference = run.work.read_value("reference", Reference)
        run.work.reset("stage")
        paths = custom_paths(run.mappings)
        owners: dict[str, str] = {}
        quarantine = Quarantine(run.home)
        in_hand: list[str] = []
        for number, items in enumerate(_chunks(run, extracted), start=1):
            gc.collect()  # what hangs together in cycles of the chunk before
            count = len(items)
            staged = stage(items, paths)
            items.clear()  # the pages are not needed any more, and the look-ups want the memory
            known = run.sink.known_states([*staged.claims["claim_id"].tolist(), *staged.rejects["claim_id"]])
            look_ups = _look_up(run, staged, known, reference, owners, number)
            run.work.write_frames("stage", number, {name: getattr(staged, name) for name in STAGED} | {"known": known})
            run.work.write_value(f"look_ups-{number:05d}", look_ups)
            readable = zip(*(staged.claims[name].tolist() for name in ("claim_id", "claim_code", "claim_version")), strict=True)
            in_hand.append(packed([*readable, *zip(staged.rejects["claim_id"], staged.rejects["claim_code"], repeat(None), strict=False)]))
            quarantine.keep(staged.rejects)
            quarantine.release(staged.claims["claim_id"].tolist())
            facts.rows_in += count
            facts.rows_out += len(staged.claims) + len(staged.commitments)
            facts.rejected += len(staged.rejects)
            if facts.rows_in != facts.rows_out + facts.rejected:
                raise ControlTotalMismatch(f"stage chunk {number}: {facts.rows_in} claims in, {facts.rows_out} staged, {facts.rejected} rejected; report this")
        run.sink.in_hand.take(run.run_id, in_hand, state="staged", began_at=extracted.fence, at=stored_now())
        return facts.rows_in


def _chunks(run: Run, extracted: Extracted) -> Iterator[list[tuple[Raw, str]]]:
    """Raw claims with their references, about CHUNK_CLAIMS at a time."""
    items: list[tuple[Raw, str]] = []
    for page in run.raw.index(run.run_id):
        if not page.taken:
            continue
        raws = page_items(run.raw.read(run.run_id, page))
        items += [(raws[item], f"{run.run_id}/{page.file}#{item}") for item in page.taken]
        if len(items) >= CHUNK_CLAIMS:
            yield items
            items = []
    vanished = ((ref, _withdrawn(run, claim_id)) for claim_id, ref in extracted.vanished.items())
    for ref, raw in chain(run.raw.items(extracted.replayed), vanished):
        if raw is not None:
            items.append((raw, ref))
            if len(items) >= CHUNK_CLAIMS:
                yield items
                items = []
    if items:
        yield items


def _withdrawn(run: Run, claim_id: str) -> Raw:
    """A void claim of this id: what Hesi would show for a claim that has gone, had it known this one by an id."""
    flow = {"id": claim_id, "formType": "expense", "state": "nullify", "active": False, "updateTime": run.identity.cutoff_ms, "form": {}}
    return Raw(msgspec.json.encode(flow))


def _look_up(run: Run, staged: StagedClaims, known: pd.DataFrame, reference: Reference, owners: dict[str, str], chunk: int) -> LookUps:
    answers: dict[str, list[bytes]] = {}

    def keep(name: str, body: bytes) -> None:
        answers.setdefault(name, []).append(body)

    posted = known[(known["state"] == "posted") & (known["entry_kind"] == "EXPENSE")]
    same = staged.claims["claim_id"].isin(posted["claim_id"]) & staged.claims["source_sha256"].isin(posted["source_sha256"])
    todo = staged.claims.index[staged.claims["due"] & ~same]
    packages = staged.write_offs.loc[staged.write_offs["claim"].isin(todo), "package_id"].drop_duplicates()
    owners |= read_loan_owners(run.client, [package for package in packages if package not in owners], keep)
    wanted = set(staged.payees["payee_id"].tolist()) | set(_platforms(run, staged))
    missing = sorted(payee for payee in wanted if payee and payee not in reference.payees)
    lines = staged.lines.index[staged.lines["claim"].isin(todo)]
    # An invoice whose deductible tax Hesi gives as 0 decides nothing; the others need their kind, some their items' rates.
    uses = staged.invoices[staged.invoices["line"].isin(lines) & (staged.invoices["invoice_id"] != "") & (staged.invoices["tax_minor"] != 0)]
    flow_ids = staged.claims["claim_id"].to_numpy()[staged.lines["claim"].to_numpy()[uses["line"].to_numpy()]]
    unclear = uses.loc[(uses["rate"] == "") | (uses["item_count"] > 1) | (uses["tax_minor"] == NO_AMOUNT), "invoice_id"]
    header, items = set(uses["invoice_id"].tolist()), set(unclear.tolist())
    invoices = read_invoices(run.client, dict.fromkeys(flow_ids), keep, needs_header=header.__contains__, needs_items=items.__contains__)
    payees = read_payees(run.client, missing, keep) if missing else {}
    for name, bodies in answers.items():  # the answers as they came, in one list: a file each would cost more than the asking
        run.raw.write(run.run_id, f"{run.attempt}-{name}-{chunk:05d}.json", b"[" + b",\n".join(bodies) + b"]")
    return LookUps(payees, {package: owners[package] for package in packages if package in owners}, invoices)


def _platforms(run: Run, staged: StagedClaims) -> Iterator[str]:
    for company in run.mappings.companies:
        for path in company.company_paid.supplier_from if company.company_paid else ():
            if path in staged.claims:
                yield from staged.claims[path].drop_duplicates()


def read_staged(run: Run, chunk: int) -> StagedClaims:
    """The staged frames of one chunk."""
    return StagedClaims(**{name: run.work.read_frame("stage", chunk, name) for name in STAGED})


def known_entries(known: pd.DataFrame) -> dict[tuple[str, str, int], Known]:
    """What the ERP knows, keyed for the mapping."""
    keys = tuples(known, "claim_id", "entry_kind", "part_no")
    facts = tuples(known, "state", "source_sha256", "claim_code", "company_code", "currency", "amount_minor", "outbox_number")
    return {key: Known(*found) for key, found in zip(keys, facts, strict=True)}


def map_chunks(run: Run) -> Counted:
    """Entries, vouchers and rejects of every chunk, numbered through the run."""
    with run.step("map_fields") as facts:
        reference = run.work.read_value("reference", Reference)
        run.work.reset("map_fields")
        start_ms, next_entry = run.settings.start_ms, 1
        counts: dict[str, Counter[str]] = {}
        fresh = 0
        for chunk in run.work.chunks("stage"):
            gc.collect()
            staged = read_staged(run, chunk)
            look_ups = run.work.read_value(f"look_ups-{chunk:05d}", LookUps)
            lists = replace(reference, payees={**reference.payees, **look_ups.payees}, loan_owners=look_ups.loan_owners, invoices=look_ups.invoices)
            known = known_entries(run.work.read_frame("stage", chunk, "known"))
            context = MappingContext(run.mappings, lists, known, run.identity.run_day, start_ms, run.identity.revise, frozenset(run.identity.suspense))
            mapped = map_fields(staged, context, first_entry_no=next_entry)
            assert_conserved(staged, mapped, chunk)
            mapped = _revised(run, mapped, context, next_entry + len(mapped.entries))
            next_entry = 1 + int(np.concatenate([mapped.entries["entry_no"], mapped.vouchers["entry_no"]]).max(initial=next_entry - 1))
            fresh += _count(run.run_id, staged, mapped, known, counts)
            run.work.write_frames("map_fields", chunk, {name: getattr(mapped, name) for name in MAPPED})
            facts.rows_in += len(staged.claims) + len(staged.rejects)
            facts.rows_out += len(mapped.vouchers)
            facts.rejected += int((mapped.rejects["disposition"] == "rejected").sum())
            facts.held += int((mapped.rejects["disposition"] == "held").sum())
        counted = Counted({form: dict(counter) for form, counter in counts.items()}, fresh, next_entry - 1)
        run.work.write_value("counted", counted)
        return counted


def _revised(run: Run, mapped: MappedClaims, context: MappingContext, next_entry: int) -> MappedClaims:
    """The chunk with reversals and new revisions where something posted changed; revisions go on counting where a key was used before."""
    entries = mapped.entries
    touched = entries.loc[entries["disposition"].isin(["ready", "drift", "returned"]), ["claim_id", "disposition"]]
    if touched.empty:
        return mapped
    last = run.read(last_revisions, sorted(set(touched["claim_id"].tolist())))
    # What was paid before its accrual may wait on the suspense account: no change, so nobody needs to accept it.
    accrued = entries.loc[(entries["disposition"] == "ready") & (entries["entry_kind"] == "EXPENSE"), "claim_id"]
    moved = {key[0] for key in last if key[1] == "PAYMENT"}.intersection(accrued.tolist())
    if context.revise:
        # What posts again or is paid after a revision may leave a reclassification or a correction behind.
        moved |= {key[0] for key, revision in last.items() if revision > 0 or key[1] in {"CORRECTION", "RECLASS"}}
        moved |= set(touched.loc[touched["disposition"] != "ready", "claim_id"])
    if moved:
        posted = [PostedVoucher(header, lines) for header, lines in run.read(live_vouchers, sorted(moved))]
        mapped = revise(mapped, posted, last, {rules.mapping.company.code: rules for rules in company_rules(context)}, next_entry=next_entry)
    return continue_revisions(mapped, last)


def assert_conserved(staged: StagedClaims, mapped: MappedClaims, chunk: int) -> None:
    """Claims in = claims out, amount in = amount out per currency, every voucher balances.

    Raises:
        ControlTotalMismatch: a claim or a cent went missing inside the program.
    """
    entries = mapped.entries
    main = entries[entries["entry_kind"].isin(["EXPENSE", "RECEIPT"]) & (entries["disposition"] != "gone") & (entries["currency"] != "")]
    due = staged.claims[staged.claims["due"] & staged.claims["form_type"].isin(["expense", "receipt"])]
    both = due[["claim_id", "currency", "total_minor"]].merge(main[["claim_id", "currency", "amount_minor"]], on="claim_id", suffixes=("_in", "_out"))
    claims_in = both.groupby("currency_in")["total_minor"].sum()
    claims_out = both.groupby("currency_out")["amount_minor"].sum()
    lines = mapped.voucher_lines.groupby("entry_no")[["debit_minor", "credit_minor"]].sum()
    unbalanced = lines.index[lines["debit_minor"] != lines["credit_minor"]]
    if len(unbalanced) or claims_in.to_dict() != claims_out.to_dict():
        raise ControlTotalMismatch(
            f"map_fields chunk {chunk}: amounts in {claims_in.to_dict()}, out {claims_out.to_dict()}, "
            f"unbalanced entries {list(unbalanced[:5])}; nothing was posted, report this"
        )


def _count(run_id: str, staged: StagedClaims, mapped: MappedClaims, known: dict[tuple[str, str, int], Known], counts: dict[str, Counter[str]]) -> int:
    """Adds the chunk's claims to the counts per form type, each under one measure; returns how many are new or changed."""
    seen = {key[0] for key in known}
    entries = mapped.entries
    news: dict[str, str] = {}
    for claim_id, kind, part_no, sha in tuples(entries, "claim_id", "entry_kind", "part_no", "source_sha256"):
        found = known.get((claim_id, kind, part_no))
        if found is None or found.source_sha256 != sha:
            news[claim_id] = "changed" if claim_id in seen else "new"
        else:
            news.setdefault(claim_id, "unchanged")
    for frame in (staged.claims, staged.rejects):
        for form, claim_id, raw_ref in tuples(frame, "form_type", "claim_id", "raw_ref"):
            counter = counts.setdefault(form or "expense", Counter())
            counter["deleted" if "-deleted-" in raw_ref else news.get(claim_id, "not_due")] += 1
            counter["replayed"] += not raw_ref.startswith(run_id)
    counts.setdefault("requisition", Counter())["not_due"] += len(staged.commitments)
    for form in entries.loc[entries["disposition"] == "skipped", "form_type"]:
        counts.setdefault(form, Counter())["skipped"] += 1
    return sum(1 for status in news.values() if status != "unchanged")
