"""`hesi-erp sandbox` is the sandbox, from another command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from etl.config.settings import PROJECT


@pytest.mark.parametrize("as_json", [False, True], ids=["plain", "json"])
def test_the_sandbox_announces_where_it_listens_and_ends_with_an_interrupt(as_json: bool) -> None:
    arguments = [sys.executable, "-m", "etl", "sandbox", "--claims", "5", *(["--json"] if as_json else [])]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=30)
    address = json.loads(line)["listening"] if as_json else line.removeprefix("listening ").strip()
    assert address.startswith("http://127.0.0.1:")
    assert (process.returncode, rest) == (0, ""), told
