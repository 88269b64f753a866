"""Every version of the rules a run was started with, kept by content, so that two versions can be compared years later.

``audit/files/<sha256>`` holds the bytes of each file once; ``audit/versions/<what>-<version>.json`` names the files of a version.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from etl.audit.canonical import canonical, sha256_hex
from etl.errors import RulesChanged

_HASH = re.compile(r"[0-9a-f]{64}")


class Version(msgspec.Struct, frozen=True):
    """One version of mappings, suites or settings: its hash, and the hash of each of its files."""

    what: str
    version: str
    files: dict[str, str]

    @property
    def body(self) -> dict[str, Any]:
        """The version as an entry of the log."""
        return {"kind": "configuration", **msgspec.structs.asdict(self)}


class ConfigurationStore:
    """Contents of all versions of one home."""

    def __init__(self, home: Path) -> None:
        self._files, self._versions = home / "audit" / "files", home / "audit" / "versions"

    def keep(self, version: Version, read: Callable[[str], bytes]) -> bool:
        """Stores a version's files; True when the version was not known yet.

        Args:
            version: what to keep.
            read: the bytes of one of its files.

        Raises:
            RulesChanged: a file is no longer what the version says; start a new run.
        """
        known = self._versions / f"{version.what}-{version.version}.json"
        if known.exists():
            return False
        for name, digest in version.files.items():
            content = read(name)
            if sha256_hex(content) != digest:
                raise RulesChanged(f"{version.what}: expected {name} as it was when the run began, found another version; start a new run")
            _write_once(self._files / digest, content)
        return True

    def know(self, version: Version) -> None:
        """Remembers that the version stands in the log."""
        _write_once(self._versions / f"{version.what}-{version.version}.json", canonical(msgspec.structs.asdict(version)))

    def content(self, digest: str) -> bytes | None:
        """The bytes with this hash; None when they are not kept or are no longer those."""
        path = self._files / digest
        if not _HASH.fullmatch(digest) or not path.is_file():
            return None
        content = path.read_bytes()
        return content if sha256_hex(content) == digest else None


def settings_version(values: Mapping[str, Any]) -> tuple[Version, bytes]:
    """The version of the settings that are no secrets, and its one file."""
    content = canonical({name: _text(value) for name, value in sorted(values.items())}) + b"\n"
    digest = sha256_hex(content)
    return Version("settings", digest, {"settings.json": digest}), content


def _text(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value]
    return None if value is None else str(value)


def _write_once(path: Path, content: bytes) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
        file.write(content)
    part.rename(path)
