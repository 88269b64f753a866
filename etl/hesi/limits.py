"""Time a call may take and calls a second may see."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from etl.errors import SourceUnavailable

Clock = Callable[[], float]
Sleep = Callable[[float], None]


class Deadline:
    """The instant a call must be over, on a monotonic clock; seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self.seconds = seconds
        self.at = clock() + seconds

    def remaining(self) -> float:
        """Seconds left; negative when over."""
        return self.at - self._clock()

    def extend(self, seconds: float) -> None:
        """Later by a wait that is not the call's fault: our own rate budget, or a pause Hesi asked for."""
        self.at += seconds

    def check(self, what: str) -> None:
        """Nothing while there is time.

        Raises:
            SourceUnavailable: the time is over.
        """
        if self.remaining() <= 0:
            raise SourceUnavailable(f"{what}: expected an answer within {self.seconds:g} s, found it unfinished; run again when Hesi answers faster")


class TokenBucket:
    """At most ``per_second`` passes a second, evenly spaced after ``burst`` at once; 0 means no limit."""

    def __init__(self, per_second: float, *, clock: Clock, sleep: Sleep, burst: int = 1) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._tokens: float = burst
        self._filled_at = clock()

    def take(self) -> float:
        """Seconds waited for the right to make one call."""
        if self._per_second <= 0:
            return 0
        with self._lock:
            now = self._clock()
            refill = (now - self._filled_at) * self._per_second
            self._tokens = min(self._burst, self._tokens + refill) - 1
            self._filled_at = now
            # Debt is allowed: every caller reserves its place in line before it sleeps outside the lock.
            wait = max(0, -self._tokens / self._per_second)
        if wait > 0:
            self._sleep(wait)
        return wait


class RateBudget:
    """One bucket per endpoint name."""

    def __init__(self, per_second: float, *, clock: Clock, sleep: Sleep) -> None:
        self._per_second = per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, endpoint: str) -> float:
        """Seconds waited before ``endpoint`` may be called once more."""
        with self._lock:
            bucket = self._buckets.get(endpoint)
            if bucket is None:
                bucket = TokenBucket(self._per_second, clock=self._clock, sleep=self._sleep)
                self._buckets[endpoint] = bucket
        return bucket.take()


def retry_after_seconds(header: str | None, *, wall: Clock) -> float | None:
    """Seconds a ``Retry-After`` header asks for (a number or an HTTP date), None when absent or unreadable.

    >>> retry_after_seconds("7", wall=lambda: 0.0)
    7
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        instant = parsedate_to_datetime(text)
    except ValueError:
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return max(0, (instant - datetime.fromtimestamp(wall(), tz=UTC)).total_seconds())
