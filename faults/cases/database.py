"""The ERP database: lines cut around the commit, servers that end connections, refuse rows, wait, or deadlock."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg

from faults.case import Case, fired
from faults.proxy import Act, CommitProxy
from faults.world import World

TABLES = ("voucher", "voucher_line", "voucher_line_dimension", "claim_state", "writeback_outbox", "claim_reject")
# What PostgreSQL itself says in these situations, raised by the server inside the transaction.
ERRORS = {
    "serialization failure": "40001", "deadlock detected": "40P01", "disk full": "53100", "out of memory": "53200", "lock not available": "55P03",
    "query canceled": "57014", "read-only transaction": "25006", "i/o error": "58030", "index corrupted": "XX002",
}  # fmt: skip


def cases() -> Iterator[Case]:
    """Every case runs on PostgreSQL."""
    acts: tuple[tuple[str, Act], ...] = (
        ("commit reply lost", "lose the reply"),
        ("connection cut before the commit", "cut before"),
        ("kill -9 between commit and reply", "kill before the reply"),
    )
    for fault, act in acts:
        for seed in range(1, 31):
            yield _case(fault, f"posting {seed}", 1 + seed % 12, partial(around_commit, act=act))
    for seed in range(1, 6):
        for table in TABLES:
            for row in (1, 7):
                yield _case("server ends the connection", f"{table}, row {row}", seed, partial(ended_by_server, table=table, row=row))
    for error, code in ERRORS.items():
        for seed, table in enumerate(TABLES, start=1):
            yield _case("server refuses with an error", f"{error} in {table}", seed, partial(refused_by_server, table=table, code=code))
    for seed in range(1, 11):
        yield _case("another session holds the posting lock", f"for {seed % 3 + 1} s", seed, partial(lock_held, seconds=seed % 3 + 1))
        yield _case("deadlock", "with another session", seed, deadlock)
    yield Case("database", "lock time-out", "after 60 s", 1, lock_time_out, database="postgresql", large=True)


def _case(fault: str, place: str, seed: int, play: partial[str] | object) -> Case:
    return Case("database", fault, place, seed, play, database="postgresql")  # type: ignore[arg-type]


def around_commit(world: World, act: Act) -> str:
    """The line breaks at the COMMIT of the posting; whether it was done is a fact of the database, not of the reply."""
    proxy = CommitProxy(world.postgres.plain, world.folder, act)
    run = world.start(ERP_URL=proxy.address(world.erp.url))
    proxy.kill_with(run.strike)
    ended = world.note(run.end())
    proxy.close()
    fired(proxy.fired.is_set(), "the posting's COMMIT")
    committed = world.vouchers > 0
    fired(committed == (act != "cut before"), f"{act}")
    if act == "kill before the reply":
        fired(ended.signal == signal.SIGKILL, "the kill")
    else:
        fired(ended.well == committed, "the lost connection")  # a lost reply is looked up at once: the run ends as it stands
    then = "committed all the same; the next run looked and posted nothing twice" if committed else "nothing committed; the next run looked and posted"
    return f"{ended.told}, {then}"


def _trigger(world: World, table: str, row: int, action: str) -> None:
    """The server does something at the so-manieth row of a table; a sequence counts, so it happens once, whatever is rolled back."""
    world.postgres.do(
        "CREATE SEQUENCE fault_rows",
        f"CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('fault_rows') = {row} THEN {action}; END IF; RETURN NEW; END $$",
        f"CREATE TRIGGER fault BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION fault()",
    )


def _trigger_fired(world: World, row: int) -> bool:
    seen = world.count("SELECT last_value FROM fault_rows")
    world.postgres.do("DROP FUNCTION fault() CASCADE", "DROP SEQUENCE fault_rows")
    return seen >= row


def ended_by_server(world: World, table: str, row: int) -> str:
    """pg_terminate_backend in the middle of COPY."""
    _trigger(world, table, row, "PERFORM pg_terminate_backend(pg_backend_pid())")
    ended = world.run()
    fired(_trigger_fired(world, row) and not ended.well, "the ended connection")
    assert world.vouchers == 0, "part of a batch was committed"
    return f"{ended.told}, rolled back whole; the next run posted"


def refused_by_server(world: World, table: str, code: str) -> str:
    """The server raises an error of its own in the middle of the transaction."""
    _trigger(world, table, 3, f"RAISE EXCEPTION 'fault' USING ERRCODE = '{code}'")
    ended = world.run()
    fired(_trigger_fired(world, 3) and not ended.well, "the server's error")
    assert world.vouchers == 0, "part of a batch was committed"
    return f"{ended.told}, rolled back whole; the next run posted"


def lock_held(world: World, seconds: int) -> str:
    """Another session posts for a while."""
    run = world.start()
    run.until("before load")
    with psycopg.connect(world.postgres.plain) as other:
        other.execute("SELECT id FROM posting_lock FOR UPDATE")
        run.go()
        _until_waiting(world)
        time.sleep(seconds)
        assert world.vouchers == 0, "posted while another session held the lock"
    ended = world.note(run.end())
    assert ended.well, f"{ended.told}: {ended.message}"
    return f"waited for the lock, then {ended.told}"


def lock_time_out(world: World) -> str:
    """Another session never gives the lock back."""
    with psycopg.connect(world.postgres.plain) as other:
        other.execute("SELECT id FROM posting_lock FOR UPDATE")
        ended = world.run()
        fired(ended.code == "ANOTHER_RUN_ACTIVE", "the time-out")
    return f"{ended.told}, nothing posted; the next run posted"


def deadlock(world: World) -> str:
    """Two sessions wait for each other; PostgreSQL ends the run's."""
    run = world.start()
    run.until("before load")
    with psycopg.connect(world.postgres.plain) as other:
        other.execute("SET deadlock_timeout = '1h'")  # the other session is never the victim
        other.execute("LOCK TABLE voucher_line IN ACCESS EXCLUSIVE MODE")
        run.go()
        _until_waiting(world)
        waiting = threading.Thread(target=_lock_and_leave, args=(other,))
        waiting.start()
        ended = world.note(run.end())
        waiting.join(30)
    fired(not ended.well, "the deadlock")
    assert world.vouchers == 0, "part of a batch was committed"
    return f"{ended.told}, rolled back whole; the next run posted"


def _lock_and_leave(other: psycopg.Connection[Any]) -> None:
    """Waits for the posting lock; once the run was made to give way, everything is let go so that it can write its report."""
    other.execute("SELECT id FROM posting_lock FOR UPDATE")
    other.rollback()


def _until_waiting(world: World) -> None:
    deadline = time.monotonic() + 60
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{world.postgres.name}' AND wait_event_type = 'Lock'"
    while not world.count(query):
        fired(time.monotonic() < deadline, "the wait for a lock")
        time.sleep(0.02)
