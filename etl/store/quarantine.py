"""Claims that could not be read, one small file each: which claim, why, who repairs it and where its raw JSON lies.

``quarantine/<digest of the claim id>.json`` holds no content of the claim, only the way to it, and what its reason
quotes is masked; the file goes when the claim can be read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from etl.files import written_beside
from etl.frames import records
from etl.masking import mask_text

_TOLD = ("claim_id", "claim_code", "form_type", "rule", "reason", "owner", "raw_ref")


class Quarantine:
    """The quarantine of one home folder."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "quarantine"

    def keep(self, rejects: pd.DataFrame) -> None:
        """Stores the claims stage could not read (REJECTS rows); the same claim again replaces its file."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for row in records(rejects):
            with written_beside(self._path(row["claim_id"])) as handle:
                handle.write(msgspec.json.format(msgspec.json.encode({name: row[name] for name in _TOLD} | {"reason": mask_text(row["reason"])})))

    def release(self, claim_ids: Iterable[str]) -> None:
        """Removes the files of claims that can be read now."""
        kept = {row["claim_id"] for row in self.claims()}
        for claim_id in kept.intersection(claim_ids) if kept else ():
            self._path(claim_id).unlink(missing_ok=True)

    def claims(self) -> list[dict[str, Any]]:
        """What is quarantined, by claim number."""
        found = [msgspec.json.decode(path.read_bytes()) for path in self.folder.glob("*.json")]
        return sorted(found, key=lambda row: (row["claim_code"], row["claim_id"]))

    def _path(self, claim_id: str) -> Path:
        return self.folder / f"{hashlib.sha256(claim_id.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}.json"
