"""The command line without a tenant: arguments, exit status, configuration mistakes, what is imported, what is printed."""

from __future__ import annotations

import argparse
import io
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from etl.cli import main
from etl.cli_output import print_lines, printable, table
from etl.commands.errors import guarded
from etl.commands.logs import log_file, logging_to
from etl.config.settings import PROJECT
from etl.errors import BudgetCalculating, ConfigError, ControlTotalMismatch, EtlError

VERBS = ("run", "check-config", "explain", "replay", "accept", "accept-payment", "clear-number", "reconcile", "evidence", "audit")
CANARY = "canary-app-security-7c1f"
# None of these is needed to print help; each would cost a tenth of a second or more.
SLOW = {
    *("pandas", "numpy", "pyarrow", "sqlalchemy", "pydantic", "urllib3", "pycurl", "msgspec"),
    *("great_expectations", "airflow", "alembic", "jinja2", "tenacity"),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HESI_ERP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def imported_by(*arguments: str) -> set[str]:
    """Top-level modules a fresh interpreter has loaded after the command."""
    code = (
        "import sys\nfrom etl.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write('\\n'.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=PROJECT, timeout=120)
    assert done.stdout
    return set(done.stderr.split("\n"))


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("explain", "--help")], ids=" ".join)
def test_help_loads_nothing_that_takes_time(arguments: tuple[str, ...]) -> None:
    loaded = imported_by(*arguments)
    assert "argparse" in loaded
    assert loaded & SLOW == set()


def test_checking_the_configuration_loads_neither_the_validator_nor_the_scheduler() -> None:
    loaded = imported_by("check-config")
    assert "pydantic" in loaded
    assert loaded & {"great_expectations", "airflow"} == set()


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_answers_in_json_when_asked(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([verb, *(["check"] if verb == "audit" else []), "--help"])
    assert "--json" in capsys.readouterr().out


def test_python_dash_m_etl_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "etl", "--version"], capture_output=True, text=True, check=True, cwd=PROJECT, timeout=60)
    assert done.stdout.startswith("hesi-erp ")


@pytest.mark.parametrize("arguments", [[], ["post"], ["run", "--fast"], ["explain"]], ids=["nothing", "unknown command", "unknown option", "no claim"])
def test_wrong_arguments_end_with_2_and_nothing_on_standard_output(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert "usage: hesi-erp" in told.err


def test_the_sandbox_has_its_own_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sandbox", "--help"])
    assert ended.value.code == 0
    assert "--claims" in capsys.readouterr().out


def test_a_run_without_settings_names_all_that_are_missing_and_starts_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert [name for name in ("HESI_APP_KEY", "HESI_APP_SECURITY", "ERP_URL") if f"{name} is not set" not in told.err] == []
    assert not home.exists()


@pytest.mark.parametrize("verb", [["run"], ["replay"], ["reconcile"], ["explain", "B1"]], ids=lambda verb: verb[0])
def test_a_wrong_setting_ends_with_2_and_does_not_show_its_value(
    verb: list[str], home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ERP_URL", f"postgresql//user:{CANARY}@host/erp")
    assert main([*verb, "--json"]) == 2
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert document["exit_status"] == 2
    assert document["error"]["code"] == "CONFIG_ERROR"
    assert [problem for problem in document["error"]["problems"] if problem.startswith("ERP_URL: expected a SQLAlchemy URL")]
    assert CANARY not in told.out + told.err


def test_the_demo_configuration_is_right(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True
    assert document["problems"] == []
    assert {"C01", "C02", "C03"} <= set(document["companies"])
    assert [len(document[name]) for name in ("mapping_sha256", "expectations_sha256")] == [64, 64]
    assert not home.exists()


def test_check_config_reports_settings_and_files_together_with_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mappings = tmp_path / "mappings"
    shutil.copytree(PROJECT / "mappings", mappings)
    company = mappings / "companies" / "C01.yaml"
    lines = company.read_text(encoding="utf-8").split("\n")
    place = next(number for number, line in enumerate(lines, start=1) if line.startswith("chart:"))
    lines[place - 1] = "chart: casino"
    company.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("HESI_ERP_MAPPINGS", str(mappings))
    monkeypatch.setenv("HESI_ERP_OVERLAP_HOURS", "-1")
    assert main(["check-config"]) == 2
    out = capsys.readouterr().out
    assert f"companies/C01.yaml:{place}:" in out
    assert "HESI_ERP_OVERLAP_HOURS" in out


def raising(error: BaseException, *, as_json: bool = False) -> argparse.Namespace:
    def command(options: argparse.Namespace) -> int:
        raise error

    return argparse.Namespace(command=command, json=as_json)


@pytest.mark.parametrize(
    ("error", "status"),
    [(ConfigError("wrong", problems=("a.yaml:1: x", "a.yaml:2: y")), 2), (ControlTotalMismatch("1 cent"), 1), (BudgetCalculating("wait"), 1)],
    ids=["configuration", "terminal", "transient"],
)
def test_an_error_of_ours_is_a_code_and_a_message_without_a_traceback(error: EtlError, status: int, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(error)) == status
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"{error.code}: {error}\n"
    assert not home.exists()


def test_an_unexpected_error_is_one_line_and_keeps_its_traceback_in_a_private_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = ZeroDivisionError(f"while calling https://app.ekuaibao.com/x?accessToken={CANARY}&start=0")
    assert guarded(raising(error, as_json=True)) == 1
    told = capsys.readouterr()
    assert told.err.startswith("UNEXPECTED: ZeroDivisionError: while calling")
    assert len(told.err.splitlines()) == 1
    assert json.loads(told.out)["error"]["code"] == "UNEXPECTED"
    kept = log_file(home)
    text = kept.read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in text
    assert "accessToken=***" in text
    assert CANARY not in text + told.out + told.err
    assert kept.stat().st_mode & 0o777 == 0o600


def test_an_unexpected_error_is_told_even_when_its_traceback_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HESI_ERP_HOME", str(tmp_path / "file"))
    assert guarded(raising(ZeroDivisionError("x"))) == 1
    assert "could not be kept" in capsys.readouterr().err


def test_an_interrupted_command_says_that_it_may_be_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(KeyboardInterrupt())) == 130
    assert "run again" in capsys.readouterr().err


@pytest.mark.parametrize(("verbose", "shown"), [(False, ["WARNING slow"]), (True, ["INFO step", "WARNING slow"])], ids=["quiet", "verbose"])
def test_log_lines_go_to_a_private_file_and_as_many_as_wanted_to_the_terminal(
    verbose: bool, shown: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = logging.getLogger().handlers[:]
    with logging_to(tmp_path, verbose=verbose):
        logging.getLogger("etl").info("step")
        logging.getLogger("etl.hesi").warning("slow")
        talkative = logging.getLogger("some.talkative.library")
        talkative.setLevel(logging.INFO)
        talkative.info("chatter")
    assert logging.getLogger().handlers == before
    lines = log_file(tmp_path).read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["INFO step", "WARNING slow"]
    assert [line.split(" ", 2)[2] for line in capsys.readouterr().err.splitlines()] == shown
    assert log_file(tmp_path).stat().st_mode & 0o777 == 0o600


def test_what_a_library_logs_is_redacted_like_our_own_lines(tmp_path: Path) -> None:
    with logging_to(tmp_path, verbose=False):
        logging.getLogger("some.library").warning("GET %s", f"https://h/x?accessToken={CANARY}")
    assert log_file(tmp_path).read_text(encoding="utf-8").endswith("WARNING GET https://h/x?accessToken=***\n")


def test_no_log_file_is_left_where_nothing_was_logged(tmp_path: Path) -> None:
    with logging_to(tmp_path, verbose=False):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [("差旅 2026-03", "差旅 2026-03"), ("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\nb\tc", "a\\nb\\tc"), ("x\u202ey", "x\\u202ey"), ("\x07", "\\x07")],
    ids=["plain", "escape sequence", "line ends", "bidi override", "bell"],
)
def test_claim_text_cannot_steer_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_columns_stand_under_each_other_where_characters_are_two_wide() -> None:
    header, rule, first, second = table(["voucher", "amount"], [["记-1", "1.00"], ["abcd-1", "12.00"]], right=[1])
    # 记 takes two cells of the terminal, so its line is one character shorter.
    assert len(first) == len(second) - 1
    assert header.endswith("amount")
    assert set(rule) == {"-", " "}


def test_a_terminal_without_chinese_gets_escapes_instead_of_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    print_lines(["voucher 记-1"])
    assert written.getvalue() == b"voucher \\u8bb0-1\n"


def test_commands_cover_exactly_the_verbs_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = {line.split()[0] for line in capsys.readouterr().out.split("COMMAND\n")[-1].splitlines() if line.startswith("    ") and line[4] != " "}
    assert listed == {*VERBS, "sandbox"}
