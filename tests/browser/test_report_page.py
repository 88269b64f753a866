"""The run report in a real browser: quiet, narrow, printable, in two languages and two themes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from etl.report.write import ReportFiles, write_report
from tests.fixtures.hostile_text import HOSTILE
from tests.fixtures.report_world import report_world

pytest_plugins = ("tests.fixtures.browser",)
pytestmark = pytest.mark.browser
SETTLED_MS = 300


@dataclass
class Visit:
    """A page and everything that happened while it was open."""

    page: Any
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    """A report whose every claim text is hostile."""
    folder: Path = tmp_path_factory.mktemp("page")
    with report_world(folder, claim_text=lambda n: HOSTILE[n % len(HOSTILE)], claims=120) as world:
        return write_report(world.ledger, world.erp, run_id=world.run_id, folder=folder / "reports")


@contextmanager
def visit(browser: Any, files: ReportFiles, *, width: int = 1280, dark: bool = False, scripts: bool = True) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", java_script_enabled=scripts)
    try:
        seen = Visit(context.new_page())
        address = files.html.as_uri()

        def decide(route: Any) -> None:
            seen.requests.append(route.request.url)
            route.continue_() if route.request.url == address else route.abort()

        context.route("**/*", decide)
        seen.page.on("console", lambda message: seen.console.append(message.text))
        seen.page.on("pageerror", lambda error: seen.console.append(str(error)))
        seen.page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
        seen.page.goto(address)
        yield seen
    finally:
        context.close()


def open_everything(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")


def test_no_request_leaves_the_page_and_no_text_runs(browser: Any, report: ReportFiles) -> None:
    with visit(browser, report) as seen:
        open_everything(seen.page)
        seen.page.wait_for_timeout(SETTLED_MS)
        assert seen.requests == [report.html.as_uri()]
        assert (seen.console, seen.dialogs) == ([], [])
        assert seen.page.evaluate("document.scripts.length + document.images.length + document.forms.length") == 0


@pytest.mark.parametrize("width", [303, 375, 1280])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_never_scrolls_sideways(browser: Any, report: ReportFiles, width: int, language: str) -> None:
    with visit(browser, report, width=width) as seen:
        seen.page.click(f"label[for=lang-{language}]")
        open_everything(seen.page)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert seen.page.evaluate("document.body.scrollWidth") <= width


def test_lists_become_cards_on_a_phone_and_matrices_scroll_in_their_own_box(browser: Any, report: ReportFiles) -> None:
    with visit(browser, report, width=375) as seen:
        assert seen.page.evaluate("getComputedStyle(document.querySelector('#t-rejects tbody tr')).display") == "flex"
        label = "getComputedStyle(document.querySelector('#t-rejects tbody td'), '::before').content"
        assert seen.page.evaluate(label) == '"提单人"'
        box = "document.querySelector('#t-totals').parentElement"
        assert seen.page.evaluate(f"{box}.scrollWidth > {box}.clientWidth")


def test_the_language_switch_needs_neither_script_nor_network(browser: Any, report: ReportFiles) -> None:
    with visit(browser, report, scripts=False) as seen:
        sentence = seen.page.locator("h1 .clause")
        assert re.search("还差 12 张没有过账", " ".join(sentence.all_inner_texts()))
        seen.page.click("label[for=lang-en]")
        assert re.search("12 not posted", " ".join(sentence.all_inner_texts()))
        assert "还差" not in seen.page.locator("main").inner_text()
        assert len(seen.requests) == 1


def test_both_themes_keep_text_readable(browser: Any, report: ReportFiles) -> None:
    shades = {}
    for dark in (False, True):
        with visit(browser, report, dark=dark) as seen:
            shades[dark] = seen.page.evaluate(
                "[getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.querySelector('td')).color]"
            )
    for ground, ink in shades.values():
        assert _contrast(ground, ink) > 7
    assert _luminance(shades[True][0]) < 0.1 < 0.9 < _luminance(shades[False][0])


def test_it_prints_on_white_with_everything_unfolded_and_no_controls(browser: Any, report: ReportFiles) -> None:
    with visit(browser, report, dark=True) as seen:
        seen.page.emulate_media(media="print", color_scheme="dark")
        assert seen.page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
        assert not seen.page.locator(".bar fieldset").is_visible()
        assert seen.page.locator("#t-account_totals td").first.is_visible()
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 1280
        pdf = seen.page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    assert re.search(rb"/MediaBox ?\[0 0 84[12](\.\d+)? 59[45](\.\d+)?\]", pdf), "A4 landscape"


def test_every_control_can_be_reached_and_named_from_the_keyboard(browser: Any, report: ReportFiles) -> None:
    with visit(browser, report) as seen:
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("document.activeElement.className") == "skip"
        unnamed = "[...document.querySelectorAll('[role=region]')].filter(part => !part.ariaLabel || part.tabIndex !== 0).length"
        assert seen.page.evaluate(unnamed) == 0
        assert seen.page.evaluate("document.querySelectorAll('[role=img]:not([aria-label])').length") == 0


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)
