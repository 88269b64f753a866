"""One run of ``hesi-erp run`` in a process of its own, measured step by step; the last line printed is a JSON document.

Imports are measured apart wherever they happen: most of them inside the run, when something is first needed. After each step
some of the run's pages are parsed with ``json.loads``: machines differ and even one is not as fast at every moment, so what a step
costs says most as a multiple of that.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import _bootstrap  # type: ignore[attr-defined]
from itertools import islice
from pathlib import Path
from typing import Any

_PEER_PAGES = 60


def main() -> None:
    """The run, measured without imports and without the peer."""
    clock = _Clock()
    import etl.pipeline.drive as product
    from etl.config.settings import load_settings

    settings = load_settings()
    steps: list[dict[str, Any]] = []

    def measured(name: str, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def timed(run: Any) -> Any:
            began = clock.now()
            try:
                return step(run)
            finally:
                steps.append(_row(name, began, clock.now()))
                with clock.apart():
                    steps[-1]["peer_us"] = _peer_us(run.home / "raw" / run.run_id)

        return timed

    began = clock.now()
    run = product.begin(settings, kind="nightly", started_by="benchmark")
    outcome = product.drive(run, {name: measured(name, step) for name, step in product.STEPS.items()}, progress=lambda step: None)
    total = _row("total", began, clock.now())
    rest = {"step": "rest, report", **{what: total[what] - sum(step[what] for step in steps) for what in ("cpu", "wall")}, "rss_mb": total["rss_mb"]}
    steps.append(rest | {"peer_us": _peer_us(settings.home / "raw" / outcome.run_id)})
    document = {
        "steps": steps,
        "client_cpu": round(total["cpu"], 2),
        "client_peers": sum(step["cpu"] * 1e6 / step["peer_us"] for step in steps),  # in parsed claims
        "wall": round(total["wall"], 1),
        "import_cpu": round(clock.imports, 2),
        "rss_mb": total["rss_mb"],
        "verdict": outcome.verdict,
        "posted": outcome.counts.get("posted", 0),
    }
    print(json.dumps(document, ensure_ascii=False))


class _Clock:
    """CPU and wall seconds of this process without those of imports and of what else is done apart."""

    def __init__(self) -> None:
        self.imports = 0.0
        self._cpu = self._wall = 0.0  # spent apart
        self._inside = False
        # What is imported already never comes here: such statements stand in functions of libraries that a run calls ten thousands of times.
        self._load, _bootstrap._find_and_load = _bootstrap._find_and_load, self._timed

    def now(self) -> tuple[float, float]:
        """CPU and wall seconds so far; imports cost no CPU here, but they do take their time."""
        return time.process_time() - self._cpu, time.perf_counter() - self._wall

    @contextmanager
    def apart(self) -> Iterator[None]:
        """A block that does not count."""
        cpu, wall = self.now()
        try:
            yield
        finally:
            after_cpu, after_wall = self.now()
            self._cpu, self._wall = self._cpu + after_cpu - cpu, self._wall + after_wall - wall

    def _timed(self, name: str, import_: Callable[..., Any]) -> Any:
        if self._inside:
            return self._load(name, import_)
        self._inside, before = True, time.process_time()
        try:
            return self._load(name, import_)
        finally:
            spent = time.process_time() - before
            self._inside, self.imports, self._cpu = False, self.imports + spent, self._cpu + spent


def _row(name: str, began: tuple[float, float], ended: tuple[float, float]) -> dict[str, Any]:
    return {"step": name, "cpu": ended[0] - began[0], "wall": ended[1] - began[1], "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def _peer_us(folder: Path) -> float:
    """Microseconds of CPU the standard library needs to parse one of the run's claims, right now."""
    pages = [page.read_bytes() for page in islice(sorted(folder.glob("*-active-*.json")), _PEER_PAGES)]
    before = time.process_time()
    claims = sum(len(json.loads(page)["items"]) for page in pages)
    return (time.process_time() - before) / claims * 1e6


if __name__ == "__main__":
    main()
