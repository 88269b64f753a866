"""``check-config`` tells every mistake of every kind of file at once, and nothing when a run may start."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from etl.config.check import check_config
from etl.config.settings import PROJECT, Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that point to a copy of the demo's configuration."""
    for name in ("mappings", "expectations"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    return load_settings(
        HESI_ERP_MAPPINGS=tmp_path / "mappings",
        HESI_ERP_EXPECTATIONS=tmp_path / "expectations",
        HESI_ERP_HOME=tmp_path / "home",
        HESI_APP_KEY="key",
        HESI_APP_SECURITY="canary-secret",
        ERP_URL="sqlite:///erp.db",
    )


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_demo_configuration_has_no_mistakes(settings: Settings) -> None:
    assert check_config(settings, needs=("app_key", "app_security", "erp_url")) == []


def test_mistakes_of_mappings_layouts_and_suites_come_together(settings: Settings) -> None:
    replace(settings.mappings / "companies/C01.yaml", "base_currency: CNY", "base_currency: Yuan")
    replace(settings.mappings / "layouts/voucher_lines.yaml", "name:", "nmae:")
    replace(settings.expectations / "voucher_lines.json", '"severity"', '"severety"')
    files = {problem.split(":")[0] for problem in check_config(settings)}
    assert files == {"companies/C01.yaml", "layouts/voucher_lines.yaml", "voucher_lines.json"}


def test_a_missing_suite_is_named(settings: Settings) -> None:
    (settings.expectations / "batch_totals.json").unlink()
    (problem,) = check_config(settings)
    assert "suite batch_totals is missing" in problem


def test_a_reject_code_nobody_explains_is_refused(settings: Settings) -> None:
    replace(settings.expectations / "voucher_lines.json", '"reject_code": "', '"reject_code": "NO_')
    (problem,) = check_config(settings)
    assert "expected a code of docs/runbook.md" in problem


def test_missing_folders_are_named_by_their_settings(settings: Settings, tmp_path: Path) -> None:
    shutil.rmtree(settings.mappings)
    shutil.rmtree(settings.expectations)
    problems = check_config(settings)
    assert any(problem.startswith("HESI_ERP_MAPPINGS: expected a folder") for problem in problems)
    assert "HESI_ERP_EXPECTATIONS: expected a folder of suites, found none" in problems


def test_settings_a_run_needs_are_asked_for_only_when_named(settings: Settings) -> None:
    empty = load_settings(HESI_ERP_MAPPINGS=settings.mappings, HESI_ERP_EXPECTATIONS=settings.expectations, ERP_URL="")
    assert check_config(empty) == []
    assert check_config(empty, needs=("erp_url",)) == ["ERP_URL is not set"]


def test_a_home_that_is_a_file_is_refused(settings: Settings) -> None:
    settings.home.write_text("", encoding="utf-8")
    assert check_config(settings) == ["HESI_ERP_HOME: expected a folder, found a file"]


def test_no_message_repeats_a_secret(settings: Settings) -> None:
    (settings.expectations / "batch_totals.json").unlink()
    assert "canary-secret" not in "\n".join(check_config(settings))
