"""The real wire on this machine: deadlines byte by byte, TLS, kept connections."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import re
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pycurl
import pytest

from etl.errors import PayloadChanged, SourceUnavailable
from etl.hesi import transport
from etl.hesi.auth import AccessToken
from etl.hesi.client import HesiClient
from etl.hesi.endpoints import FEE_TYPES
from etl.hesi.limits import Deadline
from etl.hesi.transport import NoAnswer, Request, Response, WireTransport

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


def ask(url: str, method: str = "GET", body: bytes | None = None, *, seconds: float = 30) -> Response:
    wire = WireTransport()
    try:
        return wire.send(Request(method, url, body), deadline=Deadline(time.monotonic, seconds))
    finally:
        wire.close()


def drip(peer: socket.socket, prefix: bytes) -> None:
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.sendall(prefix)
    while True:
        peer.sendall(b"a")
        time.sleep(0.01)


@pytest.mark.parametrize("prefix", [HEADERS + b"Content-Length: 99999\r\n\r\n", HEADERS + b"X-Slow: "])
def test_bytes_that_keep_dripping_in_body_or_headers_do_not_outlive_the_deadline(serve: Serve, prefix: bytes) -> None:
    url = serve(lambda peer, _: drip(peer, prefix))
    begun = time.monotonic()
    with connect(url, total_deadline_seconds=0.5) as client, pytest.raises(SourceUnavailable, match=r"feeTypes.*timed out"):
        client.call(FEE_TYPES)
    assert 0.4 < time.monotonic() - begun < 5


def test_a_machine_that_takes_no_connection_is_given_up_before_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (pycurl.CONNECTTIMEOUT, transport.CONNECT_SECONDS) in transport._ALWAYS
    monkeypatch.setattr(transport, "_ALWAYS", (*transport._ALWAYS, (pycurl.CONNECTTIMEOUT_MS, 300)))
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):  # nobody accepts them, so there is no room for one more
            peer = waiting.enter_context(socket.socket())
            peer.setblocking(False)
            peer.connect_ex(listener.getsockname())
        begun = time.monotonic()
        with pytest.raises(NoAnswer, match="timed out"):
            ask(f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert time.monotonic() - begun < 5


def test_silence_ends_a_call_before_its_deadline(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_ALWAYS", (*transport._ALWAYS, (pycurl.LOW_SPEED_TIME, 1)))
    url = serve(lambda peer, _: peer.sendall(HEADERS + b"Content-Length: 2\r\n\r\n"))
    with pytest.raises(NoAnswer, match="too slow"):
        ask(url)


def test_nothing_is_sent_after_the_deadline(serve: Serve) -> None:
    requests: list[bytes] = []
    with pytest.raises(NoAnswer, match="not finished within 0 s"):
        ask(serve(lambda _, request: requests.append(request)), seconds=0)
    assert requests == []


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
    with connect(f"http://127.0.0.1:{port}") as client, pytest.raises(SourceUnavailable, match="connect"):
        client.call(FEE_TYPES)


def test_proxies_and_passwords_of_the_environment_are_not_used(serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password netrc-canary\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    requests: list[bytes] = []

    def answer(peer: socket.socket, request: bytes) -> None:
        requests.append(request)
        peer.sendall(HEADERS + b'Set-Cookie: c=cookie-canary\r\nContent-Length: 12\r\n\r\n{"items":[]}')

    with connect(serve(answer)) as client:
        assert [client.call(FEE_TYPES).body for _ in range(2)] == [b'{"items":[]}'] * 2
    assert not re.search(rb"(?i)authorization|cookie|canary", b"".join(requests))


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
    with connect(url) as client, pytest.raises(SourceUnavailable, match="content unencoding"):
        client.call(FEE_TYPES)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"", "Empty reply"),
        (b"HTTP/1.1 200 OK\r\nConte", "within the headers"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConte", "within the headers"),
        (HEADERS + b"Content-Length: 9\r\n\r\n{}", "7 bytes missing"),
        (HEADERS + b"Content-Length: 9\r\nContent-Length: 8\r\n\r\n{}", "Content-Length"),
        (HEADERS + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}", "outstanding"),
        (HEADERS + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", "chunk"),
        (HEADERS + b"X-Long: " + b"a" * 400_000 + b"\r\n\r\n", "larger than allowed"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "HTTP/0.9"),
    ],
)
def test_what_is_no_whole_answer_is_none_and_the_cause_is_named(serve: Serve, answer: bytes, cause: str) -> None:
    def broken(peer: socket.socket, _: bytes) -> None:
        peer.sendall(answer)
        peer.shutdown(socket.SHUT_RDWR)

    with pytest.raises(NoAnswer, match=cause) as told:
        ask(serve(broken))
    assert told.value.__context__ is None


def test_a_reset_is_no_answer(serve: Serve) -> None:
    def reset(peer: socket.socket, _: bytes) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()

    with pytest.raises(NoAnswer, match="reset"):
        ask(serve(reset))


@pytest.mark.parametrize("host", ["\xfc.invalid", "\ud800", "a b", "a\0b", "a\r\nX: b", "[::1", "%00", "a" * 300, "127.0.0.1:99999", ""])
def test_an_address_nobody_can_have_is_no_answer_and_shows_no_token(host: str) -> None:
    send = WireTransport.send.__wrapped__  # without the guard of the tests: none of these leaves the machine
    request = Request("GET", f"http://{host}/x", token=AccessToken("strange-token-1", "", None))
    with pytest.raises(NoAnswer) as told:
        send(WireTransport(), request, deadline=Deadline(time.monotonic, 5))
    assert "strange-token-1" not in repr(told.value)
    assert told.value.__context__ is None


@pytest.mark.parametrize("scheme", ["ftp", "file", "gopher", "ws"])
def test_nothing_but_http_is_spoken(scheme: str) -> None:
    with pytest.raises(NoAnswer, match=r"disabled|not supported"):
        ask(f"{scheme}://127.0.0.1/etc/hostname")


def _packed(body: bytes) -> bytes:
    packed = gzip.compress(body)
    return b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(packed), packed)


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 1001\r\n\r\n" + b"a" * 1001,
        b"Transfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"a" * 1000 + b"\r\n1\r\na\r\n0\r\n\r\n",
        _packed(b"a" * 1001),
        _packed(b"a" * 50_000_000),
    ],
    ids=["announced", "in pieces", "packed", "packed bomb"],
)
def test_an_answer_larger_than_any_page_is_refused_however_it_comes(serve: Serve, monkeypatch: pytest.MonkeyPatch, rest: bytes) -> None:
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1000)
    with pytest.raises(PayloadChanged, match="at most 1000 bytes"):
        ask(serve(lambda peer, _: peer.sendall(HEADERS + rest)))


def test_an_answer_as_large_as_allowed_is_read(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1000)
    assert ask(serve(lambda peer, _: peer.sendall(HEADERS + _packed(b"a" * 1000)))).body == b"a" * 1000


def test_headers_are_those_of_the_answer_itself(serve: Serve) -> None:
    early = b"HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Early: 2\r\n\r\n"
    late = HEADERS + b"X-Name: \xe9: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Late: 3\r\n\r\n"
    answer = ask(serve(lambda peer, _: peer.sendall(early + late)))
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.headers == {"content-type": "application/json", "x-name": "\xe9: 1", "transfer-encoding": "chunked", "x-late": "3"}


def test_a_redirect_is_an_answer_like_any_other(serve: Serve) -> None:
    url = serve(lambda peer, _: peer.sendall(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"))
    assert ask(url) == Response(302, {"location": "/elsewhere", "content-length": "0"}, b"")


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", None), ("POST", b'{"a":1}'), ("PUT", b"\x00" * 2_000_000)])
def test_method_path_and_body_go_out_to_the_letter(serve: Serve, method: str, body: bytes | None) -> None:
    requests: list[bytes] = []

    def answer(peer: socket.socket, request: bytes) -> None:
        requests.append(request)
        peer.sendall(HEADERS + b"Content-Length: 0\r\n\r\n")

    url = serve(answer)
    ask(url + "/a/../$b/[c]?d=%5B", method, body)
    head, _, sent = requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == f"{method} /a/../$b/[c]?d=%5B HTTP/1.1".encode()
    assert sent == (body or b"")
    lengths = [b"Content-Length: %d" % len(sent)] if method != "GET" else []
    types = [b"Content-Type: application/json"] if body else []
    assert sorted(lines[1:]) == sorted(
        [url.replace("http://", "Host: ").encode(), *lengths, *types, b"Accept: application/json", b"Accept-Encoding: gzip, deflate", b"User-Agent: hesi-erp"]
    )


class _TaskTimeout(Exception):
    """What a scheduler's signal handler raises."""


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, _TaskTimeout])
def test_a_signal_ends_a_call_that_waits_at_once_and_its_exception_gets_through(serve: Serve, raised: type[BaseException]) -> None:
    def handler(_: int, __: FrameType | None) -> None:
        raise raised

    def answer(peer: socket.socket, _: bytes) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    begun = time.monotonic()
    try:
        with pytest.raises(raised):
            ask(serve(answer))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert time.monotonic() - begun < 5


def test_a_signal_whose_handler_returns_does_not_disturb_a_call(serve: Serve) -> None:
    def answer(peer: socket.socket, _: bytes) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.1)
        peer.sendall(HEADERS + b"Content-Length: 2\r\n\r\nok")

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        assert ask(serve(answer)).body == b"ok"
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_threads_share_a_transport_and_each_gets_its_own_answer(serve: Serve) -> None:
    peers = set()

    def answer(peer: socket.socket, request: bytes) -> None:
        peers.add(peer.getpeername())
        name = request.split(b" ")[1]
        peer.sendall(HEADERS + b"Content-Length: %d\r\n\r\n%s" % (len(name), name))

    url, wire = serve(answer), WireTransport()

    def many(thread: int) -> bool:
        paths = [f"/{thread}/{call}" for call in range(50)]
        return all(wire.send(Request("GET", url + path), deadline=Deadline(time.monotonic, 30)).body == path.encode() for path in paths)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(many, range(8)))
    wire.close()
    assert len(peers) <= 4


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
