"""Mapping files as weapons: refused at once, within little memory, with the file and line; nothing in them is ever executed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from etl.config.load import load_mappings
from etl.config.settings import PROJECT
from etl.errors import ConfigError

MARK = "executed"
BOMBS = {
    "billion laughs": "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}' if n else '*a'] * 10)}]" for n in range(40)),
    "merge keys": "base: &base {k: v}\n" + "\n".join(f"m{n}:\n  <<: *base" for n in range(500)),
    "deep lists": "a: " + "[" * 200_000,
    "deep maps": "\n".join(f"{' ' * n}k:" for n in range(900)),
    "a long line": "a: " + "x" * 3_000_000,
    "a million keys": "\n".join(f"k{n}: 1" for n in range(200_000)),
    "python object": f"a: !!python/object/apply:os.system ['touch {MARK}']",
    "python name": "a: !!python/name:os.system",
    "python module": "a: !!python/module:os",
    "python new": f"a: !!python/object/new:subprocess.Popen [['touch', '{MARK}']]",
    "a tag of its own": "a: !include /etc/passwd",
    "an environment tag": "a: !ENV ${HOME}",
    "binary": "a: !!binary aGVsbG8=",
    "a set": "a: !!set {x, y}",
    "an anchor alone": "a: &x 1",
    "an alias to itself": "a: &a [*a]",
    "a second document": "version: 1\n---\na: 1",
    "another YAML": "%YAML 1.1\n---\na: yes",
    "a tag directive": "%TAG ! tag:evil.example,2026:\n---\na: !x 1",
    "a repeated key": "version: '1'\nversion: '2'",
    "a complex key": "? [a, b]\n: 1",
    "control characters": "a: \x07\x00",
    "UTF-16": "a: 1\n".encode("utf-16").decode("latin-1"),
    "jinja": "a: {{ 7 * 7 }}",
}


@pytest.fixture
def mappings(tmp_path: Path) -> Path:
    shutil.copytree(PROJECT / "mappings", tmp_path / "mappings")
    return tmp_path / "mappings"


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("file", ["companies/C01.yaml", "budget.yaml"])
def test_a_hostile_mapping_is_refused_and_names_its_file(bomb: str, file: str, mappings: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (mappings / file).write_text(BOMBS[bomb], encoding="utf-8")
    with pytest.raises(ConfigError) as told:
        load_mappings(mappings)
    problems = told.value.problems or (str(told.value),)
    assert [problem for problem in problems if file.rpartition("/")[2] in problem]
    assert not (tmp_path / MARK).exists()


def test_the_worst_of_them_together_stay_within_seconds_and_fifty_megabytes(mappings: Path) -> None:
    script = (
        "import resource, sys, pathlib\nfrom etl.config.load import load_mappings\nfrom etl.errors import ConfigError\n"
        "folder = pathlib.Path(sys.argv[1])\nload_mappings(folder)\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for name in sys.argv[2:]:\n    pathlib.Path(folder, 'budget.yaml').write_text(pathlib.Path(name).read_text())\n"
        "    try:\n        load_mappings(folder)\n    except ConfigError:\n        continue\n    sys.exit('accepted ' + name)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    names = []
    for number, bomb in enumerate(("billion laughs", "merge keys", "deep lists", "deep maps", "a long line")):
        path = mappings.parent / f"bomb{number}.txt"
        path.write_text(BOMBS[bomb], encoding="utf-8")
        names.append(str(path))
    done = subprocess.run([sys.executable, "-c", script, str(mappings), *names], capture_output=True, text=True, check=True, cwd=PROJECT, timeout=60)
    assert int(done.stdout) < 50 * 1024
