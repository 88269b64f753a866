"""Every way to tamper with the log is found, and the place is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from etl.audit.anchor import AnchorFolder, Head, Kept
from etl.audit.canonical import GENESIS, encode_entry
from etl.audit.check import Problem, check_log
from etl.audit.keys import Signer
from etl.audit.log import AuditLog
from tests.unit.audit.conftest import SIGNER

Lines = list[bytes]


def lines_of(log: AuditLog) -> Lines:
    return log.path.read_bytes().splitlines(keepends=True)


def problems(log: AuditLog, lines: Sequence[bytes], *, anchors: AnchorFolder | None = None) -> list[Problem]:
    kept = anchors.read(log.log_id())[0] if anchors else []
    return check_log(lines, keys=[SIGNER.public], elsewhere=kept).problems


def places(found: Sequence[Problem]) -> list[tuple[str, int, int]]:
    return [(problem.what, problem.seq, problem.line) for problem in found]


def test_a_whole_log_has_no_problem(filled: AuditLog, anchors: AnchorFolder) -> None:
    assert problems(filled, lines_of(filled), anchors=anchors) == []


def test_an_entry_that_was_edited_is_found(filled: AuditLog) -> None:
    lines = lines_of(filled)
    lines[3] = lines[3].replace(b'"C2"', b'"C9"')
    assert places(problems(filled, lines)) == [("edited", 4, 4)]


@pytest.mark.parametrize("member", ["claim", "kind", "at", "run_id", "hash", "prev", "seq"])
def test_every_member_of_an_entry_is_covered(filled: AuditLog, member: str) -> None:
    lines = lines_of(filled)
    entry = json.loads(lines[4])
    holder = entry if member in entry else entry["body"]
    holder[member] = holder[member] + 1 if member == "seq" else f"{holder[member][:-1]}{'1' if holder[member].endswith('0') else '0'}"
    lines[4] = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert lines[4] != lines_of(filled)[4]
    found = problems(filled, lines)
    assert found
    assert found[0].line in {5, 6}


def test_an_edited_entry_with_its_own_hash_made_anew_breaks_the_chain_behind_it(filled: AuditLog) -> None:
    lines = lines_of(filled)
    entry = json.loads(lines[3])
    lines[3], _ = encode_entry(4, prev=entry["prev"], body={**entry["body"], "claim": "C9"})
    assert places(problems(filled, lines)) == [("inserted", 5, 5)]


def test_a_chain_made_anew_to_its_end_is_found_by_signatures_and_by_anchors(filled: AuditLog, anchors: AnchorFolder) -> None:
    lines = lines_of(filled)
    prev, forged = GENESIS, []
    for line in lines:
        entry = json.loads(line)
        body = {**entry["body"], "claim": "C9"} if entry["seq"] == 4 else entry["body"]
        if body["kind"] == "head":
            body = {**body, "covers_hash": prev}
        made, prev = encode_entry(entry["seq"], prev=prev, body=body)
        forged.append(made)
    assert places(check_log(forged).problems) == []
    assert places(problems(filled, forged)) == [("signature", 6, 6), ("signature", 8, 8)]
    kept = anchors.read(filled.log_id())[0]
    assert places(check_log(forged, elsewhere=kept).problems) == [("replaced", 5, 5), ("replaced", 7, 7)]


def test_a_deleted_entry_is_found(filled: AuditLog) -> None:
    lines = lines_of(filled)
    assert places(problems(filled, lines[:3] + lines[4:])) == [("missing", 4, 4)]


def test_the_deleted_first_entry_is_found(filled: AuditLog) -> None:
    assert places(problems(filled, lines_of(filled)[1:]))[0] == ("missing", 1, 1)


def test_an_entry_put_in_twice_is_found(filled: AuditLog) -> None:
    lines = lines_of(filled)
    assert ("inserted", 4, 6) in places(problems(filled, [*lines[:5], lines[3], *lines[5:]]))


def test_a_forged_entry_put_in_is_found(filled: AuditLog) -> None:
    lines = lines_of(filled)
    before = json.loads(lines[3])
    forged, _ = encode_entry(5, prev=before["hash"], body={"kind": "c", "claim": "C8", "at": "", "run_id": ""})
    assert ("reordered", 5, 6) in places(problems(filled, [*lines[:4], forged, *lines[4:]]))


def test_two_entries_exchanged_are_found(filled: AuditLog) -> None:
    lines = lines_of(filled)
    lines[3], lines[4] = lines[4], lines[3]
    found = places(problems(filled, lines))
    assert found[:2] == [("missing", 4, 4), ("reordered", 4, 5)]


@pytest.mark.parametrize("kept_lines", range(1, 7))
def test_a_log_cut_off_is_found_by_its_anchors(filled: AuditLog, anchors: AnchorFolder, kept_lines: int) -> None:
    lines = lines_of(filled)[:kept_lines]
    found = [problem for problem in problems(filled, lines, anchors=anchors) if problem.what == "truncated"]
    assert places(found) == [("truncated", kept_lines + 1, 0)]
    assert "entries" in found[0].detail


def test_an_older_copy_that_was_written_on_is_found_by_its_anchors(filled: AuditLog, anchors: AnchorFolder) -> None:
    kept = anchors.read(filled.log_id())[0]
    filled.path.write_bytes(b"".join(lines_of(filled)[:3]))
    AuditLog(filled.folder.parent, signer=SIGNER).append("run-9", [{"kind": "x"}, {"kind": "y"}])
    found = check_log(lines_of(filled), keys=[SIGNER.public], elsewhere=kept).problems
    assert places(found) == [("replaced", 5, 5), ("truncated", 7, 0)]


def test_a_gap_stays_a_problem_until_a_named_person_accepts_it(filled: AuditLog) -> None:
    filled.path.write_bytes(b"".join(lines_of(filled)[:3]))
    filled.append("run-3", [{"kind": "e"}])
    assert places(problems(filled, lines_of(filled))) == [("gap", 8, 4)]

    filled.append("", [{"kind": "gap_acknowledged", "gap_seq": 8, "by": "王会计", "reason": "disk lost on 1 October"}])

    found = check_log(lines_of(filled), keys=[SIGNER.public])
    assert found.problems == []
    assert "王会计" in found.acknowledged[0]


def test_a_forged_gap_does_not_hide_what_was_deleted(filled: AuditLog, anchors: AnchorFolder) -> None:
    lines = lines_of(filled)
    before = json.loads(lines[2])
    forged, _ = encode_entry(8, prev=before["hash"], body={"kind": "gap", "missing_from": 4, "missing_to": 7, "at": "", "run_id": ""})
    found = problems(filled, [*lines[:3], forged], anchors=anchors)
    assert [problem.what for problem in found] == ["gap"]


def test_a_head_signed_by_a_stranger_is_found(filled: AuditLog) -> None:
    AuditLog(filled.folder.parent, signer=Signer(bytes(32))).append("run-3", [{"kind": "e"}])
    found = problems(filled, lines_of(filled))
    assert places(found) == [("signature", 10, 10)]
    assert "none of the trusted keys" in found[0].detail
    assert check_log(lines_of(filled), keys=[SIGNER.public, Signer(bytes(32)).public]).problems == []


def test_a_line_that_is_no_entry_is_found_and_the_rest_is_still_read(filled: AuditLog) -> None:
    lines = lines_of(filled)
    lines[1] = b"\x00garbage\n"
    found = problems(filled, lines)
    assert places(found) == [("edited", 2, 2)]


@pytest.mark.parametrize("kind", ["head", "gap", "repair", "gap_acknowledged", "posting_intended"])
def test_an_entry_that_lacks_what_its_kind_has_is_a_problem_and_no_crash(log: AuditLog, kind: str) -> None:
    log.append("run", [{"kind": kind}])
    assert any(problem.what == "edited" and "lacks" in problem.detail for problem in problems(log, lines_of(log)))


def test_postings_announced_and_not_settled_are_named(log: AuditLog) -> None:
    log.append("run", [{"kind": "posting_intended", "batch_id": "B1"}, {"kind": "posting_intended", "batch_id": "B2"}])
    log.append("run", [{"kind": "posting_confirmed", "batch_id": "B1", "vouchers": 3}])
    found = check_log(log.lines())
    assert (found.open_intents, list(found.postings)) == ({"B2": 3}, ["B1"])


def test_heads_of_another_log_say_nothing_about_this_one(filled: AuditLog) -> None:
    foreign = Kept(Head(99, "f" * 64, "another", "", ""), "anchor")
    assert check_log(lines_of(filled), elsewhere=[foreign]).problems == []


@pytest.mark.parametrize("change", [lambda b: b ^ 1, lambda b: b ^ 0x20, lambda b: (b + 7) % 256])
def test_any_changed_byte_of_the_log_is_found(filled: AuditLog, change: Callable[[int], int]) -> None:
    whole = filled.path.read_bytes()
    for place in range(0, len(whole), 11):
        altered = whole[:place] + bytes([change(whole[place])]) + whole[place + 1 :]
        assert check_log(altered.splitlines(keepends=True), keys=[SIGNER.public]).problems, f"byte {place}"
