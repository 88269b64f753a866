"""A posting is announced, posted, confirmed; whatever a crash leaves open is settled by looking the batch up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from etl.audit.check import check_log
from etl.config.settings import load_settings
from etl.erp.port import PostingBatch, PostingChunk
from etl.pipeline.audit import Decided, recorded_posting
from etl.pipeline.context import Run, begin
from tests.conformance.chunks import TODAY, one
from tests.unit.audit.conftest import SIGNER

NOW = datetime(2026, 10, 1, tzinfo=UTC)
NOTHING_KNOWN = pd.DataFrame(columns=["claim_id", "entry_kind", "part_no", "state", "source_sha256"])


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    settings = load_settings(
        HESI_ERP_HOME=str(tmp_path / "home"), ERP_URL=f"sqlite:///{tmp_path}/erp.db", HESI_ERP_ANCHOR_DIR=str(tmp_path / "anchors"),
        HESI_ERP_SIGNING_KEY=bytes(range(32)).hex(),
    )  # fmt: skip
    made = begin(settings, kind="reconcile", started_by="test")
    yield made
    made.close()


def decided(chunk: PostingChunk) -> list[Decided]:
    return [(chunk.entries, chunk.rejects, NOTHING_KNOWN)]


def post(run: Run, batch_id: str, chunk: PostingChunk, *, crash: str = "") -> None:
    with recorded_posting(run, batch_id, created_at=NOW, decided=decided(chunk)) as head:
        if crash == "before":
            raise Crash
        run.sink.post(PostingBatch(batch_id, run.run_id, NOW, TODAY, [chunk], audit_seq=head.seq if head else None, audit_head=head.text if head else None))
        if crash == "after":
            raise Crash


def kinds(run: Run) -> list[str]:
    return [entry.kind for entry in run.audit.entries() if entry.kind not in {"head", "log_opened", "configuration", "run_started"}]


def test_a_posting_is_announced_before_and_confirmed_after(run: Run) -> None:
    post(run, "B1", one("C1"))
    assert kinds(run) == ["decisions", "posting_intended", "posted", "posting_confirmed"]
    assert check_log(run.audit.lines(), keys=[SIGNER.public]).problems == []


def test_a_crash_before_the_commit_is_settled_as_never_posted(run: Run) -> None:
    with pytest.raises(Crash):
        post(run, "B1", one("C1"), crash="before")
    assert list(check_log(run.audit.lines()).open_intents) == ["B1"]

    post(run, "B2", one("C1"))

    assert kinds(run)[2:] == ["posting_abandoned", "decisions", "posting_intended", "posted", "posting_confirmed"]
    found = check_log(run.audit.lines(), keys=[SIGNER.public])
    assert (found.open_intents, list(found.postings)) == ({}, ["B2"])


def test_a_crash_between_commit_and_confirmation_is_settled_as_posted(run: Run) -> None:
    with pytest.raises(Crash):
        post(run, "B1", one("C1"), crash="after")

    post(run, "B2", one("C2"))

    confirmed = [entry.body for entry in run.audit.entries() if entry.kind == "posting_confirmed"]
    assert [(body["batch_id"], body["vouchers"]) for body in confirmed] == [("B1", 1), ("B2", 1)]
    assert [row[0] for entry in run.audit.entries() if entry.kind == "posted" for row in entry.body["rows"]] == ["C1", "C2"]


def test_the_same_batch_tried_again_is_confirmed_and_not_announced_twice(run: Run) -> None:
    with pytest.raises(Crash):
        post(run, "B1", one("C1"), crash="after")
    post(run, "B1", one("C1"))
    assert kinds(run) == ["decisions", "posting_intended", "posted", "posting_confirmed"]


def test_where_nothing_new_was_decided_nothing_is_written(run: Run) -> None:
    with recorded_posting(run, "B1", created_at=NOW, decided=[]) as head:
        assert head is None
    assert kinds(run) == []


def test_no_posting_begins_on_a_log_somebody_changed(run: Run) -> None:
    from etl.errors import AuditLogAltered

    whole = run.audit.path.read_bytes()
    run.audit.path.write_bytes(whole.replace(b'"covers_seq"', b'"Covers_seq"'))
    with pytest.raises(AuditLogAltered):
        post(run, "B1", one("C1"))
    assert run.sink.known_states(["C1"]).empty


def test_a_log_shorter_than_the_database_knows_goes_on_with_a_gap(run: Run, tmp_path: Path) -> None:
    before = run.audit.path.read_bytes()
    post(run, "B1", one("C1"))
    run.audit.path.write_bytes(before)
    for path in (tmp_path / "anchors").rglob("*.json"):
        path.unlink()

    post(run, "B2", one("C2"))

    gap = next(entry for entry in run.audit.entries() if entry.kind == "gap")
    known = next(entry for entry in run.audit.entries() if entry.kind == "posting_intended")
    assert gap.body["missing_to"] == gap.seq - 1
    assert known.body["batch_id"] == "B2"
