"""The log is appended to by one writer, survives a crash, and never gives a number twice."""

from __future__ import annotations

import fcntl
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from etl.audit.anchor import AnchorFolder, Head
from etl.audit.check import check_log
from etl.audit.log import AuditLog
from etl.errors import AnchorUnavailable, AnotherRunActive, AuditLogAltered
from tests.unit.audit.conftest import SIGNER, ticking


def kinds(log: AuditLog) -> list[str]:
    return [entry.kind for entry in log.entries()]


def test_each_append_ends_with_a_signed_head_of_its_last_entry(filled: AuditLog) -> None:
    entries = list(filled.entries())
    assert kinds(filled) == ["log_opened", "a", "head", "b", "c", "head", "d", "head"]
    assert [entry.seq for entry in entries] == list(range(1, 9))
    assert (entries[5].body["covers_seq"], entries[5].body["covers_hash"]) == (5, entries[4].hash)
    assert check_log(filled.lines(), keys=[SIGNER.public]).problems == []


def test_entries_carry_their_run_and_moment(filled: AuditLog) -> None:
    last = list(filled.entries())[6]
    assert (last.body["run_id"], last.body["at"], last.body["claim"]) == ("run-2", "2026-10-01T00:00:02.000Z", "C4")


def test_the_log_is_readable_by_its_owner_only(filled: AuditLog) -> None:
    assert stat.S_IMODE(filled.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(filled.folder.stat().st_mode) == 0o700


def test_every_head_is_kept_as_a_write_once_file(filled: AuditLog, anchors: AnchorFolder) -> None:
    kept, broken = anchors.read(filled.log_id())
    assert broken == []
    assert [item.head.seq for item in kept] == [2, 5, 7]
    assert all(item.head.holds(SIGNER.public) for item in kept)
    files = sorted(anchors.folder.rglob("*.json"))
    assert {stat.S_IMODE(path.stat().st_mode) & 0o222 for path in files} == {0}


def test_without_a_key_heads_are_chained_but_unsigned(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, now=ticking())
    head = log.append("run", [{"kind": "a"}])
    assert (head.key, head.signature) == ("", "")
    found = check_log(log.lines())
    assert (found.problems, found.unsigned_heads) == ([], 1)
    assert [problem.what for problem in check_log(log.lines(), keys=[SIGNER.public]).problems] == ["unsigned"]


def test_a_head_signed_later_covers_what_was_unsigned_before(tmp_path: Path) -> None:
    AuditLog(tmp_path, now=ticking()).append("run", [{"kind": "a"}])
    AuditLog(tmp_path, signer=SIGNER, now=ticking()).append("run", [{"kind": "b"}])
    assert check_log(AuditLog(tmp_path).lines(), keys=[SIGNER.public]).problems == []


def test_two_writers_are_refused(filled: AuditLog) -> None:
    before = filled.path.read_bytes()
    with (filled.folder / "lock").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AnotherRunActive, match="another run writes the audit log"):
            filled.append("run-3", [{"kind": "e"}])
    assert filled.path.read_bytes() == before
    filled.append("run-3", [{"kind": "e"}])


def test_two_postings_of_one_home_are_refused(filled: AuditLog) -> None:
    with filled.posting(), pytest.raises(AnotherRunActive), filled.posting():
        pytest.fail("the second posting was let in")


@pytest.mark.parametrize("kept_bytes", [1, 40, 200])
def test_a_torn_end_is_set_aside_and_named_by_a_signed_entry(filled: AuditLog, kept_bytes: int) -> None:
    whole = filled.path.read_bytes()
    torn = filled.path.read_bytes().splitlines(keepends=True)[6][:kept_bytes]
    filled.path.write_bytes(whole + torn)
    assert [problem.what for problem in check_log(filled.lines(), keys=[SIGNER.public]).problems] == ["torn"]

    filled.append("run-3", [{"kind": "e"}])

    repair = list(filled.entries())[8]
    assert (repair.kind, repair.body["removed_bytes"]) == ("repair", kept_bytes)
    assert (filled.folder / repair.body["kept_as"]).read_bytes() == torn
    assert filled.path.read_bytes().startswith(whole)
    found = check_log(filled.lines(), keys=[SIGNER.public])
    assert (found.problems, len(found.repairs)) == ([], 1)


def test_a_log_torn_inside_its_very_first_entry_begins_again(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, signer=SIGNER, now=ticking())
    log.folder.mkdir()
    log.path.write_bytes(b'{"body":{"at":"20')
    log.append("run", [{"kind": "a"}])
    assert kinds(log) == ["log_opened", "repair", "a", "head"]
    assert check_log(log.lines(), keys=[SIGNER.public]).problems == []


def test_an_append_that_broke_in_the_middle_is_covered_by_the_next_head(filled: AuditLog) -> None:
    def bodies() -> Any:
        yield {"kind": "e"}
        raise RuntimeError("the reader broke")

    with pytest.raises(RuntimeError, match="the reader broke"):
        filled.append("run-3", bodies())
    filled.append("run-4", [{"kind": "f"}])
    assert kinds(filled)[-3:] == ["e", "f", "head"]
    assert check_log(filled.lines(), keys=[SIGNER.public]).problems == []


def test_nothing_is_appended_to_a_log_whose_end_was_changed(filled: AuditLog) -> None:
    lines = filled.path.read_bytes().splitlines(keepends=True)
    filled.path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b'"covers_seq":7', b'"covers_seq":6')]))
    before = filled.path.read_bytes()
    with pytest.raises(AuditLogAltered, match=r"its last entry, seq 8, does not have the hash of its content"):
        filled.append("run-3", [{"kind": "e"}])
    assert filled.path.read_bytes() == before


def test_a_restored_older_copy_goes_on_behind_the_lost_numbers_and_says_so(filled: AuditLog) -> None:
    lines = filled.path.read_bytes().splitlines(keepends=True)
    filled.path.write_bytes(b"".join(lines[:3]))

    filled.append("run-3", [{"kind": "e"}])

    entries = list(filled.entries())
    assert [(entry.seq, entry.kind) for entry in entries[3:]] == [(8, "gap"), (9, "e"), (10, "head")]
    assert (entries[3].body["missing_from"], entries[3].body["missing_to"]) == (4, 7)


def test_a_head_known_elsewhere_shows_a_loss_without_anchors(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, now=ticking())
    log.append("run-1", [{"kind": "a"}])
    short = log.path.read_bytes()
    newest = log.append("run-1", [{"kind": "b"}])
    log.path.write_bytes(short)

    log.append("run-2", [{"kind": "c"}], elsewhere=[newest, Head(99, "f" * 64, "another log", "", "")])

    gap = list(log.entries())[3]
    assert (gap.kind, gap.seq, gap.body["known_hash"]) == ("gap", newest.seq + 1, newest.hash)


def test_a_new_log_names_the_logs_others_know(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, now=ticking())
    log.append("run", [{"kind": "a"}], elsewhere=[Head(7, "f" * 64, "old log", "", ""), Head(3, "e" * 64, "old log", "", "")])
    assert next(log.entries()).body["other_logs"] == {"old log": 7}


def test_an_anchor_is_never_overwritten(filled: AuditLog, anchors: AnchorFolder) -> None:
    head = anchors.read(filled.log_id())[0][0].head
    anchors.write(head)
    with pytest.raises(AnchorUnavailable, match="found another head"):
        anchors.write(Head(head.seq, "0" * 64, head.log_id, "", head.at))


def test_an_anchor_folder_that_cannot_be_written_stops_the_append_with_advice(tmp_path: Path) -> None:
    (tmp_path / "anchors").write_text("a file is in the way")
    log = AuditLog(tmp_path / "home", anchors=AnchorFolder(tmp_path / "anchors"), now=ticking())
    with pytest.raises(AnchorUnavailable, match="mount it and run again"):
        log.append("run", [{"kind": "a"}])


def test_a_line_of_the_log_is_plain_json(filled: AuditLog) -> None:
    first = json.loads(next(filled.lines()))
    assert first.keys() == {"body", "hash", "prev", "seq"}
