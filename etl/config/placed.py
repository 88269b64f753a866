"""A model together with the file it came from, so that a cross-check can still point at a line."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from pydantic import BaseModel

from etl.config.mapping import Dated
from etl.config.yaml_file import Document, Place

Model_co = TypeVar("Model_co", bound=BaseModel, covariant=True)


@dataclass(frozen=True)
class Placed(Generic[Model_co]):
    """A model and its document."""

    model: Model_co
    document: Document

    def problem(self, place: Place, text: str) -> str:
        """``file:line: key path: text``."""
        return self.document.problem(place, text)


def days(entry: Dated | None) -> tuple[date, date]:
    """First and last day an entry is in force; the ends of time where it does not say."""
    if entry is None:
        return date.min, date.max
    return entry.from_ or date.min, entry.to or date.max


@dataclass(frozen=True)
class Claimed:
    """Something an entry claims for itself, such as a Hesi code, and where it does so."""

    what: str
    key: Hashable
    entry: Dated | None
    owner: Placed[BaseModel]
    place: Place


def claimed_twice(claims: Iterable[Claimed]) -> Iterator[str]:
    """A problem for each claim whose days overlap an earlier claim of the same key."""
    earlier: dict[Hashable, list[Claimed]] = {}
    for claim in claims:
        start, end = days(claim.entry)
        for other in earlier.setdefault(claim.key, []):
            other_start, other_end = days(other.entry)
            if start <= other_end and other_start <= end:
                dated = claim.entry is not None and other.entry is not None
                yield claim.owner.problem(
                    claim.place,
                    f"expected {claim.what} once{' on any day' if dated else ''}, "
                    f"found it also at {other.owner.document.where(other.place)}{'; give both from and to' if dated else ''}",
                )
                break
        earlier[claim.key].append(claim)
