"""All flows as encoded JSON in one unnamed temporary file, with the small index the list calls need in memory.

A claim is encoded once, when it is made or changed. 100,000 claims take about 600 MB of disk and 60 MB of memory, and a
page of 100 is 100 reads from the file cache and one join.
"""

import os
import tempfile
import weakref
from bisect import bisect_left, insort
from dataclasses import dataclass
from pathlib import Path

import orjson

from sandbox.money import Json

_FLUSH_BYTES = 1 << 20


@dataclass(slots=True)
class Head:
    """What the list calls look at: one row per flow; instants in milliseconds, 0 = absent."""

    seq: int
    id: str
    code: str
    form_type: str
    state: str
    active: bool
    created: int
    updated: int
    submitted: int
    paid: int
    submitter: str
    template: str
    outer_code: str
    offset: int = 0
    length: int = 0
    tickets_at: int = 0
    tickets_length: int = 0


ORDER_FIELDS = {"createTime": "created", "updateTime": "updated", "submitDate": "submitted", "payDate": "paid"}
Key = tuple[int, int]


class FlowStore:
    """Append-only bytes and their index; a changed flow is appended again and its old bytes are left behind."""

    def __init__(self) -> None:
        self._file = _unnamed_file()
        # A tenant nobody closes gives its file back when it is collected.
        self._finalizer = weakref.finalize(self, os.close, self._file)
        self._pending = bytearray()
        self._end = 0
        self.heads: list[Head] = []
        self.by_id: dict[str, int] = {}
        self.by_code: dict[str, int] = {}
        self.generation = 0
        self._by_update: dict[tuple[str, bool], list[Key]] = {}
        self._sorted = True

    def add(self, flow: Json, tickets: list[Json]) -> int:
        """The sequence of a new flow, stored with the tickets behind it."""
        head = _head(len(self.heads), flow)
        head.offset, head.length = self._append(orjson.dumps(flow))
        if tickets:
            head.tickets_at, head.tickets_length = self._append(orjson.dumps(tickets))
        self.heads.append(head)
        self.by_id[head.id] = head.seq
        self.by_code[head.code] = head.seq
        self._by_update.setdefault((head.form_type, head.active), []).append((head.updated, head.seq))
        self._sorted = False
        self.generation += 1
        return head.seq

    def replace(self, seq: int, flow: Json, *, body: bytes | None = None) -> None:
        """Store a changed flow; `body` are its bytes where they are not the plain encoding."""
        old = self.heads[seq]
        head = _head(seq, flow)
        head.tickets_at, head.tickets_length = old.tickets_at, old.tickets_length
        head.offset, head.length = self._append(orjson.dumps(flow) if body is None else body)
        self._sort()
        keys = self._by_update[(old.form_type, old.active)]
        del keys[bisect_left(keys, (old.updated, seq))]
        insort(self._by_update.setdefault((head.form_type, head.active), []), (head.updated, seq))
        self.heads[seq] = head
        self.generation += 1

    def body(self, seq: int) -> bytes:
        """The flow's JSON as it is served."""
        head = self.heads[seq]
        return self._read(head.offset, head.length)

    def flow(self, seq: int) -> Json:
        """The flow as values; ValueError where its bytes were overridden with something that is no JSON."""
        flow: Json = orjson.loads(self.body(seq))
        return flow

    def tickets(self, seq: int) -> list[Json]:
        """The facts of the invoices and tickets first used on the flow."""
        head = self.heads[seq]
        tickets: list[Json] = []
        if head.tickets_length:
            tickets = orjson.loads(self._read(head.tickets_at, head.tickets_length))
        return tickets

    def by_update(self, form_type: str, *, active: bool) -> list[Key]:
        """(updateTime, seq) of all flows of a type, ascending; kept in order while flows change."""
        self._sort()
        return self._by_update.get((form_type, active), [])

    def close(self) -> None:
        """Give the temporary file back."""
        self._finalizer()

    def _sort(self) -> None:
        if not self._sorted:
            for keys in self._by_update.values():
                keys.sort()
            self._sorted = True

    def _append(self, body: bytes) -> tuple[int, int]:
        at = self._end
        self._pending += body
        self._end += len(body)
        if len(self._pending) > _FLUSH_BYTES:
            self._flush()
        return at, len(body)

    def _flush(self) -> None:
        with memoryview(self._pending) as pending:
            written = 0
            while written < len(pending):
                written += os.write(self._file, pending[written:])
        self._pending.clear()

    def _read(self, offset: int, length: int) -> bytes:
        if self._pending:
            self._flush()
        return os.pread(self._file, length, offset)


def _unnamed_file() -> int:
    """The descriptor of a temporary file that vanishes with the process."""
    descriptor, path = tempfile.mkstemp(prefix="sandbox-")
    Path(path).unlink()
    return descriptor


def _head(seq: int, flow: Json) -> Head:
    form = flow["form"]
    return Head(
        seq=seq,
        id=flow["id"],
        code=form["code"],
        form_type=flow["formType"],
        state=flow["state"],
        active=flow.get("active", True),  # spoilt claims may lack it
        created=flow["createTime"],
        updated=flow["updateTime"],
        submitted=form.get("submitDate") or 0,
        paid=form.get("payDate") or 0,
        submitter=form["submitterId"],
        template=form["specificationId"].partition(":")[0],
        outer_code=form.get("outerCode") or "",
    )
