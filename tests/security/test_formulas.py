"""Formulas in claim text: harmless in files that people open, untouched in files that an ERP imports; numbers stay numbers."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import load_workbook

from etl.config.layouts import Layout
from etl.erp.database import DatabaseSink
from etl.erp.import_file import ImportFileSink
from etl.evidence.tables import PackFiles
from etl.report.xlsx import safe_text
from tests.conformance.chunks import Chunk, batch
from tests.fixtures.hostile_text import FORMULAS, HOSTILE

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
COLUMNS = [{"column": name, "from": name} for name in ("claim_code", "line_summary", "account_code", "debit", "credit")]


def posted(folder: Path, *, file_format: str) -> Path:
    """The import file of a batch whose summaries are the hostile texts, one line red."""
    layout = Layout.model_validate({"version": "1", "name": "lines", "format": file_format, "columns": COLUMNS})
    sink = ImportFileSink(DatabaseSink.open(f"sqlite:///{folder / 'erp.db'}"), layout=layout, folder=folder / "out")
    sink.prepare()
    chunk = Chunk()
    for n, text in enumerate(HOSTILE):
        lines = [{"account_code": "6602.01", "debit_minor": -150}, {"account_code": "2241.01", "credit_minor": -150, "dimensions": {}}]
        chunk.voucher(f"c{n}", summary=text, lines=lines, amount_minor=-150)
    (file,) = sink.post(batch(chunk.build())).files
    sink.close()
    return Path(file)


def test_a_csv_for_the_erp_carries_every_text_to_the_letter(tmp_path: Path) -> None:
    with posted(tmp_path, file_format="csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["line_summary"] for row in rows} == set(HOSTILE)
    assert {row["debit"] for row in rows} == {"-1.50", "0.00"}


def test_a_workbook_for_the_erp_holds_texts_and_numbers_and_no_formula(tmp_path: Path) -> None:
    sheet = load_workbook(posted(tmp_path, file_format="xlsx")).active
    assert sheet is not None
    cells = [cell for row in sheet.iter_rows(min_row=2) for cell in row]
    assert {cell.data_type for cell in cells} == {"s", "n"}
    assert not [cell for cell in cells if cell.hyperlink]
    summaries = {str(cell.value) for cell in cells if cell.column == 2}
    assert {text for text in HOSTILE if "\r" not in text} <= summaries  # XML itself turns a carriage return into a line feed
    assert {Decimal(str(cell.value)) for cell in cells if cell.column == 4} == {Decimal("-1.5"), Decimal(0)}


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_for_people_never_starts_like_a_formula(text: str) -> None:
    assert not safe_text(text).startswith(STARTS)
    assert safe_text(text).endswith(text)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("lead", ["", " ", "\u3000", "\u00a0", "  \u3000"])
def test_no_blank_in_front_hides_a_formula(start: str, lead: str) -> None:
    assert safe_text(f"{lead}{start}cmd").startswith("'")


def test_tables_of_an_evidence_pack_neutralise_formulas_and_keep_numbers(tmp_path: Path) -> None:
    pack = PackFiles(tmp_path)
    plain = [text for text in FORMULAS if text.startswith(STARTS[:6])]
    pack.table("t.csv", ["text"], [*([text] for text in plain), [Decimal("-1.50")], ["-1.50"]])
    with pack.place("t.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = [row[0] for row in list(csv.reader(file))[1:]]
    assert len(plain) >= 10
    assert cells == [*(f"'{text}" for text in plain), "-1.50", "-1.50"]
