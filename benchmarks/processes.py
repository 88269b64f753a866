"""CPU seconds of other processes, from /proc (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> float:
    """User and system seconds of a process and its ended children; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / _TICKS


def cpu_of_tree(pids: Iterable[int]) -> float:
    """Seconds of several processes."""
    return sum(cpu_of(pid) for pid in pids)


def postgres_pids(data: Path) -> list[int]:
    """The postmaster of a data folder and its children."""
    try:
        postmaster = int((data / "postmaster.pid").read_text().splitlines()[0])
    except OSError:
        return []
    found = [postmaster]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == postmaster:
                found.append(int(entry.name))
    return found
