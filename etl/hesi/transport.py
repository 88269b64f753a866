"""The bottom layer: the token joins the address here, and a deadline holds for every byte.

Above this layer no request, response, log line or exception of httpx contains the token, because it is
added to a copy of the request on its way out. And a server that sends one byte a second, in the body or in
the headers, is cut off: socket time-outs alone start anew with every byte.
"""

from __future__ import annotations

import contextvars
import ssl
import typing
from collections.abc import Iterable, Iterator

import httpcore
import httpx

from etl.hesi.auth import AccessToken
from etl.hesi.limits import Deadline

# Names of request extensions.
BEARER = "hesi.bearer"
DEADLINE = "hesi.deadline"
CONNECT_SECONDS = 10
READ_SECONDS = 30

_deadline: contextvars.ContextVar[Deadline | None] = contextvars.ContextVar("hesi_deadline", default=None)


def tls_context() -> ssl.SSLContext:
    """Verified certificates of the machine's trust store, TLS 1.2 or newer."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class TokenTransport(httpx.BaseTransport):
    """Adds ``accessToken`` to a copy of each request that carries the :data:`BEARER` extension."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The inner transport's answer."""
        token = request.extensions.get(BEARER)
        if not isinstance(token, AccessToken):
            return self._inner.handle_request(request)
        return self._inner.handle_request(
            httpx.Request(
                request.method,
                request.url.copy_add_param("accessToken", token.value),
                headers=request.headers,
                stream=request.stream,
                extensions={key: value for key, value in request.extensions.items() if key != BEARER},
            )
        )

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()


class DeadlineTransport(httpx.BaseTransport):
    """HTTP/1.1 over kept connections; the :data:`DEADLINE` extension bounds connect, headers and body alike."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=context or tls_context(),
            max_connections=8,
            max_keepalive_connections=8,
            keepalive_expiry=30,
            network_backend=_DeadlineBackend(httpcore.SyncBackend()),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer with its body unread.

        Raises:
            httpx.TransportError: the matching subclass for every network failure.
        """
        deadline = request.extensions.get(DEADLINE)
        _deadline.set(deadline if isinstance(deadline, Deadline) else None)
        core_request = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=typing.cast("Iterable[bytes]", request.stream),
            extensions={key: value for key, value in request.extensions.items() if key != DEADLINE},
        )
        with _NamedFailures():
            answer = self._pool.handle_request(core_request)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(typing.cast("_CoreBody", answer.stream)),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class _CoreBody(typing.Protocol):
    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: _CoreBody) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _NamedFailures():
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _NamedFailures:
    """Turns httpcore's exceptions into httpx's, most specific first."""

    _NAMES: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
        (httpcore.ConnectTimeout, httpx.ConnectTimeout),
        (httpcore.WriteTimeout, httpx.WriteTimeout),
        (httpcore.PoolTimeout, httpx.PoolTimeout),
        (httpcore.TimeoutException, httpx.ReadTimeout),
        (httpcore.ConnectError, httpx.ConnectError),
        (httpcore.WriteError, httpx.WriteError),
        (httpcore.NetworkError, httpx.ReadError),
        (httpcore.ProtocolError, httpx.RemoteProtocolError),
    )

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        for core, ours in self._NAMES:
            if isinstance(error, core):
                raise ours(str(error)) from None


class _DeadlineBackend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: typing.Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(host, port, _bounded(timeout, httpcore.ConnectTimeout), local_address, socket_options)
        return _DeadlineStream(stream)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _bounded(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _bounded(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        limit = _bounded(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> typing.Any:
        return self._inner.get_extra_info(info)


def _bounded(timeout: float | None, error: type[httpcore.TimeoutException]) -> float | None:
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    remaining = deadline.remaining()
    if remaining <= 0:
        raise error(f"not finished within {deadline.seconds:g} s")
    return remaining if timeout is None else min(timeout, remaining)
