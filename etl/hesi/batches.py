"""Ids in batches, each id once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def distinct_batches(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    """Lists of at most ``size`` ids in first-seen order, without repeats and empty ids.

    >>> list(distinct_batches(["a", "b", "a", "c"], 2))
    [['a', 'b'], ['c']]
    """
    batch: list[str] = []
    for id_ in dict.fromkeys(ids):
        if id_:
            batch.append(id_)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
