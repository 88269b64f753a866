"""Carries cases out: one forked process each, several at once, every outcome written down as it comes."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from faults import oracle
from faults.case import Case, NotFired
from faults.databases import Templates
from faults.memo import remember_files, remember_suites
from faults.runner import die_with_parent
from faults.world import World, world
from sandbox.server import DEFAULT_APP_KEY, DEFAULT_APP_SECURITY
from sandbox.testing import Sandbox

CASE_SECONDS = 600
_POLL_SECONDS = 0.02
_IN_MEMORY = "/dev/shm"  # noqa: S108 - made unpredictable by TemporaryDirectory
_ROOM_BYTES = 4 << 30
_REFERENCE = "reference"  # the family of the fault-free runs


@dataclass(frozen=True)
class Result:
    """What became of a case: ``observed`` when it survived, ``problem`` when it did not."""

    case: str
    family: str
    fault: str
    survived: bool
    observed: str
    problem: str
    seconds: float

    def write(self, path: Path) -> None:
        """Whole or not at all: others look while a case writes, and a case may be killed."""
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")
        beside.replace(path)

    @classmethod
    def take(cls, path: Path) -> Result | None:
        """What a case left there, or ``None``; the place is free for the next process of that number."""
        with contextlib.suppress(FileNotFoundError):
            found = cls(**json.loads(path.read_text(encoding="utf-8")))
            path.unlink()
            return found
        return None


def warm() -> None:
    """One small run in this process: everything a run imports and compiles is there before the first fork, no connection stays open.

    Its sandbox is another process, so that no server thread is left here; Arrow's own pools know how to be forked.
    """
    import pyarrow
    import tqdm  # type: ignore[import-untyped]

    from etl.config.settings import load_settings
    from etl.pipeline.drive import run_once

    tqdm.tqdm.monitor_interval = 0  # no thread of its own
    pyarrow.set_cpu_count(1)
    remember_files()
    here, there = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        _serve_once(there)
    there.close()
    address, now_ms = json.loads(here.recv(1000))
    with tempfile.TemporaryDirectory(prefix="hesi-erp-faults-", dir=_memory()) as folder:
        settings = load_settings(
            HESI_BASE_URL=address, HESI_APP_KEY=DEFAULT_APP_KEY, HESI_APP_SECURITY=DEFAULT_APP_SECURITY, HESI_REQUESTS_PER_SECOND="0",
            HESI_ERP_HOME=f"{folder}/home", ERP_URL=f"sqlite:///{folder}/erp.db", HESI_ERP_SIGNING_KEY="00" * 32,
        )  # fmt: skip
        run_once(settings, started_by="faults", now=datetime.fromtimestamp(now_ms / 1000, UTC))
    here.send(b".")
    os.waitpid(pid, 0)
    gc.collect()
    gc.freeze()  # children share these objects; a collection in one of them would copy every page


def _serve_once(talk: socket.socket) -> NoReturn:
    status = 1
    try:
        die_with_parent()
        with Sandbox(claims=60, seed=1) as hesi:
            talk.send(json.dumps([hesi.base_url, hesi.clock.now()]).encode())
            talk.recv(1)
        status = 0
    finally:
        os._exit(status)


def carry_out(cases: Sequence[Case], *, workers: int, tell: Callable[[Result], None]) -> list[Result]:
    """Results in the order in which cases end; fault-free runs of their tenants come first."""
    with tempfile.TemporaryDirectory(prefix="hesi-erp-faults-", dir=_memory(), ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server of PostgreSQL may run as another user
        templates = Templates(folder)
        try:
            templates.prepare(postgres=any(case.database == "postgresql" for case in cases))
            tempfile.tempdir = name  # for what a run writes aside, too; the server keeps its lock where it always does
            references = {case.reference: case for case in cases if case.compare}
            first = [replace(case, family=_REFERENCE, fault="none", place=key, play=_fault_free, database="sqlite") for key, case in references.items()]
            broken = [result for result in _pool(first, templates, workers=workers, tell=lambda _: None) if not result.survived]
            if broken:
                raise RuntimeError(f"a run without any fault went wrong: {broken[0].case}: {broken[0].problem}")
            return list(_pool(cases, templates, workers=workers, tell=tell))
        finally:
            tempfile.tempdir = None
            templates.close()


def _memory() -> str | None:
    """A file system in memory with room enough, if there is one: the rig kills processes, not machines, and waits for no disk."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(_IN_MEMORY).free >= _ROOM_BYTES and os.access(_IN_MEMORY, os.W_OK):
            return _IN_MEMORY
    return None


def _pool(cases: Sequence[Case], templates: Templates, *, workers: int, tell: Callable[[Result], None]) -> Iterator[Result]:
    waiting = list(reversed(cases))
    running: dict[int, tuple[Case, float]] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            case = waiting.pop()
            running[_fork(case, templates)] = (case, time.monotonic())
        pid, _ = os.waitpid(-1, os.WNOHANG)
        for late in [p for p, (_, since) in running.items() if time.monotonic() - since > CASE_SECONDS]:
            os.killpg(late, signal.SIGKILL)
        if pid == 0:
            time.sleep(_POLL_SECONDS)
            continue
        if pid in running:
            case, since = running.pop(pid)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # whatever of it is still there
            result = Result.take(_file(templates.folder, pid)) or _without_result(case, time.monotonic() - since)
            tell(result)
            yield result


def _fork(case: Case, templates: Templates) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        die_with_parent()
        os.setpgid(0, 0)
        if not case.validator:
            remember_suites(templates.folder, learn=case.family == _REFERENCE)
        _case(case, templates)
        status = 0
    except BaseException:  # noqa: BLE001 - the parent reports a case without a result
        traceback.print_exc()
    finally:
        os._exit(status)


def _case(case: Case, templates: Templates) -> None:
    started = time.monotonic()
    folder = templates.folder / f"case-{os.getpid()}"
    folder.mkdir(mode=0o700)
    observed, problem = "", ""
    try:
        observed = _play(case, templates, folder)
    except NotFired as error:
        problem = f"the fault did not fire: {error}"
    except Exception as error:  # noqa: BLE001 - any failure is the case's result
        place = traceback.extract_tb(error.__traceback__)[-1]
        problem = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        if os.environ.get("FAULTS_KEEP"):
            shutil.copytree(folder, Path(os.environ["FAULTS_KEEP"]) / folder.name)
    result = Result(case.id, case.family, case.fault, not problem, observed, problem, round(time.monotonic() - started, 2))
    result.write(_file(templates.folder, os.getpid()))
    shutil.rmtree(folder, ignore_errors=True)


def _play(case: Case, templates: Templates, folder: Path) -> str:
    with world(templates, folder=folder, database=case.database, seed=case.seed, claims=case.claims) as place:
        case.scenario(place)
        observed = case.play(place)
        place.hesi.faults.clear()
        place.recover()
        place.check()
        found = oracle.end_state(place.evidence())
        expected = templates.folder / f"reference-{case.reference}.json"
        if case.family == _REFERENCE:
            expected.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
        elif case.compare:
            wanted = json.loads(expected.read_text(encoding="utf-8"))
            difference = sorted({*wanted} ^ {*found})
            assert wanted == found, f"the end state is not that of a fault-free run; {len(difference)} rows differ, first: {difference[:4]}"
    return observed


def _fault_free(place: World) -> str:
    ended = place.run()
    assert ended.well, f"{ended.told}: {ended.message}"
    return str(ended.told)


def _without_result(case: Case, seconds: float) -> Result:
    return Result(case.id, case.family, case.fault, False, "", "the case ended without a result, or took too long", round(seconds, 2))


def _file(folder: Path, number: int) -> Path:
    return folder / f"result-{number}.json"
