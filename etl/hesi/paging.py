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
    _before: tuple[int, int, list[tuple[str, object]]] | None = field(default=None, repr=False)

    def note(self, second: int, start: int, peek: Peek) -> None:
        self.requests += 1
        if self.requests > self.max_requests:
            raise PagingStuck(
                f"{self.what}: expected the list to end within {self.max_requests} pages, found no end; "
                "narrow the time window, then ask Hesi"
            )
        if self._before is not None and peek.keys:
            second_before, start_before, keys_before = self._before
            if second == second_before and start > start_before and peek.keys == keys_before:
                raise PagingStuck(
                    f"{self.what}: expected another page from start={start}, found the page of "
                    f"start={start_before} again; nothing after it can be read, ask Hesi"
                )
        self._before = (second, start, peek.keys)


def offset_pages(
    fetch: Callable[[int], tuple[Reply, Peek]], what: str, *, max_requests: int = MAX_REQUESTS
) -> Iterator[Page]:
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

    def covers(self, mark: str, time: int | None) -> bool:
        if mark not in self.newest:
            return False
        known = self.newest[mark]
        return time is None or (known is not None and known >= time)

    def add(self, mark: str, time: int | None) -> None:
        self.newest[mark] = time


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
    accepted; rows without update time always are, once. A second that fills a page is read by offset, and
    again until a pass over it finds nothing new, since rows with equal times may come in any order.

    Raises:
        PayloadChanged: rows do not come in ascending order.
        PagingStuck: the list keeps answering the same page, or does not end.
    """
    reader, seen = _Reader(what, max_requests), _Seen()
    second, start, back = since_second, 0, OVERLAP
    crowded, found_in_pass = False, 0
    while True:
        reply, peek = fetch(second, start)
        reader.note(second, start, peek)
        marks = [mark for mark, _ in peek.keys]
        fresh = [i for i, mark in enumerate(marks) if not seen.covers(mark, peek.times[i])]
        if start > 0 and (not marks or fresh[:1] == [0]):
            start, back = max(0, start - back), back * 2
            continue
        back = OVERLAP
        known_times = [time for i in fresh if (time := peek.times[i]) is not None]
        _require_ascending(known_times, what)
        accepted = _deliver(peek, marks, fresh, seen=seen, cutoff_ms=cutoff_ms)
        if accepted:
            yield Page(reply, peek, accepted, reader.requests)
        found_in_pass += sum(1 for i in accepted if (peek.times[i] or 0) // 1000 <= second)
        latest = max((time for time in peek.times if time is not None), default=None)
        past_cutoff = latest is not None and latest > cutoff_ms
        moved_on = latest is not None and latest // 1000 > second
        if len(peek) >= PAGE and not moved_on and not past_cutoff:
            crowded = True
            start += len(peek) - OVERLAP
        elif crowded and found_in_pass:
            start, found_in_pass = 0, 0
        elif past_cutoff or not (moved_on or accepted):
            return
        else:
            second = max(second, latest // 1000) if latest is not None else second
            start, crowded, found_in_pass = 0, False, 0


def _deliver(peek: Peek, marks: list[str], fresh: list[int], *, seen: _Seen, cutoff_ms: int) -> list[int]:
    accepted = []
    for index in fresh:
        time = peek.times[index]
        if time is not None and time > cutoff_ms:
            continue
        if not seen.covers(marks[index], time):  # the same row may stand twice on one page
            seen.add(marks[index], time)
            accepted.append(index)
    return accepted


def _require_ascending(times: list[int], what: str) -> None:
    seconds = [time // 1000 for time in times]
    for earlier, later in pairwise(seconds):
        if later < earlier:
            raise PayloadChanged(
                f"{what}: expected rows in ascending order of updateTime, found {later} after {earlier} "
                "(epoch seconds); rows could be lost, so nothing more is read; ask Hesi about orderByType"
            )
