"""The machine: runs killed at every step and at any instant, full and read-only disks, too little memory."""

from __future__ import annotations

import random
import signal
import stat
import time
from collections.abc import Iterator
from functools import partial

from faults.case import Case, fired
from faults.runner import Ended
from faults.world import World

STEPS = ("extract", "stage", "map_fields", "check_budget", "validate", "load", "reconcile", "write_back")
PLACES = ("begun", *(f"{side} {step}" for step in STEPS for side in ("before", "after")), "before report", "after report")
_DISK = ("begun", *(f"before {step}" for step in STEPS), "before report")
_ONE_RUN_SECONDS = 1.2


def cases() -> Iterator[Case]:
    """Kills, disks and memory."""
    for seed in range(1, 8):
        for place in PLACES:
            yield Case("process", "kill -9 at a step boundary", place, seed, partial(kill_at, place=place))
            if seed <= 3:
                yield Case("process", "kill -9 at a step boundary, PostgreSQL", place, seed, partial(kill_at, place=place), database="postgresql")
    for seed in range(1, 61):
        yield Case("process", "kill -9 at a random instant", f"instant {seed}", 1 + seed % 10, partial(kill_sometime, number=seed))
        yield Case("process", "kill -9 at a random instant, PostgreSQL", f"instant {seed}", 1 + seed % 10, partial(kill_sometime, number=seed), "postgresql")
    for seed in (1, 2):
        for call in range(1, 14):
            yield Case("process", "kill -9 during write-back", f"after call {call}", seed, partial(kill_in_write_back, call=call))
        for place in _DISK:
            for size in (0, 65_536, 4_194_304 if seed == 1 else 1_048_576):
                play = partial(disk_full, place=place, size=size)
                yield Case("process", "disk full", f"{place}, files up to {size} bytes", seed, play, validator=True)
        for folder in ("raw", "work", "audit", "reports", "logs", "."):
            yield Case("process", "read-only folder of the home", folder, seed, partial(read_only, folder=folder))
        for place in _DISK:
            for megabytes in (1, 24):
                play = partial(little_memory, place=place, megabytes=megabytes)
                yield Case("process", "memory limit", f"{place}, {megabytes} MB more", seed, play, validator=True)
    yield from (Case("process", "two kills in a row", f"{one} then {two}", seed, partial(kill_twice, places=(one, two))) for seed, one, two in _pairs())


def _pairs() -> Iterator[tuple[int, str, str]]:
    pairs = [(one, two) for one in PLACES for two in PLACES]
    for number, (one, two) in enumerate(random.Random(7).sample(pairs, 60)):
        yield 1 + number % 6, one, two


def kill_at(world: World, place: str) -> str:
    """kill -9 while the run stands at a place."""
    run = world.start()
    run.until(place)
    _killed(world.note(run.kill()))
    return f"killed by signal 9, {_posted(world)}; the next run ended well"


def kill_twice(world: World, places: tuple[str, str]) -> str:
    """The run after a killed one is killed too."""
    return "; ".join(kill_at(world, place) for place in places)


def kill_sometime(world: World, number: int) -> str:
    """kill -9 at an instant of the run nobody chose."""
    after = random.Random(number).uniform(0.02, _ONE_RUN_SECONDS)
    while True:
        ended = world.note(world.start().end_or_kill(after))
        if ended.signal:
            break
        after /= 2  # the run was faster; the next one is killed earlier
    _killed(ended)
    return f"killed by signal 9, {_posted(world)}; the next run ended well"


def kill_in_write_back(world: World, call: int) -> str:
    """kill -9 as soon as Hesi has taken so many write-back calls."""
    run = world.start(HESI_ERP_WRITE_BACK_BATCH="8")
    run.until("before write_back")
    run.go()
    deadline = time.monotonic() + 30
    while _puts(world) < call and time.monotonic() < deadline:
        time.sleep(0.000_5)
    ended = world.note(run.kill())
    fired(_puts(world) >= call, f"write-back call {call}")
    if not ended.signal:
        return "the run had ended"
    _killed(ended)
    return f"killed by signal 9 with numbers on {_written(world)} claims; the next run wrote the rest"


def disk_full(world: World, place: str, size: int) -> str:
    """No file can grow beyond a size from a place on: what a full disk does to every write."""
    run = world.start()
    run.until(place)
    run.go(fsize=size)
    ended = world.note(run.end())
    fired(not ended.well or size > 0, "the full disk")
    world.disturbed = True
    return f"{ended.told}, {_posted(world)}; with room again the next run ended well"


def read_only(world: World, folder: str) -> str:
    """A folder the run may not write to, for root too."""
    place = world.home / folder
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    run = world.start()
    run.until("started")
    place.chmod(stat.S_IRUSR | stat.S_IXUSR)
    run.go(capabilities=0)
    ended = world.note(run.end())
    place.chmod(0o700)
    fired(not ended.well, "the refused write")
    return f"{ended.told}, {_posted(world)}; writable again the next run ended well"


def little_memory(world: World, place: str, megabytes: int) -> str:
    """The address space may grow only so far from a place on."""
    run = world.start()
    run.until(place)
    run.go(memory=megabytes << 20)
    ended = world.note(run.end())
    world.disturbed = True
    return f"{ended.told}, {_posted(world)}; with memory again the next run ended well"


def _killed(ended: Ended) -> None:
    fired(ended.signal == signal.SIGKILL, "the kill")


def _posted(world: World) -> str:
    return "everything was posted" if world.vouchers else "nothing was posted"


def _puts(world: World) -> int:
    return sum(request.method == "PUT" for request in list(world.hesi.requests))


def _written(world: World) -> int:
    return int(world.hesi.tenant.totals()["withVoucher"])
