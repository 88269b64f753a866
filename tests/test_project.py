"""What a stranger who clones the project relies on: pinned packages, closed ports, no secrets, nothing left behind."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

from scripts.audit import verdict

PROJECT = Path(__file__).resolve().parents[1]
LISTS = ("requirements.txt", "requirements-dev.txt")
SECRETS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
    "key of a cloud": r"\b(?:AKIA|ASIA|LTAI)[0-9A-Z]{12,20}\b",
    "token in an address": r"accessToken=(?!\*|\{|<|…|\.\.\.)[A-Za-z0-9_-]{24,}",
    "token of a code host": r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
}
LEFT_BEHIND = {
    "a folder of one machine": r"(?<![\w.}>])/(?:work|root|Users)/[\w.-]+",
    "how the work was organised": r"(?i)\b(?:sub-?agent|as an ai|claude|chatgpt|copilot|this session|the brief says)\b",
}


def tracked() -> list[Path]:
    """Every file git keeps, or would keep."""
    git = shutil.which("git")
    if git is None or not (PROJECT / ".git").exists():
        folders = ("etl", "sandbox", "dags", "plugins", "docs", "mappings", "scripts")
        return [path for folder in folders for path in (PROJECT / folder).rglob("*") if path.is_file()]
    listed = subprocess.run([git, "ls-files", "-co", "--exclude-standard", "-z"], cwd=PROJECT, capture_output=True, check=True).stdout
    found = [PROJECT / name for name in listed.decode().split("\0") if name]
    return [path for path in found if path.is_file()]


def texts() -> Iterator[tuple[str, str]]:
    """Name and text of every tracked text file but this one, which spells out what is looked for."""
    files = tracked()
    assert len(files) > 100
    for path in files:
        if path == Path(__file__) or path.name.startswith("requirements"):
            continue
        try:
            yield path.relative_to(PROJECT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def findings(rules: dict[str, str], files: Iterator[tuple[str, str]]) -> list[str]:
    """Where a rule's pattern occurs."""
    return [f"{name}: {what}: {match.group()[:60]}" for name, text in files for what, pattern in rules.items() for match in re.finditer(pattern, text)]


def canonical(name: str) -> str:
    """The name of a package as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path: Path) -> set[str]:
    """Top-level modules a file imports, inside functions too."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.partition(".")[0] for name in names}


def pins(name: str) -> dict[str, str]:
    """Package -> version of a locked list."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", (PROJECT / name).read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("name", LISTS)
def test_every_package_is_pinned_and_hashed(name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?=[a-z0-9])", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)) if entry.strip()]
    assert len(entries) > 100
    assert [entry.splitlines()[0] for entry in entries if not re.match(r"[a-z0-9][\w.-]*==\S+", entry) or "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", LISTS)
def test_no_list_names_an_index_or_a_file(name: str) -> None:
    assert re.findall(r"^(?:--(?:extra-)?index-url|--find-links|.* @ ).*$", (PROJECT / name).read_text(encoding="utf-8"), re.MULTILINE) == []


def test_the_list_of_the_tests_contains_the_products_with_the_same_versions() -> None:
    product, tests = (pins(name) for name in LISTS)
    assert {name: version for name, version in product.items() if tests.get(name) != version} == {}
    assert len(tests) > len(product)


def test_what_the_project_asks_for_is_what_is_locked() -> None:
    asked = re.findall(r"^([A-Za-z0-9._-]+)(?:\[\w+\])?==(\S+)", (PROJECT / "requirements.in").read_text(encoding="utf-8"), re.MULTILINE)
    locked = pins("requirements.txt")
    assert len(asked) > 15
    assert [(name, version) for name, version in asked if locked[canonical(name)] != version] == []


def test_every_library_the_sources_import_is_asked_for_by_name() -> None:
    text = (PROJECT / "requirements.in").read_text(encoding="utf-8")
    asked = {canonical(name) for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[\w+\])?==", text, re.MULTILINE)}
    # Airflow's own packages come together and pin each other.
    known = {module: {canonical(name) for name in names} for module, names in packages_distributions().items()} | {"airflow": {"apache-airflow"}}
    ours = {path.name for path in PROJECT.iterdir()} | {"hesi_erp", "plugin"}
    modules = {module for folder in ("etl", "sandbox", "dags", "plugins") for path in (PROJECT / folder).rglob("*.py") for module in imported(path)}
    foreign = modules - set(sys.stdlib_module_names) - ours
    assert len(foreign) > 15
    assert sorted(module for module in foreign if not known.get(module, {module}) & asked) == []


def test_the_supported_pythons_are_the_same_everywhere() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["requires-python"] == ">=3.11,<3.14"
    assert settings["tool"]["ruff"]["target-version"] == "py311"
    assert settings["tool"]["mypy"]["python_version"] == "3.11"
    assert "(3, 11) <= sys.version_info < (3, 14)" in (PROJECT / "scripts/install.sh").read_text(encoding="utf-8")


def test_continuous_integration_runs_what_a_developer_runs() -> None:
    lines = [line for line in (PROJECT / ".ci/run").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert lines[-1] == "exec make test"


def test_every_module_and_script_the_makefile_starts_exists() -> None:
    text = "\n".join((PROJECT / name).read_text(encoding="utf-8") for name in ("Makefile", "scripts/check.sh"))
    scripts = set(re.findall(r"\bscripts/[\w.]+", text))
    modules = set(re.findall(r"python -m ([\w.]+)", text))
    assert len(scripts) >= 4
    assert len(modules) >= 4
    assert [script for script in sorted(scripts) if not (PROJECT / script).is_file()] == []
    assert [module for module in sorted(modules) if find_spec(f"{module}.__main__" if (PROJECT / module).is_dir() else module) is None] == []


def test_containers_publish_on_loopback_only() -> None:
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    ports = [(name, str(port)) for name, service in services.items() for port in service.get("ports", ())]
    assert ports
    assert [(name, port) for name, port in ports if not port.startswith("127.0.0.1:")] == []


def test_no_secret_is_committed() -> None:
    assert findings(SECRETS, texts()) == []


def test_nothing_tells_of_the_machine_or_the_making() -> None:
    assert findings(LEFT_BEHIND, texts()) == []


def test_the_scans_find_what_they_look_for() -> None:
    planted = [
        ("a", "-----BEGIN RSA PRIVATE KEY-----"),
        ("b", "GET /api?accessToken=ID_3lokDfb1p5uAbCdEfGh0123"),
        ("c", "AKIAIOSFODNN7EXAMPLE"),
        ("d", "open('/root/claims.json')"),
    ]
    assert [finding.partition(":")[0] for finding in findings(SECRETS | LEFT_BEHIND, iter(planted))] == ["a", "b", "c", "d"]


def test_the_scripts_are_valid_shell() -> None:
    scripts = [*sorted((PROJECT / "scripts").glob("*.sh")), PROJECT / ".ci/run"]
    assert len(scripts) >= 4
    for script in scripts:
        assert subprocess.run(["bash", "-n", script], capture_output=True, check=False).returncode == 0, script.name


def test_the_version_of_the_package_is_that_of_the_code() -> None:
    from etl import __version__

    done = subprocess.run([sys.executable, "-m", "etl", "--version"], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"hesi-erp {__version__}"


@pytest.mark.parametrize(
    ("packages", "reason", "code", "said"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], "", 0, "audited: 1 packages, 0 known vulnerabilities"),
        ([{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}], "", 1, "a 1: CVE-1, fixed in 2"),
        ([{"name": "a", "skip_reason": "not found"}], "", 0, "unaudited: 1 of 1 packages, e.g. not found"),
        ([], "no network", 0, "unaudited: no network"),
        ([], "", 0, "unaudited: pip-audit named no package"),
    ],
)
def test_what_could_not_be_audited_is_said_and_never_called_clean(packages: list[dict[str, object]], reason: str, code: int, said: str) -> None:
    found, lines = verdict(packages, reason)
    assert found == code
    assert said in lines
    assert not any("audited: 0" in line for line in lines)
