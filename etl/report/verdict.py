"""The report's first lines: the verdict as a sentence, and three answers; text from templates, never free."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from etl.report.figures_model import RunFigures
from etl.report.words import Pair, value_words, word

Tone: TypeAlias = Literal["ok", "warn", "bad", "info"]
_GLYPHS: dict[Tone, str] = {"ok": "✓", "warn": "!", "bad": "✕", "info": "◷"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Tone, glyph and the clauses of the sentence (zh, en)."""

    tone: Tone
    clauses: tuple[Pair, ...]

    @property
    def glyph(self) -> str:
        """The sign that goes with the tone."""
        return _GLYPHS[self.tone]


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the three questions: a big figure and a line below it."""

    question: Pair
    figure: Pair
    note: Pair
    tone: Tone


def verdict(figures: RunFigures) -> Verdict:
    """The sentence that says whether the run is all right, with money in it."""
    head, posted = figures.head, figures.counts.of("posted")
    if head.status == "running" and head.verdict is None:
        return Verdict("info", (("运行中，", "Running; "), (f"已过账 {posted:,} 张", f"{posted:,} posted so far")))
    if head.status == "stopped":
        code = head.cause_code or ""
        return Verdict("bad", ((f"运行已停止：{code}，", f"Run stopped: {code}; "), _money_clause(figures)))
    if head.verdict == "red":
        code = f"：{head.cause_code}" if head.cause_code else ""
        return Verdict("bad", ((f"失败{code}，", f"Red{code.replace('：', ': ')}; "), _money_clause(figures)))
    if head.verdict == "amber":
        return Verdict("warn", (_open_clause(figures), _money_clause(figures)))
    if posted == 0:
        return Verdict("ok", (("没有新的单据要过账，", "Nothing new to post; "), _money_clause(figures)))
    return Verdict("ok", ((f"全部 {posted:,} 张已过账，", f"All {posted:,} posted; "), _money_clause(figures)))


def answers(figures: RunFigures) -> tuple[Answer, Answer, Answer]:
    """All there? Does the money tie out? Whose turn is it?"""
    return _arrived(figures), _ties(figures), _turn(figures)


def _open_clause(figures: RunFigures) -> Pair:
    open_entries, drift = len(figures.tables["rejects"].rows), len(figures.tables["drift"].rows)
    if open_entries:
        return f"还差 {open_entries:,} 张没有过账，", f"{open_entries:,} not posted; "
    if drift:
        return f"{drift:,} 张过账后有变动，", f"{drift:,} changed after posting; "
    return "已过账，另有说明，", "Posted, with remarks; "


def _money_clause(figures: RunFigures) -> Pair:
    differences = figures.differences
    if not differences:
        return "金额未核对", "money not compared"
    wrong = [(currency, value) for currency, value in sorted(differences.items()) if value]
    if not wrong:
        return "钱对得上", "the money ties out"
    listed = ", ".join(f"{value:,f} {currency}" for currency, value in wrong)
    return f"差 {listed}", f"{listed} out"


def _arrived(figures: RunFigures) -> Answer:
    counts = figures.counts
    parts = {name: f"{counts.of(name):,}" for name in ("new", "changed", "deleted")}
    zh, en = word("arrived_note")
    extracted = f"{counts.of('extracted'):,}"
    tone: Tone = "ok" if all(counts.gap(form) == 0 for form in counts.forms) else "bad"
    return Answer(word("arrived"), (extracted, extracted), (zh.format(**parts), en.format(**parts)), tone)


def _ties(figures: RunFigures) -> Answer:
    differences = figures.differences
    shown = [f"{value:,f} {currency}" for currency, value in sorted(differences.items(), key=_wrong_first)]
    figure = " · ".join(shown[:3]) or "–"
    numbers = {"posted": f"{figures.counts.of('posted'):,}", "open": f"{len(figures.tables['rejects'].rows):,}"}
    zh, en = word("posted_note")
    tone: Tone = "bad" if any(differences.values()) else "ok"
    return Answer(word("ties"), (figure, figure), (zh.format(**numbers), en.format(**numbers)), tone)


def _wrong_first(item: tuple[str, Decimal]) -> tuple[bool, str]:
    return item[1] == 0, item[0]


def _turn(figures: RunFigures) -> Answer:
    owners = Counter(str(row["owner"]) for row in figures.tables["rejects"].records())
    if not owners:
        return Answer(word("whose"), ("0", "0"), word("nobody"), "ok")
    total = f"{owners.total():,}"
    named = [(value_words("owner", owner) or (owner, owner), count) for owner, count in owners.most_common()]
    zh = "，".join(f"{names[0]} {count:,}" for names, count in named)
    en = ", ".join(f"{names[1]} {count:,}" for names, count in named)
    return Answer(word("whose"), (total, total), (zh, en), "warn")
