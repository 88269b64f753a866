"""Import files: the same port for targets that read a CSV or XLSX file instead of tables.

What was posted, under which number and what is still open is kept in an ERP database as for every target (erp-targets 0.1:
keep an own load ledger); the file shows one committed batch of it. So the file can be written again at any time and is the same
to the byte, and a crash between commit and rename is healed by the next :meth:`ImportFileSink.post`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import sqlalchemy as sa

from etl.config.layouts import Layout
from etl.erp import schema
from etl.erp.database import DatabaseSink
from etl.erp.engine import reading
from etl.erp.file_rows import Cell, FileRow, file_rows
from etl.erp.port import UNFIT, LoadReceipt, PostingBatch, PostingChunk
from etl.errors import BatchRefused, SinkUnavailable

XLSX_ROWS = 1_048_576
_TEXT_FRAMES = ("vouchers", "voucher_lines", "line_dimensions")


class ImportFileSink:
    """A :class:`~etl.erp.port.VoucherSink` that hands each batch over as a file.

    Args:
        ledger: database sink that keeps what was posted.
        layout: columns, format and encoding of the file.
        folder: where the target looks for files; one file and one manifest per batch.
    """

    def __init__(self, ledger: DatabaseSink, *, layout: Layout, folder: Path) -> None:
        self._ledger = ledger
        self._layout = layout
        self._folder = folder

    def prepare(self) -> None:
        """Brings the ledger to this version and creates the folder."""
        self._ledger.prepare()
        self._folder.mkdir(parents=True, exist_ok=True)

    def fence(self) -> datetime:
        """The fence of a run that begins to read now."""
        return self._ledger.fence()

    def known_states(self, claim_ids: Sequence[str]) -> pd.DataFrame:
        """Where the entries of these claims stand."""
        return self._ledger.known_states(claim_ids)

    def open_entries(self) -> pd.DataFrame:
        """Entries that are held, rejected or waiting."""
        return self._ledger.open_entries()

    def unfit(self, chunk: PostingChunk) -> pd.DataFrame:
        """Ready entries the ledger cannot hold or the file's encoding cannot write."""
        problems = [self._ledger.unfit(chunk), *_unencodable(chunk, self._layout)]
        return pd.concat(problems, ignore_index=True).drop_duplicates("entry_no", ignore_index=True)

    def post(self, batch: PostingBatch) -> LoadReceipt:
        """Posts to the ledger, then writes the files of every batch that has none yet, this one's last.

        Raises:
            BatchRefused: a text the encoding cannot write, or more lines than an XLSX sheet has rows.
            SinkUnavailable: the folder cannot be written; the batch is committed and its file follows with the next post.
        """
        receipt = self._ledger.post(replace(batch, chunks=self._checked(batch)))
        with reading(self._ledger.engine) as connection:
            table = schema.posting_batch
            batches = connection.execute(sa.select(table.c.batch_id, table.c.created_at).order_by(table.c.created_at, table.c.batch_id)).all()
        missing = [(row.batch_id, row.created_at) for row in batches if not self._is_written(row.batch_id)]
        written = tuple(str(self.write(batch_id, created_at)) for batch_id, created_at in missing)
        return replace(receipt, files=written)

    def write(self, batch_id: str, created_at: datetime) -> Path:
        """The file of a committed batch: written beside, synced, renamed; the manifest last, so that it vouches for the file."""
        target = self.path_of(batch_id)
        beside = target.with_name(f".{target.name}.part")
        try:
            rows, vouchers = _write_rows(beside, self._layout, file_rows(self._ledger.engine, self._layout, batch_id), created_at)
            manifest = {
                "batch_id": batch_id,
                "layout": self._layout.name,
                "layout_version": self._layout.version,
                "file": target.name,
                "sha256": _sha256(beside),
                "bytes": beside.stat().st_size,
                "vouchers": vouchers,
                "lines": rows,
            }
            _replace(beside, target)
            note = self._manifest_of(batch_id)
            note_beside = note.with_name(f".{note.name}.part")
            note_beside.write_text(json.dumps(manifest, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
            _replace(note_beside, note)
        except OSError as error:
            raise SinkUnavailable(
                f"{target}: expected to write the import file, found {error.strerror}; the batch is posted, the next run writes the file"
            ) from None
        return target

    def path_of(self, batch_id: str) -> Path:
        """Where a batch's file lies."""
        return self._folder / f"{self._layout.name}-{batch_id}.{self._layout.format}"

    def close(self) -> None:
        """Closes the ledger."""
        self._ledger.close()

    def _manifest_of(self, batch_id: str) -> Path:
        return self._folder / f"{self._layout.name}-{batch_id}.manifest.json"

    def _is_written(self, batch_id: str) -> bool:
        # The target may have taken the file away; its manifest says that it was complete.
        return self._manifest_of(batch_id).exists()

    def _checked(self, batch: PostingBatch) -> Iterator[PostingChunk]:
        lines = 1
        for chunk in batch.chunks:
            for problems in _unencodable(chunk, self._layout):
                first = problems.iloc[0]
                place = f"{first['entry_kind']} of claim {first['claim_id']}"
                raise BatchRefused(f"{place}: {first['reason']}; ask unfit() before posting and reject what it names")
            lines += len(chunk.voucher_lines)
            if self._layout.format == "xlsx" and lines > XLSX_ROWS:
                raise BatchRefused(f"layout {self._layout.name}: an XLSX sheet has {XLSX_ROWS:,} rows, the batch needs more; use the format csv")
            yield chunk


def _unencodable(chunk: PostingChunk, layout: Layout) -> Iterator[pd.DataFrame]:
    """Ready entries with a character outside the file's encoding; only the Chinese code page gbk has such characters."""
    if layout.encoding != "gbk":
        return
    ready = chunk.entries.loc[chunk.entries["disposition"] == "ready", ["entry_no", "claim_id", "entry_kind"]]
    for name in _TEXT_FRAMES:
        frame = getattr(chunk, name)
        for column in frame.select_dtypes("str"):
            unique = frame[column].unique()
            bad = {value: character for value in unique if (character := _outside(value, layout.encoding))}
            hit = frame.loc[frame[column].isin(list(bad)), ["entry_no", column]].drop_duplicates("entry_no") if bad else frame.iloc[:0]
            found = ready.merge(hit, on="entry_no")
            if len(found):
                told = [f"{name}.{column}: expected characters of {layout.encoding}, found {bad[value]!r}" for value in found[column]]
                yield UNFIT.frame({**{key: found[key] for key in ("entry_no", "claim_id", "entry_kind")}, "reason": told})


def _outside(value: str, encoding: str) -> str:
    """The first character the encoding lacks, empty where it has them all."""
    try:
        value.encode(encoding)
    except UnicodeEncodeError as error:
        return value[error.start]
    return ""


def _write_rows(path: Path, layout: Layout, rows: Iterator[FileRow], created_at: datetime) -> tuple[int, int]:
    """Lines and vouchers written."""
    counts = np.zeros(2, dtype=np.int64)

    def counted() -> Iterator[tuple[Cell, ...]]:
        for row in rows:
            counts[:] += (1, row.first_of_voucher)
            yield row.cells

    headings = [item.column for item in layout.columns]
    if layout.format == "csv":
        _write_csv(path, layout.encoding, headings, counted())
    else:
        _write_xlsx(path, headings, counted(), created_at)
    return int(counts[0]), int(counts[1])


def _write_csv(path: Path, encoding: str, headings: list[str], rows: Iterator[tuple[Cell, ...]]) -> None:
    # No formula escaping: a machine reads this file, and an apostrophe would become part of the text.
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(headings)
        writer.writerows([_text(cell) for cell in row] for row in rows)


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _write_xlsx(path: Path, headings: list[str], rows: Iterator[tuple[Cell, ...]], created_at: datetime) -> None:
    import xlsxwriter  # only for targets that want XLSX

    with xlsxwriter.Workbook(str(path), {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        book.set_properties({"created": created_at, "title": "hesi-erp"})  # the posting's time: the same batch is the same file
        sheet = book.add_worksheet("vouchers")
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        plain = {places: book.add_format({"num_format": "0" + ("." + "0" * places if places else "")}) for places in range(11)}
        for column, heading in enumerate(headings):
            sheet.write_string(0, column, heading)
        for number, row in enumerate(rows, start=1):
            for column, cell in enumerate(row):
                if isinstance(cell, Decimal):
                    sheet.write_number(number, column, cell, plain[max(0, -int(cell.as_tuple().exponent))])
                elif isinstance(cell, date):
                    sheet.write_datetime(number, column, cell, day)
                elif isinstance(cell, int):
                    sheet.write_number(number, column, cell)
                elif cell is not None:
                    sheet.write_string(number, column, cell)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(beside: Path, target: Path) -> None:
    """Renames only what has reached the disk, and makes the rename itself last."""
    with beside.open("rb+") as file:
        os.fsync(file.fileno())
    beside.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
