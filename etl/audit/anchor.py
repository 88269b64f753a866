"""Heads: how far the log reaches, signed, and kept in places the log itself cannot rewrite.

A head names the newest entry of its moment. It stands in the log (an entry of kind ``head``), in ``posting_batch`` beside the
vouchers, and as one write-once file in ``HESI_ERP_ANCHOR_DIR``, a folder meant to be kept by somebody else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from etl.audit.canonical import canonical
from etl.audit.keys import Signer, verified
from etl.errors import AnchorUnavailable

_SIGNED = b"hesi-erp audit head 1\n"


class Head(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """The newest entry of a log at one moment; ``key`` and ``signature`` are empty where no key is configured."""

    seq: int
    hash: str
    log_id: str
    run_id: str
    at: str
    key: str = ""
    signature: str = ""

    @property
    def text(self) -> str:
        """The head as it is stored: canonical JSON."""
        return canonical(msgspec.structs.asdict(self)).decode()

    @property
    def message(self) -> bytes:
        """What is signed: everything but the signature."""
        return _SIGNED + canonical({name: value for name, value in msgspec.structs.asdict(self).items() if name != "signature"})

    def signed(self, signer: Signer | None) -> Head:
        """The head with its signature; itself without a signer."""
        if signer is None:
            return self
        named = msgspec.structs.replace(self, key=signer.key_id)
        return msgspec.structs.replace(named, signature=signer.sign(named.message))

    def holds(self, public: bytes) -> bool:
        """Whether the signature is there and right."""
        return bool(self.signature) and verified(public, message=self.message, signature=self.signature)

    @classmethod
    def parse(cls, text: str | bytes) -> Head:
        """A stored head; ValueError when the text is none."""
        try:
            return msgspec.json.decode(text, type=cls, strict=True)
        except msgspec.MsgspecError as error:
            raise ValueError(f"expected a head of the audit log, {error}") from None


@dataclass(frozen=True)
class Kept:
    """A head found in another place than the log, and which place."""

    head: Head
    place: str


class AnchorFolder:
    """Write-once files ``YYYY-MM/<log id>-<seq>.json``, one for each head."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, head: Head) -> Path:
        """Keeps a head. Keeping it again changes nothing.

        Raises:
            AnchorUnavailable: the folder takes no file, or holds another head of that name.
        """
        path = self.folder / head.at[:7] / f"{head.log_id}-{head.seq:012d}.json"
        content = f"{head.text}\n".encode()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
            except FileExistsError:
                if path.read_bytes() == content:
                    return path
                raise AnchorUnavailable(
                    f"{path}: expected no file yet, found another head; the log was replaced by an older copy. Run `hesi-erp audit check`"
                ) from None
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise AnchorUnavailable(
                f"HESI_ERP_ANCHOR_DIR {self.folder}: expected to write {path.name}, found {error.strerror}; mount it and run again"
            ) from None
        return path

    def read(self, log_id: str) -> tuple[list[Kept], list[str]]:
        """Every head kept of a log in order, and the files that hold none."""
        kept, broken = [], []
        for path in sorted(self.folder.glob(f"*/{log_id}-*.json")):
            try:
                kept.append(Kept(Head.parse(path.read_bytes()), f"anchor {path.parent.name}/{path.name}"))
            except ValueError as error:
                broken.append(f"anchor {path.parent.name}/{path.name}: {error}")
        return sorted(kept, key=lambda item: item.head.seq), broken

    def newest(self, log_id: str) -> Head | None:
        """The head of a log with the greatest number; None when none is kept."""
        for path in self._newest_first(log_id):
            try:
                return Head.parse(path.read_bytes())
            except ValueError:
                continue  # a broken file proves nothing; `audit check` names it
        return None

    def _newest_first(self, log_id: str) -> Iterator[Path]:
        # Names are compared, no file is opened: the folder grows by a few files a run.
        files = self.folder.glob(f"*/{log_id}-*.json")
        yield from sorted(files, key=lambda path: path.name, reverse=True)
