"""Expectation files are strict: every mistake at once with file and place, and nothing required may go missing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etl.config.suites import REQUIRED, load_suites
from etl.errors import ConfigError, ValidatorFailed

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT / "expectations", tmp_path / "expectations"))


def edit(folder: Path, suite: str, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / f"{suite}.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def test_the_suites_of_the_release_hold_every_required_rule_with_both_languages(folder: Path) -> None:
    suites = load_suites(folder)
    assert {suite: {r.rule for r in rules if r.severity == "critical"} for suite, rules in suites.rules.items()} == {
        suite: set(rules) for suite, rules in REQUIRED.items()
    }
    assert all(rule.says_en and rule.says_zh for rules in suites.rules.values() for rule in rules)
    assert sorted(suites.files) == ["batch_totals.json", "staged_claims.json", "voucher_lines.json"]


def test_the_version_of_the_rules_changes_with_any_byte_of_a_file(folder: Path) -> None:
    before = load_suites(folder).sha256
    edit(folder, "voucher_lines", lambda d: d["expectations"][0]["meta"].update(says_en="Reworded."))
    assert load_suites(folder).sha256 != before
    assert len(before) == 64


@pytest.mark.parametrize("suite", REQUIRED)
def test_a_deleted_suite_file_stops_the_run(folder: Path, suite: str) -> None:
    (folder / f"{suite}.json").unlink()
    with pytest.raises(ValidatorFailed, match=f"suite {suite} is missing"):
        load_suites(folder)


def test_an_empty_folder_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(ValidatorFailed, match=r"staged_claims is missing.*voucher_lines is missing.*batch_totals"):
        load_suites(tmp_path)


def test_a_deleted_rule_stops_the_run(folder: Path) -> None:
    edit(folder, "staged_claims", lambda d: d["expectations"].pop(3))
    with pytest.raises(ValidatorFailed, match="rule voucher_balances is missing"):
        load_suites(folder)


def test_a_required_rule_that_only_warns_stops_the_run(folder: Path) -> None:
    edit(folder, "staged_claims", lambda d: d["expectations"][3].update(severity="warning"))
    with pytest.raises(ValidatorFailed, match="voucher_balances: expected severity critical, found warning"):
        load_suites(folder)


def test_a_required_rule_that_checks_something_else_stops_the_run(folder: Path) -> None:
    edit(folder, "staged_claims", lambda d: d["expectations"][3]["kwargs"].update(column_B="debit_minor"))
    with pytest.raises(ValidatorFailed, match="voucher_balances: expected expect_column_pair_values_to_be_equal"):
        load_suites(folder)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d["expectations"][0].update(severity="info"), "voucher_lines.json: expectations[0].severity: "),
        (lambda d: d["expectations"][1].pop("meta"), "voucher_lines.json: expectations[1].meta: Field required"),
        (lambda d: d["expectations"][0].update(notes=[]), "expectations[0].notes: Extra inputs are not permitted"),
        (lambda d: d["expectations"][0]["meta"].update(owner="boss"), "expectations[0].meta.owner: "),
        (lambda d: d["expectations"][0]["meta"].update(rule="Not a name"), "expectations[0].meta.rule: "),
        (lambda d: d["expectations"][0]["meta"].update(says_zh=""), "expectations[0].meta.says_zh: "),
        (
            lambda d: d["expectations"][2]["meta"].update(reject_code="NO_SUCH"),
            "expectations[2] (dimensions_are_complete).meta.reject_code: expected a code of docs/runbook.md, found NO_SUCH",
        ),
        (
            lambda d: d["expectations"][0].update(type="expect_table_row_count_to_equal"),
            "found expect_table_row_count_to_equal",
        ),
        (
            lambda d: d["expectations"][0]["kwargs"].update(mostly=0.9),
            "expectations[0] (one_side_only).kwargs.mostly: expected a rule over every row",
        ),
        (
            lambda d: d["expectations"][0]["kwargs"].update(value_set={"$PARAMETER": "x"}),
            "kwargs.value_set: expected a parameter of latest_day",
        ),
        (
            lambda d: d["expectations"].append(d["expectations"][0]),
            "expectations[6] (one_side_only).meta.rule: expected each rule once",
        ),
        (
            lambda d: d.update(name="something_else"),
            "voucher_lines.json: name: expected voucher_lines, found something_else",
        ),
    ],
)
def test_a_mistake_is_named_with_file_and_place(folder: Path, change: Callable[[dict[str, Any]], object], problem: str) -> None:
    edit(folder, "voucher_lines", change)
    with pytest.raises(ConfigError) as raised:
        load_suites(folder)
    assert problem in "\n".join(raised.value.problems)


def test_every_mistake_of_every_file_is_reported_at_once(folder: Path) -> None:
    edit(folder, "voucher_lines", lambda d: d["expectations"][0].update(severity="info"))
    edit(folder, "staged_claims", lambda d: d["expectations"][0]["meta"].update(reject_code="NO_SUCH"))
    (folder / "batch_totals.json").write_text("{\n  oops", encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_suites(folder)
    assert [problem.split(":")[0] for problem in raised.value.problems] == [
        "batch_totals.json",
        "staged_claims.json",
        "voucher_lines.json",
    ]
    assert raised.value.problems[0].startswith("batch_totals.json:2: expected JSON")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"name": "a", "name": "b"}', "batch_totals.json: expected each key once, found name repeated"),
        (b"\xff\xfe{}", "batch_totals.json: byte 0: expected UTF-8"),
        (b"[]", "batch_totals.json: file: "),
        (b"[" * 100_000, "batch_totals.json: expected JSON nested"),
    ],
)
def test_a_file_that_is_no_suite_is_named(folder: Path, content: bytes, problem: str) -> None:
    (folder / "batch_totals.json").write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        load_suites(folder)
    assert problem in raised.value.problems[0]


def test_reading_the_suites_and_building_the_frames_does_not_import_great_expectations() -> None:
    script = (
        "import sys; from pathlib import Path; from etl.config.suites import load_suites; import etl.steps.validate\n"
        "import etl.steps.check_budget, etl.steps.validation_frames, etl.steps.posting_rules\n"
        "load_suites(Path('expectations')); print(sorted({m.split('.')[0] for m in sys.modules} & {'great_expectations', 'airflow'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
