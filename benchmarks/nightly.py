"""One run of ``hesi-erp run`` in a process of its own, measured step by step; the last line printed is a JSON document."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from typing import Any


def main() -> None:
    """Imports first, then the run."""
    before = time.process_time()
    import great_expectations  # noqa: F401 - counted as an import

    import etl.pipeline.drive as product
    from etl.config.settings import load_settings

    imported = time.process_time()
    settings = load_settings()
    steps: list[dict[str, Any]] = []
    measured = {name: _measuring(name, step, steps) for name, step in product.STEPS.items()}
    wall, cpu = time.perf_counter(), time.process_time()
    run = product.begin(settings, kind="nightly", started_by="benchmark")
    outcome = product.drive(run, measured, progress=lambda step: None)
    client, seconds = time.process_time() - cpu, time.perf_counter() - wall
    steps.append(
        {"step": "rest, report", "cpu": client - sum(step["cpu"] for step in steps), "wall": seconds - sum(step["wall"] for step in steps), "rss_mb": _rss()}
    )
    rss = _rss()
    document = {
        "steps": steps,
        "client_cpu": round(client, 2),
        "wall": round(seconds, 1),
        "import_cpu": round(imported - before, 2),
        "rss_mb": rss,
        "verdict": outcome.verdict,
        "posted": outcome.counts.get("posted", 0),
        "json_loads_cpu": _json_loads_cpu(settings.home / "raw" / outcome.run_id),
    }
    print(json.dumps(document, ensure_ascii=False))


def _measuring(name: str, step: Callable[[Any], Any], steps: list[dict[str, Any]]) -> Callable[[Any], Any]:
    def timed(run: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            return step(run)
        finally:
            steps.append({"step": name, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "rss_mb": _rss()})

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
