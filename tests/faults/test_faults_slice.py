"""Runs broken on purpose: the slice of the fault rig, and proof that its oracle can find something wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from faults.cases import catalogue
from faults.selection import selection

PROJECT = Path(__file__).resolve().parents[2]


def test_every_case_has_a_name_of_its_own_and_there_are_two_thousand() -> None:
    names = [case.id for case in catalogue()]
    assert len(names) == len(set(names)) >= 2000


def test_the_slice_has_150_cases_and_some_of_every_fault() -> None:
    chosen = selection(catalogue())
    assert len(chosen) >= 150
    assert {case.fault for case in chosen} == {case.fault for case in catalogue() if not case.large}
    assert sum("two runs at once" in case.fault for case in chosen) >= 20


@pytest.mark.slow
def test_the_slice_survives() -> None:
    told = subprocess.run([sys.executable, "-m", "faults", "--slice"], cwd=PROJECT, capture_output=True, text=True, timeout=1500, check=False)
    assert told.returncode == 0, told.stdout[-6000:] + told.stderr[-2000:]
    assert re.search(r"\b0 failed\b", told.stdout)
