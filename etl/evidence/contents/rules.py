"""Rules in force: every version of mappings, budget policy, suites and settings the runs used, and what changed between two."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from etl.audit.configuration import ConfigurationStore, Version
from etl.evidence.scope import Scope
from etl.evidence.tables import PackFiles

WHATS = ("mappings", "suites", "settings")
COLUMNS = "what version first_run first_at runs file sha256 kept place".split()
_SHORT = 12


@dataclass
class InForce:
    """One version of one kind of rules, from the run that first used it."""

    version: Version
    first_run: str
    first_at: str
    runs: int = 0
    before: Version | None = None

    @property
    def folder(self) -> str:
        """Where its files stand in the pack."""
        return f"3-rules/{self.version.what}-{self.version.version[:_SHORT]}"


def write_rules(pack: PackFiles, scope: Scope) -> list[InForce]:
    """Writes versions, files and differences; returns the versions in the order they came into force."""
    versions = in_force(scope)
    rows = []
    for item in versions:
        used = [item.version.what, item.version.version, item.first_run, item.first_at, item.runs]
        for name, digest in sorted(item.version.files.items()):
            content = scope.configurations.content(digest)
            place = f"{item.folder}/{name}" if content is not None else ""
            if content is not None:
                pack.file(place, content)
            rows.append([*used, name, digest, content is not None, place])
        if not item.version.files:
            rows.append([*used, "", "", False, ""])
        if item.before is not None:
            pack.file(f"{item.folder}.diff", "".join(_differences(scope.configurations, item.before, item.version)).encode())
    pack.table("3-rules/versions.csv", COLUMNS, rows)
    return versions


def in_force(scope: Scope) -> list[InForce]:
    """Versions the runs of the scope used; ``before`` is the version the run before the first use had."""
    wanted = set(scope.run_ids)
    logged = [entry.body for entry in scope.events if entry.kind == "configuration"]
    known = {(body["what"], body["version"]): Version(body["what"], body["version"], dict(body["files"])) for body in logged}
    last: dict[str, Version] = {}
    found: dict[tuple[str, str], InForce] = {}
    for entry in scope.events:
        if entry.kind != "run_started":
            continue
        for what in WHATS:
            key = (what, str(entry.body[what]))
            version = known.get(key, Version(*key, {}))
            before = last.get(what)
            if entry.body["run_id"] in wanted:
                item = found.setdefault(key, InForce(version, entry.body["run_id"], entry.body["at"], before=before if before != version else None))
                item.runs += 1
            last[what] = version
    return list(found.values())


def _differences(store: ConfigurationStore, old: Version, new: Version) -> Iterator[str]:
    for name in sorted({*old.files, *new.files}):
        if old.files.get(name) == new.files.get(name):
            continue
        before, after = (_lines(store, version.files.get(name)) for version in (old, new))
        yield from difflib.unified_diff(before, after, f"{old.version[:_SHORT]}/{name}", f"{new.version[:_SHORT]}/{name}", lineterm="\n")


def _lines(store: ConfigurationStore, digest: str | None) -> list[str]:
    content = store.content(digest) if digest else b""
    if content is None:
        return [f"(the content with SHA-256 {digest} is not kept)\n"]
    return [f"{line}\n" for line in content.decode("utf-8", "replace").splitlines()]
