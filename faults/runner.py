"""Runs in child processes that can be stopped at every step and killed: what a machine can do to a run, done to a real one.

A fork server is forked from the warm process before that has any thread or connection; each run is forked from it and pauses at
every place ("before load", "after load", ...) until it is told to go on. A nanny process reports how the run ended, so that a
kill is proved by the exit status.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 150
_PR_SET_PDEATHSIG = 1
_LARGEST = 1 << 16
Talk = socket.socket


class RigError(Exception):
    """The rig itself failed: a run did not come where it was expected, or did not end."""


@dataclass(frozen=True)
class Order:
    """One run to perform."""

    settings: Mapping[str, str]
    now_ms: int
    output: Path
    full: bool = False
    task: str = "run"  # or "import file": writes the files of batches that have none
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a run ended: ``verdict`` of a run that came to its end, ``code`` of the error that stopped it, ``signal`` that killed it."""

    verdict: str = ""
    code: str = ""
    message: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    signal: int = 0
    status: int = 0

    @property
    def well(self) -> bool:
        """Whether the run came to its end with everything posted or named."""
        return self.verdict in {"green", "amber"}

    @property
    def told(self) -> str:
        """The end in a word: ``green``, ``SINK_UNAVAILABLE``, ``killed by signal 9``."""
        if self.signal:
            return f"killed by signal {self.signal}"
        return self.code or self.verdict or f"exit status {self.status}"


class LiveRun:
    """A run under way; every method may raise RigError when the run does something else."""

    def __init__(self, talk: Talk, nanny: Talk) -> None:
        self._talk, self._nanny = talk, nanny
        for end in (talk, nanny):
            end.settimeout(PATIENCE_SECONDS)
        self.pid = int(_receive(nanny)["pid"])
        self._told: dict[str, Any] = {}

    def until(self, place: str) -> None:
        """Lets the run go on until it pauses at a place."""
        while (reached := self._next()) != place:
            if not reached:
                raise RigError(f"the run ended with {self._exit().told} before it came to {place!r}")
            self.go()

    def go(self, **limits: int) -> None:
        """Lets a paused run go on, with resource limits (``fsize``, ``memory`` in bytes) or without ``capabilities`` from here on."""
        _send(self._talk, {"go": limits})

    def kill(self) -> Ended:
        """kill -9, wherever the run is."""
        self.strike()
        return self._exit()

    def strike(self) -> None:
        """kill -9 and no more, for another thread than the one that waits for the end."""
        with contextlib.suppress(ProcessLookupError):  # it may just have ended
            os.kill(self.pid, signal.SIGKILL)

    def end(self) -> Ended:
        """Lets the run go on to its end."""
        while self._next():
            self.go()
        return self._exit()

    def end_or_kill(self, after_seconds: float) -> Ended:
        """Kills the run after so many seconds, unless it ended before."""
        deadline = time.monotonic() + after_seconds
        while True:
            self._talk.settimeout(max(deadline - time.monotonic(), 0.000_001))
            try:
                if not self._next():
                    return self._exit()
            except TimeoutError:
                return self.kill()
            self.go()

    def _next(self) -> str:
        """The place where the run pauses; empty when it told its end or died."""
        told = _receive(self._talk)
        if "at" in told:
            return str(told["at"])
        self._told = told
        return ""

    def _exit(self) -> Ended:
        status = int(_receive(self._nanny)["status"])
        for end in (self._talk, self._nanny):
            end.close()
        if os.WIFSIGNALED(status):
            return Ended(signal=os.WTERMSIG(status))
        return Ended(**self._told.get("ended", {}), status=os.WEXITSTATUS(status))


class Runner:
    """Starts runs in processes of their own; made before the caller opens threads or connections."""

    def __init__(self) -> None:
        self._server, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            self._server.close()
            _as_child(lambda: _serve(other))
        other.close()

    def start(self, order: Order) -> LiveRun:
        """A run that pauses at its first place."""
        talk, run_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        nanny, nanny_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        body = {**vars(order), "settings": dict(order.settings), "output": str(order.output)}
        socket.send_fds(self._server, [json.dumps(body).encode()], [run_end.fileno(), nanny_end.fileno()])
        run_end.close()
        nanny_end.close()
        return LiveRun(talk, nanny)

    def close(self) -> None:
        """Ends the fork server; runs under way die with it."""
        self._server.close()


def die_with_parent() -> None:
    """This process is killed when its parent ends: nothing is left behind."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _as_child(work: Callable[[], None]) -> None:
    """Never returns: a forked process must not run its parent's exit handlers."""
    status = 70
    try:
        die_with_parent()
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - told on standard error and by the exit status; there is nobody above
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _serve(requests: Talk) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nannies need no burial
    while True:
        body, handles, _, _ = socket.recv_fds(requests, _LARGEST, 2)
        if not body:
            return
        if os.fork() == 0:
            requests.close()
            order = json.loads(body)
            talk, nanny = (socket.socket(fileno=handle) for handle in handles)
            _as_child(lambda: _nurse(order, talk, nanny=nanny))  # noqa: B023 - the child runs it at once
        for handle in handles:
            os.close(handle)


def _nurse(order: dict[str, Any], talk: Talk, *, nanny: Talk) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output, written = os.pipe()
    pid = os.fork()
    if pid == 0:
        nanny.close()
        for standard in (1, 2):
            os.dup2(written, standard)
        _as_child(lambda: _perform(order, talk))
    talk.close()
    os.close(written)
    _send(nanny, {"pid": pid})
    with open(output, "rb") as lines, Path(order["output"]).open("ab") as kept:  # by us: a full disk of the run is not ours
        shutil.copyfileobj(lines, kept)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):
        _send(nanny, {"status": status})


def _perform(order: dict[str, Any], talk: Talk) -> None:
    """The run itself, in a process of its own."""

    def pause(place: str) -> None:
        _send(talk, {"at": place})
        _limit(_receive(talk).get("go", {}))

    os.environ.update(order["environment"])
    _send(talk, {"ended": _drive(order, pause)})


def _drive(order: dict[str, Any], pause: Callable[[str], None]) -> dict[str, Any]:
    from etl.commands.logs import logging_to
    from etl.config.settings import load_settings
    from etl.errors import EtlError
    from etl.pipeline.context import begin
    from etl.pipeline.drive import drive
    from etl.pipeline.run import STEPS

    def paused(name: str) -> Callable[[Any], Any]:
        def step(run: Any) -> Any:
            pause(f"before {name}")
            result = STEPS[name](run)
            pause(f"after {name}")
            return result

        return step

    pause("started")
    if order["task"] == "import file":
        return _write_import_files(order["settings"])
    now = datetime.fromtimestamp(order["now_ms"] / 1000, UTC)
    try:
        settings = load_settings(**order["settings"])
        with logging_to(settings.home, verbose=True):
            run = begin(settings, kind="nightly", started_by="faults", full=order["full"], now=now)
            pause("begun")
            outcome = drive(run, {name: paused(name) for name in STEPS}, progress=lambda name: pause("before report") if name == "report" else None)
            pause("after report")
    except EtlError as error:
        return {"code": error.code, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever a fault makes of the run is what the rig wants to know
        traceback.print_exc()
        return {"code": type(error).__name__, "message": str(error)}
    code, _, _ = outcome.cause.partition(":")
    stopped = outcome.verdict == "red"
    return {"verdict": outcome.verdict, "code": code if stopped else "", "message": outcome.cause, "counts": outcome.counts}


def _write_import_files(settings: Mapping[str, str]) -> dict[str, Any]:
    from etl.config.layouts import Layout
    from etl.config.load import read_folder
    from etl.erp.database import DatabaseSink
    from etl.erp.import_file import ImportFileSink
    from etl.erp.port import PostingBatch
    from etl.errors import EtlError

    layout = read_folder(PROJECT / "mappings", "layouts", Layout)[0]
    sink = ImportFileSink(DatabaseSink.open(settings["ERP_URL"]), layout=layout, folder=Path(settings["HESI_ERP_HOME"]).parent / "import")
    sink.prepare()
    moment = datetime.now(UTC)
    try:
        receipt = sink.post(PostingBatch("nothing", "nothing", moment, moment.date(), ()))
    except EtlError as error:
        return {"code": error.code, "message": str(error)}
    return {"verdict": "green", "counts": {"files": len(receipt.files)}}


def _limit(limits: Mapping[str, int]) -> None:
    if "fsize" in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits["fsize"], resource.RLIM_INFINITY))
    if "memory" in limits:
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + limits["memory"], resource.RLIM_INFINITY))
    if "capabilities" in limits:
        _drop_capabilities()


def _drop_capabilities() -> None:
    """A root process obeys file modes from here on, as any other user does."""
    header = (ctypes.c_uint32 * 2)(0x2008_0522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, nothing) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _send(end: Talk, message: Mapping[str, Any]) -> None:
    end.sendall(json.dumps(message).encode())


def _receive(end: Talk) -> dict[str, Any]:
    """The next message; empty when the other end is gone. A reset is an end too: the process was killed."""
    try:
        body = end.recv(_LARGEST)
    except ConnectionResetError:
        body = b""
    message: dict[str, Any] = json.loads(body) if body else {}
    return message
