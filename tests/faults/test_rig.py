"""What the rig says of a case is what the case left, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.rig import Result

RESULT = Result("process/kill/before-load/1", "process", "kill", True, "amber", "", 1.5)


def test_a_result_is_read_once_as_it_was_written(tmp_path: Path) -> None:
    RESULT.write(tmp_path / "result-1.json")
    assert Result.take(tmp_path / "result-1.json") == RESULT
    assert Result.take(tmp_path / "result-1.json") is None


def test_a_case_killed_while_it_writes_leaves_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(beside: Path, *_: object, **__: object) -> None:
        beside.write_bytes(b'{"case": "proc')
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        RESULT.write(tmp_path / "result-1.json")
    assert Result.take(tmp_path / "result-1.json") is None
