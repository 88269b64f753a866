"""A claim that changes run after run: its steps in a few words of YAML, and what the ledger says afterwards as CSV.

``steps.yaml``:

- ``why``: the rule, and what must come of it.
- ``claim``: the first version, in the words of :mod:`tests.cases.situation`; ``invoices`` and ``mapping`` likewise.
- ``steps``: one run each. ``day``: when it runs. ``change``: laid over the claim (``deleted: true`` removes it in Hesi; ``logs``: what the bank
  said, each ``paid`` or ``returned``, a day and a trade number). ``updated``: when Hesi changed it, default the day.
  ``closed``: months closed from then on. ``mapping``: changes of the mapping from then on. ``accept_payment: true``: finance takes
  what was paid to the suspense account in this run.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from etl.config.mapping import Mappings
from etl.erp import schema
from etl.reference import Reference
from tests.cases.situation import claim_of, laid_over, lists_of, mappings_of
from tests.cases.written import SHORT, table
from tests.support.claims import ms
from tests.support.ledger import SmallLedger

Words = Mapping[str, Any]
Voucher = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One run: its day, what Hesi shows, and the rules in force."""

    day: str
    flow: dict[str, Any]
    mappings: Mappings
    lists: Reference
    accept_payment: bool


def read_steps(folder: Path) -> Words:
    """The words of a case; every scalar is text."""
    return yaml.load((folder / "steps.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - keeps text as text


def steps_of(words: Words) -> Iterator[Step]:
    """The runs of a case in order."""
    claim, mapping = words["claim"], words.get("mapping", {})
    books = ("C01", *sorted({step.get("change", {}).get("company", "C01") for step in words["steps"]} - {"C01"}))
    updated = words["steps"][0]["day"]
    for step in words["steps"]:
        if "change" in step:
            claim, updated = laid_over(claim, step["change"]), step.get("updated", step["day"])
        if "closed" in step:
            closed = [{"period": period, "closed_on": step["day"]} for period in step["closed"]]
            mapping = _together(mapping, {"C01": {"periods": {"closed": closed}}})
        mapping = _together(mapping, step.get("mapping", {}))
        mappings = _mappings(json.dumps(mapping, sort_keys=True), books)
        yield Step(step["day"], _flow(claim, updated), mappings, lists_of(words), step.get("accept_payment") == "true")


def _together(first: Any, second: Any) -> Any:
    """Two changes as one: objects key by key, else the second."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return second
    return {**first, **{key: _together(first.get(key), value) for key, value in second.items()}}


@functools.lru_cache(maxsize=8)
def _mappings(change: str, books: tuple[str, ...]) -> Mappings:
    """The shipped mappings of the companies the case needs, changed."""
    mappings = mappings_of({"mapping": json.loads(change)})
    return mappings.model_copy(update={"companies": [company for company in mappings.companies if company.company.code in books]})


def _flow(claim: Words, updated: str) -> dict[str, Any]:
    found = claim_of({key: value for key, value in claim.items() if key not in {"deleted", "logs"}})
    if "logs" in claim:
        found["logs"] = [_log(*line.split()) for line in claim["logs"]]
    return {**found, "active": claim.get("deleted") != "true", "updateTime": ms(updated)}


def _log(what: str, day: str, trade: str) -> dict[str, Any]:
    failure = "账号户名不符，银行退票" if what == "returned" else ""
    action, state = ("freeflow.paying", "paying") if failure else ("freeflow.pay", "paid")
    return {"action": action, "state": state, "time": ms(day), "attributes": {"channelTradeNo": trade, "failureReason": failure}}


def run_number(voucher: Voucher) -> int:
    """Number of the run that posted it."""
    return int(voucher["batch_id"].rpartition("-")[2])


def vouchers_csv(vouchers: Iterable[Voucher], runs: Mapping[int, int]) -> str:
    """Every voucher: the step that posted it, its key, number, dates, status and what it reverses."""
    rows = []
    for v in vouchers:
        key = (v["company_code"], v["entry_kind"], v["part_no"], v["revision"], v["reverses_revision"])
        period = f"{v['fiscal_year']}-{v['fiscal_period']:02d}"
        total = sum(line["debit"] for line in v["lines"])
        number = f"{v['voucher_word']}-{v['voucher_no']}"
        rows.append((runs[run_number(v)], *key, number, v["voucher_date"], period, v["attachment_count"], v["status"], total, v["summary"]))
    return table("step company kind part rev reverses number date period attach status total summary", rows)


def lines_csv(vouchers: Iterable[Voucher]) -> str:
    """Every line with dimensions, tax rate and foreign amount."""
    return table(
        "company kind part rev account dims fx debit credit",
        ((v["company_code"], v["entry_kind"], v["part_no"], v["revision"], *_line(line)) for v in vouchers for line in v["lines"]),
    )


def _line(line: Mapping[str, Any]) -> tuple[str, ...]:
    dims = [f"{SHORT.get(kind, kind)}={code}" for kind, code in line["dims"].items()]
    if line["tax_rate"] is not None:
        dims.append(f"tax={line['tax_rate'].normalize():f}")
    fx = f"{line['currency']} {line['amount_fc']} @ {line['fx_rate'].normalize():f}" if line["amount_fc"] is not None else ""
    return line["account_code"], ";".join(dims), fx, *(f"{line[side]:.2f}" if line[side] else "" for side in ("debit", "credit"))


def state_rows(ledger: SmallLedger, step: int) -> list[tuple[Any, ...]]:
    """Where every entry stands after a step: state, amount, the reject, the drift, and the number on its way to Hesi."""
    rejects = {(row["claim_id"], row["entry_kind"]): f"{row['disposition']} {row['rule']}" for row in ledger.rows(schema.claim_reject)}
    drifts = {
        (row["claim_id"], row["entry_kind"], row["part_no"]): f"{row['cause']} {row['posted_amount']}->{row['source_amount']}"
        for row in ledger.rows(schema.claim_drift)
    }
    numbers = {row["claim_id"]: f"{row['status']} {row['voucher_number']}" for row in ledger.rows(schema.writeback_outbox)}
    found = []
    for row in sorted(ledger.rows(schema.claim_state), key=lambda row: (row["claim_id"], row["entry_kind"], row["part_no"])):
        claim, kind, part = row["claim_id"], row["entry_kind"], row["part_no"]
        number = numbers.get(claim, "") if kind == "EXPENSE" else ""
        reject, drift = rejects.get((claim, kind), ""), drifts.get((claim, kind, part), "")
        found.append((step, kind, part, row["company_code"], row["state"], row["amount"], reject, drift, number))
    return found


def states_csv(rows: Iterable[tuple[Any, ...]]) -> str:
    """The rows of :func:`state_rows` after every step."""
    return table("step kind part company state amount reject drift number", rows)
