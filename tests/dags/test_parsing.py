"""The scheduler parses DAG files all day: that must be quick and load nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
_PROBE = """
import importlib.util, json, sys, time
from pathlib import Path
import airflow.sdk
import airflow.plugins_manager
for name in ("dag", "task", "Asset", "AssetAlias", "BaseHook", "Variable", "CronTriggerTimetable", "ExceptionRetryPolicy"):
    getattr(airflow.sdk, name)
airflow_alone = set(sys.modules)
seconds = {}
for path in sorted(Path("dags").glob("*.py")):
    began = time.process_time()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    seconds[path.stem] = time.process_time() - began
spec = importlib.util.spec_from_file_location("plugin", Path("plugins/plugin.py"))
spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(json.dumps({"seconds": seconds, "added": sorted({name.split(".")[0] for name in set(sys.modules) - airflow_alone}), "all": sorted(sys.modules)}))
"""


def test_parsing_all_dags_and_the_plugin_is_quick_and_loads_nothing_heavy(tmp_path: Path) -> None:
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'plugins'}"}
    found = subprocess.run([sys.executable, "-c", _PROBE], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    probe = json.loads(found.stdout.splitlines()[-1])
    assert len(probe["seconds"]) >= 5
    assert all(seconds < 0.3 for seconds in probe["seconds"].values()), probe["seconds"]
    assert not {"pandas", "numpy", "pyarrow", "great_expectations", "alembic", "pydantic_settings"} & set(probe["all"])
    # Airflow's own start brings SQLAlchemy and httpx along; our files ask for neither.
    assert not {"sqlalchemy", "httpx", "fastapi", "jinja2"} & set(probe["added"])
    assert "etl.errors" in probe["all"]
    assert not [name for name in probe["all"] if name.startswith(("etl.pipeline", "etl.steps", "etl.erp", "etl.hesi", "etl.store"))]
