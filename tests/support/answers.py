"""Hesi's answers without a wire: functions of ``httpx`` requests behind the client's own transport."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from etl.hesi.limits import Deadline
from etl.hesi.transport import NoAnswer, Request, Response, with_token


class Answers:
    """A transport that gives every request, with its token, to a function."""

    def __init__(self, handler: Callable[[httpx.Request], httpx.Response]) -> None:
        self._handler = handler

    def send(self, request: Request, *, deadline: Deadline) -> Response:
        """The function's answer, read within the deadline; what it raises is no answer."""
        headers = {} if request.body is None else {"Content-Type": "application/json"}
        problem = ""
        try:
            answer = self._handler(httpx.Request(request.method, with_token(request.url, request.token), headers=headers, content=request.body))
            body = b""
            for chunk in answer.iter_bytes():
                if deadline.remaining() <= 0:
                    raise httpx.ReadTimeout(f"not finished within {deadline.seconds:g} s")
                body += chunk
            return Response(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body)
        except httpx.HTTPError as error:
            problem = f"{type(error).__name__} {error}"
        raise NoAnswer(problem)

    def close(self) -> None:
        """Nothing is open."""
