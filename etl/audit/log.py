"""The log itself: ``HESI_ERP_HOME/audit/log.jsonl``, appended to by one writer at a time and never rewritten.

Each append is a batch of entries followed by a ``head`` entry that signs the last of them; it is on disk before the call
returns. What a crash leaves half written at the end is set aside and named by a ``repair`` entry. When another place knows a
later head than the log, entries were lost: a ``gap`` entry says which, and numbering goes on behind them, so that no number
is ever given twice.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from etl.audit.anchor import AnchorFolder, Head
from etl.audit.canonical import GENESIS, Entry, decode_entry, encode_entry, proved, sha256_hex
from etl.audit.keys import Signer
from etl.errors import AnotherRunActive, AuditLogAltered
from etl.files import on_disk

Body = Mapping[str, Any]
_BLOCK = 65_536
_POLL_SECONDS = 0.05


@dataclass
class _Tail:
    """The last whole entry; ``end`` is where the next one begins."""

    seq: int
    hash: str
    end: int


def _utc_now() -> datetime:
    return datetime.now(UTC)


class AuditLog:
    """The audit log of one ``HESI_ERP_HOME``.

    Args:
        home: ``HESI_ERP_HOME``.
        signer: None leaves heads unsigned: the chain then proves order, not authorship.
        anchors: where heads are kept besides.
        wait_seconds: how long a writer waits for another one.
    """

    def __init__(
        self, home: Path, *, signer: Signer | None = None, anchors: AnchorFolder | None = None, wait_seconds: int = 60, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self.folder = home / "audit"
        self.path = self.folder / "log.jsonl"
        self._signer, self._anchors = signer, anchors
        self._wait_seconds, self._now = wait_seconds, now

    def append(self, run_id: str, bodies: Iterable[Body], *, elsewhere: Iterable[Head] = ()) -> Head:
        """The signed head after these bodies were appended; each gets the run id and the moment.

        Args:
            run_id: run the entries belong to; empty for an operator's command.
            bodies: read one by one, so a batch of any size needs the memory of one entry; each names its ``kind``.
            elsewhere: heads known from other places; one beyond the log's end is recorded as a gap.

        Raises:
            AuditLogAltered: the last entry is not intact; nothing was appended.
            AnotherRunActive: another writer did not end in time.
            AnchorUnavailable: the entries are in the log, their head could not be kept.
            StorageUnavailable: the disk takes no entry.
        """
        at = self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with on_disk(self.path), self._held("lock"):
            created = not self.path.exists()
            with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                writer = _Writer(file, {"run_id": run_id, "at": at})
                log_id = self._begin(writer, elsewhere)
                for body in bodies:
                    writer.write(body)
                head = Head(writer.tail.seq, writer.tail.hash, log_id, run_id, at).signed(self._signer)
                writer.write({"kind": "head", "log_id": log_id, "covers_seq": head.seq, "covers_hash": head.hash, "key": head.key, "signature": head.signature})
                file.flush()
                os.fsync(file.fileno())
            if created:
                _sync_folder(self.folder)
        if self._anchors is not None:
            self._anchors.write(head)
        return head

    @contextmanager
    def posting(self) -> Iterator[None]:
        """Held by whoever posts, from intent to confirmation, so that an open intent is never taken for a lost one.

        Raises:
            AnotherRunActive: another posting of this home did not end in time.
        """
        with self._held("posting.lock"):
            yield

    def entries(self) -> Iterator[Entry]:
        """Every whole entry in order; nothing before the first append.

        Raises:
            AuditLogAltered: a line is no entry; ``hesi-erp audit check`` names everything that is wrong.
        """
        for number, line in enumerate(self.lines(), start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield decode_entry(line[:-1])
            except ValueError as error:
                raise AuditLogAltered(f"{self.path} line {number}: {error}; run `hesi-erp audit check`") from None

    def lines(self) -> Iterator[bytes]:
        """Lines as they are, with their line feeds."""
        if self.path.exists():
            with self.path.open("rb") as file:
                yield from file

    def log_id(self) -> str:
        """The name the log gave itself when it was opened; empty before the first append."""
        first = next(self.entries(), None)
        return "" if first is None else str(first.body.get("log_id", ""))

    def _begin(self, writer: _Writer, elsewhere: Iterable[Head]) -> str:
        """Finds the end, repairs it, and returns the log's id."""
        torn = writer.find_end(self.path)
        others = list(elsewhere)
        if torn:
            digest = sha256_hex(torn)
            kept = self.folder / f"torn-{digest[:16]}.bin"
            with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as aside:
                aside.write(torn)
        if writer.tail.seq == 0:
            log_id = secrets.token_hex(8)
            newest: dict[str, int] = {}
            for head in others:
                newest[head.log_id] = max(head.seq, newest.get(head.log_id, 0))
            writer.write({"kind": "log_opened", "log_id": log_id, "other_logs": newest})
        else:
            log_id = self.log_id()
            self._admit_gap(writer, log_id, others)
        if torn:
            writer.write({"kind": "repair", "removed_bytes": len(torn), "removed_sha256": digest, "kept_as": kept.name})
        return log_id

    def _admit_gap(self, writer: _Writer, log_id: str, others: list[Head]) -> None:
        anchored = self._anchors.newest(log_id) if self._anchors else None
        known = [head for head in (*others, *([anchored] if anchored else [])) if head.log_id == log_id]
        latest = max(known, default=None)
        if latest is not None and latest.seq > writer.tail.seq:
            missing = {"missing_from": writer.tail.seq + 1, "missing_to": latest.seq, "known_hash": latest.hash}
            writer.tail.seq = latest.seq
            writer.write({"kind": "gap", **missing})

    @contextmanager
    def _held(self, name: str) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as lock:
            deadline = time.monotonic() + self._wait_seconds
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise AnotherRunActive(f"{self.folder / name}: another run writes the audit log; wait for it to end and run again") from None
                    time.sleep(_POLL_SECONDS)
            yield


class _Writer:
    """Appends entries to the open file, each chained to the one before."""

    def __init__(self, file: BinaryIO, stamp: Mapping[str, str]) -> None:
        self._file, self._stamp = file, stamp
        self.tail = _Tail(0, GENESIS, 0)

    def find_end(self, path: Path) -> bytes:
        """Moves behind the last whole entry and cuts off, and returns, what a crash left after it."""
        size = self._file.seek(0, os.SEEK_END)
        end = self._line_start(size)
        self._file.seek(end)
        torn = self._file.read(size - end)
        if end:
            start = self._line_start(end - 1)
            self._file.seek(start)
            line = self._file.read(end - start - 1)
            try:
                entry = decode_entry(line)
            except ValueError as error:
                raise AuditLogAltered(f"{path}: its last entry is {error}; {_NEXT}") from None
            if not proved(entry):
                raise AuditLogAltered(f"{path}: its last entry, seq {entry.seq}, does not have the hash of its content; {_NEXT}")
            self.tail = _Tail(entry.seq, entry.hash, end)
        if torn:
            self._file.truncate(end)
        self._file.seek(end)
        return torn

    def write(self, body: Body) -> None:
        """One more entry."""
        line, self.tail.hash = encode_entry(self.tail.seq + 1, prev=self.tail.hash, body={**self._stamp, **body})
        self._file.write(line)
        self.tail.seq += 1
        self.tail.end += len(line)

    def _line_start(self, end: int) -> int:
        """Where the line that ends before ``end`` begins."""
        while end > 0:
            start = max(end - _BLOCK, 0)
            self._file.seek(start)
            found = self._file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0


_NEXT = "somebody changed it. Restore the file from its backup, run `hesi-erp audit check`, and find out who did it"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
