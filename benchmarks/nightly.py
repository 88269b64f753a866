"""One run of ``hesi-erp run`` in a process of its own, measured step by step; the last line printed is a JSON document.

Imports are measured apart wherever they happen: most of them inside the run, when something is first needed.
"""

from __future__ import annotations

import builtins
import json
import resource
import time
from collections.abc import Callable
from typing import Any


def main() -> None:
    """The run, with the imports taken out of every figure."""
    imports = _Imports()
    import etl.pipeline.drive as product
    from etl.config.settings import load_settings

    settings = load_settings()
    steps: list[dict[str, Any]] = []
    measured = {name: _measuring(name, step, steps, imports) for name, step in product.STEPS.items()}
    wall, cpu = time.perf_counter(), imports.cpu_without()
    run = product.begin(settings, kind="nightly", started_by="benchmark")
    outcome = product.drive(run, measured, progress=lambda step: None)
    client, seconds = imports.cpu_without() - cpu, time.perf_counter() - wall
    steps.append(
        {"step": "rest, report", "cpu": client - sum(step["cpu"] for step in steps), "wall": seconds - sum(step["wall"] for step in steps), "rss_mb": _rss()}
    )
    rss = _rss()
    document = {
        "steps": steps,
        "client_cpu": round(client, 2),
        "wall": round(seconds, 1),
        "import_cpu": round(imports.cpu, 2),
        "rss_mb": rss,
        "verdict": outcome.verdict,
        "posted": outcome.counts.get("posted", 0),
        "json_loads_cpu": _json_loads_cpu(settings.home / "raw" / outcome.run_id),
    }
    print(json.dumps(document, ensure_ascii=False))


class _Imports:
    """CPU seconds spent in import statements of this process, the modules they load in turn included."""

    def __init__(self) -> None:
        self.cpu = 0.0
        self._inside = False
        self._import = builtins.__import__
        builtins.__import__ = self._timed

    def cpu_without(self) -> float:
        """CPU seconds of the process so far, without those of imports."""
        return time.process_time() - self.cpu

    def _timed(self, *arguments: Any, **options: Any) -> Any:
        if self._inside:
            return self._import(*arguments, **options)
        self._inside, before = True, time.process_time()
        try:
            return self._import(*arguments, **options)
        finally:
            self._inside, self.cpu = False, self.cpu + time.process_time() - before


def _measuring(name: str, step: Callable[[Any], Any], steps: list[dict[str, Any]], imports: _Imports) -> Callable[[Any], Any]:
    def timed(run: Any) -> Any:
        wall, cpu = time.perf_counter(), imports.cpu_without()
        try:
            return step(run)
        finally:
            steps.append({"step": name, "cpu": imports.cpu_without() - cpu, "wall": time.perf_counter() - wall, "rss_mb": _rss()})

    return timed


def _rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _json_loads_cpu(folder: Any) -> float:
    """CPU seconds of parsing the run's claim pages with the standard library."""
    before = time.process_time()
    for page in sorted(folder.glob("*-active-*.json")):
        json.loads(page.read_bytes())
    return round(time.process_time() - before, 2)


if __name__ == "__main__":
    main()
