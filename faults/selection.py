"""The slice: some cases of every fault, the same ones every time."""

from __future__ import annotations

from collections.abc import Sequence

from faults.case import Case

_EACH = 2
_SEEDS = 4
# Faults with many different places get more.
_MORE = {
    "kill -9 at a step boundary": 7, "kill -9 at a step boundary, PostgreSQL": 3, "kill -9 at a random instant": 3, "schema mutation of a claim": 5,
    "malformed JSON of a claim": 3, "two runs at once": 7, "two runs at once, PostgreSQL": 5, "disk full": 3, "HTTP 429": 3,
    "write-back while the claim changes": 3, "deadlock": 1, "another session holds the posting lock": 1, "body of 1 byte a second": 1,
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
