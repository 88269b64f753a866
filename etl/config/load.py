"""A mapping folder as typed, cross-checked data: all mistakes of all files at once, before anything is read from Hesi."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from etl.config.budget_policy import BudgetPolicy
from etl.config.cross_check import Folder, cross_check
from etl.config.mapping import Chart, CompanyMapping, Mappings, VatRules
from etl.config.placed import Placed
from etl.config.yaml_file import read_yaml
from etl.config.yaml_model import Model, model_from
from etl.errors import ConfigError

BUDGET_FILE = "budget.yaml"
# layouts/ is read by etl.config.layouts, schema/ is generated for editors.
KNOWN_FOLDERS = ("charts", "companies", "layouts", "schema", "vat")


def load_mappings(folder: Path) -> Mappings:
    """Every company, chart, VAT rule and the budget policy of a folder, proved to fit together.

    ``files`` holds the SHA-256 of each file, ``sha256`` the hash over all of them: the version of the rules in force.
    Without ``budget.yaml`` the defaults of :class:`BudgetPolicy` hold.

    Raises:
        ConfigError: ``problems`` lists every mistake of every file, as ``file:line: key path: expected ..., found ...``.
    """
    if not folder.is_dir():
        raise ConfigError(f"HESI_ERP_MAPPINGS: expected a folder of YAML mappings, found none at {folder}")
    reader = _Reader(folder)
    parts = Folder(
        path=folder,
        charts=reader.read_all("charts", Chart),
        vat=reader.read_all("vat", VatRules),
        companies=reader.read_all("companies", CompanyMapping),
        budget=reader.read(folder / BUDGET_FILE, BudgetPolicy) if (folder / BUDGET_FILE).exists() else None,
        unreadable=frozenset(reader.failed),
    )
    problems = [*reader.problems, *_strays(folder), *cross_check(parts)]
    if problems:
        raise ConfigError(f"The mappings in {folder.name} are wrong:", problems=tuple(problems))
    return Mappings(
        companies=[company.model for company in parts.companies],
        charts={chart.model.name: chart.model for chart in parts.charts},
        vat={rules.model.name: rules.model for rules in parts.vat},
        budget=parts.budget.model if parts.budget else BudgetPolicy.model_validate({}),
        files=dict(sorted(reader.hashes.items())),
        sha256=total_sha256(reader.hashes),
    )


def read_folder(folder: Path, kind: str, model: type[Model]) -> list[Model]:
    """The files of one folder below the mappings, such as ``layouts``, each on its own; an absent folder is empty.

    Raises:
        ConfigError: ``problems`` lists every mistake of every file.
    """
    reader = _Reader(folder)
    placed = reader.read_all(kind, model)
    if reader.problems:
        raise ConfigError(f"The {kind} in {folder.name} are wrong:", problems=tuple(reader.problems))
    return [item.model for item in placed]


def total_sha256(hashes: Mapping[str, str]) -> str:
    """One hash over many files: of the lines ``name hash``, sorted by name."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


@dataclass
class _Reader:
    """Reads files one after the other and keeps what is right and what is wrong."""

    folder: Path
    problems: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def read(self, path: Path, model: type[Model]) -> Placed[Model] | None:
        name = path.relative_to(self.folder).as_posix()
        try:
            document = read_yaml(path, name=name)
            self.hashes[name] = document.sha256
            return Placed(model_from(document, model), document)
        except ConfigError as error:
            self.problems.extend(error.problems or (str(error),))
            self.failed.add(name.split("/")[0])
            return None

    def read_all(self, kind: str, model: type[Model]) -> list[Placed[Model]]:
        files = sorted((self.folder / kind).glob("*.yaml"))
        return [placed for path in files if (placed := self.read(path, model)) is not None]


def _strays(folder: Path) -> Iterator[str]:
    """Files that look like mappings but would never be read: a quiet way to lose a company."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        where = name.split("/")
        if path.is_dir() or path.suffix.lower() not in {".yaml", ".yml"} or name == BUDGET_FILE:
            continue
        if path.suffix != ".yaml" or len(where) != 2 or where[0] not in KNOWN_FOLDERS:
            yield (f"{name}:1: expected {BUDGET_FILE} or a .yaml file directly in one of {', '.join(KNOWN_FOLDERS)}; this file would never be read")
