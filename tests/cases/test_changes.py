"""What becomes of a posted claim that changes: one folder each, its name a sentence; an oracle looks at the ledger after every run."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cases.change_oracle import assert_money_is_kept, assert_nets_to_source, assert_newest_number_is_queued, assert_sound, everything
from tests.cases.change_steps import lines_csv, read_steps, state_rows, states_csv, steps_of, vouchers_csv
from tests.cases.situation import shipped_mappings
from tests.support.ledger import SmallLedger

FOLDER = Path(__file__).parent / "changes"
CASES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
CHANGES = ("grows", "shrinks", "changes_currency", "is_nullified", "is_deleted")


@pytest.fixture(scope="module")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a ledger with nothing in it."""
    folder = tmp_path_factory.mktemp("empty")
    SmallLedger(folder, shipped_mappings()).close()
    return folder / "erp.db"


@pytest.fixture
def ledger(empty_ledger: Path, tmp_path: Path) -> Iterator[SmallLedger]:
    """A ledger of one test."""
    shutil.copy(empty_ledger, tmp_path / "erp.db")
    found = SmallLedger(tmp_path, shipped_mappings())
    yield found
    found.close()


@pytest.mark.parametrize("name", CASES)
def test_the_ledger_nets_to_a_claim_however_it_changed(name: str, ledger: SmallLedger, golden: Callable[[Path, str], None]) -> None:
    states, step_of_run, before = [], {}, []
    for number, step in enumerate(steps_of(read_steps(FOLDER / name)), start=1):
        ledger.run([step.flow], day=step.day, lists=step.lists, mappings=step.mappings, accept_payment=step.accept_payment)
        step_of_run[ledger.runs] = number
        vouchers, rows = ledger.vouchers(), everything(ledger)
        assert_sound(vouchers, ledger)
        assert_money_is_kept(vouchers, step)
        assert_nets_to_source(vouchers, before, step, ledger)
        assert_newest_number_is_queued(vouchers, step, ledger)
        assert [{**voucher, "status": ""} for voucher in vouchers[: len(before)]] == [{**voucher, "status": ""} for voucher in before]
        states += state_rows(ledger, number)
        ledger.run([step.flow], day=step.day, lists=step.lists, mappings=step.mappings)
        assert everything(ledger) == rows
        before = vouchers
    folder = FOLDER / name
    golden(folder / "vouchers.csv", vouchers_csv(before, step_of_run))
    golden(folder / "lines.csv", lines_csv(before))
    golden(folder / "states.csv", states_csv(states))


def test_every_pair_of_changes_has_its_folder() -> None:
    assert {f"a_claim_that_{first}_and_then_{second}" for first, second in itertools.product(CHANGES, CHANGES)} <= set(CASES)


def test_every_case_says_why_and_holds_only_its_four_files() -> None:
    for name in CASES:
        assert len(read_steps(FOLDER / name)["why"]) > 20, name
        assert sorted(path.name for path in (FOLDER / name).iterdir()) == ["lines.csv", "states.csv", "steps.yaml", "vouchers.csv"], name
