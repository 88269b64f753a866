"""The slice: some cases of every fault, the same ones every time."""

from __future__ import annotations

from collections.abc import Sequence

from faults.case import Case

_EACH = 2
_SEEDS = 4
# Faults with many different places get more, those with one place one.
_OTHERS = {
    "kill -9 at a step boundary": 8, "kill -9 at a step boundary, PostgreSQL": 3, "kill -9 at a random instant": 3, "schema mutation of a claim": 6,
    "malformed JSON of a claim": 3, "money as text": 3, "rare characters": 3, "two runs at once": 12, "two runs at once, PostgreSQL": 8, "disk full": 3,
    "HTTP 429": 3, "write-back while the claim changes": 3, "base address moved": 3, "deadlock": 1, "another session holds the posting lock": 1,
    "body of 1 byte a second": 1, "name of Hesi does not resolve": 1, "name of the server does not resolve": 1, "two writers of the log": 1,
    "turn of the year in +08:00": 1, "equal updateTime": 1, "HTTP 401 at sign-in": 1, "HTTP 403 at sign-in": 1, "HTTP 500 at sign-in": 1,
    "HTML with 200 at sign-in": 1, "answer lost at sign-in": 1, "HTTP 502": 1, "HTTP 504": 1,
}  # fmt: skip


def selection(cases: Sequence[Case]) -> list[Case]:
    """At least 150 cases: of every fault some, spread evenly over its places and seeds; those that wait longest come first."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if not case.large:
            groups.setdefault((case.family, case.fault), []).append(case)
    for name, group in groups.items():  # few tenants: the fault-free run of each costs time
        groups[name] = [case for case in group if case.seed <= _SEEDS] or group
    chosen = [case for (_, fault), group in groups.items() for case in _spread(group, _OTHERS.get(fault, _EACH))]
    return sorted(chosen, key=lambda case: case.fault != "body of 1 byte a second")


def _spread(group: list[Case], wanted: int) -> list[Case]:
    # A stride that shares no factor with the number of places visits them all.
    if wanted >= len(group):
        return group
    return [group[number * len(group) // wanted] for number in range(wanted)]
