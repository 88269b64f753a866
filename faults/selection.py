"""The slice: some cases of every fault, the same ones every time."""

from __future__ import annotations

from collections.abc import Sequence

from faults.case import Case

_EACH = 2
_SEEDS = 4
# Faults with many different places get more.
_MORE = {
    "kill -9 at a step boundary": 10, "kill -9 at a step boundary, PostgreSQL": 4, "kill -9 at a random instant": 4,
    "kill -9 at a random instant, PostgreSQL": 3,
    "schema mutation of a claim": 8, "malformed JSON of a claim": 4, "money as text": 3, "rare characters": 3, "two runs at once": 12,
    "two runs at once, PostgreSQL": 8, "disk full": 4, "memory limit": 3, "server refuses with an error": 3, "server ends the connection": 3,
    "a paused run wakes up after a newer one": 3, "broken mapping": 2, "commit reply lost": 3, "HTTP 429": 4, "write-back while the claim changes": 4,
    "deadlock": 1, "another session holds the posting lock": 1, "body of 1 byte a second": 1,
}  # fmt: skip


def selection(cases: Sequence[Case]) -> list[Case]:
    """At least 150 cases: of every fault some, spread evenly over its places and seeds; those that wait longest come first."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if not case.large:
            groups.setdefault((case.family, case.fault), []).append(case)
    for name, group in groups.items():  # few tenants: the fault-free run of each costs time
        groups[name] = [case for case in group if case.seed <= _SEEDS] or group
    chosen = [case for (_, fault), group in groups.items() for case in _spread(group, _MORE.get(fault, _EACH))]
    return sorted(chosen, key=lambda case: case.fault != "body of 1 byte a second")


def _spread(group: list[Case], wanted: int) -> list[Case]:
    # A stride that shares no factor with the number of places visits them all.
    if wanted >= len(group):
        return group
    return [group[number * len(group) // wanted] for number in range(wanted)]
