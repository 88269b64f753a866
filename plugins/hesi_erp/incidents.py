"""Open incidents, one small file each: whichever task creates the file is the one that sends the message."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

import msgspec

Audience = Literal["finance", "it"]


class Incident(msgspec.Struct, frozen=True):
    """A DAG and a cause; ``seen`` counts its failures, ``sent`` is true once somebody was told."""

    dag_id: str
    code: str
    audience: Audience
    subject: str
    body: str
    seen: int = 1
    sent: bool = False


class Incidents:
    """The incidents open under a folder; files are private, for messages name claims."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, incident: Incident) -> bool:
        """True when the incident is to be told: it is new, or nobody could be told so far."""
        path = self._path(incident)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            known = _read(path)
            _replace(path, msgspec.structs.replace(known, seen=known.seen + 1))
            return not known.sent
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(incident))
        return True

    def mark_sent(self, incident: Incident) -> None:
        """From now on the incident is quiet."""
        path = self._path(incident)
        _replace(path, msgspec.structs.replace(_read(path), sent=True))

    def close(self, dag_id: str) -> list[Incident]:
        """Removes and returns every incident of a DAG."""
        closed = []
        for path in sorted(self.folder.glob("*.json")):
            incident = _read(path)
            if incident.dag_id == dag_id:
                path.unlink(missing_ok=True)
                closed.append(incident)
        return closed

    def _path(self, incident: Incident) -> Path:
        key = hashlib.sha256(f"{incident.dag_id}\0{incident.code}".encode()).hexdigest()[:24]
        return self.folder / f"{key}.json"


def _read(path: Path) -> Incident:
    return msgspec.json.decode(path.read_bytes(), type=Incident)


def _replace(path: Path, incident: Incident) -> None:
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(incident))
    part.rename(path)
