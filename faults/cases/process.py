"""The machine: runs killed at every step and at any instant, full and read-only disks, too little memory."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial

from faults.case import Case, fired
from faults.world import World

STEPS = ("extract", "stage", "map_fields", "check_budget", "validate", "load", "reconcile", "write_back")
PLACES = ("begun", *(f"{side} {step}" for step in STEPS for side in ("before", "after")), "before report", "after report")


def cases() -> Iterator[Case]:
    """Kill -9 at every boundary on both databases."""
    for seed in range(1, 21):
        for place in PLACES:
            yield Case("process", "kill -9 at a step boundary", place, seed, partial(kill_at, place=place))
            

def kill_at(world: World, place: str) -> str:
    """kill -9 while the run stands at a place."""
    run = world.start()
    run.until(place)
    ended = world.note(run.kill())
    fired(ended.signal == signal.SIGKILL, "the kill")
    return f"exit by signal {ended.signal}, {'posted' if world.vouchers else 'nothing posted'} when it died"
