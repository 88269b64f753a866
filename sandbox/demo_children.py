"""The demo's child processes: each leads a process group, and every group is gone when the demo is."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO

from sandbox.demo_settings import PROJECT, DemoFolder
from sandbox.server import DEFAULT_APP_KEY, DEFAULT_APP_SECURITY, listen

_HOST = "127.0.0.1"
_PATIENCE_SECONDS = 5
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoEnded(BaseException):
    """A signal ended the demo; not an Exception, so that nothing on the way takes it for a failure."""


class Children:
    """The processes started so far."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[str]] = []
        self._starting = self._ended = False

    def watch_signals(self) -> None:
        """From now on SIGINT, SIGTERM and SIGHUP raise :class:`DemoEnded`, but never between a child's birth and its record."""
        for number in _SIGNALS:
            signal.signal(number, self._received)

    def start(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: IO[bytes], stdout: int | IO[bytes], pass_fds: Sequence[int] = ()
    ) -> subprocess.Popen[str]:
        """A new child in its own group."""
        self._starting = True
        try:
            child = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                command,
                env=dict(environment),
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=log,
                text=True,
                start_new_session=True,
                pass_fds=pass_fds,
            )
            self._running.append(child)
        finally:
            self._starting = False
        if self._ended:
            raise DemoEnded
        return child

    def start_dag(self, dag_id: str, environment: Mapping[str, str], log: IO[bytes]) -> "DagChild":
        """A process that runs one DAG and tells about it."""
        reading, writing = os.pipe()
        command = (sys.executable, "-m", "sandbox.demo_dag", dag_id, str(writing))
        try:
            child = self.start(command, environment=environment, log=log, stdout=log, pass_fds=(writing,))
        finally:
            os.close(writing)
        return DagChild(child, reading)

    def end(self) -> None:
        """Every group gets SIGTERM, and SIGKILL when it takes too long; further signals do not interrupt that."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for child in reversed(self._running):
            _signal_group(child, signal.SIGTERM)
        for child in reversed(self._running):
            with suppress(subprocess.TimeoutExpired):  # the next line ends it
                child.wait(_PATIENCE_SECONDS)
            _signal_group(child, signal.SIGKILL)
            child.wait()

    def _received(self, _number: int, _frame: object) -> None:
        self._ended = True
        if not self._starting:
            raise DemoEnded


class DagChild:
    """A DAG run in its own process."""

    def __init__(self, child: subprocess.Popen[str], reading: int) -> None:
        self._child, self._reading = child, reading

    def lines(self) -> Iterator[str]:
        """What it tells, until it ends."""
        with os.fdopen(self._reading, encoding="utf-8") as told:
            for line in told:
                yield line.rstrip("\n")

    def wait(self) -> int:
        """Its exit status."""
        return self._child.wait()


class SandboxChild:
    """A sandbox on the port of the last demo where it is still free, else on any."""

    def __init__(self, children: Children, folder: DemoFolder, *, claims: int, seed: int, log: IO[bytes]) -> None:
        options = ["--claims", str(claims), "--seed", str(seed), "--state", str(folder.hesi)]
        keys = ["--app-key", DEFAULT_APP_KEY, "--app-security", DEFAULT_APP_SECURITY]
        command = [sys.executable, "-m", "sandbox", *options, *keys, "--port", str(_last_port(folder)), "--port-file", str(folder.port_file)]
        child = children.start(command, environment={**os.environ, "PYTHONPATH": str(PROJECT)}, log=log, stdout=subprocess.PIPE)
        with child.stdout as said:  # type: ignore[union-attr]
            first = said.readline().split()
        if first[:1] != ["listening"]:
            raise RuntimeError(f"the sandbox did not start (status {child.wait()}); its log: {folder.airflow_log}. Remove {folder.root} to begin anew")
        self.url = first[1]
        self.command = ["hesi-erp", "sandbox", *options, "--port", self.url.rpartition(":")[2]]


def _last_port(folder: DemoFolder) -> int:
    try:
        port = int(folder.port_file.read_text(encoding="ascii"))
        listen(_HOST, port).close()
    except (OSError, ValueError, OverflowError):
        return 0
    return port


def _signal_group(child: subprocess.Popen[str], number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return  # the whole group is gone already
