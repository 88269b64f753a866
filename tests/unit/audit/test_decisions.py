"""Which decisions of a run go into the log, and how they are written."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from etl.audit.decisions import DECISION_COLUMNS, amount_text, bodies, news
from etl.frames import ENTRIES, REJECTS, day_number

SHA = "a" * 64


def entries(*rows: dict[str, Any]) -> pd.DataFrame:
    defaults = {name: "" if dtype == "str" else 0 for name, dtype in ENTRIES.columns.items()} | {
        "claim_id": "C1", "claim_code": "B-C1", "entry_kind": "EXPENSE", "company_code": "C01", "currency": "CNY", "amount_minor": 12_345,
        "source_sha256": SHA, "claimant_name": "张三", "disposition": "ready", "raw_ref": "run/1.json#0",
    }  # fmt: skip
    made = [defaults | row for row in rows]
    return ENTRIES.frame({name: [row[name] for row in made] for name in ENTRIES.columns})


def rejects(*rows: dict[str, Any]) -> pd.DataFrame:
    defaults = {name: "" if dtype == "str" else 0 for name, dtype in REJECTS.columns.items()} | {"claim_id": "C1", "entry_kind": "EXPENSE"}
    return REJECTS.frame({name: [(defaults | row)[name] for row in rows] for name in REJECTS.columns})


def known(state: str, sha: str = SHA) -> pd.DataFrame:
    return pd.DataFrame([("C1", "EXPENSE", 0, state, sha)], columns=["claim_id", "entry_kind", "part_no", "state", "source_sha256"])


NOTHING = known("posted").iloc[:0]


def told(frame: pd.DataFrame, refused: pd.DataFrame | None = None, before: pd.DataFrame = NOTHING, **options: Any) -> list[dict[str, Any]]:
    found = news(frame, rejects() if refused is None else refused, before, **{"open_rejects": {}, "drifts": {}, **options})
    return [dict(zip(DECISION_COLUMNS, row, strict=True)) | {"company": company} for company, row in found]


def test_a_ready_entry_is_a_decision_to_post() -> None:
    (row,) = told(entries({"event_day": day_number(pd.Timestamp("2026-10-05").date())}))
    assert (row["decision"], row["amount"], row["currency"], row["event_date"], row["company"]) == ("posted", "123.45", "CNY", "2026-10-05", "C01")


@pytest.mark.parametrize("disposition", ["held", "rejected", "skipped", "waiting", "drift", "gone", "reversed", "corrected", "returned"])
def test_every_other_disposition_is_a_decision_by_its_own_name(disposition: str) -> None:
    assert [row["decision"] for row in told(entries({"disposition": disposition}))] == [disposition]


def test_what_is_unchanged_is_not_written_again() -> None:
    assert told(entries({"disposition": "unchanged"})) == []


@pytest.mark.parametrize("disposition", ["waiting", "skipped"])
def test_a_decision_taken_before_on_the_same_source_is_not_written_again(disposition: str) -> None:
    frame = entries({"disposition": disposition})
    assert told(frame, before=known(disposition)) == []
    assert len(told(frame, before=known(disposition, "b" * 64))) == 1
    assert len(told(frame, before=known("held"))) == 1


def test_a_refusal_is_written_again_only_when_its_reason_changes() -> None:
    frame, refused = entries({"disposition": "rejected"}), rejects({"rule": "FEE_TYPE_UNMAPPED", "reason": "no account"})
    same = {("C1", "EXPENSE"): ("FEE_TYPE_UNMAPPED", "no account")}
    assert told(frame, refused, known("rejected"), open_rejects=same) == []
    (row,) = told(frame, refused, known("rejected"), open_rejects={("C1", "EXPENSE"): ("FX_MISMATCH", "no account")})
    assert (row["rule"], row["reason"]) == ("FEE_TYPE_UNMAPPED", "no account")


def test_a_reason_too_long_for_the_database_is_still_the_same_reason() -> None:
    reason = "x" * 5_000
    same = {("C1", "EXPENSE"): ("FX_MISMATCH", reason[:2_000])}
    assert told(entries({"disposition": "held"}), rejects({"rule": "FX_MISMATCH", "reason": reason}), known("held"), open_rejects=same) == []


def test_a_drift_is_written_again_when_the_source_moves_on() -> None:
    frame = entries({"disposition": "drift"})
    assert told(frame, before=known("posted"), drifts={("C1", "EXPENSE", 0): "123.45"}) == []
    assert len(told(frame, before=known("posted"), drifts={("C1", "EXPENSE", 0): "100.00"})) == 1


def test_no_name_and_no_number_of_a_person_reaches_the_log() -> None:
    (row,) = told(entries({"disposition": "held"}), rejects({"rule": "PAYEE_UNKNOWN", "reason": "card 6222021234567890123, call 13812345678"}))
    assert "张三" not in str(row)
    assert row["reason"] == "card 6222****0123, call 138****5678"


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(0, "CNY", "0.00"), (-5, "CNY", "-0.05"), (100_000, "CNY", "1000.00"), (-1250, "JPY", "-1250"), (1, "KWD", "0.001"), (7, "", "")],
)
def test_amounts_are_decimal_text(minor: int, currency: str, text: str) -> None:
    assert amount_text(minor, currency) == text


def test_a_thousand_rows_an_entry_and_one_company_each() -> None:
    rows = [("C01", [number]) for number in range(2_500)] + [("C02", [0])]
    made = list(bodies("decisions", ["n"], rows, batch_id="B"))
    assert [(body["company"], len(body["rows"])) for body in made] == [("C01", 1_000), ("C01", 1_000), ("C01", 500), ("C02", 1)]
    assert [row[0] for body in made[:3] for row in body["rows"]] == list(range(2_500))
    assert made[0].keys() == {"kind", "company", "batch_id", "columns", "rows"}
