"""The raw pages against the entries, chunk by chunk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from etl.pipeline.context import Run
from etl.pipeline.source_check import source_problems
from etl.store.raw import RawPage, RawStore
from etl.store.work import WorkFolder
from tests.conformance.chunks import Chunk

RUN_ID = "20260901T020000000-abcd"


@dataclass
class Read:
    """A run of which only what was read and what was mapped is known."""

    home: Path
    accrual: str = "on_approval"

    def __post_init__(self) -> None:
        self.run_id = RUN_ID
        self.raw, self.work = RawStore(self.home), WorkFolder(self.home, RUN_ID)
        self.mappings = SimpleNamespace(companies=[SimpleNamespace(accrual=self.accrual)])
        self.pages: list[RawPage] = []

    def page(self, *claims: dict[str, Any], taken: list[int] | None = None) -> str:
        """A stored page; its file name."""
        file, body = f"1-expense-active-{len(self.pages):06d}.json", json.dumps({"items": claims}).encode()
        digest = self.raw.write(RUN_ID, file, body)
        chosen = list(range(len(claims))) if taken is None else taken
        self.pages.append(RawPage(file, digest, len(body), "expense", True, len(claims), "https://hesi.example/list", 0, chosen))
        self.raw.write_index(RUN_ID, self.pages)
        return file

    def chunk(self, number: int, *entries: tuple[str, str, int]) -> None:
        """A mapped chunk of (claim, page file, minor units)."""
        chunk = Chunk()
        for claim_id, file, minor in entries:
            chunk.entry(claim_id, amount_minor=minor, raw_ref=f"{RUN_ID}/{file}#0")
        self.work.write_frames("map_fields", number, {"entries": chunk.build().entries})

    def problems(self) -> list[str]:
        """What the comparison says."""
        return source_problems(cast("Run", self))


def claim(claim_id: str, amount: str, *, state: str = "paying") -> dict[str, Any]:
    return {"id": claim_id, "formType": "expense", "state": state, "active": True, "form": {"expenseMoney": {"standard": amount, "standardStrCode": "CNY"}}}


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return Read(tmp_path)


def test_pages_of_several_chunks_tie_out(read: Read) -> None:
    first, second = read.page(claim("A", "10.00"), claim("B", "2.50")), read.page(claim("C", "0.01"))
    third = read.page(claim("D", "7.00"))
    read.chunk(1, ("A", first, 1_000), ("B", first, 250), ("C", second, 1))
    read.chunk(2, ("D", third, 700))
    assert read.problems() == []


def test_a_cent_that_changed_on_the_way_is_named_with_both_amounts(read: Read) -> None:
    first, second = read.page(claim("A", "10.00")), read.page(claim("B", "2.50"))
    read.chunk(1, ("A", first, 1_000))
    read.chunk(2, ("B", second, 251))
    assert read.problems() == ["claim B EXPENSE part 0: the raw page says 2.50, the run worked with 2.51"]


@pytest.mark.parametrize("lost", ["A", "B", "C"])
def test_a_claim_that_got_lost_is_named_wherever_it_stood(read: Read, lost: str) -> None:
    files = {name: read.page(claim(name, "1.00")) for name in "ABC"}
    for number, name in enumerate(files, start=1):
        read.chunk(number, *([] if name == lost else [(name, files[name], 100)]))
    assert read.problems() == [f"claim {lost} EXPENSE part 0: the raw page says 1.00, the run worked with None"]


def test_a_claim_lost_beside_others_of_its_page_is_named(read: Read) -> None:
    file = read.page(claim("A", "1.00"), claim("B", "2.00"))
    read.chunk(1, ("A", file, 100))
    assert read.problems() == ["claim B EXPENSE part 0: the raw page says 2.00, the run worked with None"]


def test_a_page_of_claims_nobody_owes_anything_for_needs_no_entries(read: Read) -> None:
    read.page(claim("A", "1.00", state="approving"))
    due = read.page(claim("B", "2.00"))
    read.page(claim("C", "3.00", state="draft"))
    read.chunk(1, ("B", due, 200))
    assert read.problems() == []


def test_versions_a_run_does_not_take_are_not_compared(read: Read) -> None:
    file = read.page(claim("A", "1.00"), claim("A", "5.00"), taken=[1])
    read.chunk(1, ("A", file, 500))
    assert read.problems() == []


def test_claims_decided_again_from_pages_of_an_earlier_run_are_no_part_of_the_comparison(read: Read) -> None:
    file = read.page(claim("A", "1.00"))
    chunk = Chunk()
    chunk.entry("A", amount_minor=100, raw_ref=f"{RUN_ID}/{file}#0")
    chunk.entry("OLD", amount_minor=999, raw_ref="20260831T020000000-0000/1-expense-active-000000.json#3")
    read.work.write_frames("map_fields", 1, {"entries": chunk.build().entries})
    assert read.problems() == []


def test_an_accrual_that_waits_for_its_payment_is_not_missed(tmp_path: Path) -> None:
    read = Read(tmp_path, accrual="on_payment")
    read.page(claim("A", "1.00"))
    assert read.problems() == []
