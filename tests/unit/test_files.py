"""A file of ours is whole or not there, and a disk that takes none has one name."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.audit.anchor import Head
from etl.audit.log import AuditLog
from etl.erp.engine import open_engine, writing
from etl.errors import StorageUnavailable
from etl.files import on_disk, written_beside
from etl.store.ledger import Ledger
from etl.store.raw import RawStore
from etl.store.work import WorkFolder

ALWAYS_FULL = Path("/dev/full")


def test_a_file_appears_whole_and_private(tmp_path: Path) -> None:
    with written_beside(tmp_path / "page.json") as handle:
        handle.write(b"{}")
        assert not (tmp_path / "page.json").exists()
    assert (tmp_path / "page.json").read_bytes() == b"{}"
    assert (tmp_path / "page.json").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_named_with_the_file_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "raw" / "run1").mkdir(parents=True)
    (tmp_path / "raw" / "run1" / ".page.json.part").symlink_to(ALWAYS_FULL)
    with pytest.raises(StorageUnavailable, match=r"raw/run1/page\.json: expected to write it, found: No space left on device\. Make room"):
        RawStore(tmp_path).write("run1", "page.json", b"{}")
    assert not (tmp_path / "raw" / "run1" / "page.json").exists()


def test_a_hand_over_file_that_finds_no_room_is_named(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path, "run1")
    work.folder.mkdir(parents=True)
    (work.folder / ".counted.msgpack.part").symlink_to(ALWAYS_FULL)
    with pytest.raises(StorageUnavailable, match=r"counted\.msgpack"):
        work.write_value("counted", [1])


def test_a_refusal_keeps_the_path_the_system_names(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="elsewhere: expected to write it"), on_disk(tmp_path):
        raise PermissionError(13, "Permission denied", "elsewhere")


def test_what_is_no_matter_of_the_disk_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), on_disk(tmp_path):
        raise ConnectionResetError(104, "Connection reset by peer")


def test_an_audit_log_that_finds_no_room_is_named(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.folder.mkdir()
    log.path.mkdir()
    with pytest.raises(StorageUnavailable, match=r"log\.jsonl"):
        log.append("run1", [{"kind": "run_started"}], elsewhere=list[Head]())


def test_a_ledger_without_room_says_that_its_disk_is_full(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:

        @sa.event.listens_for(ledger.engine, "connect")
        def no_page_more(connection: sqlite3.Connection, _: object) -> None:
            connection.execute("PRAGMA max_page_count = 1")

        ledger.engine.dispose()
        full = r"ledger\.db: expected to write it, found: database or disk is full"
        with pytest.raises(StorageUnavailable, match=full), ledger._writing("test") as connection:
            connection.execute(sa.text("CREATE TABLE more AS SELECT zeroblob(1000000)"))


def test_a_read_only_erp_file_is_named(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "erp.db")) as connection, connection:
        connection.execute("CREATE TABLE t (n)")
    engine = open_engine(f"sqlite:///{tmp_path / 'erp.db'}")

    @sa.event.listens_for(engine, "connect")
    def read_only(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    expected = r"erp\.db: expected to write it, found: OperationalError: attempt to write a readonly database"
    with pytest.raises(StorageUnavailable, match=expected), writing(engine) as connection:
        connection.execute(sa.text("INSERT INTO t VALUES (1)"))
    engine.dispose()
