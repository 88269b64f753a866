"""The bottom layer: the token joins the address here, and a deadline holds for every byte.

Above this layer no request, answer, log line or exception contains the token: it is added to the address on its way out. And a
server that sends one byte a second, in the body or in the headers, is cut off: socket time-outs alone start anew with every byte.
"""

from __future__ import annotations

import contextvars
import http.client
import io
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import SplitResult, quote, urlsplit

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from etl.errors import PayloadChanged
from etl.hesi.auth import AccessToken
from etl.hesi.limits import Deadline

CONNECT_SECONDS = 10
READ_SECONDS = 30
MAX_BODY_BYTES = 256 * 1024 * 1024  # a page of 100 claims is some 0.5 MB; this only stops a runaway answer
_CONNECTIONS = 8
_AT_ONCE = 1024 * 1024
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": "hesi-erp"}

_deadline: contextvars.ContextVar[Deadline | None] = contextvars.ContextVar("hesi_deadline", default=None)


@dataclass(frozen=True, slots=True)
class Request:
    """What goes out: ``url`` without the token, ``body`` as JSON bytes or None."""

    method: str
    url: str
    body: bytes | None = field(default=None, repr=False)
    token: AccessToken | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back, whole and unpacked; names of ``headers`` in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)  # may repeat the address it was asked at
    body: bytes = field(repr=False)


class NoAnswer(Exception):
    """No whole answer came; the text says what happened and may repeat the address with the token."""


class Transport(Protocol):
    """Sends one request and reads the whole answer."""

    def send(self, request: Request, *, deadline: Deadline) -> Response:
        """The answer, whatever its status; redirects are not followed.

        Raises:
            NoAnswer: no whole answer within the deadline.
            PayloadChanged: an answer without end.
        """

    def close(self) -> None:
        """Close every connection."""


def tls_context() -> ssl.SSLContext:
    """Verified certificates of the machine's trust store, TLS 1.2 or newer."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def with_token(url: str, token: AccessToken | None) -> str:
    """The address as it goes out."""
    if token is None:
        return url
    return f"{url}{'&' if '?' in url else '?'}accessToken={quote(token.value, safe='')}"


class WireTransport:
    """HTTP/1.1 over kept connections, without proxies, redirects or retries of the library's own."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._pools: dict[tuple[str, str], HTTPConnectionPool] = {}

    def send(self, request: Request, *, deadline: Deadline) -> Response:
        """See :class:`Transport`."""
        parts = urlsplit(with_token(request.url, request.token))
        headers = _HEADERS if request.body is None else _HEADERS | {"Content-Type": "application/json"}
        remaining = deadline.remaining()
        if remaining <= 0:
            raise NoAnswer(f"not finished within {deadline.seconds:g} s")
        _deadline.set(deadline)
        try:
            answer = self._pool(parts).urlopen(
                request.method,
                f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
                body=request.body,
                headers=headers,
                timeout=Timeout(connect=min(CONNECT_SECONDS, remaining), read=min(READ_SECONDS, remaining)),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                body = _whole(answer)
            finally:
                answer.close()
        except (HTTPError, OSError, http.client.HTTPException, UnicodeError) as error:
            problem = f"{type(error).__name__} {error}".strip()
        else:
            return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, body)
        raise NoAnswer(problem)  # outside the handler: nothing of the library hangs on it

    def close(self) -> None:
        """See :class:`Transport`."""
        for pool in self._pools.values():
            pool.close()

    def _pool(self, parts: SplitResult) -> HTTPConnectionPool:
        key = (parts.scheme, parts.netloc)
        pool = self._pools.get(key)
        if pool is None:
            common: dict[str, Any] = {"port": parts.port, "maxsize": _CONNECTIONS}
            host = parts.hostname or ""
            if parts.scheme == "https":
                pool = HTTPSConnectionPool(host, **common, ssl_context=self._context or tls_context())
                pool.ConnectionCls = _TlsConnection
            else:
                pool = HTTPConnectionPool(host, **common)
                pool.ConnectionCls = _PlainConnection
            pool = self._pools.setdefault(key, pool)
        return pool


def _whole(answer: Any) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := answer.read(_AT_ONCE):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise PayloadChanged(f"expected at most {MAX_BODY_BYTES} bytes, found more; ask Hesi")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class _TimedReader(io.RawIOBase):
    """Reads a socket, each time for no longer than the call still may take."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__()
        self._socket = connected
        self._inner = connected.makefile("rb", buffering=0)  # keeps the socket open until it is closed itself

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        deadline = _deadline.get()
        if deadline is not None:
            remaining = deadline.remaining()
            if remaining <= 0:
                raise TimeoutError(f"not finished within {deadline.seconds:g} s")
            self._socket.settimeout(min(READ_SECONDS, remaining))
        return self._inner.readinto(buffer)

    def close(self) -> None:
        self._inner.close()
        super().close()


class _TimedSocket:
    """What ``http.client`` reads an answer from."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._socket))


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(_TimedSocket(sock), *arguments, **options)  # type: ignore[arg-type]


class _PlainConnection(HTTPConnection):
    response_class = _TimedResponse


class _TlsConnection(HTTPSConnection):
    response_class = _TimedResponse
