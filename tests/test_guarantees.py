"""docs/guarantees.md promises nothing without a test: every promise names its assumptions and proofs, and every proof exists."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
TEXT = (PROJECT / "docs" / "guarantees.md").read_text(encoding="utf-8")
PROOF = re.compile(r"^- `(tests/[\w/]+\.py)::(test_\w+)`$", re.MULTILINE)


@dataclass(frozen=True)
class Guarantee:
    """One section of the page."""

    number: str
    title: str
    text: str

    @property
    def proofs(self) -> list[tuple[str, str]]:
        """File and test of each proof."""
        return PROOF.findall(self.text)


def guarantees(text: str) -> list[Guarantee]:
    """The sections in their order."""
    parts = re.split(r"^### (G\d+)\. (.+)$", text, flags=re.MULTILINE)[1:]
    return [Guarantee(*parts[at : at + 3]) for at in range(0, len(parts), 3)]


@cache
def named_in(file: str) -> frozenset[str]:
    """Names of the test functions of a file; empty when there is none."""
    path = PROJECT / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def missing(guarantee: Guarantee) -> list[str]:
    """Proofs that are no test."""
    return [f"{file}::{test}" for file, test in guarantee.proofs if test not in named_in(file)]


ALL = guarantees(TEXT)


@pytest.mark.parametrize("guarantee", ALL, ids=lambda guarantee: guarantee.number)
def test_every_promise_is_proved_by_tests_that_exist(guarantee: Guarantee) -> None:
    assert len(guarantee.proofs) >= 2
    assert missing(guarantee) == []
    assert len(set(guarantee.proofs)) == len(guarantee.proofs)


@pytest.mark.parametrize("guarantee", ALL, ids=lambda guarantee: guarantee.number)
def test_every_promise_says_what_it_rests_on(guarantee: Guarantee) -> None:
    assert "*Assumes:*" in guarantee.text


def test_promises_are_numbered_in_order_and_each_is_in_the_chinese_summary() -> None:
    numbers = [guarantee.number for guarantee in ALL]
    assert numbers == [f"G{n}" for n in range(1, len(numbers) + 1)]
    assert len(numbers) >= 20
    assert re.findall(r"^\| (G\d+) \|", TEXT, re.MULTILINE) == numbers


def test_every_test_that_is_named_stands_in_a_line_of_its_own() -> None:
    assert len(re.findall(r"tests/[\w/]+\.py::", TEXT)) == sum(len(guarantee.proofs) for guarantee in ALL)


def test_a_promise_whose_test_is_gone_is_found() -> None:
    here = "tests/test_guarantees.py::test_a_promise_whose_test_is_gone_is_found"
    text = f"### G1. X\n- `tests/test_guarantees.py::test_not_here`\n- `tests/no_such_file.py::test_x`\n- `{here}`\n"
    (guarantee,) = guarantees(text)
    assert missing(guarantee) == ["tests/test_guarantees.py::test_not_here", "tests/no_such_file.py::test_x"]
