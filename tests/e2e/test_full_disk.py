"""A run that finds no room on its disk stops by name, and with room again the next run ends well."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from etl.config.settings import PROJECT
from tests.e2e.cli_world import world


@pytest.mark.parametrize("size", [0, 30_000, 400_000])
def test_a_full_disk_stops_the_run_by_its_name_and_the_next_run_ends_well(tmp_path: Path, size: int) -> None:
    """No file can grow beyond a size: what a full disk does to every write. The sandbox stays in this process, which has room."""
    limit = (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    with world(tmp_path, claims=60) as tenant:
        command, settings = [sys.executable, "-m", "etl", "run"], {**os.environ, **tenant.settings()}
        stopped = subprocess.run(
            command, cwd=PROJECT, env=settings, capture_output=True, text=True, timeout=120, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        )  # fmt: skip
        assert stopped.returncode == 1, stopped.stderr
        assert "STORAGE_UNAVAILABLE" in stopped.stderr + stopped.stdout
        assert "UNEXPECTED" not in stopped.stderr
        again = tenant.command("run")
        assert again.status == 0, again.err
