"""Control map: what is controlled, the test that proves the control works, its result in this period, and the file that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from etl.erp.rehash import altered_vouchers
from etl.evidence.contents.audit_log import Slice
from etl.evidence.contents.rules import InForce
from etl.evidence.scope import Scope
from etl.evidence.tables import PackFiles

COLUMNS = "id control_zh control_en test result attention file".split()


@dataclass(frozen=True)
class Facts:
    """What the other contents counted."""

    population: dict[str, Any]
    completeness: dict[str, int]
    pages: dict[str, int]
    validation: dict[str, int]
    people: dict[str, int]
    rules: list[InForce]
    log: Slice
    incidents: int


@dataclass(frozen=True)
class Control:
    """One control with its result; ``attention`` marks a result somebody has to explain."""

    id: str
    zh: str
    en: str
    test: str
    result: str
    attention: bool
    file: str

    @property
    def row(self) -> list[Any]:
        """The control as a row of the map."""
        return [self.id, self.zh, self.en, self.test, self.result, self.attention, self.file]


def write_controls(pack: PackFiles, scope: Scope, facts: Facts) -> list[Control]:
    """Writes the map and returns it."""
    found = [*_ledger(scope, facts), *_source(facts), *_record(facts)]
    pack.table("8-controls/control_map.csv", COLUMNS, (control.row for control in found))
    return found


def _ledger(scope: Scope, facts: Facts) -> Iterator[Control]:
    population = facts.population
    unequal = [row for row in population["totals"] if Decimal(row[4]) != Decimal(row[5])]
    yield Control(
        "K01", "凭证借贷相等", "every voucher balances", "tests/conformance/test_posting.py::test_an_unbalanced_voucher_is_found_by_the_read_back",
        f"{population['vouchers']} vouchers, {population['lines']} lines, {len(unequal)} unequal totals", bool(unequal), "1-population/totals.csv",
    )  # fmt: skip
    yield Control(
        "K02", "凭证号连续", "voucher numbers are continuous",
        "tests/conformance/test_posting.py::test_each_series_has_its_own_numbers_and_goes_on_where_it_stopped",
        f"{population['gaps']} gaps", population["gaps"] > 0, "1-population/number_sequences.csv",
    )  # fmt: skip
    altered = altered_vouchers(scope.erp, scope.period)
    mine = int((altered["company_code"] == scope.company).sum())
    yield Control(
        "K03", "过账后不得修改", "a posted voucher is never edited",
        "tests/conformance/test_posting.py::test_any_later_change_of_a_voucher_is_found_by_its_fingerprint",
        f"{population['vouchers']} vouchers hashed again, {mine} altered", mine > 0, "1-population/vouchers.csv",
    )  # fmt: skip
    yield Control(
        "K04", "不重复入账", "no claim is posted twice", "tests/conformance/test_posting.py::test_a_claim_in_two_chunks_is_posted_once",
        "the key of a voucher is unique in the database", False, "1-population/vouchers.csv",
    )  # fmt: skip


def _source(facts: Facts) -> Iterator[Control]:
    tie, pages = facts.completeness, facts.pages
    yield Control(
        "K05", "入账金额与来源一致", "what is posted is what the source says",
        "tests/unit/steps/test_reconcile.py::test_everything_that_became_of_the_source_ties_out_to_nothing",
        f"{tie['tied']} entries, {tie['different']} differ, raw page read again for {tie['raw_kept']}", tie["different"] > 0, "1-population/source_tie.csv",
    )  # fmt: skip
    yield Control(
        "K06", "原始页面未改动", "raw pages are as they were read", "tests/evidence/test_pack.py::test_a_raw_page_changed_or_lost_is_named",
        f"{pages['kept']} kept, {pages['missing']} missing, {pages['altered']} altered", pages["missing"] + pages["altered"] > 0, "2-extraction/pages.csv",
    )  # fmt: skip
    yield Control(
        "K07", "过账前逐条校验", "every rule is checked before posting", "tests/unit/steps/test_validate.py::test_every_rule_of_the_suites_is_broken_by_a_test",
        f"{facts.validation['rules']} results, {facts.validation['failed']} failing rows", False, "4-validation/results.csv",
    )  # fmt: skip
    people = facts.people
    yield Control(
        "K08", "不得自批", "nobody approves an own claim", "tests/evidence/test_samples.py::test_a_claim_approved_by_its_submitter_is_unusual",
        f"{people['trails']} of {people['claims']} trails read, {people['self_approved']} own approvals", people["self_approved"] > 0, "5-people/approvals.csv",
    )  # fmt: skip


def _record(facts: Facts) -> Iterator[Control]:
    unknown = sum(1 for item in facts.rules if not item.version.files)
    yield Control(
        "K09", "规则版本可追溯", "every version of the rules is kept", "tests/evidence/test_pack.py::test_a_change_of_the_mapping_is_shown_as_a_difference",
        f"{len(facts.rules)} versions in force, {unknown} without their files", unknown > 0 or not facts.rules, "3-rules/versions.csv",
    )  # fmt: skip
    signed = "signed" if facts.log.signed else "UNSIGNED: no key was configured"
    yield Control(
        "K10", "日志不可篡改", "the log of decisions is append-only", "tests/unit/audit/test_check.py::test_an_entry_that_was_edited_is_found",
        f"entries {facts.log.first_seq} to {facts.log.last_seq}, {facts.log.withheld} of other companies withheld, {signed}",
        not facts.log.signed, "9-audit-log/log.jsonl",
    )  # fmt: skip
    yield Control(
        "K11", "异常有记录", "incidents are recorded with what followed", "tests/evidence/test_pack.py::test_a_stopped_run_is_an_incident_with_what_followed",
        f"{facts.incidents} incidents", facts.incidents > 0, "7-incidents/incidents.csv",
    )  # fmt: skip
