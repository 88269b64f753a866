"""The bottom layer: the token joins the address here, and a deadline holds for every byte. libcurl does the rest.

Above this layer no request, answer, log line or exception contains the token: it is added to the address on its way out. And a
server that sends one byte a second, in the body or in the headers, is cut off: time-outs of a socket start anew with every byte.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

import pycurl

from etl.errors import PayloadChanged
from etl.hesi.auth import AccessToken
from etl.hesi.limits import Deadline

CONNECT_SECONDS = 10
READ_SECONDS = 30
MAX_BODY_BYTES = 256 * 1024 * 1024  # a page of 100 claims is some 0.5 MB; this only stops a runaway answer
_AT_ONCE = 512 * 1024
_PAUSE = 0.001
_HEADERS = ["Accept: application/json", "User-Agent: hesi-erp", "Expect:"]  # a name alone: libcurl must not add that one
_UNTRUSTED = {pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT_BADFILE}

# What holds for every call. Redirects, .netrc, cookies and HTTP/0.9 are off and certificates verified unless libcurl is told otherwise.
_ALWAYS = (
    (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
    (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),  # or newer
    (pycurl.PROXY, ""),
    (pycurl.NOPROXY, "*"),
    (pycurl.PATH_AS_IS, True),
    (pycurl.ACCEPT_ENCODING, "gzip, deflate"),
    (pycurl.CONNECTTIMEOUT, CONNECT_SECONDS),
    (pycurl.LOW_SPEED_LIMIT, 1),
    (pycurl.LOW_SPEED_TIME, READ_SECONDS),
    (pycurl.BUFFERSIZE, _AT_ONCE),
    (pycurl.NOSIGNAL, True),
)


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


class Untrusted(NoAnswer):
    """The other side has no certificate that this machine's trust store vouches for; nothing was sent to it."""


class Transport(Protocol):
    """Sends one request and reads the whole answer."""

    def send(self, request: Request, *, deadline: Deadline) -> Response:
        """The answer, whatever its status; redirects are not followed.

        Raises:
            NoAnswer: no whole answer within the deadline.
            Untrusted: nobody to be asked.
            PayloadChanged: an answer without end.
        """

    def close(self) -> None:
        """Close every connection."""


def with_token(url: str, token: AccessToken | None) -> str:
    """The address as it goes out."""
    if token is None:
        return url
    return f"{url}{'&' if '?' in url else '?'}accessToken={quote(token.value, safe='')}"


class WireTransport:
    """HTTP/1.1 over kept connections, without proxies or redirects. Safe for threads.

    Where a kept connection turns out to be closed before any byte of the answer came, libcurl sends the request once more on a new one.
    """

    def __init__(self) -> None:
        self._idle: list[_Line] = []

    def send(self, request: Request, *, deadline: Deadline) -> Response:
        """See :class:`Transport`."""
        if deadline.remaining() <= 0:
            raise NoAnswer(f"not finished within {deadline.seconds:g} s")
        try:
            line = self._idle.pop()
        except IndexError:
            line = _Line()
        code, problem = line.carry(request, deadline)  # an exception in here is meant to end the run: that line is not used again
        answer = line.answer()
        self._idle.append(line)
        if code == pycurl.E_OK:
            return answer
        if code == pycurl.E_FILESIZE_EXCEEDED:
            raise PayloadChanged(f"expected at most {MAX_BODY_BYTES} bytes, found more; ask Hesi")
        raise (Untrusted if code in _UNTRUSTED else NoAnswer)(f"{problem or pycurl.easy_strerror(code)} (libcurl {code})")

    def close(self) -> None:
        """See :class:`Transport`."""
        while self._idle:
            self._idle.pop().close()


class _Line:
    """Carries one call at a time, over connections it keeps.

    libcurl is driven step by step and calls no Python function back. So a signal is handled between two steps, at once, and what
    its handler raises (Ctrl-C, the time-out of a task) gets through; out of a callback it might not.
    """

    def __init__(self) -> None:
        self._head: list[bytes] = []
        self._body: list[bytes] = []
        self._steps = pycurl.CurlMulti()
        self._curl = pycurl.Curl()
        trusted = ssl.get_default_verify_paths()  # libcurl would look where its own build found certificates
        for option, value in (
            *_ALWAYS,
            (pycurl.CAINFO, trusted.cafile),
            (pycurl.CAPATH, trusted.capath),
            (pycurl.MAXFILESIZE_LARGE, MAX_BODY_BYTES),
            (pycurl.HEADERFUNCTION, self._head.append),
            (pycurl.WRITEFUNCTION, self._body.append),
        ):
            self._curl.setopt(option, value)

    def carry(self, request: Request, deadline: Deadline) -> tuple[int, str]:
        """How it ended: libcurl's number, ``E_OK`` for a whole answer, and its text."""
        try:
            self._set(request, deadline)
        except ValueError as error:
            return pycurl.E_URL_MALFORMAT, f"no address that can be asked: {error}"
        self._steps.add_handle(self._curl)
        try:
            while self._steps.perform()[1]:
                if not self._steps.select(max(self._steps.timeout(), 0) / 1000):
                    time.sleep(_PAUSE)  # select does not wait where there is no socket yet, nor for one numbered 1024 or higher
            _, _, failed = self._steps.info_read()
        finally:
            self._steps.remove_handle(self._curl)
        for _, code, problem in failed:
            return code, problem
        return (pycurl.E_OK, "") if _ended(self._head) else (pycurl.E_PARTIAL_FILE, "end of connection within the headers")

    def answer(self) -> Response:
        """What came, handed over."""
        body = b"".join(self._body)
        headers = _last_headers(self._head)
        self._head.clear()
        self._body.clear()
        return Response(self._curl.getinfo(pycurl.RESPONSE_CODE), headers, body)

    def close(self) -> None:
        self._curl.close()
        self._steps.close()

    def _set(self, request: Request, deadline: Deadline) -> None:
        curl = self._curl
        curl.setopt(pycurl.URL, with_token(request.url, request.token))
        if request.method == "GET" and request.body is None:
            curl.setopt(pycurl.HTTPGET, True)
        else:
            curl.setopt(pycurl.POSTFIELDS, request.body or b"")
        curl.setopt(pycurl.CUSTOMREQUEST, request.method)
        curl.setopt(pycurl.HTTPHEADER, [*_HEADERS, "Content-Type:" if request.body is None else "Content-Type: application/json"])
        curl.setopt(pycurl.TIMEOUT_MS, max(int(deadline.remaining() * 1000), 1))  # 0 would be for ever


def _ended(lines: list[bytes]) -> bool:
    """Whether the last headers end with their blank line; trailers of the body may follow it."""
    for line in reversed(lines):
        if line.startswith(b"HTTP/"):
            return False
        if not line.strip():
            return True
    return False


def _last_headers(lines: list[bytes]) -> dict[str, str]:
    """Of the answer itself: an informational one (100, 103) comes before it, with headers of its own."""
    headers: dict[str, str] = {}
    for line in lines:
        if line.startswith(b"HTTP/"):
            headers.clear()
        elif b":" in line:
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
    return headers
