"""Who may import whom. Every rule is tried on source that breaks it, so that a rule cannot pass by finding nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
CORE = {"codes", "errors", "files", "money", "periods", "frames", "rejects", "payload", "reference", "redaction", "masking", "model_budget"}
COMPOSERS = {"pipeline", "cli", "cli_output", "commands", "explain", "__main__"}
# Room of etl -> the rooms of etl it may import besides itself.
MAY_IMPORT = {
    "config": CORE,
    "steps": CORE | {"config"},
    "hesi": CORE,
    "erp": CORE | {"config"},  # import files follow a layout of the mappings
    "store": CORE,
    "report": CORE,
    "audit": CORE,
    "evidence": CORE | {"audit", "config", "erp", "store", "steps"},  # reads what all of them kept; no Hesi, no pipeline
    **dict.fromkeys(CORE, CORE),
}
HEAVY = {"pandas", "numpy", "pyarrow", "sqlalchemy", "urllib3", "pycurl", "great_expectations", "etl"}
# Library -> the only places of etl that may import it.
CONFINED = {
    "airflow": (),
    "sandbox": (),
    "hesi_erp": (),
    "great_expectations": ("etl/steps/validate.py",),
    "pycurl": ("etl/hesi/transport.py",),
    "urllib3": ("etl/hesi/location.py",),
    "httpx": (),
    "sqlalchemy": (
        *("etl/erp/", "etl/store/", "etl/report/", "etl/evidence/"),
        *("etl/pipeline/", "etl/commands/", "etl/explain/", "etl/config/settings.py", "etl/config/pages/"),
    ),
}
STEPS_NEVER = {"urllib3", "pycurl", "sqlalchemy", "os", "io", "pathlib", "time", "random", "socket", "subprocess", "secrets", "tempfile", "uuid"}
STEPS_NEVER_CALL = {"open", "now", "today", "utcnow", "read_text", "read_bytes", "write_text", "write_bytes", "getenv", "to_csv", "read_csv", "print"}
# The rate of requests is no money.
FLOAT_ALLOWED = {"etl/config/settings.py"}
FORBIDDEN_TEXT = {
    r"(?<![\w.])float\(": "money is int64 minor units or Decimal, never float",
    r"\.iterrows\(": "frames are worked on as columns",
    r"\.apply\(lambda": "frames are worked on as columns",
    r"\b(TODO|FIXME|XXX)\b": "unfinished work is an issue, not a comment",
}


@dataclass(frozen=True)
class Source:
    """One module: its path below the project and its text."""

    path: str
    text: str

    @property
    def room(self) -> str:
        """``steps`` of ``etl/steps/stage.py``, ``money`` of ``etl/money.py``, the folder of anything else."""
        parts = Path(self.path).with_suffix("").parts
        return parts[1] if parts[0] == "etl" and len(parts) > 1 else parts[0]

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and dotted name of everything imported, inside functions too; ``from etl import money`` is ``etl.money``."""
        for node in ast.walk(ast.parse(self.text)):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                if node.level:
                    base = Path(self.path).with_suffix("").parts[: -node.level]
                    module = ".".join((*base, *filter(None, [module])))
                deeper = module in {"etl", "sandbox"}
                yield from ((node.lineno, f"{module}.{alias.name}" if deeper else module) for alias in node.names)


def modules(*folders: str) -> list[Source]:
    """Every module below the folders; finding none is an error of the test."""
    found = [
        Source(path.relative_to(PROJECT).as_posix(), path.read_text(encoding="utf-8"))
        for folder in folders
        for path in sorted((PROJECT / folder).rglob("*.py"))
    ]
    assert found, f"no module below {folders}"
    return found


def wrong_directions(source: Source) -> list[str]:
    """Imports that point outwards, or across to another adapter."""
    if source.room in COMPOSERS or source.path == "etl/__init__.py":
        return []
    allowed = MAY_IMPORT.get(source.room, set()) | {source.room, "__version__"}
    return [
        f"{source.path}:{line}: {source.room} may not import {name}"
        for line, name in source.imports()
        if name.split(".")[0] == "etl" and name != "etl" and name.split(".")[1] not in allowed
    ]


def escaped_libraries(source: Source) -> list[str]:
    """Imports of a library outside the places it is confined to."""
    return [
        f"{source.path}:{line}: only {CONFINED[library] or 'code outside etl'} may import {library}"
        for line, name in source.imports()
        if (library := name.split(".")[0]) in CONFINED and not source.path.startswith(CONFINED[library])
    ]


def impurities(source: Source) -> list[str]:
    """What would make a step depend on anything but its arguments."""
    found = [f"{source.path}:{line}: a step may not import {name}" for line, name in source.imports() if name.split(".")[0] in STEPS_NEVER]
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in STEPS_NEVER_CALL:
                found.append(f"{source.path}:{node.lineno}: a step may not call {name}()")
    return found


def forbidden_text(source: Source) -> list[str]:
    """Lines with a construct this code base does not use."""
    return [
        f"{source.path}:{number}: {reason}"
        for number, line in enumerate(source.text.splitlines(), start=1)
        for pattern, reason in FORBIDDEN_TEXT.items()
        if re.search(pattern, line) and not ("float" in pattern and source.path in FLOAT_ALLOWED)
    ]


def heavy_at_import(source: Source) -> list[str]:
    """Heavy libraries a DAG file would import while it is parsed."""
    return [f"{source.path}:{line}: a DAG file may not import {name}" for line, name in source.imports() if name.split(".")[0] in HEAVY]


def shared_code(source: Source) -> list[str]:
    """Imports of the product in the sandbox: a fake that shares code with what it tests proves nothing."""
    return [f"{source.path}:{line}: the sandbox may not import {name}" for line, name in source.imports() if name.split(".")[0] == "etl"]


def test_imports_of_etl_point_inwards_only() -> None:
    assert [problem for source in modules("etl") for problem in wrong_directions(source)] == []


def test_every_room_of_etl_has_a_place_in_the_layers() -> None:
    rooms = {source.room for source in modules("etl") if source.path != "etl/__init__.py"}
    assert rooms <= MAY_IMPORT.keys() | COMPOSERS


def test_libraries_stay_in_the_places_they_are_confined_to() -> None:
    assert [problem for source in modules("etl") for problem in escaped_libraries(source)] == []


def test_steps_depend_on_nothing_but_their_arguments() -> None:
    assert [problem for source in modules("etl/steps") for problem in impurities(source)] == []


def test_validate_imports_great_expectations_inside_a_function() -> None:
    source = next(source for source in modules("etl/steps") if source.path == "etl/steps/validate.py")
    top = {alias.name for node in ast.parse(source.text).body if isinstance(node, ast.Import) for alias in node.names}
    assert any(name.startswith("great_expectations") for _, name in source.imports())
    assert not any(name.startswith("great_expectations") for name in top)


def test_the_code_has_no_float_money_no_row_loops_and_nothing_unfinished() -> None:
    assert [problem for source in modules("etl", "sandbox") if source.room != "sandbox" for problem in forbidden_text(source)] == []


def test_the_sandbox_shares_no_code_with_the_product() -> None:
    assert [problem for source in modules("sandbox") if source.path != "sandbox/demo.py" for problem in shared_code(source)] == []


def test_dag_files_are_light_to_parse() -> None:
    assert [problem for source in modules("dags") for problem in heavy_at_import(source)] == []


@pytest.mark.parametrize(
    ("check", "path", "line"),
    [
        (wrong_directions, "etl/steps/stage.py", "from etl.hesi.client import HesiClient"),
        (wrong_directions, "etl/steps/stage.py", "from etl import pipeline"),
        (wrong_directions, "etl/hesi/client.py", "import etl.erp.port"),
        (wrong_directions, "etl/erp/port.py", "from ..steps import stage"),
        (wrong_directions, "etl/store/raw.py", "def f():\n    from etl.report import write"),
        (wrong_directions, "etl/config/load.py", "from etl.steps.stage import stage"),
        (wrong_directions, "etl/money.py", "from etl.config import load"),
        (escaped_libraries, "etl/pipeline/run.py", "import airflow.sdk"),
        (escaped_libraries, "etl/pipeline/run.py", "from sandbox.testing import Sandbox"),
        (escaped_libraries, "etl/pipeline/run.py", "def f():\n    import great_expectations as gx"),
        (escaped_libraries, "etl/store/raw.py", "import pycurl"),
        (escaped_libraries, "etl/steps/stage.py", "import sqlalchemy as sa"),
        (impurities, "etl/steps/stage.py", "from pathlib import Path"),
        (impurities, "etl/steps/stage.py", "day = datetime.now(UTC)"),
        (impurities, "etl/steps/stage.py", "text = open('claims.json').read()"),
        (forbidden_text, "etl/steps/stage.py", "amount = float(text)"),
        (forbidden_text, "etl/steps/stage.py", "for _, row in frame.iterrows():"),
        (forbidden_text, "etl/steps/stage.py", "frame.apply(lambda row: row)"),
        (forbidden_text, "etl/steps/stage.py", "# TO" + "DO later"),
        (heavy_at_import, "dags/claims_nightly.py", "import pandas as pd"),
        (shared_code, "sandbox/money.py", "from etl.money import to_minor"),
    ],
)
def test_each_rule_finds_the_source_that_breaks_it(check, path: str, line: str) -> None:  # type: ignore[no-untyped-def]
    assert len(check(Source(path, line))) == 1


def test_the_rules_leave_the_permitted_alone() -> None:
    assert wrong_directions(Source("etl/steps/stage.py", "from etl import money\nfrom etl.config.mapping import Mappings\nimport pandas")) == []
    assert wrong_directions(Source("etl/pipeline/run.py", "from etl.hesi.client import HesiClient")) == []
    assert forbidden_text(Source("etl/config/settings.py", "rate = float(text)")) == []
