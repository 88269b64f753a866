"""The slice: some cases of every fault, the same ones every time."""

from __future__ import annotations

from collections.abc import Sequence

from faults.case import Case

_EACH = 2
# Faults with many different places get more.
_MORE = {
    "kill -9 at a step boundary": 18, "kill -9 at a step boundary, PostgreSQL": 6, "kill -9 at a random instant": 6, "kill -9 at a random instant, PostgreSQL": 4,
    "schema mutation of a claim": 10, "malformed JSON of a claim": 6, "money as text": 5, "rare characters": 5, "two runs at once": 12,
    "two runs at once, PostgreSQL": 8, "disk full": 6, "memory limit": 4, "server refuses with an error": 5, "server ends the connection": 3,
    "a paused run wakes up after a newer one": 4, "broken mapping": 4, "commit reply lost": 3, "HTTP 429": 4, "write-back while the claim changes": 4,
    "deadlock": 1, "another session holds the posting lock": 1, "body of 1 byte a second": 1,
}  # fmt: skip


def selection(cases: Sequence[Case]) -> list[Case]:
    """At least 150 cases: of every fault some, spread evenly over its places and seeds; those that wait longest come first."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if not case.large:
            groups.setdefault((case.family, case.fault), []).append(case)
    chosen = [case for (_, fault), group in groups.items() for case in _spread(group, _MORE.get(fault, _EACH))]
    return sorted(chosen, key=lambda case: case.fault != "body of 1 byte a second")


def _spread(group: list[Case], wanted: int) -> list[Case]:
    # A stride that shares no factor with the number of places visits them all.
    if wanted >= len(group):
        return group
    return [group[number * len(group) // wanted] for number in range(wanted)]
