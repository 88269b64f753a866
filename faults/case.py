"""What a case is, and how one is carried out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from faults.world import World

Play: TypeAlias = Callable[[World], str]


class NotFired(AssertionError):
    """The fault did not happen: the case proves nothing."""


def nothing(world: World) -> None:
    """A scenario without anything special."""


@dataclass(frozen=True)
class Case:
    """One fault at one place on one tenant.

    Attributes:
        family: process, database, source or domain.
        fault: what goes wrong, in words; cases of the same fault are one line of the reliability page.
        place: where.
        seed: of the tenant.
        play: breaks things, proves that they broke, and tells what was observed; the world must be whole again when it returns.
        database: sqlite or postgresql.
        scenario: changes the tenant before anything runs, in the fault-free run too; named by ``setting``.
        compare: whether the end state must equal that of the fault-free run; else ``play`` says what is expected.
        large: only in the full run.
        validator: the validator itself is what goes wrong; suites are evaluated even over frames that were validated before.
    """

    family: str
    fault: str
    place: str
    seed: int
    play: Play
    database: str = "sqlite"
    setting: str = "plain"
    scenario: Callable[[World], None] = nothing
    compare: bool = True
    large: bool = False
    validator: bool = False
    claims: int = 200

    @property
    def id(self) -> str:
        """Name for the command line: ``process/kill at a step/before load/1`` with dashes for blanks."""
        return f"{self.family}/{self.fault}/{self.place}/{self.seed}".replace(" ", "-")

    @property
    def reference(self) -> str:
        """Cases of the same reference have the same fault-free end state."""
        return f"{self.setting}-{self.claims}-{self.seed}".replace(" ", "-")


def fired(happened: object, what: str) -> None:
    """Nothing when the fault has happened.

    Raises:
        NotFired: it has not.
    """
    if not happened:
        raise NotFired(f"{what} did not happen")
