"""The command: one line when ready, a port file, a clean end."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from sandbox.cli import main

_ROOT = Path(__file__).parents[2]


def _start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    port_file = tmp_path / "port"
    with _start("--claims", "50", "--port-file", str(port_file)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"listening (http://127\.0\.0\.1:(\d+))\n", line)
        assert found
        assert port_file.read_text() == f"{found[2]}\n"
        assert httpx.get(f"{found[1]}/sandbox/control/health").json() == {"status": "ok", "claims": 50}
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, "", "")


def test_a_state_of_another_tenant_ends_with_2_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "changes.jsonl").write_text('{"sandbox":1,"claims":9,"seed":9}\n')
    with _start("--claims", "5", "--state", str(tmp_path)) as process:
        _output, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "choose another state directory" in errors


@pytest.mark.parametrize("arguments", [["--claims", "0"], ["--claims", "many"], ["--nothing"]])
def test_wrong_arguments_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_it_shares_no_code_with_the_product() -> None:
    # demo.py is no part of the sandbox: it runs the product against it.
    sources = [path for path in (_ROOT / "sandbox").rglob("*.py") if path.name != "demo.py"]
    assert len(sources) > 20
    imports = re.compile(r"^\s*(?:from|import) +(etl|plugins|dags)\b", re.MULTILINE)
    assert [path.name for path in sources if imports.search(path.read_text(encoding="utf-8"))] == []
