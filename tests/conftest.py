"""What every test shares: no network beyond this machine, no settings of the developer's shell, golden files."""

from __future__ import annotations

import difflib
import os
import socket
from collections.abc import Callable, Iterator
from functools import wraps
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import settings as hypothesis_settings

pytest_plugins = ["pytester", "tests.fixtures.postgres", "tests.fixtures.browser"]

FINANCE = Path(__file__).parent / "cases" / "golden"
KEPT = {"HESI_SAMPLES_DIR"}

# Two busy cores must not turn a slow example into a failure, and a failure must come again when the test is run again.
hypothesis_settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis_settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The switch that rewrites expected files."""
    parser.addoption("--update-golden", action="store_true", help="write expected files of case folders again, except finance's")


def pytest_configure(config: pytest.Config) -> None:
    """Takes the product's settings out of the environment: a test says which ones it wants."""
    for name in list(os.environ):
        if (name.startswith(("HESI_", "AIRFLOW_")) or name == "ERP_URL") and name not in KEPT:
            del os.environ[name]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``-n 2 --dist loadgroup`` a file stays on one worker, and all that starts Airflow on the same one."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            place = item.path.relative_to(config.rootpath).as_posix()
            item.add_marker(pytest.mark.xdist_group("airflow" if place.startswith("tests/dags/") else place))


class NetworkRefused(Exception):  # not an OSError: code that expects a broken network must not swallow it
    """A test tried to leave this machine."""


def _refuse(host: Any) -> None:
    if isinstance(host, bytes):
        host = host.decode()
    if host in {None, "", "localhost", "0.0.0.0", "::", socket.gethostname()}:  # noqa: S104 - compared, not bound
        return
    try:
        inside = ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise NetworkRefused(f"expected a loopback address, found {host!r}; answer with tests.support.answers or the sandbox")


@pytest.fixture(scope="session", autouse=True)
def this_machine_only() -> Iterator[None]:
    """Python sockets reach loopback and unix sockets only; libcurl, which has sockets of its own, is asked for loopback only."""
    from etl.hesi.transport import Request, Response, WireTransport  # by the tests that start, not by every look at the list of them

    send = WireTransport.send

    @wraps(send)
    def asked(self: WireTransport, request: Request, **options: Any) -> Response:
        _refuse(urlsplit(request.url).hostname)
        return send(self, request, **options)

    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded(original: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
        def call(self: socket.socket, address: Any) -> Any:
            if self.family in {socket.AF_INET, socket.AF_INET6}:
                _refuse(address[0])
            return original(self, address)

        return call

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        _refuse(host)
        return getaddrinfo(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(connect))
        patch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
        patch.setattr(socket, "getaddrinfo", resolve)
        patch.setattr(WireTransport, "send", asked)
        yield


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares text with the file beside the case; a missing file is a failure. ``--update-golden`` writes it instead.

    Finance's own cases are never written: a figure there changes with finance's name on it.
    """
    update = request.config.getoption("--update-golden")

    def compare(expected: Path, found: str) -> None:
        if update:
            if expected.resolve().is_relative_to(FINANCE):
                pytest.fail(f"{expected} is finance's: --update-golden does not write it")
            expected.write_text(found, encoding="utf-8")
            return
        if not expected.exists():
            pytest.fail(f"{expected} does not exist; write it with --update-golden and review it")
        text = expected.read_text(encoding="utf-8")
        if text != found:
            diff = difflib.unified_diff(text.splitlines(), found.splitlines(), str(expected), "found", lineterm="")
            pytest.fail("\n".join(diff), pytrace=False)

    return compare
