"""Reference pages and schemas are what the code says today, and leave nothing unexplained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from etl.codes import ENDINGS, FINDINGS
from etl.config.generate import DATABASES, RUNBOOK, generated, main, runbook, stale
from etl.config.pages.markdown import cell, table
from etl.config.pages.runbook import ADVICE, error_codes
from etl.config.schema import MODELS
from etl.config.settings import PROJECT, Settings
from etl.errors import ConfigError
from etl.rejects import CATALOGUE


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return generated(PROJECT)


def test_every_generated_file_is_fresh() -> None:
    assert list(stale(PROJECT)) == []


def test_check_mode_agrees_that_nothing_is_stale(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_missing_files_are_stale(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / RUNBOOK).write_text((PROJECT / RUNBOOK).read_text(encoding="utf-8"), encoding="utf-8")
    assert set(stale(tmp_path)) == set(generated(PROJECT)) - {RUNBOOK}


def test_the_runbook_keeps_what_people_wrote(pages: dict[str, str]) -> None:
    written = pages[RUNBOOK].replace("# Runbook\n", "# Runbook\n\nCall the night desk first.\n")
    assert runbook(written) == written


def test_a_runbook_without_its_marks_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"docs/runbook.md: expected the marks '<!-- begin generated: errors -->'"):
        runbook("# Runbook\n")


def test_every_error_has_advice_and_all_advice_has_an_error() -> None:
    assert set(ADVICE) == set(error_codes())


def test_the_runbook_has_one_section_for_each_code(pages: dict[str, str]) -> None:
    sections = re.findall(r"^### ([A-Z_]+)$", pages[RUNBOOK], re.MULTILINE)
    assert sorted(sections) == sorted({*(kind("").code for kind in error_codes()), *CATALOGUE, *ENDINGS, *FINDINGS})


def test_each_runbook_section_tells_cause_owner_fix_and_whether_to_retry(pages: dict[str, str]) -> None:
    codes, _, decisions = pages[RUNBOOK].partition("\n## What a person may decide")
    assert decisions
    for section in codes.split("\n### ")[1:]:
        for fact in ("**Cause 原因:**", "**Owner 负责人:**", "**Fix 处理:**", "**Safe to retry 可否重试:**"):
            assert section.count(fact) == 1, section


def test_the_settings_page_lists_every_variable_and_marks_secrets(pages: dict[str, str]) -> None:
    page = pages["docs/settings.md"]
    for name, field in Settings.model_fields.items():
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{field.alias}` |"))
        assert ("*secret*" in row) == (name in Settings.SECRET_FIELDS), row


def test_every_mapping_key_has_a_meaning(pages: dict[str, str]) -> None:
    rows = [line for line in pages["docs/mapping-reference.md"].splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if row.endswith("| – |")] == []


def test_every_kind_of_mapping_file_has_a_chapter_and_a_schema(pages: dict[str, str]) -> None:
    chapters = re.findall(r"^## `(.+)`$", pages["docs/mapping-reference.md"], re.MULTILINE)
    assert chapters == [files for _, files in MODELS.values()]
    assert {f"mappings/schema/{name}.json" for name in MODELS} <= set(pages)


def test_every_column_of_every_frame_and_table_has_a_meaning(pages: dict[str, str]) -> None:
    page = pages["docs/data-dictionary.md"]
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 200
    assert [row for row in rows if row.endswith("| – |")] == []
    assert all(f"## {title}\n\n### `" in page for title in DATABASES)


def test_no_page_names_a_folder_of_this_machine(pages: dict[str, str]) -> None:
    assert not [name for name, text in pages.items() if str(PROJECT) in text or str(Path.home()) in text]


def test_a_table_cell_never_breaks_its_table() -> None:
    assert cell("a | b\nc") == "a \\| b c"
    assert table(("A", "B"), [("x", "")]) == "| A | B |\n| --- | --- |\n| x | – |"
