"""A sandbox inside a test: a real HTTP server in a thread, on a free port, with everything in reach."""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.clock import DEFAULT_NOW_MS, Clock
from sandbox.control import Request
from sandbox.faults import Faults
from sandbox.server import DEFAULT_APP_KEY, DEFAULT_APP_SECURITY, Server, listen, uvicorn_server
from sandbox.tenant import Tenant, build

_HOST = "127.0.0.1"
_PATIENCE_SECONDS = 10


class Sandbox:
    """A context manager: `with Sandbox(claims=200, seed=1) as hesi: ... hesi.base_url`."""

    def __init__(
        self,
        claims: int = 200,
        seed: int = 1,
        *,
        now_ms: int = DEFAULT_NOW_MS,
        tenant: Tenant | None = None,
        state_dir: Path | None = None,
        app_key: str = DEFAULT_APP_KEY,
        app_security: str = DEFAULT_APP_SECURITY,
        wall_ms: Callable[[], int] | None = None,
    ) -> None:
        self.app_key, self.app_security = app_key, app_security
        self._owned = tenant is None
        self.tenant = build(claims, seed, now_ms=now_ms) if tenant is None else tenant
        if state_dir is not None:
            self.tenant.keep_state(state_dir)
        self.server = Server(self.tenant, app_key=app_key, app_security=app_security, wall_ms=wall_ms)
        self._ready = threading.Event()
        self._http = uvicorn_server(self.server, self._ready.set)
        self._thread: threading.Thread | None = None
        self.base_url = ""

    @property
    def faults(self) -> Faults:
        """Set faults here; see the README for kinds."""
        return self.server.faults

    @property
    def clock(self) -> Clock:
        """The driven clock."""
        return self.tenant.clock

    @property
    def requests(self) -> deque[Request]:
        """API calls so far, oldest first."""
        return self.server.requests

    def flow_ids(self, state: str, *, form_type: str = "expense", active: bool = True) -> list[str]:
        """Ids of the flows of a type in a state, oldest first; deleted ones with `active` false."""
        heads = self.tenant.store.heads
        return [h.id for h in heads if (h.state, h.form_type, h.active) == (state, form_type, active)]

    def __enter__(self) -> Self:
        listener = listen(_HOST, 0)
        self.base_url = f"http://{_HOST}:{listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._http.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        if not self._ready.wait(_PATIENCE_SECONDS):
            raise TimeoutError(f"the sandbox did not start within {_PATIENCE_SECONDS} s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.should_exit = True
        if self._thread is not None:
            self._thread.join(_PATIENCE_SECONDS)
        if self._owned:
            self.tenant.close()
