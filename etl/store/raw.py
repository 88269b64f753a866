"""Raw source pages on disk: written once, hashed, readable by their owner only.

``raw/<run_id>/`` holds the answers as they came, ``pages.json`` beside them names each with its SHA-256. A claim is found
again by its ``raw_ref``: ``<run_id>/<file>#<item index>``. Raw pages are the only place with unmasked personal data.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Raw

from etl.errors import RawPageAltered
from etl.payload import page_items
from etl.periods import instant


class RawPage(msgspec.Struct, frozen=True):
    """One stored page; ``taken`` are the item indexes this run works on, ``url`` carries no token."""

    file: str
    sha256: str
    bytes: int
    form_type: str
    active: bool
    claims: int
    url: str
    fetched_at_ms: int
    taken: list[int] = []

    def ledger_row(self, run_id: str, number: int) -> dict[str, object]:
        """The page as a row of ``run_page``."""
        return {
            "n": number, "form_type": self.form_type, "active": self.active, "url": self.url, "fetched_at": instant(self.fetched_at_ms), "bytes": self.bytes,
            "claims": self.claims, "sha256": self.sha256, "path": f"raw/{run_id}/{self.file}",
        }


class RawStore:
    """Writes and reads the pages of all runs under one folder."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "raw"

    def write(self, run_id: str, file: str, body: bytes) -> str:
        """Stores a page and returns its SHA-256; a page of that name with other content is refused.

        Raises:
            RawPageAltered: the file exists with different bytes.
        """
        path = self.folder / run_id / file
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest = hashlib.sha256(body).hexdigest()
        if path.exists():
            if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                raise RawPageAltered(f"{path}: expected to write a new page, found another one; start a new run")
            return digest
        part = path.with_name(f".{path.name}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
            handle.write(body)
        part.rename(path)
        path.chmod(0o400)
        return digest

    def write_index(self, run_id: str, pages: list[RawPage]) -> None:
        """Stores the list of a run's pages."""
        path = self.folder / run_id / "pages.json"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(".pages.json.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
            handle.write(msgspec.json.encode(pages))
        part.rename(path)

    def index(self, run_id: str) -> list[RawPage]:
        """The pages of a run; empty when the run stored none."""
        path = self.folder / run_id / "pages.json"
        return msgspec.json.decode(path.read_bytes(), type=list[RawPage]) if path.exists() else []

    def read(self, run_id: str, page: RawPage) -> bytes:
        """The bytes of a page, proved unchanged.

        Raises:
            RawPageAltered: the file is missing or its hash differs.
        """
        path = self.folder / run_id / page.file
        try:
            body = path.read_bytes()
        except FileNotFoundError:
            raise RawPageAltered(f"{path}: expected the page stored in run {run_id}, found nothing; restore it or run with --full") from None
        if hashlib.sha256(body).hexdigest() != page.sha256:
            raise RawPageAltered(f"{path}: expected SHA-256 {page.sha256}, found other content; restore the page and find out who changed it")
        return body

    def items(self, refs: list[str]) -> Iterator[tuple[str, Raw | None]]:
        """The raw claims behind ``raw_ref`` values, page by page; None where the page is not kept any more."""
        by_page: dict[tuple[str, str], list[tuple[int, str]]] = {}
        for ref in refs:
            place, _, index = ref.rpartition("#")
            run_id, _, file = place.partition("/")
            by_page.setdefault((run_id, file), []).append((int(index), ref))
        for (run_id, file), wanted in by_page.items():
            page = next((page for page in self.index(run_id) if page.file == file), None)
            if page is None or not (self.folder / run_id / file).exists():
                yield from ((ref, None) for _, ref in wanted)
                continue
            items = page_items(self.read(run_id, page))
            yield from ((ref, items[index]) for index, ref in wanted)
