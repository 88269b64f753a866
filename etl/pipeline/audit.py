"""What a run writes into the audit log: who started it under which rules, every decision it took, and how it ended.

A posting is announced before its transaction and confirmed after it. The announcement's head is stored with the batch, so
whatever a crash leaves open is settled by looking the batch up: it is there, or it never was.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import pandas as pd
from sqlalchemy.engine import Connection

from etl.audit.anchor import AnchorFolder, Head
from etl.audit.configuration import ConfigurationStore, Version, settings_version
from etl.audit.decisions import DECISION_COLUMNS, NUMBER_COLUMNS, VOUCHER_COLUMNS, amount_text, bodies, news
from etl.audit.keys import Signer
from etl.audit.log import AuditLog
from etl.config.mapping import Mappings
from etl.config.settings import Settings
from etl.config.suites import Suites
from etl.erp.engine import reading
from etl.erp.heads import batch_head, batch_heads, batch_vouchers, drift_amounts, queued_numbers, refusals
from etl.files import written_beside

if TYPE_CHECKING:
    from etl.pipeline.context import Run

_NEWEST_BATCHES = 20
Decided: TypeAlias = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]  # entries, rejects, what was known before


class _OpenPosting(msgspec.Struct, frozen=True):
    """A posting that was announced and not settled yet; ``audit/open-posting.json`` holds it meanwhile."""

    batch_id: str
    created_at: datetime


def open_log(settings: Settings) -> AuditLog:
    """The audit log of the settings' home, with their key and anchor folder.

    Raises:
        ConfigError: the signing key is none.
    """
    signer = Signer.from_secret(settings.signing_key.get_secret_value())
    return AuditLog(settings.home, signer=signer, anchors=AnchorFolder(settings.anchor_dir) if settings.anchor_dir else None)


def record_start(run: Run, mappings: Mappings, suites: Suites) -> None:
    """The run's start, who started it, and the version of every rule in force; new versions are kept with their files."""
    settings = run.settings
    public, settings_file = settings_version(settings.model_dump(exclude=set(settings.SECRET_FIELDS)))
    versions: list[tuple[Version, Callable[[str], bytes]]] = [
        (Version("mappings", mappings.sha256, dict(mappings.files)), _reader(settings.mappings)),
        (Version("suites", suites.sha256, dict(suites.files)), _reader(settings.expectations)),
        (public, lambda _: settings_file),
    ]
    store = ConfigurationStore(run.home)
    new = [version for version, read in versions if store.keep(version, read)]
    row = run.ledger.run(run.run_id)
    started = {
        "kind": "run_started", "run_kind": row.kind, "started_by": row.started_by, "os_user": getpass.getuser(), "host": socket.gethostname(),
        "business_date": row.business_date.isoformat(), "package_version": row.package_version, "source_host": row.source_host,
        **{version.what: version.version for version, _ in versions},
    }  # fmt: skip
    run.audit.append(run.run_id, [*(version.body for version in new), started])
    for version in new:
        store.know(version)


def record_end(run: Run) -> None:
    """How the run ended, as the ledger has it."""
    row = run.ledger.run(run.run_id)
    ended = {"kind": "run_ended", "status": row.status, "verdict": row.verdict or "", "cause_code": row.cause_code or "", "cause": row.cause_text or ""}
    run.audit.append(run.run_id, [ended])


def record_numbers(run: Run, rows: Sequence[list[str]]) -> None:
    """What became of voucher numbers on their way to Hesi; rows as :data:`~etl.audit.decisions.NUMBER_COLUMNS`."""
    if rows:
        run.audit.append(run.run_id, bodies("number_sent", NUMBER_COLUMNS, (("", row) for row in rows)))


@contextmanager
def recorded_posting(run: Run, batch_id: str, *, created_at: datetime, decided: Iterable[Decided]) -> Iterator[Head | None]:
    """Announces the run's decisions, gives the head to store with the batch, and confirms what the block has posted.

    Gives None where nothing new was decided, or where this very batch was committed by an earlier try.
    An exception in the block leaves the posting open; the next posting settles it.

    Raises:
        AnotherRunActive: another posting of this home did not end in time.
        AuditLogAltered: the log is not intact; nothing may be posted until somebody has looked.
    """
    with run.audit.posting():
        _settle(run)
        rows = () if run.read(batch_head, batch_id) else _rows(run, decided)
        first = next(iter(rows := iter(rows)), None)
        if first is None:
            yield None
            return
        hint = _hint(run)
        hint.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with written_beside(hint) as whole:  # half a file would stop every later run
            whole.write(msgspec.json.encode(_OpenPosting(batch_id, created_at)))
            whole.flush()
            os.fsync(whole.fileno())
        yield run.audit.append(run.run_id, _announcement(chain([first], rows), batch_id), elsewhere=_heads(run))
        _confirm(run, batch_id, created_at)
        hint.unlink()


def _settle(run: Run) -> None:
    """Writes down what became of a posting whose run did not live to say so."""
    hint = _hint(run)
    if not hint.exists():
        return
    left = msgspec.json.decode(hint.read_bytes(), type=_OpenPosting)
    if run.read(batch_head, left.batch_id) is None:
        told = {"kind": "posting_abandoned", "batch_id": left.batch_id, "found": "the ERP database holds no such batch: nothing of it was posted"}
        run.audit.append(run.run_id, [told], elsewhere=_heads(run))
        run.sink.in_hand.move(left.batch_id, "failed", cause="COMMIT_UNKNOWN", at=datetime.now(UTC).replace(tzinfo=None))
    else:
        _confirm(run, left.batch_id, left.created_at)
    hint.unlink()


def _confirm(run: Run, batch_id: str, created_at: datetime) -> None:
    with reading(run.sink.engine) as connection:
        run.audit.append(run.run_id, _confirmation(connection, batch_id, created_at))


def _confirmation(connection: Connection, batch_id: str, created_at: datetime) -> Iterator[dict[str, Any]]:
    stored = batch_head(connection, batch_id)
    yield from bodies("posted", VOUCHER_COLUMNS, batch_vouchers(connection, batch_id), batch_id=batch_id)
    at = created_at.astimezone(UTC).replace(tzinfo=None)
    queued = queued_numbers(connection, at=at, statuses=("BLOCKED", "DONE"))
    yield from bodies("number_decided", NUMBER_COLUMNS, (("", row) for row in queued), batch_id=batch_id)
    yield {
        "kind": "posting_confirmed", "batch_id": batch_id, "vouchers": stored.voucher_count if stored else 0,
        "audit_seq": stored.audit_seq if stored else None,
    }  # fmt: skip


def _announcement(rows: Iterable[tuple[str, list[Any]]], batch_id: str) -> Iterator[dict[str, Any]]:
    counts: Counter[str] = Counter()
    place = DECISION_COLUMNS.index("decision")
    for body in bodies("decisions", DECISION_COLUMNS, rows, batch_id=batch_id):
        counts.update(row[place] for row in body["rows"])
        yield body
    yield {"kind": "posting_intended", "batch_id": batch_id, "decisions": dict(counts)}


def _rows(run: Run, decided: Iterable[Decided]) -> Iterator[tuple[str, list[Any]]]:
    with reading(run.sink.engine) as connection:
        open_rejects = {(claim, kind): (rule, reason) for claim, kind, rule, reason in refusals(connection)}
        drifts = {(claim, kind, part): amount_text(minor, currency) for claim, kind, part, minor, currency in drift_amounts(connection)}
    for entries, rejects, known in decided:
        found = news(entries, rejects, known, open_rejects=open_rejects, drifts=drifts)
        yield from sorted(found, key=itemgetter(0))


def _heads(run: Run) -> list[Head]:
    return [Head.parse(batch.audit_head) for batch in run.read(batch_heads, newest=_NEWEST_BATCHES) if batch.audit_head]


def _hint(run: Run) -> Path:
    return run.audit.folder / "open-posting.json"


def _reader(folder: Path) -> Callable[[str], bytes]:
    return lambda name: (folder / name).read_bytes()
