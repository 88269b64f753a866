"""Where the demo keeps things, and the settings its run gets: of the caller's own settings none is taken over."""

import fcntl
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sandbox.server import DEFAULT_APP_KEY, DEFAULT_APP_SECURITY

PROJECT = Path(__file__).resolve().parents[1]
_OWN = ("HESI_", "ERP_", "AIRFLOW_", "GX_")


@dataclass(frozen=True)
class DemoFolder:
    """The files of a demo; private, for claims are confidential by habit."""

    root: Path

    @property
    def home(self) -> Path:
        """``HESI_ERP_HOME``."""
        return self.root / "home"

    @property
    def erp(self) -> Path:
        """The ERP database."""
        return self.root / "erp.db"

    @property
    def airflow(self) -> Path:
        """``AIRFLOW_HOME``."""
        return self.root / "airflow"

    @property
    def hesi(self) -> Path:
        """What was changed in the sandbox tenant."""
        return self.root / "hesi"

    @property
    def port_file(self) -> Path:
        """The sandbox's port, kept so that addresses stay the same."""
        return self.root / "port"

    @property
    def env_file(self) -> Path:
        """Settings to be sourced by a shell."""
        return self.root / "env"

    @property
    def keys(self) -> Path:
        """The demo's key pair for the audit log: private, then public, a line each."""
        return self.root / "keys"

    @property
    def anchors(self) -> Path:
        """Heads of the audit log, as another custodian would keep them."""
        return self.root / "anchors"

    @property
    def airflow_log(self) -> Path:
        """All that Airflow and the sandbox printed."""
        return self.home / "logs" / "airflow.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The folder, made and held against a second demo.

        Raises:
            RuntimeError: another demo uses it.
        """
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RuntimeError(f"another demo is running in {self.root}; wait for it or end it with Ctrl-C") from None
            yield

    def log(self) -> IO[bytes]:
        """The log file, to be added to: what an earlier demo said may explain this one."""
        self.airflow_log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.fdopen(os.open(self.airflow_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def child_environment(folder: DemoFolder, base_url: str) -> dict[str, str]:
    """Every variable of the run beside those of the machine."""
    settings = {
        "HESI_BASE_URL": base_url,
        "HESI_APP_KEY": DEFAULT_APP_KEY,
        "HESI_APP_SECURITY": DEFAULT_APP_SECURITY,
        "HESI_REQUESTS_PER_SECOND": "0",
        "ERP_URL": f"sqlite:///{folder.erp}",
        "HESI_ERP_HOME": str(folder.home),
        "HESI_ERP_LEDGER_URL": f"sqlite:///{folder.home / 'ledger.db'}",
        "HESI_ERP_MAPPINGS": str(PROJECT / "mappings"),
        "HESI_ERP_EXPECTATIONS": str(PROJECT / "expectations"),
        "AIRFLOW_HOME": str(folder.airflow),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "GX_ANALYTICS_ENABLED": "False",
        "PYTHONPATH": str(PROJECT),
    }
    machine = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    return machine | settings


def write_env_file(folder: DemoFolder, environment: Mapping[str, str], sandbox_command: Sequence[str]) -> None:
    """``export`` lines of the run's settings, mode 0600, with the way to start its sandbox again."""
    names = sorted(name for name in environment if name.startswith(_OWN) or name == "PYTHONPATH")
    lines = [
        "# Settings of the demo's last run, for `hesi-erp` in this shell:  . .demo/env && hesi-erp reconcile",
        "# Commands that read Hesi (run, replay) need its sandbox, started in another terminal by:",
        f"#   {shlex.join(sandbox_command)}",
        f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"',
        *(f"export {name}={_quoted(environment[name])}" for name in names),
    ]
    beside = folder.root / ".env.part"
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    beside.replace(folder.env_file)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"
