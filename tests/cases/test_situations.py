"""What becomes of a claim in each situation: one folder each, its name a sentence, its figures worked out by hand."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from etl.rejects import CATALOGUE
from tests.cases.situation import read_case, run_case
from tests.cases.written import findings_csv, lines_csv, rejects_csv, vouchers_csv

FOLDER = Path(__file__).parent / "situations"
CASES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
# Codes that check_budget, validate and the load raise, not these two steps.
ELSEWHERE = {"SUITE_FAILED", "TARGET_UNFIT", "BUDGET_EXCEEDED", "BUDGET_NOT_COMPUTED"}


@pytest.mark.parametrize("name", CASES)
def test_a_situation_ends_as_its_folder_says(name: str, golden: Callable[[Path, str], None]) -> None:
    folder = FOLDER / name
    mapped = run_case(read_case(folder))
    for file, text in (("vouchers", vouchers_csv(mapped)), ("lines", lines_csv(mapped)), ("rejects", rejects_csv(mapped)), ("findings", findings_csv(mapped))):
        golden(folder / f"{file}.csv", text)


def test_every_reject_code_of_these_steps_has_a_situation() -> None:
    seen = Counter(
        row["rule"] for name in CASES for row in csv.DictReader((FOLDER / name / "rejects.csv").read_text(encoding="utf-8").splitlines()) if row["rule"]
    )
    assert set(CATALOGUE) - set(seen) == ELSEWHERE


def test_every_situation_says_why_and_holds_only_its_five_files() -> None:
    assert len(CASES) >= 45
    for name in CASES:
        assert len(read_case(FOLDER / name)["why"]) > 20, name
        assert sorted(path.name for path in (FOLDER / name).iterdir()) == ["case.yaml", "findings.csv", "lines.csv", "rejects.csv", "vouchers.csv"], name
