"""A log in a temporary home, with a clock of its own and a key pair."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from etl.audit.anchor import AnchorFolder
from etl.audit.keys import Signer
from etl.audit.log import AuditLog

SIGNER = Signer(bytes(range(32)))


def ticking() -> Callable[[], datetime]:
    """A clock that moves one second each time it is read."""
    seconds = count()
    return lambda: datetime(2026, 10, 1, tzinfo=UTC) + timedelta(seconds=next(seconds))


@pytest.fixture
def anchors(tmp_path: Path) -> AnchorFolder:
    return AnchorFolder(tmp_path / "anchors")


@pytest.fixture
def log(tmp_path: Path, anchors: AnchorFolder) -> AuditLog:
    return AuditLog(tmp_path / "home", signer=SIGNER, anchors=anchors, wait_seconds=0, now=ticking())


@pytest.fixture
def filled(log: AuditLog) -> AuditLog:
    """A log of three appends: seq 1 opened, 2 a, 3 head, 4 b, 5 c, 6 head, 7 d, 8 head."""
    log.append("run-1", [{"kind": "a", "claim": "C1"}])
    log.append("run-1", [{"kind": "b", "claim": "C2"}, {"kind": "c", "claim": "C3"}])
    log.append("run-2", [{"kind": "d", "claim": "C4"}])
    return log
