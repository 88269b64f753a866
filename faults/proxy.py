"""Between a run and PostgreSQL: a proxy that understands just enough of the protocol to cut the line where it hurts.

The product connects to the proxy's socket as if it were the server's. The proxy relays bytes and looks for one moment: the COMMIT
of the transaction that copied vouchers. There it acts once, and says whether it did.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
_COPY = b'COPY "voucher" '
_BLOCK = 1 << 16
Act = Literal["lose the reply", "cut before", "kill before the reply"]


class CommitProxy:
    """Acts on the first posting's COMMIT.

    Args:
        server: address of the real database.
        folder: where the proxy's own socket is made.
        act: ``cut before``: the COMMIT never reaches the server. ``lose the reply``: it does, its answer does not come back.
            ``kill before the reply``: it does, and ``kill`` is called before the answer is passed on.
        kill: kills the run.
    """

    def __init__(self, server: str, folder: Path, act: Act, kill: Callable[[], object] = lambda: None) -> None:
        self._target = f"{parse_qs(urlsplit(server).query)['host'][0]}/.s.PGSQL.5432"
        self._act, self._kill = act, kill
        self.fired = threading.Event()
        self._socket = folder / ".s.PGSQL.5432"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._socket))
        self._listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def address(self, url: str) -> str:
        """The product's URL, leading through the proxy."""
        before, _, _ = url.partition("?")
        return f"{before}?host={self._socket.parent}"

    def kill_with(self, kill: Callable[[], object]) -> None:
        """What kills the run; known only once the run has started."""
        self._kill = kill

    def close(self) -> None:
        """No further connections."""
        self._listener.close()
        os.unlink(self._socket)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            _Line(client, server, self).start()

    def act(self, line: _Line, block: bytes) -> bool:
        """Whether the line goes on after this block of the client, which holds the posting's COMMIT."""
        if self.fired.is_set():
            return True
        self.fired.set()
        if self._act == "cut before":
            line.cut()
            return False
        line.hold()
        line.server.sendall(block)
        line.answered.wait(30)
        if self._act == "kill before the reply":
            self._kill()
        line.cut()
        return False


class _Line:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, server: socket.socket, proxy: CommitProxy) -> None:
        self.client, self.server, self._proxy = client, server, proxy
        self.answered = threading.Event()
        self._held = False
        self._copied = False

    def start(self) -> None:
        """Relays both ways until both ends are gone."""
        threading.Thread(target=self._relay, daemon=True).start()

    def hold(self) -> None:
        """Answers no longer reach the client."""
        self._held = True

    def cut(self) -> None:
        """Both ends see the connection end."""
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:  # it was gone already
                continue

    def _relay(self) -> None:
        back = threading.Thread(target=self._down, daemon=True)
        back.start()
        self._up()
        back.join()
        self.client.close()
        self.server.close()

    def _up(self) -> None:
        try:
            while block := self.client.recv(_BLOCK):
                self._copied = self._copied or _COPY in block
                if self._copied and _COMMIT in block and not self._proxy.act(self, block):
                    return
                self.server.sendall(block)
        except OSError:
            pass
        finally:
            self.cut()

    def _down(self) -> None:
        try:
            while block := self.server.recv(_BLOCK):
                if self._held:
                    self.answered.set()
                else:
                    self.client.sendall(block)
        except OSError:
            pass
        finally:
            self.answered.set()
            self.cut()
