"""Reading a list that changes while it is read, without losing a row.

Two facts carry the proof. In ascending order of update time an edit only ever moves a row *forward*, ahead
of the reader, so restarting at the last second seen (keyset) can repeat rows but not skip them. Inside one
stretch read by offset, rows only leave from the middle, so the rows already seen are always the first ones:
if a page begins with a row already seen, nothing lies between it and the page before. Pages therefore
overlap a little, and one that begins with an unknown row is dropped and read again from further back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from etl.errors import PagingStuck, PayloadChanged
from etl.hesi.endpoints import PAGE
from etl.hesi.exchange import Reply
from etl.hesi.peek import Peek

OVERLAP = 10
_FORGIVEN_REPEATS = 2  # a page served twice by mistake is no endless list
MAX_REQUESTS = 200_000  # twenty million rows; no list is that long


@dataclass(frozen=True, slots=True)
class Page:
    """One page: the reply, its peek, and ``accepted`` = positions of rows not delivered by an earlier page."""

    reply: Reply
    peek: Peek
    accepted: list[int]
    number: int


@dataclass
class _Reader:
    """Counts requests and notices a list that stands still."""

    what: str
    max_requests: int
    requests: int = 0
    repeats: int = 0
    _before: tuple[int, int, list[tuple[str, object]]] | None = field(default=None, repr=False)

    def note(self, second: int, start: int, peek: Peek) -> None:
        self.requests += 1
        if self.requests > self.max_requests:
            raise PagingStuck(f"{self.what}: expected the list to end within {self.max_requests} pages, found no end; narrow the time window, then ask Hesi")
        if self._before is not None and peek.keys:
            second_before, start_before, keys_before = self._before
            stands_still = second == second_before and start > start_before and peek.keys == keys_before
            self.repeats = self.repeats + 1 if stands_still else 0
            if self.repeats > _FORGIVEN_REPEATS:
                raise PagingStuck(
                    f"{self.what}: expected another page from start={start}, found the page of "
                    f"start={start_before} again; nothing after it can be read, ask Hesi"
                )
        self._before = (second, start, peek.keys)


def offset_pages(fetch: Callable[[int], tuple[Reply, Peek]], what: str, *, max_requests: int = MAX_REQUESTS) -> Iterator[Page]:
    """Every row of a list in the order Hesi gives; ``fetch(start)`` reads up to 100 rows.

    The total Hesi states is ignored: it was 0 on later pages of older releases and is wrong in its own
    example. A row changed while reading comes twice; the later one is the newer one.

    Raises:
        PagingStuck: the list keeps answering the same page, or does not end.
    """
    reader = _Reader(what, max_requests)
    seen: set[tuple[str, object]] = set()
    start, back = 0, OVERLAP
    while True:
        reply, peek = fetch(start)
        reader.note(0, start, peek)
        if start > 0 and (not peek.keys or peek.keys[0] not in seen):
            start, back = max(0, start - back), back * 2
            continue
        back = OVERLAP
        accepted = [index for index, key in enumerate(peek.keys) if key not in seen]
        seen.update(peek.keys)
        if accepted:
            yield Page(reply, peek, accepted, reader.requests)
        if len(peek) < PAGE:
            return
        start += len(peek) - OVERLAP


@dataclass
class _Seen:
    """The greatest update time delivered per row."""

    newest: dict[str, int | None] = field(default_factory=dict)

    def missing(self, peek: Peek) -> list[int]:
        """Positions of rows that are new, or newer than what was delivered."""
        return [i for i, (mark, _) in enumerate(peek.keys) if not self._covers(mark, peek.times[i])]

    def take(self, peek: Peek, positions: list[int]) -> list[int]:
        """Note rows as delivered; of a row that stands twice on the page only what is newer again."""
        taken = []
        for index in positions:
            mark, time = peek.keys[index][0], peek.times[index]
            if not self._covers(mark, time):
                self.newest[mark] = time
                taken.append(index)
        return taken

    def _covers(self, mark: str, time: int | None) -> bool:
        if mark not in self.newest:
            return False
        known = self.newest[mark]
        return time is None or (known is not None and known >= time)


def keyset_pages(
    fetch: Callable[[int, int], tuple[Reply, Peek]],
    what: str,
    *,
    since_second: int,
    cutoff_ms: int,
    max_requests: int = MAX_REQUESTS,
) -> Iterator[Page]:
    """Every row updated from ``since_second`` (epoch seconds) to ``cutoff_ms`` (epoch ms), both included.

    ``fetch(second, start)`` reads up to 100 rows updated at or after ``second``, ascending, after skipping
    ``start`` of them. Pages that bring nothing new are not yielded. Rows newer than the cut-off are never
    accepted; rows without update time always are, once. At the end the beginning is looked at again: were its
    page wrong the first time, everything after it would have been skipped.

    Raises:
        PayloadChanged: rows do not come in ascending order.
        PagingStuck: the list keeps answering the same page, or does not end.
    """
    reader, seen = _Reader(what, max_requests), _Seen()
    complete = False
    while not complete:
        yield from _one_pass(fetch, reader, seen=seen, since_second=since_second, cutoff_ms=cutoff_ms)
        _, head = fetch(since_second, 0)
        reader.note(since_second, 0, head)
        complete = not _acceptable(head, seen.missing(head), cutoff_ms)


def _one_pass(
    fetch: Callable[[int, int], tuple[Reply, Peek]],
    reader: _Reader,
    *,
    seen: _Seen,
    since_second: int,
    cutoff_ms: int,
) -> Iterator[Page]:
    """From the first second to the end or the cut-off.

    A second that fills a page is read by offset, and again until a pass over it finds nothing new, since rows
    with equal times may come in any order. An empty page after rows were seen is believed when it comes twice.
    """
    second, start, back = since_second, 0, OVERLAP
    crowded, found_in_second, doubted = False, 0, False
    while True:
        reply, peek = fetch(second, start)
        reader.note(second, start, peek)
        fresh = seen.missing(peek)
        if start > 0 and (not peek.keys or fresh[:1] == [0]):
            start, back = max(0, start - back), back * 2
            continue
        if not peek.keys and second > since_second and not doubted:
            doubted = True
            continue
        back, doubted = OVERLAP, False
        _require_ascending(peek, fresh, reader.what)
        accepted = seen.take(peek, _acceptable(peek, fresh, cutoff_ms))
        if accepted:
            yield Page(reply, peek, accepted, reader.requests)
        found_in_second += sum(1 for i in accepted if (peek.times[i] or 0) // 1000 <= second)
        latest = max((time for time in peek.times if time is not None), default=0)
        past_cutoff, moved_on = latest > cutoff_ms, latest // 1000 > second
        if len(peek) >= PAGE and not moved_on and not past_cutoff:
            crowded = True
            start += len(peek) - OVERLAP
        elif crowded and found_in_second:
            start, found_in_second = 0, 0
        elif past_cutoff or not (moved_on or accepted):
            return
        else:
            second = max(second, latest // 1000)
            start, crowded, found_in_second = 0, False, 0


def _acceptable(peek: Peek, fresh: list[int], cutoff_ms: int) -> list[int]:
    return [index for index in fresh if (peek.times[index] or 0) <= cutoff_ms]


def _require_ascending(peek: Peek, fresh: list[int], what: str) -> None:
    seconds = [time // 1000 for index in fresh if (time := peek.times[index]) is not None]
    for earlier, later in pairwise(seconds):
        if later < earlier:
            raise PayloadChanged(
                f"{what}: expected rows in ascending order of updateTime, found {later} after {earlier} "
                "(epoch seconds); rows could be lost, so nothing more is read; ask Hesi about orderByType"
            )
