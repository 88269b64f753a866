"""Import files: the posted batch in the target's own columns and encoding, complete or not there at all."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from etl.config.layouts import Layout
from etl.config.settings import PROJECT
from etl.config.yaml_file import read_yaml
from etl.erp.database import DatabaseSink
from etl.erp.import_file import ImportFileSink
from etl.erp.port import PostingChunk
from etl.errors import BatchRefused, SinkUnavailable
from tests.conformance.chunks import Chunk, batch, one

COLUMNS = (
    "company_code voucher_word voucher_no voucher_date claim_code line_no line_summary account_code currency fx_rate amount_fc debit credit tax_rate"
).split()
Make = Callable[..., ImportFileSink]


def layout(**values: Any) -> Layout:
    columns = [{"column": name, "from": name} for name in COLUMNS] + [
        {"column": "dept", "from": "dimension.department.code"},
        {"column": "sup", "from": "dimension.supplier.name"},
    ]
    return Layout.model_validate({"version": "1", "name": "lines", "columns": columns} | values)


@pytest.fixture
def make(tmp_path: Path) -> Any:
    sinks: list[ImportFileSink] = []

    def build(**values: Any) -> ImportFileSink:
        sink = ImportFileSink(DatabaseSink.open(f"sqlite:///{tmp_path}/erp.db"), layout=layout(**values), folder=tmp_path / "out")
        sink.prepare()
        sinks.append(sink)
        return sink

    yield build
    for sink in sinks:
        sink.close()


def claim() -> PostingChunk:
    chunk = Chunk()
    lines = [
        {"account_code": "6601.03", "debit_minor": 879_427, "dimensions": {"department": ("D20", "销售部")}},
        {"account_code": "2202.01", "credit_minor": 879_427, "currency": "USD", "fx_rate": "7.1230", "amount_fc_minor": 123_456,
         "dimensions": {"supplier": ("S002", "=HYPERLINK(1)")}, "tax_rate": "6"},
    ]  # fmt: skip
    chunk.voucher("C1", amount_minor=879_427, lines=lines, summary='𠮷 会议费, "USD"')
    return chunk.build()


def rows_of(path: Path, encoding: str = "utf-8-sig") -> list[list[str]]:
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.reader(file))


EXPECTED = [
    [*COLUMNS, "dept", "sup"],
    ["C01", "记", "1", "2026-08-31", "B-C1", "1", "𠮷 会议费, \"USD\"", "6601.03", "CNY", "", "", "8794.27", "0.00", "", "D20", ""],
    ["C01", "记", "1", "2026-08-31", "B-C1", "2", "𠮷 会议费, \"USD\"", "2202.01", "USD", "7.123", "1234.56", "0.00", "8794.27", "6", "", "=HYPERLINK(1)"],
]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_a_csv_file_holds_one_row_a_line_in_the_layouts_order_and_encoding(make: Make, encoding: str) -> None:
    receipt = make(encoding=encoding).post(batch(claim()))

    assert rows_of(Path(receipt.files[0]), encoding) == EXPECTED


def test_a_utf8_file_begins_with_its_mark(make: Make) -> None:
    receipt = make().post(batch(claim()))

    assert Path(receipt.files[0]).read_bytes().startswith(b"\xef\xbb\xbf")


def test_the_manifest_vouches_for_the_file(make: Make) -> None:
    path = Path(make().post(batch(claim())).files[0])

    manifest = json.loads(path.with_name("lines-batch-1.manifest.json").read_text(encoding="utf-8"))
    content = path.read_bytes()
    assert manifest == {
        "batch_id": "batch-1", "layout": "lines", "layout_version": "1", "file": path.name, "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content), "vouchers": 1, "lines": 2,
    }  # fmt: skip
    assert [item.name for item in path.parent.iterdir() if item.name.startswith(".")] == []


def test_an_xlsx_file_holds_the_same_with_numbers_and_dates_as_such(make: Make) -> None:
    path = Path(make(format="xlsx").post(batch(claim())).files[0])

    sheet = openpyxl.load_workbook(path).active
    found = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert found[0] == EXPECTED[0]
    assert found[1][2:4] == [1, datetime(2026, 8, 31)]  # noqa: DTZ001 - Excel has no zones
    assert [Decimal(str(found[2][10])), Decimal(str(found[2][12])), found[2][9]] == [Decimal("1234.56"), Decimal("8794.27"), 7.123]
    assert sheet.cell(3, 16).data_type == "s"
    assert found[2][15] == "=HYPERLINK(1)"


@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_the_file_of_a_batch_can_be_written_again_to_the_byte(make: Make, file_format: str) -> None:
    sink = make(format=file_format)
    path = Path(sink.post(batch(claim())).files[0])
    before = path.read_bytes()
    path.with_name("lines-batch-1.manifest.json").unlink()

    receipt = sink.post(batch(claim()))

    assert receipt.files == (str(path),)
    assert path.read_bytes() == before


def test_a_batch_with_nothing_new_writes_no_file(make: Make) -> None:
    sink = make()
    sink.post(batch(claim()))

    assert sink.post(batch(claim(), batch_id="batch-2")).files == ()


def test_a_file_the_target_took_away_is_not_written_again(make: Make) -> None:
    sink = make()
    path = Path(sink.post(batch(claim())).files[0])
    path.unlink()

    assert sink.post(batch(one("C2"), batch_id="batch-2")).files == (str(path.with_name("lines-batch-2.csv")),)
    assert not path.exists()


def test_a_batch_whose_file_could_not_be_written_gets_it_with_the_next_post(make: Make, tmp_path: Path) -> None:
    sink = make()
    (tmp_path / "out").rmdir()
    with pytest.raises(SinkUnavailable, match="the batch is posted, the next run writes the file"):
        sink.post(batch(claim()))
    (tmp_path / "out").mkdir()

    receipt = sink.post(batch(one("C2"), batch_id="batch-2"))

    assert [Path(file).name for file in receipt.files] == ["lines-batch-1.csv", "lines-batch-2.csv"]
    assert rows_of(Path(receipt.files[0])) == EXPECTED


def test_a_character_outside_the_encoding_is_named_and_nothing_is_replaced(make: Make, tmp_path: Path) -> None:
    sink = make(encoding="gbk")
    chunk = Chunk()
    chunk.voucher("C0", summary="普通")
    bad = chunk.voucher("C1", summary="𠮷野家")

    problems = sink.unfit(chunk.build())

    assert problems[["entry_no", "claim_id", "reason"]].values.tolist() == [[bad, "C1", "vouchers.summary: expected characters of gbk, found '𠮷'"]]
    with pytest.raises(BatchRefused, match="expected characters of gbk"):
        sink.post(batch(chunk.build()))
    assert list((tmp_path / "out").iterdir()) == []
    assert sink.known_states(["C0", "C1"]).empty


def test_numbers_can_be_left_to_the_target(make: Make) -> None:
    path = Path(make(numbers="target").post(batch(claim())).files[0])

    assert [row[2] for row in rows_of(path)] == ["voucher_no", "", ""]


def test_a_yen_book_has_no_decimals_in_the_file(make: Make) -> None:
    path = Path(make().post(batch(one("C1", currency="JPY", amount_minor=1250))).files[0])

    assert [row[11:13] for row in rows_of(path)[1:]] == [["1250", "0"], ["0", "1250"]]


def test_rows_come_in_order_of_number_and_line(make: Make) -> None:
    chunk = Chunk()
    for number in range(30):
        chunk.voucher(f"C{number:02d}")
    path = Path(make().post(batch(chunk.build())).files[0])

    assert [(int(row[2]), int(row[5])) for row in rows_of(path)[1:]] == [(number, line) for number in range(1, 31) for line in (1, 2)]


def test_too_many_lines_for_a_sheet_are_refused(make: Make) -> None:
    sink, built = make(format="xlsx"), claim()
    lines = built.voucher_lines
    many = replace(built, voucher_lines=lines.loc[lines.index.repeat(600_000)])

    with pytest.raises(BatchRefused, match="use the format csv"):
        sink.post(batch(many))


def test_the_shipped_layout_writes_a_file(tmp_path: Path) -> None:
    data = read_yaml(PROJECT / "mappings" / "layouts" / "voucher_lines.yaml").data
    shipped = Layout.model_validate(data)
    sink = ImportFileSink(DatabaseSink.open(f"sqlite:///{tmp_path}/erp.db"), layout=shipped, folder=tmp_path / "out")
    sink.prepare()

    receipt = sink.post(batch(claim()))

    heading, first, *_ = rows_of(Path(receipt.files[0]))
    assert len(heading) == len(first) == len(shipped.columns)
    assert first[heading.index("借方金额")] == "8794.27"
    sink.close()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"columns": [{"column": "a", "from": "no_such"}]}, "expected dimension.TYPE.code"),
        ({"columns": [{"column": "a", "from": "debit"}, {"column": "a", "from": "credit"}]}, "expected each heading once"),
        ({"columns": []}, "at least 1 item"),
        ({"format": "xlsx", "encoding": "gb18030"}, "an XLSX file has no encoding"),
        ({"format": "pdf"}, "'csv' or 'xlsx'"),
        ({"colour": "red"}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_layout_says_what_it_expected(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        layout(**values)
