"""The demo's own promises: Ctrl-C leaves nothing behind, settings can be sourced, one demo per folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.demo_settings import DemoFolder, child_environment, write_env_file

PROJECT = Path(__file__).resolve().parents[2]
_LONG = 120


def demo(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sandbox.demo", "--claims", "50", "--folder", str(folder)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def processes_of(folder: Path) -> list[str]:
    """Commands of living processes that know the folder, by argument or by environment."""
    needle, found = str(folder).encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue  # it ended meanwhile, or is another user's
        if (needle in command or needle in environment) and int(entry.name) != os.getpid():
            found.append(command.replace(b"\0", b" ").decode())
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("moment", ["listens on", "starting Airflow"])
def test_a_signal_ends_the_demo_and_every_process_it_started(number: signal.Signals, moment: str, tmp_path: Path) -> None:
    running = demo(tmp_path)
    assert running.stdout is not None
    seen = next(line for line in running.stdout if moment in line)
    assert seen
    assert len(processes_of(tmp_path)) >= 2
    running.send_signal(number)
    _, said = running.communicate(timeout=_LONG)
    assert running.returncode == 130
    assert "nothing is left running" in said
    assert processes_of(tmp_path) == []


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with DemoFolder(tmp_path).locked():
        second = demo(tmp_path)
        _, said = second.communicate(timeout=_LONG)
    assert second.returncode == 2
    assert "another demo is running" in said


def test_changes_of_another_tenant_are_named_and_not_overwritten(tmp_path: Path) -> None:
    changes = tmp_path / "hesi" / "changes.jsonl"
    changes.parent.mkdir()
    changes.write_text('{"another": "tenant"}\n', encoding="utf-8")
    refused = demo(tmp_path)
    _, said = refused.communicate(timeout=_LONG)
    assert refused.returncode == 2
    assert "the sandbox did not start" in said
    assert changes.read_text(encoding="utf-8") == '{"another": "tenant"}\n'


def test_the_env_file_gives_a_shell_every_setting_of_the_run(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path / "it's a demo")
    folder.root.mkdir()
    environment = child_environment(folder, "http://127.0.0.1:8765")
    write_env_file(folder, environment, ["hesi-erp", "sandbox", "--state", str(folder.hesi), "--port", "8765"])
    assert folder.env_file.stat().st_mode & 0o777 == 0o600
    command = ["sh", "-c", '. "$1" && env', "sh", str(folder.env_file)]
    shell = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    sourced = dict(line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line)
    ours = {name: value for name, value in environment.items() if name.startswith(("HESI_", "ERP_", "AIRFLOW_"))}
    assert len(ours) > 12
    assert {name: sourced[name] for name in ours} == ours
    assert "hesi-erp sandbox" in folder.env_file.read_text(encoding="utf-8")


def test_the_settings_of_the_demo_are_complete_and_accepted(tmp_path: Path) -> None:
    from etl.config.settings import Settings, load_settings

    environment = child_environment(DemoFolder(tmp_path), "http://127.0.0.1:8765")
    names = {field.alias for field in Settings.model_fields.values()}
    settings = load_settings(**{name: value for name, value in environment.items() if name in names})
    assert settings.home == tmp_path / "home"
    assert settings.requests_per_second == 0


def test_settings_of_the_callers_shell_do_not_reach_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERP_URL", "postgresql://production/erp")
    monkeypatch.setenv("HESI_ERP_START", "2030-01-01")
    environment = child_environment(DemoFolder(tmp_path), "http://127.0.0.1:8765")
    assert environment["ERP_URL"] == f"sqlite:///{tmp_path / 'erp.db'}"
    assert "HESI_ERP_START" not in environment


def test_the_pool_the_demo_makes_is_the_one_the_tasks_ask_for(airflow: Path) -> None:
    from hesi_erp.schedule import POSTING_POOL
    from sandbox.demo_dag import POOL

    assert POOL == POSTING_POOL
