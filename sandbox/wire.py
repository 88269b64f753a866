"""Answers on the wire, the broken ones too: cut off, dripping, or a connection that just ends."""

import asyncio
import socket
import struct
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.answers import Answer
from sandbox.faults import Fault

CONNECTION = "sandbox.connection"
_DRIPS_PER_SECOND = 10


class WireResponse(Response):
    """A Starlette response of an Answer, sent as the firing faults want it."""

    def __init__(self, answer: Answer, firing: dict[str, Fault]) -> None:
        super().__init__(answer.body, answer.status, dict(answer.headers), answer.content_type)
        self._firing = firing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = scope[CONNECTION]
        if "lost_answer" in self._firing or "reset" in self._firing:
            await _reset(connection)
        elif "truncated" in self._firing:
            await self._truncate(send, connection)
        elif "slow" in self._firing:
            await self._drip(send, connection, int(self._firing["slow"].options.get("bytes_per_second", 100)))
        else:
            await super().__call__(scope, receive, send)

    async def _truncate(self, send: Send, connection: Any) -> None:
        """Promise the whole body, send half of it, hang up."""
        await self._start(send)
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        connection.close()
        await _until_gone(connection)

    async def _drip(self, send: Send, connection: Any, bytes_per_second: int) -> None:
        await self._start(send)
        size = max(bytes_per_second // _DRIPS_PER_SECOND, 1)
        pause = size / bytes_per_second
        for at in range(0, len(self.body), size):
            if connection.is_closing():
                return
            await send({"type": "http.response.body", "body": self.body[at : at + size], "more_body": True})
            await asyncio.sleep(pause)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})


async def _reset(connection: Any) -> None:
    """End the connection with a TCP reset instead of an answer."""
    connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.abort()
    await _until_gone(connection)


async def _until_gone(connection: Any) -> None:
    """Let the server notice, so that it does not answer in our place."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert connection.is_closing()


def half_of(answer: Answer) -> Answer:
    """A complete message whose JSON stops in the middle."""
    return Answer(answer.body[: len(answer.body) // 2], answer.status, answer.content_type)
