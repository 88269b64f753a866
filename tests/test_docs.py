"""Documentation that cannot rot: what the code has is documented, what is generated is fresh, every link leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from etl import codes, errors
from etl.cli import main
from etl.config.generate import stale
from etl.config.settings import Settings
from etl.errors import EtlError
from etl.rejects import CATALOGUE
from etl.report.words import value_words

PROJECT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.zh-CN.md")
# In-page addresses and other sites are not files.
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?://|mailto:|#)([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def pages() -> list[Path]:
    found = [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "sandbox").glob("*.md")]
    assert len(found) > 15, f"only {len(found)} pages found"
    return sorted(found)


def verbs() -> list[str]:
    """The commands of ``hesi-erp``, as its own help lists them."""
    with redirect_stdout(StringIO()) as help_text, pytest.raises(SystemExit):
        main(["--help"])
    return re.findall(r"^    ([a-z-]+)(?: |$)", help_text.getvalue(), re.MULTILINE)


def raised(base: type[EtlError] = EtlError) -> Iterator[type[EtlError]]:
    """Every error the core module defines."""
    for child in base.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
        yield from raised(child)


def anchors(text: str) -> set[str]:
    """What headings of a page are linked by, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


def broken_links(page: Path, text: str) -> list[str]:
    """Targets of a page that are no file of the project, or no heading of it."""
    problems = []
    for target in LINK.findall(text):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve()
        inside = file.is_relative_to(PROJECT) and file.exists()
        if not inside or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            problems.append(f"{page.relative_to(PROJECT)}: {target}")
    return problems


@pytest.mark.parametrize("readme", READMES)
def test_every_command_is_in_the_readme(readme: str) -> None:
    assert len(verbs()) >= 6
    assert [verb for verb in verbs() if f"`hesi-erp {verb}" not in read(readme)] == []


def test_the_chinese_readme_has_the_same_commands_and_code_as_the_english_one() -> None:
    def commands(text: str) -> list[str]:
        blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
        return [line for line in lines if line] + re.findall(r"`((?:make|hesi-erp|python -m|\. \./)[^`]*)`", text)

    english, chinese = (commands(read(readme)) for readme in READMES)
    assert len(english) > 10
    assert chinese == english


def test_the_two_commands_stand_on_the_first_screen() -> None:
    for readme in READMES:
        first_screen = "\n".join(read(readme).splitlines()[:25])
        assert "make demo" in first_screen
        assert "make test" in first_screen


def test_every_make_target_named_in_the_documentation_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = {(page.name, target) for page in pages() for target in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))}
    assert named
    assert [(page, target) for page, target in named if target not in targets] == []


def test_every_error_code_has_a_section_in_the_runbook() -> None:
    codes = {error("").code for error in raised()}
    assert len(codes) > 15
    assert [code for code in sorted(codes) if f"### {code}\n" not in read("docs/runbook.md")] == []


def test_every_reject_code_is_in_the_runbook() -> None:
    text = read("docs/runbook.md")
    assert [code for code in CATALOGUE if code not in text] == []


def printed_codes() -> set[str]:
    """Every code the program's own source can print as an end of a run or a remark: literals of this form beside what is known."""
    return {*(error("").code for error in raised()), *CATALOGUE, *codes.ENDINGS, *codes.FINDINGS}


def test_every_code_that_can_be_printed_has_an_entry_in_both_languages() -> None:
    text = read("docs/runbook.md")
    for code in printed_codes():
        _, found, rest = text.partition(f"### {code}\n")
        entry = rest.partition("\n#")[0]
        assert found, code
        assert "Safe to retry" in entry, code
        assert re.search(r"[a-z]{3,}", entry), code
        assert re.search(r"[\u4e00-\u9fff]{2,}", entry.replace("负责人", "")), code


def test_no_source_names_a_code_that_is_in_no_catalogue() -> None:
    """``("VAT_FLAG", ...)``, ``RULE = "VOUCHER_ALTERED"``, ``rule="..."``: wherever a remark or a cause is made."""
    made = re.compile(r"""(?:append\(\(|RULE = |cause_code=|"rule": |rule=|problem = \(|row\[1\], )"([A-Z]+(?:_[A-Z]+)*)\"""")
    found = {code for path in (PROJECT / "etl").rglob("*.py") for code in made.findall(path.read_text(encoding="utf-8"))}
    assert {"VAT_FLAG", "VOUCHER_ALTERED", "INVOICE_REUSED"} <= found
    assert found - printed_codes() == set()


def test_every_remark_and_reject_has_words_in_both_languages() -> None:
    for kind, known in (("finding", codes.FINDINGS), ("rule", CATALOGUE)):
        words = {code: value_words(kind, code) for code in known}
        assert [code for code, pair in words.items() if pair is None or not all(pair)] == []


def test_every_setting_is_in_the_settings_page() -> None:
    names = [field.alias for field in Settings.model_fields.values()]
    assert [name for name in names if f"| `{name}` |" not in read("docs/settings.md")] == []


def test_generated_pages_and_schemas_are_what_the_code_says() -> None:
    assert sorted(stale(PROJECT)) == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    page = PROJECT / "README.md"
    text = "[a](docs/nothing.md) [b](docs/runbook.md#no-such-heading) [c](docs/runbook.md#config_error) [d](https://example.com) [e](../outside.md)"
    assert broken_links(page, text) == ["README.md: docs/nothing.md", "README.md: docs/runbook.md#no-such-heading", "README.md: ../outside.md"]


def test_decisions_are_numbered_once_and_short() -> None:
    files = sorted((PROJECT / "docs/adr").glob("*.md"))
    assert len(files) >= 8
    numbers = [file.name[:4] for file in files]
    assert len(set(numbers)) == len(numbers)
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert re.match(rf"# 0*{int(file.name[:4])}\.? \S", text), f"{file.name} does not begin with its number"
        assert len(text.splitlines()) <= 40, f"{file.name} is too long"
        assert [part for part in ("## Context", "## Decision", "## Consequences") if part not in text] == [], file.name


def test_the_architecture_fits_on_one_page() -> None:
    assert len(read("docs/architecture.md").splitlines()) <= 60


def test_the_backup_page_names_every_key_without_which_something_is_lost() -> None:
    page = read("docs/backup-and-restore.md")
    assert [name for name in ("HESI_ERP_RAW_KEYS", "HESI_ERP_SIGNING_KEY") if name not in page] == []
    assert "### The raw keys are lost" in page
