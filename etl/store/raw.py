"""Raw source pages on disk: written once, hashed, readable by their owner only, encrypted where keys are given.

``raw/<run_id>/`` holds the answers as they came, ``pages.json`` beside them names each with its SHA-256. A claim is found
again by its ``raw_ref``: ``<run_id>/<file>#<item index>``. Raw pages are the only place with unmasked personal data.
With ``HESI_ERP_RAW_KEYS`` a page lies as ``<file>.enc``; hashes and references are those of the plain page, so that keys may
change (:mod:`etl.commands.rotate_raw`) while every proof stays. The index holds no personal data and is plain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Raw

from etl.errors import ConfigError, RawPageAltered
from etl.files import written_beside
from etl.payload import page_items
from etl.periods import instant
from etl.store.names import is_plain_name
from etl.store.sealing import SUFFIX, Sealing

INDEX = "pages.json"


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
            "n": number,
            "form_type": self.form_type,
            "active": self.active,
            "url": self.url,
            "fetched_at": instant(self.fetched_at_ms),
            "bytes": self.bytes,
            "claims": self.claims,
            "sha256": self.sha256,
            "path": f"raw/{run_id}/{self.file}",
        }


class RawStore:
    """Writes and reads the pages of all runs under one folder.

    ``keys`` are Fernet keys: the first seals new pages, all of them open old ones; without keys new pages are plain.
    Run ids and file names come back from databases and index files, so every one is checked before it becomes a path.
    """

    def __init__(self, home: Path, *, keys: Sequence[str] = ()) -> None:
        self.folder = home / "raw"
        self._sealing = Sealing(keys) if keys else None

    def write(self, run_id: str, file: str, body: bytes) -> str:
        """Stores a page and returns its SHA-256; a page of that name with other content is refused.

        Raises:
            RawPageAltered: the file exists with different bytes, or the name is none of ours.
        """
        path = self._place(run_id, file)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest = hashlib.sha256(body).hexdigest()
        if self._stored(path) is not None:
            if hashlib.sha256(self._content(path)).hexdigest() != digest:
                raise RawPageAltered(f"{path}: expected to write a new page, found another one; start a new run")
            return digest
        if self._sealing is None:
            _write_once(path, body)
        else:
            _write_once(_sealed(path), self._sealing.seal(body))
        return digest

    def write_index(self, run_id: str, pages: list[RawPage]) -> None:
        """Stores the list of a run's pages."""
        path = self._place(run_id, INDEX)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_beside(path, msgspec.json.encode(pages))

    def index(self, run_id: str) -> list[RawPage]:
        """The pages of a run; empty when the run stored none."""
        if not is_plain_name(run_id):
            return []
        path = self._place(run_id, INDEX)
        return msgspec.json.decode(path.read_bytes(), type=list[RawPage]) if path.exists() else []

    def read(self, run_id: str, page: RawPage) -> bytes:
        """The bytes of a page, proved unchanged.

        Raises:
            RawPageAltered: the file is missing, its hash differs or no key opens it.
            ConfigError: the page is encrypted and no key is given.
        """
        path = self._place(run_id, page.file)
        if self._stored(path) is None:
            raise RawPageAltered(f"{path}: expected the page stored in run {run_id}, found nothing; restore it or run with --full")
        body = self._content(path)
        if hashlib.sha256(body).hexdigest() != page.sha256:
            raise RawPageAltered(f"{path}: expected SHA-256 {page.sha256}, found other content; restore the page and find out who changed it")
        return body

    def items(self, refs: list[str]) -> Iterator[tuple[str, Raw | None]]:
        """The raw claims behind ``raw_ref`` values, page by page; None where the page is not kept any more or the reference is none of ours."""
        by_page: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for ref in refs:
            place, _, index = ref.rpartition("#")
            run_id, _, file = place.partition("/")
            by_page.setdefault((run_id, file), []).append((index, ref))
        for (run_id, file), wanted in by_page.items():
            page = next((page for page in self.index(run_id) if page.file == file), None)
            kept = page is not None and self._stored(self._place(run_id, file)) is not None
            items = page_items(self.read(run_id, page)) if page is not None and kept else []
            yield from ((ref, items[int(index)] if index.isdecimal() and int(index) < len(items) else None) for index, ref in wanted)

    def kept(self, run_id: str, file: str, sha256: str) -> str:
        """``kept`` when the page is there with this hash, else ``missing`` or ``altered``; for proofs over many runs."""
        if not (is_plain_name(run_id) and is_plain_name(file)):
            return "missing"
        try:
            path = self._place(run_id, file)
            if self._stored(path) is None:
                return "missing"
            return "kept" if hashlib.sha256(self._content(path)).hexdigest() == sha256 else "altered"
        except RawPageAltered:
            return "altered"

    def reseal(self) -> Iterator[Path]:
        """Seals every page of every run with the first key, plain ones too, and names each; hashes and references stay.

        The new file is complete before the old one goes. Stopped half-way, it is simply started again.

        Raises:
            ConfigError: no key is given.
            RawPageAltered: a page no key opens; those named before are done, this one and the rest are as they were.
        """
        if self._sealing is None:
            raise ConfigError("HESI_ERP_RAW_KEYS: expected at least one Fernet key, found none; SECURITY.md tells how to make one")
        for stored in sorted(self.folder.glob("*/*.json*")):
            plain = stored.with_name(stored.name.removesuffix(SUFFIX))
            if plain.name == INDEX or not stored.exists():
                continue
            _write_once(_sealed(plain), self._sealing.seal(self._content(self._place(plain.parent.name, plain.name))))
            plain.unlink(missing_ok=True)
            yield _sealed(plain)

    def _place(self, run_id: str, file: str) -> Path:
        """Where a plain page lies."""
        path = self.folder / run_id / file
        inside = is_plain_name(run_id) and is_plain_name(file)
        if not inside or not path.resolve().is_relative_to(self.folder.resolve()):
            raise RawPageAltered(f"raw page {run_id!r} {file!r}: expected a name inside {self.folder}, found another place; find out who wrote it")
        return path

    def _stored(self, path: Path) -> Path | None:
        """The file that holds a page: plain, else sealed, else None."""
        return next((each for each in (path, _sealed(path)) if each.exists()), None)

    def _content(self, path: Path) -> bytes:
        """The plain bytes of a stored page."""
        if path.exists():
            return path.read_bytes()
        if self._sealing is None:
            raise ConfigError(f"{_sealed(path)}: expected HESI_ERP_RAW_KEYS to hold its key, found no key; set the variable this home was written with")
        return self._sealing.open(_sealed(path).read_bytes(), where=str(_sealed(path)))


def _sealed(path: Path) -> Path:
    """Where the page of a plain path lies encrypted."""
    return path.with_name(path.name + SUFFIX)


def _write_once(path: Path, content: bytes) -> None:
    """The whole file or none, readable by its owner and writable by nobody."""
    _write_beside(path, content)
    path.chmod(0o400)


def _write_beside(path: Path, content: bytes) -> None:
    with written_beside(path) as handle:
        handle.write(content)
