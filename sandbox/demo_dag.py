"""The child process of the demo: Airflow's embedded metadata brought up to date, then the real DAG by ``dag.test()``.

Usage: ``python -m sandbox.demo_dag DAG_ID FD``. Lines about phases and steps go to the file descriptor; everything else Airflow
has to say goes to standard output, which the demo keeps in a file. Exit status 0 when the DAG run succeeded, else 1.
"""

import logging
import os
import sys
from collections.abc import Callable

POOL = "hesi_posting"
Tell = Callable[[str], None]


def main(dag_id: str, descriptor: int) -> int:
    """Exit status of one DAG run."""
    with os.fdopen(descriptor, "w", encoding="utf-8", buffering=1) as line:

        def tell(text: str) -> None:
            line.write(f"{text}\n")

        tell("phase starting Airflow")
        _prepare_metadata(tell)
        steps = logging.getLogger("etl")
        steps.addHandler(_Steps(tell))
        steps.setLevel(logging.INFO)
        tell(f"phase running DAG {dag_id}")
        return _run(dag_id)


class _Steps(logging.Handler):
    """Passes on the lines with which each step starts, finishes and fails."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.INFO)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """One line per step event."""
        if str(record.msg).startswith(("step_started", "step_finished", "step_failed")):
            self._tell(record.getMessage())


def _prepare_metadata(tell: Tell) -> None:
    from airflow.utils.db import check_migrations, upgradedb

    try:
        check_migrations(1)
    except TimeoutError:
        tell("phase making Airflow's metadata database (first time only)")
        upgradedb()
    from airflow.models.pool import Pool

    Pool.create_or_update_pool(POOL, slots=1, description="Tasks that post or write back, one at a time", include_deferred=False)


def _run(dag_id: str) -> int:
    from airflow import settings
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(settings.DAGS_FOLDER)
    if dag_id not in bag.dags:
        logging.getLogger(__name__).error("%s: expected DAG %s, found %s; import errors: %s", settings.DAGS_FOLDER, dag_id, sorted(bag.dags), bag.import_errors)
        return 1
    return 0 if bag.dags[dag_id].test().state == "success" else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], int(sys.argv[2])))
