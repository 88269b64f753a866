"""Two runs at once: over the same claims, on the same log, and one that wakes up after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from faults.case import Case, fired
from faults.cases import mutations
from faults.cases.process import STEPS
from faults.runner import LiveRun
from faults.world import World


def cases() -> Iterator[Case]:
    """Two runs at once: from the same instant, and one paused while the other posts."""
    for number in range(1, 101):
        yield Case("domain", "two runs at once", f"race {number}", 1 + number % 10, partial(race, number=number))
        yield Case("domain", "two runs at once, PostgreSQL", f"race {number}", 1 + number % 10, partial(race, number=number), "postgresql")
    for seed in range(1, 6):
        yield Case("domain", "two writers of the log", "one home", seed, two_writers)
        for step in STEPS:
            yield Case("domain", "a paused run wakes up after a newer one", f"paused before {step}", seed, partial(paused, step=step), compare=False)


def race(world: World, number: int) -> str:
    """Two runs over the same claims, side by side."""
    runs = [world.start(), world.start()]
    if number % 3:
        _to_load(runs)
    for run in runs:
        run.go()
    ends = [world.note(run.end()) for run in (runs if number % 2 else reversed(runs))]
    fired(any(end.well for end in ends), "a winner")
    batches = world.count("SELECT count(*) FROM posting_batch")
    assert batches == 1, f"{batches} batches posted"
    world.disturbed = True
    return f"one batch; the runs ended with {' and '.join(sorted(end.told for end in ends))}"


def _to_load(runs: list[LiveRun]) -> None:
    for run in runs:
        run.until("before load")


def paused(world: World, step: str) -> str:
    """A run stands still while a claim it has read is voided and a newer run does all the work; then the old one wakes up."""
    old = world.start()
    old.until(f"before {step}")
    claim = mutations.victim(world.hesi.tenant)
    world.hesi.tenant.nullify(claim)
    newer = world.run()
    assert newer.well, newer.told
    before = world.vouchers
    old.go()
    ended = world.note(old.end())
    fired(ended.signal == 0, "waking up")
    assert world.vouchers == before, "the old run posted after the newer one"
    world.disturbed = True
    return f"the old run ended with {ended.told} and posted nothing"


def two_writers(world: World) -> str:
    """Two runs write into the log of one home, in turn up to the posting; the oracle proves the chain."""
    runs = [world.start(), world.start()]
    for step in STEPS[: STEPS.index("load") + 1]:
        for run in runs:
            run.until(f"before {step}")
            run.go()
    ends = [world.note(run.end()) for run in runs]
    entries = [json.loads(line)["body"] for line in (world.home / "audit" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    starts = [number for number, body in enumerate(entries) if body["kind"] == "run_started"]
    first_end = next(number for number, body in enumerate(entries) if body["kind"] == "run_ended")
    fired(len(starts) == 2 and starts[1] < first_end, "the second writer")
    world.disturbed = True
    return f"{len(entries)} entries in one chain; the runs ended with {' and '.join(sorted(end.told for end in ends))}"
