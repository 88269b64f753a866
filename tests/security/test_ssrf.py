"""The client speaks to the hosts it was given and to no other, whatever an answer, a redirect or an attachment says."""

from __future__ import annotations

import ast
import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from etl.config.settings import PROJECT, load_settings
from etl.errors import ConfigError, EtlError, HostRefused, SourceUnavailable
from etl.hesi.attachments import StoredFile, download_urls
from etl.hesi.client import HesiClient
from etl.hesi.endpoints import FEE_TYPES, Endpoint
from faults.certificates import FLAWS, issue
from tests.security.hesi_answers import ALLOWED, BASE, ENDPOINTS, KEY, SECRET, FakeHesi, call
from tests.security.payloads import ADDRESSES

OURS = {"app.ekuaibao.com"}


def fine(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"items": []})


def test_there_are_thirty_addresses() -> None:
    assert len(set(ADDRESSES)) >= 30


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_location_call_cannot_send_the_client_elsewhere(address: str) -> None:
    hesi = FakeHesi(fine, location=address)
    with hesi.client() as client, pytest.raises(HostRefused, match="expected"):
        client.call(FEE_TYPES)
    assert hesi.hosts == OURS


@pytest.mark.parametrize("value", [None, "", 7, [], {"host": "https://evil.example"}, ["https://evil.example"], True])
def test_a_location_that_is_no_text_leaves_the_address_as_given(value: object) -> None:
    hesi = FakeHesi(fine, location=value)
    with hesi.client() as client:
        client.call(FEE_TYPES)
    assert hesi.hosts == OURS


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("address", [*ADDRESSES, "/elsewhere", "https://dd2.hosecloud.com/api"])
def test_no_redirect_is_followed_not_even_to_an_allowed_host(status: int, address: str) -> None:
    hesi = FakeHesi(lambda _: httpx.Response(status, headers={"Location": address.encode()}))
    # What is no address at all is a broken answer to the HTTP library, before anybody could follow it.
    with hesi.client() as client, pytest.raises((HostRefused, SourceUnavailable), match=r"not followed|InvalidURL|Invalid URL"):
        client.call(FEE_TYPES)
    assert hesi.hosts == OURS
    assert {request.url.path for request in hesi.requests[2:]} == {FEE_TYPES.path}


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.name not in {"getAccessToken", "location"}], ids=lambda endpoint: endpoint.name)
def test_no_endpoint_follows_a_redirect(endpoint: Endpoint) -> None:
    hesi = FakeHesi(lambda _: httpx.Response(302, headers={"Location": "https://evil.example/"}))
    with hesi.client() as client, pytest.raises(HostRefused):
        call(client, endpoint)
    assert hesi.hosts == OURS


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_base_address_outside_the_allowed_hosts_is_a_wrong_setting(address: str) -> None:
    with pytest.raises(ConfigError):
        HesiClient(address, KEY, SECRET, allowed_hosts=ALLOWED, requests_per_second=0, max_retry_after_seconds=60)


def test_links_to_attachments_are_handed_over_and_never_fetched() -> None:
    links = [{"id": str(n), "key": "k", "url": address} for n, address in enumerate(ADDRESSES)]
    hesi = FakeHesi(lambda _: httpx.Response(200, json=links))
    with hesi.client() as client:
        (answer,) = list(download_urls(client, [StoredFile("1", "k")]))
    assert [link["url"] for link in answer.value] == list(ADDRESSES)
    assert hesi.hosts == OURS
    assert [request.url.path for request in hesi.requests].count("/api/openapi/v2/attachment/downloadurls") == 1


def test_nothing_in_the_product_opens_an_address_but_the_one_transport() -> None:
    fetchers = {"urllib.request", "requests", "aiohttp", "http.client", "ftplib", "smtplib", "urllib3", "httpx", "httpcore", "pycurl"}
    found = [
        (path.relative_to(PROJECT).as_posix(), name)
        for path in (PROJECT / "etl").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        if name in fetchers
    ]
    assert found == [("etl/hesi/transport.py", "pycurl")]


@pytest.mark.parametrize(
    "base",
    ["http://app.ekuaibao.com", "ftp://app.ekuaibao.com", "https://u:p@app.ekuaibao.com", "https://app.ekuaibao.com/?x=1", "app.ekuaibao.com", "https://"],
)
def test_plain_http_and_odd_addresses_are_refused_when_settings_are_read(base: str) -> None:
    with pytest.raises(ConfigError, match="HESI_BASE_URL"):
        load_settings(HESI_BASE_URL=base)


def test_proxies_and_netrc_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    hesi = FakeHesi(fine)
    with hesi.client() as client:
        client.call(FEE_TYPES)
    assert hesi.hosts == OURS


@contextmanager
def tls_server(chain: Path, *, newest: ssl.TLSVersion) -> Iterator[tuple[str, list[bytes]]]:
    """Its address, and what it was sent over TLS; it answers everything with no items."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # an old protocol is the point
        context.minimum_version = min(newest, ssl.TLSVersion.TLSv1_2)
        context.maximum_version = newest
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # or OpenSSL would not speak the old protocol at all
    received: list[bytes] = []

    def serve() -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                peer, _ = listener.accept()
                with peer, contextlib.suppress(OSError), context.wrap_socket(peer, server_side=True) as secure:
                    while asked := secure.recv(65536):
                        received.append(asked)
                        value = b'{"value":{"accessToken":"tls-token-1","expireTime":99999999999999,"corporationId":""},"items":[]}'
                        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(value), value))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", received
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=10)
    assert not thread.is_alive()


def ask_over_tls(chain: Path, newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> tuple[type[Exception] | None, list[bytes]]:
    """What a call to a server with this certificate raised, and what the server was sent."""
    raised = None
    with tls_server(chain, newest=newest) as (url, received):
        settings = {"requests_per_second": 0, "max_retry_after_seconds": 60, "sleep": lambda _: None}
        with HesiClient(url, KEY, SECRET, allowed_hosts=["127.0.0.1"], **settings) as client:
            try:
                client.call(FEE_TYPES)
            except EtlError as error:
                raised = type(error)
    return raised, received


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_the_machine_trusts_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest: ssl.TLSVersion) -> None:
    issued = issue(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.trusted))
    raised, received = ask_over_tls(issued.chain, newest)
    assert raised is None
    assert b"feeTypes" in received[-1]


@pytest.mark.parametrize("flaw", FLAWS)
def test_certificates_are_verified_and_tls_is_1_2_or_newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flaw: str) -> None:
    issued = issue(tmp_path, flaw)
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.trusted))
    assert ask_over_tls(issued.chain) == (HostRefused, [])
    good = issue(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(good.trusted))
    assert ask_over_tls(good.chain, ssl.TLSVersion.TLSv1_1) == (SourceUnavailable, [])


@pytest.mark.parametrize("trusted", ["missing.pem", "empty.pem", "the machine's own"])
def test_without_the_certificate_of_the_authority_nobody_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: str) -> None:
    (tmp_path / "empty.pem").touch()
    if trusted.endswith(".pem"):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / trusted))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "missing"))
    assert ask_over_tls(issue(tmp_path).chain) == (HostRefused, [])


def test_no_source_of_the_project_switches_verification_off() -> None:
    needles = ("verify" + "=False", "CERT_" + "NONE", "check_hostname" + " = False", "_create_" + "unverified_context", "sslmode" + "=disable")
    folders: tuple[Path, ...] = tuple(PROJECT / name for name in ("etl", "plugins", "dags", "sandbox"))
    found = [(str(path), needle) for folder in folders for path in folder.rglob("*.py") for needle in needles if needle in path.read_text(encoding="utf-8")]
    assert found == []


def test_the_base_of_these_tests_is_an_allowed_one() -> None:
    assert BASE.removeprefix("https://") in ALLOWED
