"""The real wire on this machine: deadlines byte by byte, TLS, kept connections."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from etl.errors import SourceUnavailable
from etl.hesi.client import HesiClient
from etl.hesi.endpoints import FEE_TYPES
from etl.hesi.transport import tls_context

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TOKEN = b'{"value":{"accessToken":"wire-token-1","expireTime":99999999999999,"corporationId":""}}'
Serve = Callable[[Callable[[socket.socket, bytes], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that gives every request to a function; stops it with the test."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    sockets: list[socket.socket] = []

    def start(answer: Callable[[socket.socket, bytes], None]) -> str:
        def connection(peer: socket.socket) -> None:
            with contextlib.suppress(OSError):  # the client hung up, which is what some tests want to see
                while request := _whole_request(peer):
                    if b"getAccessToken" in request:
                        peer.sendall(HEADERS + b"Content-Length: %d\r\n\r\n%s" % (len(TOKEN), TOKEN))
                    else:
                        answer(peer, request)

        def accept() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                sockets.append(peer)
                threads.append(threading.Thread(target=connection, args=(peer,)))
                threads[-1].start()

        threads.append(threading.Thread(target=accept))
        threads[0].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    for peer in sockets:
        with contextlib.suppress(OSError):  # already closed
            peer.shutdown(socket.SHUT_RDWR)
        peer.close()
    listener.close()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()


def _whole_request(peer: socket.socket) -> bytes:
    """Headers and body of one request; empty when the client has hung up."""
    received = b""
    while True:
        head, ended, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if ended and len(body) >= int(length[1] if length else 0):
            return received
        more = peer.recv(65536)
        if not more:
            return b""
        received += more


def connect(url: str, **changes: Any) -> HesiClient:
    settings: dict[str, Any] = {
        "allowed_hosts": ["127.0.0.1"],
        "requests_per_second": 0,
        "max_retry_after_seconds": 60,
        "sleep": lambda _: None,
    }
    return HesiClient(url, "key", "secret-0815", **(settings | changes))


def drip(peer: socket.socket, prefix: bytes) -> None:
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.sendall(prefix)
    while True:
        peer.sendall(b"a")


@pytest.mark.parametrize("prefix", [HEADERS + b"Content-Length: 9999999999\r\n\r\n", HEADERS + b"X-Slow: "])
def test_bytes_that_keep_dripping_in_body_or_headers_do_not_outlive_the_deadline(serve: Serve, prefix: bytes) -> None:
    ticks = itertools.count()  # every look at the clock is a second later: no real waiting
    url = serve(lambda peer, _: drip(peer, prefix))
    client = connect(url, clock=lambda: next(ticks), total_deadline_seconds=60)
    with client, pytest.raises(SourceUnavailable, match="feeTypes"):
        client.call(FEE_TYPES)
    assert next(ticks) < 300


def test_one_connection_serves_all_calls(serve: Serve) -> None:
    peers = set()

    def answer(peer: socket.socket, _: bytes) -> None:
        peers.add(peer.getpeername())
        peer.sendall(HEADERS + b'Content-Length: 12\r\n\r\n{"items":[]}')

    with connect(serve(answer)) as client:
        for _ in range(5):
            client.call(FEE_TYPES)
    assert len(peers) == 1


def test_the_token_is_in_the_query_on_the_wire_and_the_path_is_as_documented(serve: Serve) -> None:
    seen: list[bytes] = []

    def answer(peer: socket.socket, request: bytes) -> None:
        seen.append(request.split(b"\r\n")[0])
        peer.sendall(HEADERS + b'Content-Length: 12\r\n\r\n{"items":[]}')

    with connect(serve(answer)) as client:
        client.call(FEE_TYPES)
    assert seen == [b"GET /api/openapi/v1/feeTypes?accessToken=wire-token-1 HTTP/1.1"]


def test_a_connection_closed_half_way_is_a_transient_failure(serve: Serve) -> None:
    def answer(peer: socket.socket, _: bytes) -> None:
        peer.sendall(HEADERS + b'Content-Length: 100\r\n\r\n{"items":')
        peer.shutdown(socket.SHUT_RDWR)

    with connect(serve(answer)) as client, pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1"):
        client.call(FEE_TYPES)


def test_a_port_nobody_listens_on_is_a_transient_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with connect(f"http://127.0.0.1:{port}") as client, pytest.raises(SourceUnavailable, match="NewConnectionError"):
        client.call(FEE_TYPES)


def test_tls_is_verified_and_at_least_version_1_2() -> None:
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_proxies_and_passwords_of_the_environment_are_not_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    url = serve(lambda peer, _: peer.sendall(HEADERS + b'Content-Length: 12\r\n\r\n{"items":[]}'))
    with connect(url) as client:
        assert client.call(FEE_TYPES).body == b'{"items":[]}'


def test_an_answer_may_come_packed_or_in_pieces(serve: Serve) -> None:
    body = b'{"items":[]}'
    packed = gzip.compress(body)
    answers = iter([
        HEADERS + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(packed), packed),
        HEADERS + b"Transfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n7\r\n%s\r\n0\r\n\r\n" % (body[:5], body[5:]),
    ])  # fmt: skip
    with connect(serve(lambda peer, _: peer.sendall(next(answers)))) as client:
        assert [client.call(FEE_TYPES).body for _ in range(2)] == [body, body]


def test_an_answer_without_length_ends_with_its_connection(serve: Serve) -> None:
    def answer(peer: socket.socket, _: bytes) -> None:
        peer.sendall(HEADERS + b'Connection: close\r\n\r\n{"items":[]}')
        peer.shutdown(socket.SHUT_RDWR)

    with connect(serve(answer)) as client:
        assert client.call(FEE_TYPES).body == b'{"items":[]}'
        assert client.call(FEE_TYPES).body == b'{"items":[]}'


def test_a_packed_answer_that_is_broken_is_a_transient_failure(serve: Serve) -> None:
    url = serve(lambda peer, _: peer.sendall(HEADERS + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"))
    with connect(url) as client, pytest.raises(SourceUnavailable, match="DecodeError"):
        client.call(FEE_TYPES)


def test_headers_the_library_complains_about_put_no_token_into_a_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = serve(lambda peer, _: peer.sendall(HEADERS + b'no header at all\r\nContent-Length: 12\r\n\r\n{"items":[]}'))
    with connect(url) as client, contextlib.suppress(SourceUnavailable):
        client.call(FEE_TYPES)
    assert "wire-token-1" not in caplog.text


def test_a_server_that_hung_up_between_two_calls_is_asked_again_on_a_new_connection(serve: Serve) -> None:
    peers = set()

    def answer(peer: socket.socket, _: bytes) -> None:
        peers.add(peer.getpeername())
        peer.sendall(HEADERS + b'Content-Length: 12\r\n\r\n{"items":[]}')
        peer.shutdown(socket.SHUT_RDWR)

    with connect(serve(answer)) as client:
        for _ in range(3):
            assert client.call(FEE_TYPES).body == b'{"items":[]}'
    assert len(peers) == 3
