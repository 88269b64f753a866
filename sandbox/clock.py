"""The driven clock: time stands still until somebody moves it."""

from datetime import datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")
DEFAULT_NOW_MS = int(datetime(2026, 10, 15, 2, 0, tzinfo=BEIJING).timestamp() * 1000)


class Clock:
    """Milliseconds since the epoch that move only by `set`, `advance` and, a millisecond each, by `tick`."""

    def __init__(self, now_ms: int) -> None:
        self._now = now_ms
        self._last_tick = now_ms

    def now(self) -> int:
        """The present instant."""
        return self._now

    def set(self, now_ms: int) -> None:
        """Move to an instant, backwards too; ticks stay strictly increasing all the same."""
        self._now = now_ms

    def advance(self, milliseconds: int) -> int:
        """The new present after moving by so many milliseconds."""
        self._now += milliseconds
        return self._now

    def tick(self) -> int:
        """An instant for a change: now, or one millisecond after the previous change when that is later."""
        self._last_tick = max(self._now, self._last_tick + 1)
        return self._last_tick

    def seen(self, instant_ms: int) -> None:
        """Remember a change made in an earlier life of the sandbox."""
        self._last_tick = max(self._last_tick, instant_ms)


def beijing_text(instant_ms: int) -> str:
    """The instant as Hesi writes it in master data: `yyyy-MM-dd HH:mm:ss` in Beijing time."""
    return datetime.fromtimestamp(instant_ms // 1000, BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def instant_of(text: str) -> int:
    """The instant behind a `yyyy-MM-dd HH:mm:ss` text in Beijing time; ValueError when it is not one."""
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING).timestamp()) * 1000
