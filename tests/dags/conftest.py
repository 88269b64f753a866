"""One Airflow for all tests of this folder: its own home, metadata migrated once, everything in this process.

No module here imports Airflow or ``hesi_erp`` at its top: the home has to be set before the first import.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.testing import Sandbox

PROJECT = Path(__file__).resolve().parents[2]
CANARY_KEY, CANARY_SECRET = "canary-app-key-7f3a", "canary-app-security-91bc"
# Airflow's own imports warn about its own dependencies.
_AIRFLOWS = ("ignore:.*gitwildmatch.*:DeprecationWarning", "ignore:Using `httpx` with `starlette.testclient`", "ignore::ResourceWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start Airflow share one process, also where tests are spread over several."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and "airflow" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.airflow)
            item.add_marker(pytest.mark.xdist_group("airflow"))
            for rule in _AIRFLOWS:
                item.add_marker(pytest.mark.filterwarnings(rule))


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """``AIRFLOW_HOME`` with migrated metadata."""
    if "airflow" in sys.modules:
        pytest.fail("expected nobody to import airflow before its home is set; move the import into a test or a fixture")
    home = tmp_path_factory.mktemp("airflow")
    root, logger = logging.getLogger(), logging.getLogger("etl")
    before = root.handlers[:], root.level, logger.level
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of these tests only, long enough for HS512: 0123456789abcdef0123456789abcdef",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "finance:user,onlooker:viewer",
            "GX_ANALYTICS_ENABLED": "False",
        }.items():
            patch.setenv(name, value)
        from airflow.utils.db import upgradedb

        upgradedb()
        yield home
    root.handlers[:], root.level = before[0], before[1]
    logger.setLevel(before[2])


@dataclass(frozen=True)
class World:
    """A sandbox tenant, an ERP database and a home, known to Airflow by Connections."""

    hesi: Sandbox
    home: Path
    erp: Path

    @property
    def ledger_url(self) -> str:
        """The run history."""
        return f"sqlite:///{self.home / 'ledger.db'}"


@pytest.fixture(scope="package")  # the settings it makes must not reach tests of other folders
def make_world(airflow: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., World]]:
    """Builds worlds; the last one built is the one Airflow's Connections point to."""
    opened: list[Sandbox] = []
    with pytest.MonkeyPatch.context() as patch:

        def build(**options: Any) -> World:
            folder = tmp_path_factory.mktemp("world")
            hesi = Sandbox(claims=200, seed=1, app_key=CANARY_KEY, app_security=CANARY_SECRET, **options)
            hesi.__enter__()
            opened.append(hesi)
            world = World(hesi, folder / "home", folder / "erp.db")
            connection = {"conn_type": "http", "host": hesi.base_url, "login": CANARY_KEY, "password": CANARY_SECRET}
            patch.setenv("AIRFLOW_CONN_HESI", json.dumps(connection))
            patch.setenv("AIRFLOW_CONN_ERP", json.dumps({"conn_type": "sqlite", "extra": {"url": f"sqlite:///{world.erp}"}}))
            patch.setenv("HESI_ERP_HOME", str(world.home))
            patch.setenv("HESI_REQUESTS_PER_SECOND", "0")
            return world

        yield build
    for hesi in opened:
        hesi.__exit__(None, None, None)


@pytest.fixture(scope="session")
def dag_bag(airflow: Path) -> Any:
    """Every DAG of the project, parsed as Airflow parses it."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(PROJECT / "dags"))
