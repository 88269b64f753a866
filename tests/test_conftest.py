"""The guards every test relies on hold themselves."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from etl.hesi.limits import Deadline
from etl.hesi.transport import Request, WireTransport
from tests.conftest import FINANCE, NetworkRefused


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_a_socket_that_leaves_this_machine_is_refused(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as outside, pytest.raises(NetworkRefused, match="loopback"):
        outside.connect((address, 80))


def test_a_name_of_another_machine_is_not_even_looked_up() -> None:
    with pytest.raises(NetworkRefused):
        httpx.get("http://app.ekuaibao.com")


def test_libcurl_is_not_asked_for_another_machine_either() -> None:
    with pytest.raises(NetworkRefused):
        WireTransport().send(Request("GET", "http://app.ekuaibao.com"), deadline=Deadline(time.monotonic, 1))


def test_loopback_is_reachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_settings_of_the_shell_do_not_reach_the_tests() -> None:
    assert [name for name in os.environ if name.startswith("HESI_") and name != "HESI_SAMPLES_DIR"] == []


def test_a_golden_file_that_is_missing_or_differs_is_a_failure(golden: Callable[[Path, str], None], tmp_path: Path) -> None:
    file = tmp_path / "expected.csv"
    with pytest.raises(pytest.fail.Exception, match="does not exist"):
        golden(file, "1\n")
    file.write_text("1\n", encoding="utf-8")
    golden(file, "1\n")
    with pytest.raises(pytest.fail.Exception, match=r"-1\n\+2"):
        golden(file, "2\n")


def test_update_golden_writes_case_folders_but_never_finances_own(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("from tests.conftest import golden, pytest_addoption")
    pytester.makepyfile(
        f"""
        from pathlib import Path

        def test_ours(golden, tmp_path):
            golden(tmp_path / "new.csv", "1")
            assert (tmp_path / "new.csv").read_text() == "1"

        def test_finances(golden):
            golden(Path({str(FINANCE)!r}) / "g01" / "lines.csv", "1")
        """
    )
    result = pytester.runpytest("--update-golden", "-p", "no:cacheprovider", "--rootdir", str(pytester.path))
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines("*is finance's: --update-golden does not write it*")
