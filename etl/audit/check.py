"""Whether the log is whole: each entry by itself, the chain, and the log against the heads kept elsewhere.

Pure reading: every difference is a :class:`Problem` with its position, nothing is repaired here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from etl.audit.anchor import Head, Kept
from etl.audit.canonical import GENESIS, Entry, decode_entry, proved
from etl.audit.keys import key_id

What = Literal["edited", "missing", "inserted", "reordered", "torn", "truncated", "replaced", "signature", "gap", "unsigned"]


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it was written; ``seq`` and ``line`` say where (0 = not in the log)."""

    what: What
    seq: int
    line: int
    detail: str

    def __str__(self) -> str:
        where = f"line {self.line}, seq {self.seq}" if self.line else f"seq {self.seq}"
        return f"{self.what.upper()} at {where}: {self.detail}"


@dataclass
class Checked:
    """What was read and what is wrong with it; ``acknowledged`` are gaps a named person has accepted."""

    log_id: str = ""
    entries: int = 0
    last_seq: int = 0
    signed_heads: int = 0
    unsigned_heads: int = 0
    after_last_head: int = 0
    problems: list[Problem] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    open_intents: dict[str, int] = field(default_factory=dict)
    postings: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def check_log(lines: Iterable[bytes], *, keys: Sequence[bytes] = (), elsewhere: Iterable[Kept] = ()) -> Checked:
    """The log's problems, in order of position.

    Args:
        lines: the file's lines with their line feeds.
        keys: trusted public keys; with at least one, every signature must hold and the last head must carry one.
        elsewhere: heads from posting batches and anchors; those of other logs are left out.
    """
    reader = _Reader({key_id(key): key for key in keys})
    wanted: dict[int, list[Kept]] = {}
    for kept in elsewhere:
        wanted.setdefault(kept.head.seq, []).append(kept)
    for number, line in enumerate(lines, start=1):
        entry = reader.read(number, line)
        if entry is not None:
            for kept in wanted.get(entry.seq, ()):
                if kept.head.log_id == reader.found.log_id and kept.head.hash != entry.hash:
                    said = f"{kept.place} knows this entry by another hash; the log was rewritten, or restored from a copy, at or before it"
                    reader.say("replaced", entry.seq, number, said)
    reader.compare_end(kept for items in wanted.values() for kept in items)
    return reader.finish()


class _Reader:
    """The state of the chain between two lines."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        self.found = Checked()
        self._keys = keys
        self._hash, self._last_line = GENESIS, 0
        self._seen: dict[str, int] = {}
        self._gaps: dict[int, tuple[int, int, int]] = {}  # seq -> missing from, to, line
        self._last_head_signed = True

    def say(self, what: What, seq: int, line: int, detail: str) -> None:
        """Records a problem."""
        self.found.problems.append(Problem(what, seq, line, detail))

    def read(self, number: int, line: bytes) -> Entry | None:
        """Takes one line; the entry when it is one."""
        expected = self.found.last_seq + 1
        self._last_line = number
        if not line.endswith(b"\n"):
            self.say("torn", expected, number, f"the last {len(line)} bytes are no whole entry; the next run sets them aside and says so")
            return None
        try:
            entry = decode_entry(line[:-1])
        except ValueError as error:
            self.say("edited", expected, number, f"expected an entry, found {error}")
            self._hash = ""  # nothing can be chained to it, and that is said once
            self.found.last_seq = expected
            return None
        self.found.entries += 1
        if not proved(entry):
            self.say("edited", entry.seq, number, f"the content of this {entry.kind or 'entry'} does not have the hash it carries")
        self._follow(entry, number, expected)
        self._seen[entry.hash] = number
        self._hash, self.found.last_seq = entry.hash, entry.seq
        try:
            self._take(entry, number)
        except (KeyError, TypeError, ValueError) as error:
            self.say("edited", entry.seq, number, f"this {entry.kind or 'entry'} lacks what its kind has ({type(error).__name__}: {error})")
        return entry

    def _follow(self, entry: Entry, number: int, expected: int) -> None:
        if entry.kind == "gap" and entry.seq == int(entry.body.get("missing_to", -1)) + 1 and entry.prev == self._hash:
            return
        if entry.hash in self._seen:
            self.say("inserted", entry.seq, number, f"this entry stands in line {self._seen[entry.hash]} already")
        elif entry.seq > expected:
            self.say("missing", expected, number, f"entries {expected} to {entry.seq - 1} were deleted or moved behind this line")
        elif entry.seq < expected:
            self.say("reordered", entry.seq, number, f"expected seq {expected}; this entry stands behind later ones, or was inserted")
        elif self._hash and entry.prev != self._hash:
            self.say("inserted", entry.seq, number, "it does not follow the entry before it; one of the two was put there or exchanged")

    def _take(self, entry: Entry, number: int) -> None:
        kind, body, found = entry.kind, entry.body, self.found
        found.after_last_head += 1
        if kind == "log_opened":
            found.log_id = found.log_id or str(body.get("log_id", ""))
        elif kind == "head":
            self._head(entry, number)
        elif kind == "gap":
            self._gaps[entry.seq] = (int(body["missing_from"]), int(body["missing_to"]), number)
        elif kind == "gap_acknowledged":
            gap = self._gaps.pop(int(body["gap_seq"]), None)
            if gap:
                found.acknowledged.append(f"entries {gap[0]} to {gap[1]} are lost; accepted by {body['by']} at {body['at']}: {body['reason']}")
        elif kind == "repair":
            found.repairs.append(f"seq {entry.seq}: {body['removed_bytes']} torn bytes set aside as {body['kept_as']}, SHA-256 {body['removed_sha256']}")
        elif kind == "posting_intended":
            found.open_intents[str(body["batch_id"])] = entry.seq
        elif kind in {"posting_confirmed", "posting_abandoned"}:
            found.open_intents.pop(str(body["batch_id"]), None)
            if kind == "posting_confirmed":
                found.postings[str(body["batch_id"])] = body

    def _head(self, entry: Entry, number: int) -> None:
        head = head_of(entry)
        self.found.after_last_head = 0
        self._last_head_signed = bool(head.signature)
        if not head.signature:
            self.found.unsigned_heads += 1
            return
        self.found.signed_heads += 1
        if head.hash != entry.prev or head.seq != entry.seq - 1:
            self.say("signature", entry.seq, number, "this head signs another entry than the one before it")
        if self._keys:
            key = self._keys.get(head.key)
            if key is None:
                self.say("signature", entry.seq, number, f"signed by key {head.key}, which is none of the trusted keys {', '.join(self._keys)}")
            elif not head.holds(key):
                self.say("signature", entry.seq, number, f"the signature by key {head.key} is wrong")

    def compare_end(self, kept: Iterable[Kept]) -> None:
        """Names heads that lie beyond the end of the log."""
        found = self.found
        beyond = [item for item in kept if item.head.seq > found.last_seq and item.head.log_id == found.log_id]
        if beyond:
            latest = max(beyond, key=lambda item: item.head.seq)
            self.say(
                "truncated",
                found.last_seq + 1,
                0,
                f"the log ends with seq {found.last_seq}; {latest.place} knows seq {latest.head.seq}: entries {found.last_seq + 1} to {latest.head.seq} "
                "were cut off, or the log was restored from an older copy",
            )

    def finish(self) -> Checked:
        """Everything that only the end can tell."""
        for seq, (first, last, line) in self._gaps.items():
            said = f"entries {first} to {last} were lost before this entry was written; `hesi-erp audit acknowledge` records who accepts that"
            self.say("gap", seq, line, said)
        if self._keys and self.found.entries and not self._last_head_signed:
            self.say("unsigned", self.found.last_seq, self._last_line, "the last head carries no signature although a key is given")
        self.found.problems.sort(key=lambda problem: (problem.line or 10**12, problem.seq))
        return self.found


def head_of(entry: Entry) -> Head:
    """The head an entry of kind ``head`` carries."""
    body = entry.body
    return Head(
        int(body["covers_seq"]), str(body["covers_hash"]), str(body["log_id"]), str(body["run_id"]), str(body["at"]), str(body["key"]), str(body["signature"])
    )


def open_gaps(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Gap entries nobody has acknowledged."""
    gaps: dict[int, Entry] = {}
    for entry in entries:
        if entry.kind == "gap":
            gaps[entry.seq] = entry
        elif entry.kind == "gap_acknowledged":
            gaps.pop(int(entry.body["gap_seq"]), None)
    yield from gaps.values()
